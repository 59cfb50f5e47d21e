/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * include/avp/avp_abi.h against rte_avp_common.h of the installed DPDK, the header of the driver
 * that guests have: every number, size and offset.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* after the four that it needs */
#include <cmocka.h>

#include <rte_avp_common.h>

#include <avp/avp_abi.h>

/* Offset and size of a field here and there. */
#define ASSERT_SAME_FIELD(type, field, rte_type, rte_field)                 \
	do {                                                                \
		assert_int_equal(offsetof(struct type, field),              \
				offsetof(struct rte_type, rte_field));      \
		assert_int_equal(sizeof(((struct type *)0)->field),         \
				sizeof(((struct rte_type *)0)->rte_field)); \
	} while (0)

static void
pci_identity_is_the_same(void **state)
{
	(void)state;
	assert_int_equal(AVP_PCI_VENDOR_ID, RTE_AVP_PCI_VENDOR_ID);
	assert_int_equal(AVP_PCI_DEVICE_ID, RTE_AVP_PCI_DEVICE_ID);
	assert_int_equal(AVP_PCI_SUBSYS_VENDOR_ID, RTE_AVP_PCI_SUB_VENDOR_ID);
	assert_int_equal(AVP_PCI_SUBSYS_DEVICE_ID, RTE_AVP_PCI_SUB_DEVICE_ID);
	assert_int_equal(AVP_BAR_MMIO, RTE_AVP_PCI_MMIO_BAR);
	assert_int_equal(AVP_BAR_MSIX, RTE_AVP_PCI_MSIX_BAR);
	assert_int_equal(AVP_BAR_MEMORY, RTE_AVP_PCI_MEMORY_BAR);
	assert_int_equal(AVP_BAR_MEMMAP, RTE_AVP_PCI_MEMMAP_BAR);
	assert_int_equal(AVP_BAR_DEVICE, RTE_AVP_PCI_DEVICE_BAR);
	assert_int_equal(AVP_VECTOR_MIGRATION, RTE_AVP_MIGRATION_MSIX_VECTOR);
	assert_true(AVP_NB_VECTORS >= RTE_AVP_MAX_MSIX_VECTORS);
}

static void
registers_are_the_same(void **state)
{
	(void)state;
	assert_int_equal(AVP_REG_INTR_MASK, RTE_AVP_INTERRUPT_MASK_OFFSET);
	assert_int_equal(AVP_REG_INTR_STATUS, RTE_AVP_INTERRUPT_STATUS_OFFSET);
	assert_int_equal(AVP_REG_MIGRATION_STATUS, RTE_AVP_MIGRATION_STATUS_OFFSET);
	assert_int_equal(AVP_REG_MIGRATION_ACK, RTE_AVP_MIGRATION_ACK_OFFSET);
	assert_int_equal(AVP_INTR_MIGRATION, RTE_AVP_MIGRATION_INTERRUPT_MASK);
	assert_int_equal(AVP_INTR_MASK_ALL, RTE_AVP_APP_INTERRUPTS_MASK);
	assert_int_equal(AVP_INTR_MASK_NONE, RTE_AVP_NO_INTERRUPTS_MASK);
	assert_int_equal(AVP_MIGRATION_NONE, RTE_AVP_MIGRATION_NONE);
	assert_int_equal(AVP_MIGRATION_DETACHED, RTE_AVP_MIGRATION_DETACHED);
	assert_int_equal(AVP_MIGRATION_ATTACHED, RTE_AVP_MIGRATION_ATTACHED);
	assert_int_equal(AVP_MIGRATION_ERROR, RTE_AVP_MIGRATION_ERROR);
}

