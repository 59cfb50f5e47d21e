/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Capabilities: the JSON of the version message.
 */

#ifndef VUSER_CAPS_H
#define VUSER_CAPS_H

#include <stdbool.h>
#include <stdint.h>

/** What a peer can do, or what was agreed. Those that a peer did not name have their defaults. */
struct vuser_caps {
	uint32_t max_fds;  /* per message that it receives */
	uint32_t max_xfer; /* bytes per read or write */
	uint64_t pgsizes;  /* of DMA maps, or'ed */
	bool has_max_fds;  /* it named it */
	bool has_max_xfer;
	bool has_pgsizes;
};

/**
 * Read a peer's capabilities. Unknown ones are passed over.
 *
 * @data  JSON with a final NUL, as received; @size 0: there is none
 * Returns 0, or -EINVAL: not what the specification says.
 */
int vuser_caps_parse(struct vuser_caps *caps, const void *data, uint32_t size);

/**
 * Write capabilities; only those that are marked as named.
 *
 * Returns the bytes written with the final NUL, or -EMSGSIZE.
 */
int vuser_caps_format(const struct vuser_caps *caps, char *out, uint32_t room);

/** What we can do ourselves, all named. */
void vuser_caps_own(struct vuser_caps *caps);

/** The reply to a proposal: what we can do, but only those capabilities that it names. */
void vuser_caps_agree(struct vuser_caps *caps, const struct vuser_caps *proposed);

#endif /* VUSER_CAPS_H */
