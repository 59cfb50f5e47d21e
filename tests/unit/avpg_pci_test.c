/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The guest driver's PCI glue, on a simulated PCI device: BARs 2, 4 and 5 are those of avpg_fake,
 * BAR 0 is plain memory, and the calls of DPDK's PCI bus and interrupt thread are the test's (the
 * linker gives avpg_pci.c __wrap_NAME for NAME).
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include <cmocka.h>

#include <bus_pci_driver.h>
#include <rte_devargs.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include "avpg_port_fixture.h"

#define ADDRESS "0000:00:10.0"
#define IVSHMEM_SUBSYS 0x1100
#define COMMAND 0x04
#define BARS 0x10
#define MEMORY_ON 0x0006 /* and bus master */

struct pci_fixture {
	struct avpg_fake *fake;
	struct rte_pci_driver *drv;
	struct rte_pci_device dev;
	struct rte_devargs devargs;
	atomic_uint regs[4]; /* BAR 0 */
	uint8_t config[64];
	/* what the driver has done */
	atomic_uint mapped;
	atomic_uint config_reads;
	atomic_uint bar_writes;
	atomic_uint intr_enables; /* since the beginning */
	atomic_bool intr_on;
	rte_intr_callback_fn callback;
	void *callback_arg;
	/* what the test wants */
	enum rte_proc_type_t process_type;
	int unregister_busy; /* times that the callback is still under way */
	bool config_fails;
	bool quiet; /* the device that comes back has not asked for an attach yet */
};

static struct pci_fixture *fix;

/*
 * DPDK's PCI bus and interrupts, for the driver
 */

int __wrap_rte_pci_read_config(
		const struct rte_pci_device *dev, void *buf, size_t len, off_t offset);
int __wrap_rte_pci_write_config(
		const struct rte_pci_device *dev, const void *buf, size_t len, off_t offset);
int __wrap_rte_pci_map_device(struct rte_pci_device *dev);
void __wrap_rte_pci_unmap_device(struct rte_pci_device *dev);
int __wrap_rte_intr_callback_register(
		const struct rte_intr_handle *handle, rte_intr_callback_fn cb, void *arg);
int __wrap_rte_intr_callback_unregister(
		const struct rte_intr_handle *handle, rte_intr_callback_fn cb, void *arg);
int __wrap_rte_intr_enable(const struct rte_intr_handle *handle);
int __wrap_rte_intr_disable(const struct rte_intr_handle *handle);
enum rte_proc_type_t __wrap_rte_eal_process_type(void);
enum rte_proc_type_t __real_rte_eal_process_type(void);

int
__wrap_rte_pci_read_config(
		const struct rte_pci_device *dev __rte_unused, void *buf, size_t len, off_t offset)
{
	if (fix->config_fails)
		return -1;
	memcpy(buf, fix->config + offset, len);
	atomic_fetch_add(&fix->config_reads, 1);
	return (int)len;
}

/* Decoding switched on: the registers are there again, those of a device that wants an attach. */
int
__wrap_rte_pci_write_config(const struct rte_pci_device *dev __rte_unused, const void *buf,
		size_t len, off_t offset)
{
	memcpy(fix->config + offset, buf, len);
	if (offset == BARS)
		atomic_fetch_add(&fix->bar_writes, 1);
	if (offset == COMMAND && (fix->config[COMMAND] & MEMORY_ON) == MEMORY_ON) {
		atomic_store(&fix->regs[AVP_REG_INTR_MASK / 4], AVP_INTR_MASK_NONE);
		atomic_store(&fix->regs[AVP_REG_INTR_STATUS / 4],
				fix->quiet ? 0 : AVP_INTR_MIGRATION);
		atomic_store(&fix->regs[AVP_REG_MIGRATION_ACK / 4], 0);
		atomic_store(&fix->regs[AVP_REG_MIGRATION_STATUS / 4], AVP_MIGRATION_ATTACHED);
	}
	return (int)len;
}

