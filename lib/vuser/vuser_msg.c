/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Framing and descriptors: vuser_msg.h.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vuser_msg.h"

/* Room for exactly VUSER_MAX_FDS: the kernel closes those that do not fit and says so. */
union msg_control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int) * VUSER_MAX_FDS)];
};

void
vuser_rx_init(struct vuser_rx *rx, struct vuser_reaper *reaper)
{
	rx->reaper = reaper;
	rx->msg = rx->small;
	rx->room = sizeof(rx->small);
	rx->have = 0;
	rx->nb_fds = 0;
	rx->fds_lost = false;
}

void
vuser_rx_reset(struct vuser_rx *rx)
{
	for (uint32_t i = 0; i < rx->nb_fds; i++)
		vuser_reaper_close(rx->reaper, &rx->fds[i]);
	if (rx->msg != rx->small)
		free(rx->msg);
	vuser_rx_init(rx, rx->reaper);
}

int
vuser_rx_reserve(struct vuser_rx *rx, uint32_t size)
{
	if (size <= rx->room)
		return 0;
	uint8_t *msg = malloc(size);
	if (msg == NULL)
		return -ENOMEM;
	memcpy(msg, rx->msg, rx->have);
	if (rx->msg != rx->small)
		free(rx->msg);
	rx->msg = msg;
	rx->room = size;
	return 0;
}

static void
rx_take_fds(struct vuser_rx *rx, struct msghdr *hdr)
{
	if ((hdr->msg_flags & MSG_CTRUNC) != 0)
		rx->fds_lost = true;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c != NULL; c = CMSG_NXTHDR(hdr, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t nb = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < nb; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (rx->nb_fds < VUSER_MAX_FDS) {
				rx->fds[rx->nb_fds++] = fd;
			} else {
				vuser_reaper_close(rx->reaper, &fd);
				rx->fds_lost = true;
			}
		}
	}
}

int
vuser_rx_once(struct vuser_rx *rx, int sock, uint32_t want)
{
	union msg_control control;
	struct iovec iov = {.iov_base = rx->msg + rx->have, .iov_len = want - rx->have};
	struct msghdr hdr = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.space,
			.msg_controllen = sizeof(control.space),
	};
	ssize_t len;

	do {
		len = recvmsg(sock, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	rx_take_fds(rx, &hdr);
	if (len == 0)
		return -EPIPE;
	rx->have += (uint32_t)len;
	return 1;
}

ssize_t
vuser_tx_once(int sock, const void *data, size_t size, const int *fds, uint32_t nb_fds)
{
	union msg_control control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t len;

	if (nb_fds > VUSER_MAX_FDS)
		return -EINVAL;
	if (nb_fds > 0) {
		memset(&control, 0, sizeof(control));
		hdr.msg_control = control.space;
		hdr.msg_controllen = CMSG_SPACE(sizeof(int) * nb_fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&hdr);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nb_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nb_fds);
	}
	do {
		len = sendmsg(sock, &hdr, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	return len;
}
