/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * net_avp: the guest driver in a VM. It maps the BARs of the PCI device, through vfio-pci or
 * uio_pci_generic, and hands them to the core.
 *
 * How it works
 * DPDK's own driver has the same name and the same ids, and PCI drivers are tried in the order in
 * which they were registered: whichever order the two are loaded in, ours moves itself before it.
 *
 * Vector 0 needs vfio-pci; with uio_pci_generic the core has to look by itself. A register that
 * reads all ones is not there. Live migration takes away the configuration of the device under us
 * (QEMU moves nothing of it); the command register then shows memory decoding off, and restore()
 * puts back what was there at probe.
 *
 * Threads: registers any; the interrupt's handler runs on DPDK's interrupt thread and only passes
 * on; restore() runs on the port's thread, and may meet an intr_disable() on another.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include <bus_pci_driver.h>
#include <ethdev_pci.h>
#include <rte_interrupts.h>
#include <rte_io.h>
#include <rte_kvargs.h>

#include "avp_compat.h"
#include "avpg_map.h"
#include "avpg_port.h"

#define DRIVER_NAME "net_avp" /* as DPDK's own */
#define DRIVER_ALIAS "OpenAVP"
#define IVSHMEM_SUBSYS_DEVICE_ID 0x1100
#define ALL_ONES 0xffffffffu
#define UNREGISTER_PAUSE_NS 100000

#define ARG_QUEUES "queues"
#define ARG_RECYCLE "recycle"
#define ARG_RECYCLE_HOLD "recycle_hold"
#define ARG_COMPACT "compact"

/* PCI config space */
#define CONFIG_COMMAND 0x04
#define CONFIG_BARS 0x10
#define NB_BARS 6
#define COMMAND_MEMORY (1u << 1)
#define COMMAND_RESERVED 0xf800u /* zero in every device */

/** @fmt starts with "%s: ", for the device's address. */
#define PCI_LOG(level, fmt, ...) AVPG_LOG(level, DRIVER_NAME ": " fmt, __VA_ARGS__)

struct avpg_pci {
	struct avpg_hw hw;
	struct rte_pci_device *dev;
	uint8_t *regs;                    /* BAR 0, */
	uint64_t regs_size;               /* at least up to AVP_REG_MIGRATION_ACK */
	_Atomic(struct avpg_port *) port; /* NULL until there is one, and when it closes */
	pthread_mutex_t intr_lock;        /* intr_on, and the vectors of the device */
	bool intr_on;
	void (*intr_handler)(void *arg);
	void *intr_arg;
	/* as at probe */
	uint16_t command;
	uint32_t bars[NB_BARS];
};

/* What the command register says of the BARs. */
enum memory_state {
	MEMORY_ON,
	MEMORY_OFF,  /* the configuration is lost, or not there yet */
	MEMORY_GONE, /* so is the device */
};

static struct avpg_pci *
pci_of(struct avpg_hw *hw)
{
	return container_of(hw, struct avpg_pci, hw);
}

/*
 * struct avpg_hw_ops
 */

static enum memory_state
memory_state(const struct avpg_pci *pci)
{
	uint16_t command;

	if (rte_pci_read_config(pci->dev, &command, sizeof(command), CONFIG_COMMAND) !=
			(int)sizeof(command))
		return MEMORY_GONE;
	if ((command & COMMAND_RESERVED) != 0)
		return MEMORY_GONE;
	return (command & COMMAND_MEMORY) != 0 ? MEMORY_ON : MEMORY_OFF;
}