int
__wrap_rte_pci_map_device(struct rte_pci_device *dev __rte_unused)
{
	atomic_fetch_add(&fix->mapped, 1);
	return 0;
}

void
__wrap_rte_pci_unmap_device(struct rte_pci_device *dev __rte_unused)
{
	atomic_fetch_sub(&fix->mapped, 1);
}

int
__wrap_rte_intr_callback_register(const struct rte_intr_handle *handle __rte_unused,
		rte_intr_callback_fn cb, void *arg)
{
	assert_null(fix->callback);
	fix->callback = cb;
	fix->callback_arg = arg;
	return 0;
}

int
__wrap_rte_intr_callback_unregister(const struct rte_intr_handle *handle __rte_unused,
		rte_intr_callback_fn cb, void *arg)
{
	assert_ptr_equal(fix->callback, cb);
	assert_ptr_equal(fix->callback_arg, arg);
	if (fix->unregister_busy-- > 0)
		return -EAGAIN;
	fix->callback = NULL;
	return 1;
}

int
__wrap_rte_intr_enable(const struct rte_intr_handle *handle __rte_unused)
{
	atomic_fetch_add(&fix->intr_enables, 1);
	atomic_store(&fix->intr_on, true);
	return 0;
}

int
__wrap_rte_intr_disable(const struct rte_intr_handle *handle __rte_unused)
{
	atomic_store(&fix->intr_on, false);
	return 0;
}

enum rte_proc_type_t
__wrap_rte_eal_process_type(void)
{
	return fix != NULL ? fix->process_type : __real_rte_eal_process_type();
}

/*
 * Drivers that were registered before ours: like DPDK's own one, like another copy of ours
 */

static struct rte_pci_driver other = {.driver = {.name = "net_other"}};
static struct rte_pci_driver stock = {.driver = {.name = "net_avp"}};
static struct rte_pci_driver copy = {.driver = {.name = "net_avp", .alias = "OpenAVP"}};
static struct rte_pci_driver last = {.driver = {.name = "last"}};

RTE_INIT_PRIO(register_others, CLASS)
{
	rte_pci_register(&stock);
	rte_pci_register(&other);
	rte_pci_register(&copy);
}

static struct rte_pci_driver *
driver_before(struct rte_pci_driver *drv)
{
	RTE_TAILQ_HEAD(drivers, rte_pci_driver);

	return TAILQ_PREV(drv, drivers, next);
}

static int
group_setup(void **state __rte_unused)
{
	rte_pci_register(&last);
	return fixture_eal_init();
}

static struct rte_pci_driver *
our_driver(void)
{
	struct rte_pci_driver *drv = driver_before(&last);

	while (drv != NULL && drv->probe == NULL)
		drv = driver_before(drv);
	return drv;
}

/*
 * One device
 */

static void
bar_set(struct pci_fixture *f, enum avp_bar bar, void *addr, size_t len)
{
	f->dev.mem_resource[bar].addr = addr;
	f->dev.mem_resource[bar].len = len;
}

static void
kernel_driver_set(struct pci_fixture *f, enum rte_pci_kernel_driver kdrv)
{
	f->dev.kdrv = kdrv;
	rte_intr_type_set(f->dev.intr_handle,
			kdrv == RTE_PCI_KDRV_VFIO ? RTE_INTR_HANDLE_VFIO_MSIX
						  : RTE_INTR_HANDLE_UIO_INTX);
}

