/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Rx interrupts: an application arms a queue and sleeps until there is a packet
 * (AVP_FEATURE_RX_INTR).
 *
 * How it works
 * Each rx queue has one eventfd and, in the device, one vector, which is raised for whichever of
 * the queue's FIFOs gets a packet: the vector's number is what arming writes into the FIFOs' words.
 * To arm is to write the words, execute a full fence, and look at the FIFOs; the host publishes
 * packets, executes a full fence, and looks at the words. So a packet that the host did not
 * announce is one that arming sees, and then the eventfd is written here, as a card does whose
 * interrupts are enabled with packets waiting.
 *
 * FIFOs and words are other ones after an attach or a new configuration. Whoever was asleep then is
 * woken when the gates open, finds nothing or something, and arms anew: a wake-up too many does no
 * harm.
 *
 * Threads: arming and disarming, any; it may meet a reload of the queue, and then uses places in
 * BAR 2 that were or will be right. The rest under ctl_lock.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rte_interrupts.h>

#include "avpg_port.h"

static void
wake(const struct avpg_rxq *q)
{
	int fd = rte_intr_efds_index_get(q->port->dev->intr_handle, q->queue_id);
	const uint64_t one = 1;

	/* a counter that is full wakes as well */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		AVPG_LOG(ERR, "%s: rx queue %u: interrupt: %s", q->port->name, q->queue_id,
				strerror(errno));
}

static void
arm(struct avpg_rxq *q, uint32_t vector)
{
	for (uint32_t i = 0; i < q->nb_fifos; i++)
		if (q->fifos[i].arm != NULL)
			atomic_store_explicit(q->fifos[i].arm, vector, memory_order_relaxed);
}

int
avpg_rx_intr_enable(struct rte_eth_dev *dev, uint16_t queue_id)
{
	struct avpg_rxq *q = dev->data->rx_queues[queue_id];
	uint32_t nb = 0;

	if (!q->port->rx_intr)
		return -ENOTSUP;
	atomic_store_explicit(&q->armed, true, memory_order_relaxed);
	/* pairs with the fence in avpg_intr_wake() */
	atomic_thread_fence(memory_order_seq_cst);
	arm(q, AVP_VECTOR_RX + queue_id);
	/* pairs with the host's fence between publishing packets and looking at the words */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < q->nb_fifos; i++)
		nb += avpg_rx_fifo_used(&q->fifos[i]);
	if (nb > 0)
		wake(q);
	return 0;
}

int
avpg_rx_intr_disable(struct rte_eth_dev *dev, uint16_t queue_id)
{
	struct avpg_rxq *q = dev->data->rx_queues[queue_id];

	if (!q->port->rx_intr)
		return -ENOTSUP;
	atomic_store_explicit(&q->armed, false, memory_order_relaxed);
	arm(q, 0);
	return 0;
}

void
avpg_intr_wake(struct avpg_port *port)
{
	if (!port->rx_intr)
		return;
	/* pairs with the fence in avpg_rx_intr_enable() */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < port->nb_rx_queues; i++) {
		struct avpg_rxq *q = port->rxqs[i];

		if (q != NULL && atomic_load_explicit(&q->armed, memory_order_relaxed))
			wake(q);
	}
}

int
avpg_intr_check(const struct avpg_port *port, const struct avpg_info *info)
{
	if (port->dev->data->dev_conf.intr_conf.rxq == 0)
		return 0;
	if (port->hw->ops->rx_intr_on == NULL || port->polled) {
		AVPG_LOG(ERR, "%s: rx interrupts: not with this bus", port->name);
		return -ENOTSUP;
	}
	if ((info->features & AVP_FEATURE_RX_INTR) == 0) {
		AVPG_LOG(ERR, "%s: rx interrupts: the device does not offer them", port->name);
		return -ENOTSUP;
	}
	return 0;
}

int
avpg_intr_start(struct avpg_port *port)
{
	struct rte_intr_handle *handle = port->dev->intr_handle;
	uint8_t nb = port->nb_rx_queues;
	int ret;

	if (port->dev->data->dev_conf.intr_conf.rxq == 0 || nb == 0 || port->rx_intr)
		return 0;
	ret = port->hw->ops->rx_intr_on(port->hw, nb);
	if (ret != 0)
		goto err_log;
	ret = rte_intr_vec_list_alloc(handle, "avpg_vec", nb);
	if (ret != 0)
		goto err_off;
	for (int i = 0; i < nb; i++)
		rte_intr_vec_list_index_set(handle, i, RTE_INTR_VEC_RXTX_OFFSET + i);
	for (uint32_t i = 0; i < nb; i++)
		atomic_store(&port->rxqs[i]->armed, false);
	port->rx_intr = true;
	return 0;

err_off:
	port->hw->ops->rx_intr_off(port->hw);
err_log:
	AVPG_LOG(ERR, "%s: rx interrupts: cannot be enabled: %s", port->name, strerror(-ret));
	return ret;
}

void
avpg_intr_stop(struct avpg_port *port)
{
	if (!port->rx_intr)
		return;
	port->rx_intr = false;
	rte_intr_vec_list_free(port->dev->intr_handle);
	port->hw->ops->rx_intr_off(port->hw);
}