static int
pci_read32(struct avpg_hw *hw, uint32_t reg, uint32_t *value)
{
	struct avpg_pci *pci = pci_of(hw);
	struct avpg_port *port;
	enum memory_state state;

	/* a device without extensions may have fewer registers */
	*value = reg + sizeof(*value) <= pci->regs_size ? rte_read32(pci->regs + reg) : 0;
	if (*value != ALL_ONES || reg == AVP_REG_INTR_MASK)
		return 0;
	state = memory_state(pci);
	if (state == MEMORY_OFF)
		return -EAGAIN;
	/* another thread may have put the configuration back between the two */
	if (state == MEMORY_ON) {
		*value = rte_read32(pci->regs + reg);
		if (*value != ALL_ONES)
			return 0;
	}
	port = atomic_load(&pci->port);
	if (port != NULL)
		avpg_port_gone(port);
	return -ENODEV;
}

static int
pci_write32(struct avpg_hw *hw, uint32_t reg, uint32_t value)
{
	rte_write32(value, pci_of(hw)->regs + reg);
	return 0;
}

/* All ones tell. */
static void
pci_check(struct avpg_hw *hw)
{
	uint32_t status;

	pci_read32(hw, AVP_REG_MIGRATION_STATUS, &status);
}

static void
on_irq(void *arg)
{
	struct avpg_pci *pci = arg;

	pci->intr_handler(pci->intr_arg);
}

/* No callback is under way, and none will come, when this returns. */
static void
callback_unregister(struct avpg_pci *pci)
{
	while (rte_intr_callback_unregister(pci->dev->intr_handle, on_irq, pci) == -EAGAIN)
		nanosleep(&(struct timespec){.tv_nsec = UNREGISTER_PAUSE_NS}, NULL);
}

static int
pci_intr_enable(struct avpg_hw *hw, void (*handler)(void *arg), void *arg)
{
	struct avpg_pci *pci = pci_of(hw);
	struct rte_intr_handle *handle = pci->dev->intr_handle;
	int ret;

	if (rte_intr_type_get(handle) != RTE_INTR_HANDLE_VFIO_MSIX)
		return -ENOTSUP;
	pci->intr_handler = handler;
	pci->intr_arg = arg;
	ret = rte_intr_callback_register(handle, on_irq, pci);
	if (ret < 0)
		return ret;
	if (rte_intr_enable(handle) != 0) {
		callback_unregister(pci);
		return -EIO;
	}
	pthread_mutex_lock(&pci->intr_lock);
	pci->intr_on = true;
	pthread_mutex_unlock(&pci->intr_lock);
	return 0;
}

static void
pci_intr_disable(struct avpg_hw *hw)
{
	struct avpg_pci *pci = pci_of(hw);
	bool was_on;

	pthread_mutex_lock(&pci->intr_lock);
	was_on = pci->intr_on;
	if (was_on)
		rte_intr_disable(pci->dev->intr_handle);
	pci->intr_on = false;
	pthread_mutex_unlock(&pci->intr_lock);
	if (was_on)
		callback_unregister(pci);
}

/* Have the device's vectors set anew, with an eventfd for each of @nb queues. intr_lock held. */
static int
vectors_set(struct avpg_pci *pci, uint32_t nb)
{
	struct rte_intr_handle *handle = pci->dev->intr_handle;
	int ret = 0;

	rte_intr_disable(handle);
	rte_intr_efd_disable(handle);
	if (nb > 0 && rte_intr_efd_enable(handle, nb) != 0)
		ret = -EIO;
	/* what vector 0 would have told meanwhile the device tells now */
	if (rte_intr_enable(handle) != 0)
		ret = -EIO;
	return ret;
}

static int
pci_rx_intr_on(struct avpg_hw *hw, uint32_t nb)
{
	struct avpg_pci *pci = pci_of(hw);
	int ret = -ENOTSUP;

	pthread_mutex_lock(&pci->intr_lock);
	if (pci->intr_on)
		ret = vectors_set(pci, nb);
	pthread_mutex_unlock(&pci->intr_lock);
	return ret;
}