static int
setup(void **state)
{
	static struct pci_fixture f;

	memset(&f, 0, sizeof(f));
	fix = &f;
	f.drv = our_driver();
	f.fake = avpg_fake_create(&avpg_fake_default);
	f.dev.intr_handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (f.drv == NULL || f.fake == NULL || f.dev.intr_handle == NULL)
		return 1;
	f.process_type = RTE_PROC_PRIMARY;
	f.dev.driver = f.drv;
	f.dev.device.name = ADDRESS;
	f.dev.device.driver = &f.drv->driver;
	f.dev.device.numa_node = -1;
	f.dev.id = (struct rte_pci_id){
			.vendor_id = AVP_PCI_VENDOR_ID,
			.device_id = AVP_PCI_DEVICE_ID,
			.subsystem_vendor_id = AVP_PCI_SUBSYS_VENDOR_ID,
			.subsystem_device_id = AVP_PCI_SUBSYS_DEVICE_ID,
	};
	bar_set(&f, AVP_BAR_MMIO, f.regs, sizeof(f.regs));
	bar_set(&f, AVP_BAR_MEMORY, f.fake->hw.mem, f.fake->hw.mem_size);
	bar_set(&f, AVP_BAR_MEMMAP, f.fake->memmap, f.fake->hw.memmap_size);
	bar_set(&f, AVP_BAR_DEVICE, f.fake->info, f.fake->hw.device_size);
	kernel_driver_set(&f, RTE_PCI_KDRV_VFIO);
	f.config[COMMAND] = MEMORY_ON;
	f.config[BARS + 3] = 0xfe;
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct pci_fixture *f = *state;

	assert_int_equal(atomic_load(&f->mapped), 0);
	assert_null(f->callback);
	assert_false(atomic_load(&f->intr_on));
	rte_intr_instance_free(f->dev.intr_handle);
	avpg_fake_destroy(f->fake);
	fix = NULL;
	return 0;
}

/* Wait until the driver has looked at config space @nb times or more: it does not wait for us. */
static void
wait_looks(struct pci_fixture *f, unsigned int nb)
{
	for (int i = 0; i < 40000 && atomic_load(&f->config_reads) < nb; i++)
		nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
	assert_true(atomic_load(&f->config_reads) >= nb);
}

static int
probe(struct pci_fixture *f)
{
	return f->drv->probe(f->drv, &f->dev);
}

static uint16_t
probed(struct pci_fixture *f)
{
	uint16_t port_id = RTE_MAX_ETHPORTS;

	assert_int_equal(probe(f), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(ADDRESS, &port_id), 0);
	return port_id;
}

static void
removed(struct pci_fixture *f)
{
	uint16_t port_id;

	assert_int_equal(f->drv->remove(&f->dev), 0);
	assert_int_not_equal(rte_eth_dev_get_port_by_name(ADDRESS, &port_id), 0);
}

static void
refused(struct pci_fixture *f, int status)
{
	uint16_t port_id;

	assert_int_equal(probe(f), status);
	assert_int_not_equal(rte_eth_dev_get_port_by_name(ADDRESS, &port_id), 0);
	assert_int_equal(atomic_load(&f->mapped), 0);
	assert_null(f->callback);
}

static void
reg_set(struct pci_fixture *f, uint32_t reg, uint32_t value)
{
	atomic_store(&f->regs[reg / sizeof(uint32_t)], value);
}

static bool
reg_becomes(struct pci_fixture *f, uint32_t reg, uint32_t value)
{
	return avpg_fake_wait(&f->regs[reg / sizeof(uint32_t)], value);
}

/* Ask as the device would; the status bit does not clear itself here. */
static void
migrate(struct pci_fixture *f, enum avp_migration status)
{
	reg_set(f, AVP_REG_MIGRATION_STATUS, status);
	reg_set(f, AVP_REG_INTR_STATUS, AVP_INTR_MIGRATION);
	if (f->callback != NULL)
		f->callback(f->callback_arg);
	assert_true(reg_becomes(f, AVP_REG_MIGRATION_ACK, status));
	reg_set(f, AVP_REG_INTR_STATUS, 0);
}

/* What a live migration leaves of the device. */
static void
lose_configuration(struct pci_fixture *f)
{
	memset(f->config, 0, sizeof(f->config));
	for (size_t i = 0; i < RTE_DIM(f->regs); i++)
		atomic_store(&f->regs[i], UINT32_MAX);
}

