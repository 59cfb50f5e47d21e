/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * MSI-X vectors and their eventfds, see avpd_irq.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "avp_sock.h"
#include "avpd_irq.h"

void
avpd_irq_init(struct avpd_irq *irq)
{
	memset(irq, 0, sizeof(*irq));
	for (uint32_t i = 0; i < AVP_NB_VECTORS; i++)
		irq->fds[i] = -1;
}

static void
close_all(struct avpd_irq *irq)
{
	for (uint32_t i = 0; i < AVP_NB_VECTORS; i++)
		avp_sock_close(&irq->fds[i]);
}

void
avpd_irq_fini(struct avpd_irq *irq)
{
	close_all(irq);
	avpd_irq_reset(irq);
}

void
avpd_irq_reset(struct avpd_irq *irq)
{
	memset(irq->table, 0, sizeof(irq->table));
}

static void
drop_fds(const struct vuser_irq_set *set)
{
	for (uint32_t i = 0; set->fds != NULL && i < set->count; i++) {
		int fd = set->fds[i];

		avp_sock_close(&fd);
	}
}

/* Take the descriptors of @set. */
static int
take_fds(struct avpd_irq *irq, const struct vuser_irq_set *set)
{
	for (uint32_t i = 0; i < set->count; i++) {
		int *fd = &irq->fds[set->start + i];

		avp_sock_close(fd);
		*fd = set->fds[i];
	}
	return 0;
}

/* A client signals vectors itself, to see whether they work. */
static int
loop_back(struct avpd_irq *irq, const struct vuser_irq_set *set)
{
	for (uint32_t i = 0; i < set->count; i++) {
		if (set->data == NULL || set->data[i] != 0)
			avpd_irq_raise(irq, set->start + i);
	}
	return 0;
}

int
avpd_irq_set(struct avpd_irq *irq, const struct vuser_irq_set *set)
{
	int ret = 0;

	if (set->index != AVPD_IRQ_MSIX || set->start > AVP_NB_VECTORS ||
			set->count > AVP_NB_VECTORS - set->start)
		ret = -EINVAL;
	else if (set->action != VUSER_IRQ_TRIGGER)
		ret = -ENOTSUP;
	if (ret < 0) {
		drop_fds(set);
		return ret;
	}
	if (set->fds != NULL)
		return take_fds(irq, set);
	if (set->count == 0 && set->data == NULL) {
		close_all(irq);
		return 0;
	}
	return loop_back(irq, set);
}

bool
avpd_irq_raise(struct avpd_irq *irq, uint32_t vector)
{
	const uint64_t one = 1;

	if (irq->fds[vector] < 0)
		return false;
	/* The client has this file too and may fill its counter, or change its flags at any time;
	 * hence each time anew, or a write could wait for ever. */
	if (fcntl(irq->fds[vector], F_SETFL, O_NONBLOCK) < 0)
		return false;
	if (write(irq->fds[vector], &one, sizeof(one)) != sizeof(one))
		return false;
	irq->nb_signalled++;
	return true;
}

bool
avpd_irq_is_set(const struct avpd_irq *irq, uint32_t vector)
{
	return irq->fds[vector] >= 0;
}

uint32_t
avpd_irq_nb_set(const struct avpd_irq *irq)
{
	uint32_t nb = 0;

	for (uint32_t i = 0; i < AVP_NB_VECTORS; i++)
		nb += irq->fds[i] >= 0;
	return nb;
}

void
avpd_irq_bar_read(const struct avpd_irq *irq, uint64_t off, void *data, uint32_t size)
{
	memset(data, 0, size);
	if (off < AVPD_MSIX_TABLE_SIZE) {
		const uint32_t left = AVPD_MSIX_TABLE_SIZE - (uint32_t)off;

		memcpy(data, &irq->table[off], size < left ? size : left);
	}
}

void
avpd_irq_bar_write(struct avpd_irq *irq, uint64_t off, const void *data, uint32_t size)
{
	if (off < AVPD_MSIX_TABLE_SIZE) {
		const uint32_t left = AVPD_MSIX_TABLE_SIZE - (uint32_t)off;

		memcpy(&irq->table[off], data, size < left ? size : left);
	}
}