static void
pci_rx_intr_off(struct avpg_hw *hw)
{
	struct avpg_pci *pci = pci_of(hw);

	pthread_mutex_lock(&pci->intr_lock);
	if (pci->intr_on)
		vectors_set(pci, 0);
	else
		rte_intr_efd_disable(pci->dev->intr_handle);
	pthread_mutex_unlock(&pci->intr_lock);
}

/* The guest's kernel remembers the BARs of a vfio-pci device, and writes them with the command. */
static bool
config_write(const struct avpg_pci *pci)
{
	if (pci->dev->kdrv != RTE_PCI_KDRV_VFIO &&
			rte_pci_write_config(pci->dev, pci->bars, sizeof(pci->bars), CONFIG_BARS) !=
					(int)sizeof(pci->bars))
		return false;
	return rte_pci_write_config(pci->dev, &pci->command, sizeof(pci->command),
			       CONFIG_COMMAND) == (int)sizeof(pci->command) &&
			memory_state(pci) == MEMORY_ON;
}

static int
pci_restore(struct avpg_hw *hw)
{
	struct avpg_pci *pci = pci_of(hw);
	int ret = 0;

	if (memory_state(pci) != MEMORY_OFF)
		return AVPG_RESTORED_NOTHING;
	if (!config_write(pci))
		return -EIO;
	pthread_mutex_lock(&pci->intr_lock);
	if (pci->intr_on) {
		/* the kernel writes the vectors' table when it is told to use them */
		rte_intr_disable(pci->dev->intr_handle);
		ret = rte_intr_enable(pci->dev->intr_handle);
	}
	pthread_mutex_unlock(&pci->intr_lock);
	if (ret != 0)
		PCI_LOG(ERR, "%s: interrupt: cannot be enabled again", pci->dev->device.name);
	PCI_LOG(NOTICE, "%s: PCI configuration put back", pci->dev->device.name);
	return AVPG_RESTORED;
}

/* DPDK's mappings of the BARs stay until the device is removed, ours as long as mbufs need it. */
static void
pci_destroy(struct avpg_hw *hw)
{
	struct avpg_pci *pci = pci_of(hw);

	atomic_store(&pci->port, NULL);
	if (!hw->keep_mem)
		avpg_map_put(hw->map);
	pthread_mutex_destroy(&pci->intr_lock);
	free(pci);
}

static const struct avpg_hw_ops pci_ops = {
		.read32 = pci_read32,
		.write32 = pci_write32,
		.intr_enable = pci_intr_enable,
		.intr_disable = pci_intr_disable,
		.rx_intr_on = pci_rx_intr_on,
		.rx_intr_off = pci_rx_intr_off,
		.restore = pci_restore,
		.check = pci_check,
		.destroy = pci_destroy,
};

/*
 * Probing
 */

/* A number that the user may give. */
struct arg {
	const char *key;
	uint32_t min;
	uint32_t max;
	uint32_t value;
};

static int
parse_number(const char *key __rte_unused, const char *value, void *opaque)
{
	struct arg *arg = opaque;
	unsigned long number;
	char *end;

	errno = 0;
	number = value == NULL ? 0 : strtoul(value, &end, 10);
	if (value == NULL || value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0 ||
			number < arg->min || number > arg->max)
		return -EINVAL;
	arg->value = (uint32_t)number;
	return 0;
}