/*
 * Tests
 */

static void
ours_goes_before_the_stock_driver(void **state __rte_unused)
{
	struct rte_pci_driver *drv = driver_before(&last);

	assert_ptr_equal(drv, &stock);
	drv = driver_before(drv);
	assert_string_equal(drv->driver.name, "net_avp");
	assert_non_null(drv->probe);
	/* and all else stays */
	drv = driver_before(drv);
	assert_ptr_equal(drv, &copy);
	drv = driver_before(drv);
	assert_ptr_equal(drv, &other);
}

static void
a_device_becomes_a_port(void **state)
{
	struct pci_fixture *f = *state;
	uint16_t port_id = probed(f);
	struct rte_eth_dev_info info;

	assert_int_equal(rte_eth_dev_info_get(port_id, &info), 0);
	assert_string_equal(info.driver_name, "net_avp");
	assert_int_equal(info.max_rx_queues, 2);
	assert_int_equal(*info.dev_flags & RTE_ETH_DEV_INTR_RMV, RTE_ETH_DEV_INTR_RMV);
	assert_true(atomic_load(&f->regs[AVP_REG_INTR_MASK / 4]) == AVP_INTR_MASK_ALL);
	assert_true(atomic_load(&f->intr_on));
	removed(f);
}

static void
ivshmem_is_refused_and_left_to_others(void **state)
{
	struct pci_fixture *f = *state;

	f->dev.id.subsystem_device_id = IVSHMEM_SUBSYS;
	refused(f, 1);
}

static void
a_device_of_the_kernels_is_left_alone(void **state)
{
	struct pci_fixture *f = *state;

	f->dev.kdrv = RTE_PCI_KDRV_NONE;
	refused(f, 1);
}

/* Not 1: then DPDK's own driver would be tried, on a port of ours. */
static void
a_secondary_process_is_refused(void **state)
{
	struct pci_fixture *f = *state;

	f->process_type = RTE_PROC_SECONDARY;
	refused(f, -ENOTSUP);
	f->process_type = RTE_PROC_PRIMARY;
}

static void
a_device_that_makes_no_sense_is_let_go(void **state)
{
	struct pci_fixture *f = *state;

	f->fake->info->magic++;
	refused(f, -ENODEV);
	f->fake->info->magic--;
	bar_set(f, AVP_BAR_MEMORY, NULL, 0);
	refused(f, -ENODEV);
	bar_set(f, AVP_BAR_MMIO, NULL, 0);
	refused(f, -ENODEV);
}

static void
a_device_that_does_not_answer_is_let_go(void **state)
{
	struct pci_fixture *f = *state;

	reg_set(f, AVP_REG_MIGRATION_STATUS, UINT32_MAX);
	refused(f, -ENODEV);
	reg_set(f, AVP_REG_MIGRATION_STATUS, 0);
	f->config_fails = true;
	refused(f, -EIO);
}

static void
a_detached_device_is_acknowledged_and_waited_for(void **state)
{
	struct pci_fixture *f = *state;

	reg_set(f, AVP_REG_MIGRATION_STATUS, AVP_MIGRATION_DETACHED);
	probed(f);
	assert_true(reg_becomes(f, AVP_REG_MIGRATION_ACK, AVP_MIGRATION_DETACHED));
	migrate(f, AVP_MIGRATION_ATTACHED);
	removed(f);
}

static void
queues_can_be_limited(void **state)
{
	struct pci_fixture *f = *state;
	struct rte_eth_dev_info info;

	f->dev.device.devargs = &f->devargs;
	f->devargs.args = (char *)(uintptr_t) "queues=1";
	assert_int_equal(rte_eth_dev_info_get(probed(f), &info), 0);
	assert_int_equal(info.max_rx_queues, 1);
	removed(f);
}

