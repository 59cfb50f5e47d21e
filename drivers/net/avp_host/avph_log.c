/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The driver's log topic: avph_log.h.
 */

#include <rte_common.h>

#include "avph_log.h"

RTE_LOG_REGISTER(avph_logtype, pmd.net.avp_host, NOTICE);

static void
device_log_write(void *ctx, enum avp_log_level level, const char *msg)
{
	RTE_SET_USED(ctx);
	switch (level) {
	case AVP_LOG_ERR:
		AVPH_LOG(ERR, "%s", msg);
		break;
	case AVP_LOG_WARNING:
		AVPH_LOG(WARNING, "%s", msg);
		break;
	case AVP_LOG_NOTICE:
		AVPH_LOG(NOTICE, "%s", msg);
		break;
	case AVP_LOG_INFO:
		AVPH_LOG(INFO, "%s", msg);
		break;
	case AVP_LOG_DEBUG:
		AVPH_LOG(DEBUG, "%s", msg);
		break;
	}
}

const struct avp_log avph_device_log = {.write = device_log_write};