static int
parse_args(struct avpg_pci *pci, struct avp_err *err)
{
	static const char *const keys[] = {
			ARG_QUEUES, ARG_RECYCLE, ARG_RECYCLE_HOLD, ARG_COMPACT, NULL};
	struct arg args[] = {
			{ARG_QUEUES, 1, AVP_MAX_QUEUES, 0},
			{ARG_RECYCLE, 0, 1, 1},
			{ARG_RECYCLE_HOLD, 1, AVP_FIFO_MAX_LEN, 0},
			{ARG_COMPACT, 0, 1, 1},
	};
	const struct rte_devargs *devargs = pci->dev->device.devargs;
	const char *text = devargs == NULL || devargs->args == NULL ? "" : devargs->args;
	struct rte_kvargs *list = rte_kvargs_parse(text, keys);
	int ret = 0;

	if (list == NULL)
		return avp_err_set(err, EINVAL,
				"%s: only " ARG_QUEUES "=N, " ARG_RECYCLE "=0|1, " ARG_RECYCLE_HOLD
				"=N and " ARG_COMPACT "=0|1 are known",
				text);
	for (unsigned int i = 0; i < RTE_DIM(args) && ret == 0; i++)
		if (rte_kvargs_process(list, args[i].key, parse_number, &args[i]) != 0)
			ret = avp_err_set(err, EINVAL, "%s: %s: must be %u..%u", text, args[i].key,
					args[i].min, args[i].max);
	rte_kvargs_free(list);
	pci->hw.max_queues = args[0].value;
	pci->hw.recycle = args[1].value != 0;
	pci->hw.recycle_hold = args[2].value;
	pci->hw.compact = args[3].value != 0;
	return ret;
}

/* A file with BAR 2 in it; @off: where. */
static int
memory_open(const struct rte_pci_device *dev, off_t *off)
{
	struct vfio_region_info region = {.argsz = sizeof(region), .index = AVP_BAR_MEMORY};
	char path[128];
	int fd;

	*off = 0;
	if (dev->kdrv != RTE_PCI_KDRV_VFIO) {
		snprintf(path, sizeof(path), "%s/%s/resource%d", rte_pci_get_sysfs_path(),
				dev->device.name, AVP_BAR_MEMORY);
		return open(path, O_RDWR | O_CLOEXEC);
	}
	fd = rte_intr_dev_fd_get(dev->intr_handle);
	if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region) != 0)
		return -1;
	*off = (off_t)region.offset;
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* Map BAR 2 once more: DPDK's mapping ends with the device, and mbufs may still have it then. When
 * that cannot be done everything goes by copy. */
static void
memory_map(struct avpg_pci *pci)
{
	struct avpg_hw *hw = &pci->hw;
	void *mem = MAP_FAILED;
	off_t off;
	int fd;

	if (hw->mem == NULL || hw->mem_size == 0)
		return;
	fd = memory_open(pci->dev, &off);
	if (fd >= 0) {
		mem = mmap(NULL, hw->mem_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, off);
		close(fd);
	}
	if (mem != MAP_FAILED)
		hw->map = avpg_map_create(mem, hw->mem_size);
	if (hw->map != NULL)
		hw->mem = mem;
	else if (mem != MAP_FAILED)
		munmap(mem, hw->mem_size);
	if (hw->map == NULL && hw->recycle)
		PCI_LOG(NOTICE, "%s: BAR %d: cannot be mapped twice: packets are copied",
				pci->dev->device.name, AVP_BAR_MEMORY);
}

/* Keep what restore() is to put back. */
static int
config_save(struct avpg_pci *pci, struct avp_err *err)
{
	if (rte_pci_read_config(pci->dev, &pci->command, sizeof(pci->command), CONFIG_COMMAND) !=
					(int)sizeof(pci->command) ||
			rte_pci_read_config(pci->dev, pci->bars, sizeof(pci->bars), CONFIG_BARS) !=
					(int)sizeof(pci->bars))
		return avp_err_set(err, EIO, "config space cannot be read");
	pci->command |= COMMAND_MEMORY;
	return 0;
}