static void
arguments_that_are_not_known_are_refused(void **state)
{
	static const char *const bad[] = {"queues=0", "queues=9", "queues=", "queues=2x", "queue=1",
			"mac=02:00:00:00:00:01"};
	struct pci_fixture *f = *state;

	f->dev.device.devargs = &f->devargs;
	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		f->devargs.args = (char *)(uintptr_t)bad[i];
		refused(f, -EINVAL);
	}
}

static void
remove_stops_and_closes_a_running_port(void **state)
{
	struct pci_fixture *f = *state;
	struct rte_eth_conf conf = {0};
	uint16_t port_id = probed(f);

	assert_int_equal(rte_eth_dev_configure(port_id, 0, 1, &conf), 0);
	assert_int_equal(rte_eth_tx_queue_setup(port_id, 0, 64, 0, NULL), 0);
	assert_int_equal(rte_eth_dev_start(port_id), 0);
	removed(f);
	assert_int_equal(atomic_load(&f->fake->last_id), AVP_REQ_SHUTDOWN);
}

static void
remove_after_close_lets_the_bars_go(void **state)
{
	struct pci_fixture *f = *state;
	uint16_t port_id = probed(f);

	assert_int_equal(rte_eth_dev_close(port_id), 0);
	assert_null(f->callback);
	assert_int_equal(atomic_load(&f->mapped), 1);
	removed(f);
}

static void
close_waits_for_the_interrupts_callback(void **state)
{
	struct pci_fixture *f = *state;

	probed(f);
	f->unregister_busy = 3;
	removed(f);
	assert_int_equal(f->unregister_busy, -1);
}

static void
all_ones_mean_that_the_device_is_gone(void **state)
{
	struct pci_fixture *f = *state;
	uint16_t port_id = probed(f);

	assert_int_equal(rte_eth_dev_is_removed(port_id), 0);
	reg_set(f, AVP_REG_MIGRATION_STATUS, UINT32_MAX);
	assert_int_equal(rte_eth_dev_is_removed(port_id), 1);
	removed(f);
}

/* As when QEMU's device has lost its server: nobody tells the guest. */
static void *
vanish_while_asked(void *arg)
{
	struct pci_fixture *f = arg;

	avpg_fake_wait(&f->fake->taken, 2);
	reg_set(f, AVP_REG_MIGRATION_STATUS, UINT32_MAX);
	return NULL;
}

static void
a_device_that_is_gone_ends_a_request(void **state)
{
	struct pci_fixture *f = *state;
	struct rte_eth_conf conf = {0};
	uint16_t port_id = probed(f);
	uint64_t id, timeouts;
	pthread_t thread;

	assert_int_equal(rte_eth_dev_configure(port_id, 0, 1, &conf), 0);
	atomic_store(&f->fake->mode, AVPG_FAKE_SILENT);
	assert_int_equal(pthread_create(&thread, NULL, vanish_while_asked, f), 0);
	assert_int_equal(rte_eth_dev_set_mtu(port_id, 1400), -EIO);
	pthread_join(thread, NULL);
	assert_int_equal(rte_eth_xstats_get_id_by_name(port_id, "ctrl_timeouts", &id), 0);
	assert_int_equal(rte_eth_xstats_get_by_id(port_id, &id, &timeouts, 1), 1);
	assert_int_equal(timeouts, 0);
	removed(f);
}

static void
config_space_without_sense_means_that_the_device_is_gone(void **state)
{
	struct pci_fixture *f = *state;
	uint16_t port_id = probed(f);

	memset(f->config, 0xff, sizeof(f->config));
	reg_set(f, AVP_REG_MIGRATION_STATUS, UINT32_MAX);
	assert_int_equal(rte_eth_dev_is_removed(port_id), 1);
	removed(f);
}