static void
limits_and_versions_are_the_same(void **state)
{
	(void)state;
	assert_int_equal(AVP_MAX_QUEUES, RTE_AVP_MAX_QUEUES);
	assert_int_equal(AVP_MAX_SEGS, RTE_AVP_MAX_MBUF_SEGMENTS);
	assert_int_equal(AVP_MAX_MAPS, RTE_AVP_MAX_MAPS);
	assert_int_equal(AVP_MAX_MEMPOOLS, RTE_AVP_MAX_MEMPOOLS);
	assert_int_equal(AVP_NAME_SIZE, RTE_AVP_NAMESIZE);
	assert_int_equal(AVP_MEMMAP_MAGIC, RTE_AVP_MEMMAP_MAGIC);
	assert_int_equal(AVP_MEMMAP_VERSION, RTE_AVP_MEMMAP_VERSION);
	assert_int_equal(AVP_DEVICE_MAGIC, RTE_AVP_DEVICE_MAGIC);
	assert_int_equal(AVP_VERSION(1, 2, 13), RTE_AVP_MAKE_VERSION(1, 2, 13));
	assert_int_equal(AVP_VERSION_COMPAT(0x10203), RTE_AVP_STRIP_MINOR_VERSION(0x10203));
	assert_int_equal(AVP_FEATURE_VLAN, RTE_AVP_FEATURE_VLAN_OFFLOAD);
	assert_int_equal(AVP_DESC_TX_VLAN, RTE_AVP_TX_VLAN_PKT);
	assert_int_equal(AVP_DESC_RX_VLAN, RTE_AVP_RX_VLAN_PKT);
	assert_int_equal(AVP_MODE_HOST, RTE_AVP_MODE_HOST);
	assert_int_equal(AVP_MODE_GUEST, RTE_AVP_MODE_GUEST);
	assert_int_equal(AVP_MODE_TRACE, RTE_AVP_MODE_TRACE);
}

static void
stock_driver_accepts_the_device_version(void **state)
{
	(void)state;
	assert_true(RTE_AVP_STRIP_MINOR_VERSION(AVP_DEVICE_VERSION) <=
			RTE_AVP_STRIP_MINOR_VERSION(RTE_AVP_CURRENT_GUEST_VERSION));
}

static void
memory_map_is_the_same(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct avp_memmap_entry), sizeof(struct rte_avp_memmap));
	ASSERT_SAME_FIELD(avp_memmap_entry, area_va, rte_avp_memmap, addr);
	ASSERT_SAME_FIELD(avp_memmap_entry, area_pa, rte_avp_memmap, phys_addr);
	ASSERT_SAME_FIELD(avp_memmap_entry, area_size, rte_avp_memmap, length);
	assert_int_equal(sizeof(struct avp_memmap), sizeof(struct rte_avp_memmap_info));
	ASSERT_SAME_FIELD(avp_memmap, magic, rte_avp_memmap_info, magic);
	ASSERT_SAME_FIELD(avp_memmap, version, rte_avp_memmap_info, version);
	ASSERT_SAME_FIELD(avp_memmap, nb_maps, rte_avp_memmap_info, nb_maps);
	ASSERT_SAME_FIELD(avp_memmap, maps, rte_avp_memmap_info, maps);
}