static int
pci_create(struct avpg_pci **out, struct rte_pci_device *dev, struct avp_err *err)
{
	const struct rte_mem_resource *bars = dev->mem_resource;
	struct avpg_pci *pci;
	int ret;

	if (bars[AVP_BAR_MMIO].addr == NULL ||
			bars[AVP_BAR_MMIO].len < AVP_REG_MIGRATION_ACK + sizeof(uint32_t))
		return avp_err_set(err, ENODEV, "BAR %d: cannot be mapped", AVP_BAR_MMIO);
	pci = calloc(1, sizeof(*pci));
	if (pci == NULL)
		return avp_err_set(err, ENOMEM, "no memory");
	pci->dev = dev;
	pci->regs = bars[AVP_BAR_MMIO].addr;
	pci->regs_size = bars[AVP_BAR_MMIO].len;
	pci->hw = (struct avpg_hw){
			.ops = &pci_ops,
			.mem = bars[AVP_BAR_MEMORY].addr,
			.mem_size = bars[AVP_BAR_MEMORY].len,
			.memmap = bars[AVP_BAR_MEMMAP].addr,
			.memmap_size = bars[AVP_BAR_MEMMAP].len,
			.device = bars[AVP_BAR_DEVICE].addr,
			.device_size = bars[AVP_BAR_DEVICE].len,
	};
	pthread_mutex_init(&pci->intr_lock, NULL);
	ret = parse_args(pci, err);
	if (ret == 0)
		ret = config_save(pci, err);
	if (ret != 0) {
		pci_destroy(&pci->hw);
		return ret;
	}
	memory_map(pci);
	*out = pci;
	return 0;
}

/* Make the ethdev. On error @pci is still the caller's. */
static int
ethdev_create(struct avpg_pci *pci, struct avp_err *err)
{
	struct rte_eth_dev *dev = rte_eth_dev_pci_allocate(pci->dev, sizeof(struct avpg_port));
	int ret;

	if (dev == NULL)
		return avp_err_set(err, ENOMEM, "no memory for a port, or its name is taken");
	ret = avpg_ethdev_init(dev, &pci->hw, err);
	if (ret != 0) {
		rte_eth_dev_release_port(dev);
		return ret;
	}
	atomic_store(&pci->port, dev->data->dev_private);
	rte_eth_dev_probing_finish(dev);
	return 0;
}

/* Is it a device for us? 0; 1: no, another driver may have it; -errno: nobody should. */
static int
device_check(const struct rte_pci_device *dev)
{
	bool bound = dev->kdrv == RTE_PCI_KDRV_VFIO || dev->kdrv == RTE_PCI_KDRV_UIO_GENERIC ||
			dev->kdrv == RTE_PCI_KDRV_IGB_UIO;

	if (dev->id.subsystem_device_id != AVP_PCI_SUBSYS_DEVICE_ID) {
		if (bound)
			PCI_LOG(WARNING,
					"%s: subsystem %04x:%04x: refused: QEMU's ivshmem has an "
					"AVP "
					"device's ids, but is another device",
					dev->device.name, dev->id.subsystem_vendor_id,
					dev->id.subsystem_device_id);
		return 1;
	}
	if (!bound) {
		PCI_LOG(NOTICE, "%s: not bound to vfio-pci or uio_pci_generic: left alone",
				dev->device.name);
		return 1;
	}
	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		PCI_LOG(ERR, "%s: secondary processes cannot use this port", dev->device.name);
		return -ENOTSUP;
	}
	return 0;
}

static int
avpg_pci_probe(struct rte_pci_driver *drv __rte_unused, struct rte_pci_device *dev)
{
	struct avp_err err = {0};
	struct avpg_pci *pci = NULL;
	int ret = device_check(dev);

	if (ret != 0)
		return ret;
	ret = rte_pci_map_device(dev);
	if (ret != 0) {
		PCI_LOG(ERR, "%s: BARs cannot be mapped", dev->device.name);
		return ret < 0 ? ret : -ENODEV;
	}
	ret = pci_create(&pci, dev, &err);
	if (ret == 0) {
		ret = ethdev_create(pci, &err);
		if (ret != 0)
			pci_destroy(&pci->hw);
	}
	if (ret != 0) {
		PCI_LOG(ERR, "%s: %s", dev->device.name, err.msg);
		rte_pci_unmap_device(dev);
		return ret;
	}
	PCI_LOG(NOTICE, "%s: " DRIVER_ALIAS " driver bound", dev->device.name);
	return 0;
}