static void
all_ones_without_decoding_do_not_mean_gone(void **state)
{
	struct pci_fixture *f = *state;
	uint16_t port_id = probed(f);

	lose_configuration(f);
	assert_int_equal(rte_eth_dev_is_removed(port_id), 0);
	removed(f);
}

static void
a_lost_configuration_is_put_back_while_detached(void **state)
{
	struct pci_fixture *f = *state;
	unsigned int enables;

	probed(f);
	enables = atomic_load(&f->intr_enables);
	migrate(f, AVP_MIGRATION_DETACHED);
	lose_configuration(f);
	/* no interrupt can come: the driver has to find out */
	assert_true(reg_becomes(f, AVP_REG_MIGRATION_ACK, AVP_MIGRATION_ATTACHED));
	assert_int_equal(f->config[COMMAND], MEMORY_ON);
	assert_true(atomic_load(&f->regs[AVP_REG_INTR_MASK / 4]) == AVP_INTR_MASK_ALL);
	assert_int_equal(atomic_load(&f->bar_writes), 0);
	assert_int_equal(atomic_load(&f->intr_enables), enables + 1);
	assert_true(atomic_load(&f->intr_on));
	removed(f);
}

/* Else it could be done twice, and the second time under traffic. */
static void
an_attach_waits_until_it_is_asked_for(void **state)
{
	struct pci_fixture *f = *state;

	probed(f);
	migrate(f, AVP_MIGRATION_DETACHED);
	f->quiet = true;
	lose_configuration(f);
	assert_true(reg_becomes(f, AVP_REG_MIGRATION_STATUS, AVP_MIGRATION_ATTACHED));
	atomic_store(&f->config_reads, 0);
	wait_looks(f, 3);
	assert_int_equal(atomic_load(&f->regs[AVP_REG_MIGRATION_ACK / 4]), 0);
	migrate(f, AVP_MIGRATION_ATTACHED);
	removed(f);
}

static void
a_configuration_that_is_there_is_left_alone(void **state)
{
	struct pci_fixture *f = *state;
	unsigned int enables;

	probed(f);
	enables = atomic_load(&f->intr_enables);
	migrate(f, AVP_MIGRATION_DETACHED);
	atomic_store(&f->config_reads, 0);
	wait_looks(f, 3);
	assert_int_equal(atomic_load(&f->intr_enables), enables);
	migrate(f, AVP_MIGRATION_ATTACHED);
	assert_int_equal(atomic_load(&f->intr_enables), enables);
	removed(f);
}

static void
start_sleepy(uint16_t port_id, struct rte_mempool *pool, int result)
{
	struct rte_eth_conf conf = {.intr_conf.rxq = 1};

	assert_int_equal(rte_eth_dev_configure(port_id, 2, 1, &conf), result);
	if (result != 0)
		return;
	for (uint16_t i = 0; i < 2; i++)
		assert_int_equal(rte_eth_rx_queue_setup(port_id, i, 64, 0, NULL, pool), 0);
	assert_int_equal(rte_eth_tx_queue_setup(port_id, 0, 64, 0, NULL), 0);
	assert_int_equal(rte_eth_dev_start(port_id), 0);
}