static void
device_information_is_the_same(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct avp_device_info), sizeof(struct rte_avp_device_info));
	ASSERT_SAME_FIELD(avp_device_info, magic, rte_avp_device_info, magic);
	ASSERT_SAME_FIELD(avp_device_info, version, rte_avp_device_info, version);
	ASSERT_SAME_FIELD(avp_device_info, name, rte_avp_device_info, ifname);
	ASSERT_SAME_FIELD(avp_device_info, tx_fifo_pa, rte_avp_device_info, tx_phys);
	ASSERT_SAME_FIELD(avp_device_info, rx_fifo_pa, rte_avp_device_info, rx_phys);
	ASSERT_SAME_FIELD(avp_device_info, alloc_fifo_pa, rte_avp_device_info, alloc_phys);
	ASSERT_SAME_FIELD(avp_device_info, free_fifo_pa, rte_avp_device_info, free_phys);
	ASSERT_SAME_FIELD(avp_device_info, features, rte_avp_device_info, features);
	ASSERT_SAME_FIELD(avp_device_info, min_rx_queues, rte_avp_device_info, min_rx_queues);
	ASSERT_SAME_FIELD(avp_device_info, num_rx_queues, rte_avp_device_info, num_rx_queues);
	ASSERT_SAME_FIELD(avp_device_info, max_rx_queues, rte_avp_device_info, max_rx_queues);
	ASSERT_SAME_FIELD(avp_device_info, min_tx_queues, rte_avp_device_info, min_tx_queues);
	ASSERT_SAME_FIELD(avp_device_info, num_tx_queues, rte_avp_device_info, num_tx_queues);
	ASSERT_SAME_FIELD(avp_device_info, max_tx_queues, rte_avp_device_info, max_tx_queues);
	ASSERT_SAME_FIELD(avp_device_info, tx_fifo_size, rte_avp_device_info, tx_size);
	ASSERT_SAME_FIELD(avp_device_info, rx_fifo_size, rte_avp_device_info, rx_size);
	ASSERT_SAME_FIELD(avp_device_info, alloc_fifo_size, rte_avp_device_info, alloc_size);
	ASSERT_SAME_FIELD(avp_device_info, free_fifo_size, rte_avp_device_info, free_size);
	ASSERT_SAME_FIELD(avp_device_info, req_fifo_pa, rte_avp_device_info, req_phys);
	ASSERT_SAME_FIELD(avp_device_info, resp_fifo_pa, rte_avp_device_info, resp_phys);
	ASSERT_SAME_FIELD(avp_device_info, ctrl_slot_pa, rte_avp_device_info, sync_phys);
	ASSERT_SAME_FIELD(avp_device_info, ctrl_slot_va, rte_avp_device_info, sync_va);
	ASSERT_SAME_FIELD(avp_device_info, buf_va, rte_avp_device_info, mbuf_va);
	ASSERT_SAME_FIELD(avp_device_info, buf_pa, rte_avp_device_info, mbuf_phys);
	ASSERT_SAME_FIELD(avp_device_info, pools, rte_avp_device_info, pool);
	ASSERT_SAME_FIELD(avp_device_info, mac, rte_avp_device_info, ethaddr);
	ASSERT_SAME_FIELD(avp_device_info, mode, rte_avp_device_info, mode);
	ASSERT_SAME_FIELD(avp_device_info, buf_data_size, rte_avp_device_info, mbuf_size);
	ASSERT_SAME_FIELD(avp_device_info, device_id, rte_avp_device_info, device_id);
	ASSERT_SAME_FIELD(avp_device_info, max_rx_size, rte_avp_device_info, max_rx_pkt_len);
}

static void
memory_pool_entry_is_the_same(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct avp_mempool_info), sizeof(struct rte_avp_mempool_info));
	ASSERT_SAME_FIELD(avp_mempool_info, pool_va, rte_avp_mempool_info, addr);
	ASSERT_SAME_FIELD(avp_mempool_info, pool_pa, rte_avp_mempool_info, phys_addr);
	ASSERT_SAME_FIELD(avp_mempool_info, pool_size, rte_avp_mempool_info, length);
}

static void
fifo_is_the_same(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct avp_fifo), sizeof(struct rte_avp_fifo));
	ASSERT_SAME_FIELD(avp_fifo, write, rte_avp_fifo, write);
	ASSERT_SAME_FIELD(avp_fifo, read, rte_avp_fifo, read);
	ASSERT_SAME_FIELD(avp_fifo, len, rte_avp_fifo, len);
	ASSERT_SAME_FIELD(avp_fifo, elem_size, rte_avp_fifo, elem_size);
	assert_int_equal(offsetof(struct avp_fifo, entries), offsetof(struct rte_avp_fifo, buffer));
	assert_int_equal(sizeof(((struct avp_fifo *)0)->entries[0]),
			sizeof(((struct rte_avp_fifo *)0)->buffer[0]));
}