/* Also at the end of the process, and when the device is pulled out, with the port running. */
static int
avpg_pci_remove(struct rte_pci_device *dev)
{
	struct rte_eth_dev *eth = rte_eth_dev_allocated(dev->device.name);
	int ret = 0;

	if (eth != NULL && eth->data->dev_started != 0)
		ret = rte_eth_dev_stop(eth->data->port_id);
	if (eth != NULL && ret == 0)
		ret = rte_eth_dev_close(eth->data->port_id);
	if (ret == 0)
		rte_pci_unmap_device(dev);
	return ret;
}

/*
 * Registration
 */

static const struct rte_pci_id avpg_pci_ids[] = {
		{
				.class_id = RTE_CLASS_ANY_ID,
				.vendor_id = AVP_PCI_VENDOR_ID,
				.device_id = AVP_PCI_DEVICE_ID,
				.subsystem_vendor_id = AVP_PCI_SUBSYS_VENDOR_ID,
				.subsystem_device_id = AVP_PCI_SUBSYS_DEVICE_ID,
		},
		/* to say that it is refused */
		{
				.class_id = RTE_CLASS_ANY_ID,
				.vendor_id = AVP_PCI_VENDOR_ID,
				.device_id = AVP_PCI_DEVICE_ID,
				.subsystem_vendor_id = AVP_PCI_SUBSYS_VENDOR_ID,
				.subsystem_device_id = IVSHMEM_SUBSYS_DEVICE_ID,
		},
		{.vendor_id = 0},
};

static struct rte_pci_driver avpg_pci_driver = {
		/* PCI drivers have no use for an alias: it tells this driver from DPDK's own */
		.driver = {.name = DRIVER_NAME, .alias = DRIVER_ALIAS},
		.id_table = avpg_pci_ids,
		.drv_flags = RTE_PCI_DRV_INTR_LSC | RTE_PCI_DRV_INTR_RMV,
		.probe = avpg_pci_probe,
		.remove = avpg_pci_remove,
};

/* The driver registered before @drv, NULL when there is none. The list's head is the bus's own, but
 * TAILQ_PREV finds it by itself. */
static struct rte_pci_driver *
driver_before(const struct rte_pci_driver *drv)
{
	RTE_TAILQ_HEAD(drivers, rte_pci_driver);

	return TAILQ_PREV(drv, drivers, next);
}

static bool
driver_is_stock(const struct rte_pci_driver *drv)
{
	return drv->driver.name != NULL && strcmp(drv->driver.name, DRIVER_NAME) == 0 &&
			(drv->driver.alias == NULL || strcmp(drv->driver.alias, DRIVER_ALIAS) != 0);
}

/* DPDK's own driver may be registered already: linked in, or found earlier in the plug-in folder,
 * which is read in no order. It goes behind ours. */
RTE_INIT(avpg_pci_register)
{
	struct rte_pci_driver *drv, *before;

	rte_pci_register(&avpg_pci_driver);
	for (drv = driver_before(&avpg_pci_driver); drv != NULL; drv = before) {
		before = driver_before(drv);
		if (driver_is_stock(drv)) {
			rte_pci_unregister(drv);
			rte_pci_register(drv);
		}
	}
}

AVP_PMD_EXPORT_NAME(net_avp);
RTE_PMD_REGISTER_PCI_TABLE(net_avp, avpg_pci_ids);
RTE_PMD_REGISTER_KMOD_DEP(net_avp, "vfio-pci | uio_pci_generic");
RTE_PMD_REGISTER_PARAM_STRING(
		net_avp, ARG_QUEUES "=<1-8> " ARG_RECYCLE "=<0|1> " ARG_RECYCLE_HOLD "=<n>");
