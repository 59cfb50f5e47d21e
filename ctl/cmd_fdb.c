/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * avpctl fdb: show, flush.
 */

#include <inttypes.h>

#include "ctl.h"
#include "output.h"

static enum ctl_status
print_fdb(struct ctl *ctl, const json_t *entries, struct ctl_error *err)
{
	static const char *const titles[] = {
			"MAC", "NETWORK", ">VLAN", "PORT", "TYPE", ">AGE", NULL};
	struct ctl_table *table = ctl_table_create(titles);
	char vlan[CTL_CELL_SIZE], age[CTL_CELL_SIZE];
	json_t *entry;
	size_t i;
	int ret;

	if (table == NULL)
		return ctl_no_memory(err);
	json_array_foreach (entries, i, entry) {
		snprintf(age, sizeof(age), "%" PRIu64 " s", ctl_member_u64(entry, "age_s"));
		ctl_table_add(table,
				(const char *[]){ctl_member(entry, "mac"),
						ctl_member(entry, "network"),
						ctl_member_number(vlan, entry, "vlan"),
						ctl_member(entry, "port"),
						ctl_member(entry, "type"),
						json_is_integer(json_object_get(entry, "age_s"))
								? age
								: NULL});
	}
	ret = ctl_table_print(table, ctl->out);
	ctl_table_destroy(table);
	return ret == 0 ? CTL_DONE : ctl_no_memory(err);
}

enum ctl_status
ctl_fdb_show(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	enum ctl_status status;
	json_t *entries;

	status = ctl_request(ctl, "fdb.show", ctl_params(args, NULL), &entries, err);
	if (status != CTL_DONE)
		return status;
	if (ctl->json)
		ctl_print_json(ctl->out, entries);
	else
		status = print_fdb(ctl, entries, err);
	json_decref(entries);
	return status;
}

enum ctl_status
ctl_fdb_flush(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	enum ctl_status status;
	json_t *result;

	status = ctl_request(ctl, "fdb.flush", ctl_params(args, NULL), &result, err);
	if (status != CTL_DONE)
		return status;
	if (ctl->json)
		ctl_print_json(ctl->out, result);
	else
		fprintf(ctl->out, "%" PRIu64 " forgotten\n", ctl_member_u64(result, "flushed"));
	json_decref(result);
	return CTL_DONE;
}
