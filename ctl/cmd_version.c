/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * avpctl version: of both ends.
 */

#include "ctl.h"
#include "output.h"

enum ctl_status
ctl_version(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	enum ctl_status status;
	json_t *both, *result;

	status = ctl_request(ctl, "version", ctl_params(args, NULL), &result, err);
	if (status != CTL_DONE)
		return status;
	both = json_pack("{s:{s:s}, s:o}", "avpctl", "version", CTL_VERSION, "switch", result);
	if (both == NULL)
		return ctl_no_memory(err);
	if (ctl->json)
		ctl_print_json(ctl->out, both);
	else
		ctl_print_record(ctl->out, both, 0);
	json_decref(both);
	return CTL_DONE;
}