static void
descriptor_is_the_same(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct avp_desc), sizeof(struct rte_avp_desc));
	ASSERT_SAME_FIELD(avp_desc, desc_va, rte_avp_desc, pkt_mbuf);
	ASSERT_SAME_FIELD(avp_desc, ol_flags, rte_avp_desc, ol_flags);
	ASSERT_SAME_FIELD(avp_desc, next_va, rte_avp_desc, next);
	ASSERT_SAME_FIELD(avp_desc, data_va, rte_avp_desc, data);
	ASSERT_SAME_FIELD(avp_desc, data_len, rte_avp_desc, data_len);
	ASSERT_SAME_FIELD(avp_desc, nb_segs, rte_avp_desc, nb_segs);
	ASSERT_SAME_FIELD(avp_desc, pkt_len, rte_avp_desc, pkt_len);
	ASSERT_SAME_FIELD(avp_desc, vlan_tci, rte_avp_desc, vlan_tci);
}

static void
control_request_is_the_same(void **state)
{
	(void)state;
	assert_int_equal(AVP_REQ_SET_MTU, RTE_AVP_REQ_CHANGE_MTU);
	assert_int_equal(AVP_REQ_SET_LINK, RTE_AVP_REQ_CFG_NETWORK_IF);
	assert_int_equal(AVP_REQ_CONFIGURE, RTE_AVP_REQ_CFG_DEVICE);
	assert_int_equal(AVP_REQ_SHUTDOWN, RTE_AVP_REQ_SHUTDOWN_DEVICE);
	assert_int_equal(AVP_DRIVER_DPDK, RTE_AVP_DRIVER_TYPE_DPDK);
	assert_int_equal(AVP_DRIVER_KERNEL, RTE_AVP_DRIVER_TYPE_KERNEL);
	assert_int_equal(AVP_DRIVER_QEMU, RTE_AVP_DRIVER_TYPE_QEMU);
	assert_int_equal(sizeof(struct avp_request), sizeof(struct rte_avp_request));
	ASSERT_SAME_FIELD(avp_request, req_id, rte_avp_request, req_id);
	ASSERT_SAME_FIELD(avp_request, arg.mtu, rte_avp_request, new_mtu);
	ASSERT_SAME_FIELD(avp_request, arg.link_up, rte_avp_request, if_up);
	ASSERT_SAME_FIELD(avp_request, arg.config, rte_avp_request, config);
	ASSERT_SAME_FIELD(avp_request, result, rte_avp_request, result);
}

static void
configuration_is_the_same(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct avp_config), sizeof(struct rte_avp_device_config));
	ASSERT_SAME_FIELD(avp_config, device_id, rte_avp_device_config, device_id);
	ASSERT_SAME_FIELD(avp_config, driver_type, rte_avp_device_config, driver_type);
	ASSERT_SAME_FIELD(avp_config, driver_version, rte_avp_device_config, driver_version);
	ASSERT_SAME_FIELD(avp_config, features, rte_avp_device_config, features);
	ASSERT_SAME_FIELD(avp_config, nb_tx_queues, rte_avp_device_config, num_tx_queues);
	ASSERT_SAME_FIELD(avp_config, nb_rx_queues, rte_avp_device_config, num_rx_queues);
	ASSERT_SAME_FIELD(avp_config, link_up, rte_avp_device_config, if_up);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(pci_identity_is_the_same),
			cmocka_unit_test(registers_are_the_same),
			cmocka_unit_test(limits_and_versions_are_the_same),
			cmocka_unit_test(stock_driver_accepts_the_device_version),
			cmocka_unit_test(memory_map_is_the_same),
			cmocka_unit_test(device_information_is_the_same),
			cmocka_unit_test(memory_pool_entry_is_the_same),
			cmocka_unit_test(fifo_is_the_same),
			cmocka_unit_test(descriptor_is_the_same),
			cmocka_unit_test(control_request_is_the_same),
			cmocka_unit_test(configuration_is_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