static void
rx_queues_get_eventfds_from_start_to_stop(void **state)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
			"pci", 63, 0, 0, RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY);
	struct pci_fixture *f = *state;
	unsigned int enables;
	uint16_t port_id;
	int fds[2];

	assert_non_null(pool);
	avpg_fake_offer_rx_intr(f->fake);
	port_id = probed(f);
	enables = atomic_load(&f->intr_enables);
	start_sleepy(port_id, pool, 0);
	assert_int_equal(rte_intr_nb_efd_get(f->dev.intr_handle), 2);
	/* vectors 1 and 2 are known to the kernel, and vector 0 still is */
	assert_int_equal(atomic_load(&f->intr_enables), enables + 1);
	assert_int_equal(rte_intr_max_intr_get(f->dev.intr_handle), 3);
	assert_true(atomic_load(&f->intr_on));
	for (uint16_t i = 0; i < 2; i++) {
		fds[i] = rte_eth_dev_rx_intr_ctl_q_get_fd(port_id, i);
		assert_int_equal(fds[i], rte_intr_efds_index_get(f->dev.intr_handle, i));
	}
	assert_true(fds[0] >= 0 && fds[1] >= 0 && fds[0] != fds[1]);
	/* and after a live migration again */
	migrate(f, AVP_MIGRATION_DETACHED);
	lose_configuration(f);
	assert_true(reg_becomes(f, AVP_REG_MIGRATION_ACK, AVP_MIGRATION_ATTACHED));
	assert_int_equal(atomic_load(&f->intr_enables), enables + 2);
	assert_int_equal(rte_intr_nb_efd_get(f->dev.intr_handle), 2);
	assert_int_equal(rte_eth_dev_stop(port_id), 0);
	assert_int_equal(rte_intr_nb_efd_get(f->dev.intr_handle), 0);
	assert_true(atomic_load(&f->intr_on));
	removed(f);
	rte_mempool_free(pool);
}

static void
without_vfio_rx_interrupts_are_refused(void **state)
{
	struct pci_fixture *f = *state;

	avpg_fake_offer_rx_intr(f->fake);
	kernel_driver_set(f, RTE_PCI_KDRV_UIO_GENERIC);
	start_sleepy(probed(f), NULL, -ENOTSUP);
	removed(f);
}

static void
without_interrupts_it_looks_by_itself(void **state)
{
	struct pci_fixture *f = *state;

	kernel_driver_set(f, RTE_PCI_KDRV_UIO_GENERIC);
	probed(f);
	assert_null(f->callback);
	migrate(f, AVP_MIGRATION_DETACHED);
	migrate(f, AVP_MIGRATION_ATTACHED);
	removed(f);
}

static void
without_vfio_the_bars_are_put_back_too(void **state)
{
	struct pci_fixture *f = *state;

	kernel_driver_set(f, RTE_PCI_KDRV_UIO_GENERIC);
	probed(f);
	migrate(f, AVP_MIGRATION_DETACHED);
	lose_configuration(f);
	assert_true(reg_becomes(f, AVP_REG_MIGRATION_ACK, AVP_MIGRATION_ATTACHED));
	assert_int_equal(f->config[BARS + 3], 0xfe);
	assert_int_equal(atomic_load(&f->bar_writes), 1);
	removed(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(ours_goes_before_the_stock_driver),
			TEST(a_device_becomes_a_port),
			TEST(ivshmem_is_refused_and_left_to_others),
			TEST(a_device_of_the_kernels_is_left_alone),
			TEST(a_secondary_process_is_refused),
			TEST(a_device_that_makes_no_sense_is_let_go),
			TEST(a_device_that_does_not_answer_is_let_go),
			TEST(a_detached_device_is_acknowledged_and_waited_for),
			TEST(queues_can_be_limited),
			TEST(arguments_that_are_not_known_are_refused),
			TEST(remove_stops_and_closes_a_running_port),
			TEST(remove_after_close_lets_the_bars_go),
			TEST(close_waits_for_the_interrupts_callback),
			TEST(all_ones_mean_that_the_device_is_gone),
			TEST(a_device_that_is_gone_ends_a_request),
			TEST(config_space_without_sense_means_that_the_device_is_gone),
			TEST(all_ones_without_decoding_do_not_mean_gone),
			TEST(a_lost_configuration_is_put_back_while_detached),
			TEST(an_attach_waits_until_it_is_asked_for),
			TEST(a_configuration_that_is_there_is_left_alone),
			TEST(rx_queues_get_eventfds_from_start_to_stop),
			TEST(without_vfio_rx_interrupts_are_refused),
			TEST(without_interrupts_it_looks_by_itself),
			TEST(without_vfio_the_bars_are_put_back_too),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
