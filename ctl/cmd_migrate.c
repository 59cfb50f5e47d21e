/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * avpctl port: detach, attach, depart. What VMs need when they move to another node.
 */

#include <errno.h>
#include <string.h>

#include "ctl.h"
#include "output.h"

/** The switch's own default, and what an answer may take beyond the guests' time. */
#define DEFAULT_TIMEOUT_MS 1000
#define ANSWER_MS 5000

/* The keys, and the words as names. */
static json_t *
make_params(const struct ctl_args *args)
{
	json_t *params = json_copy(args->keys);
	json_t *names = json_array();

	for (unsigned int i = 0; i < args->nb_words; i++)
		json_array_append_new(names, json_string(args->words[i]));
	if (params == NULL || json_object_set_new(params, "names", names) != 0) {
		json_decref(params);
		return NULL;
	}
	return params;
}

static enum ctl_status
print_ends(struct ctl *ctl, const json_t *ends, struct ctl_error *err)
{
	static const char *const titles[] = {"NAME", "RESULT", ">US", NULL};
	struct ctl_table *table = ctl_table_create(titles);
	char took[CTL_CELL_SIZE];
	json_t *end;
	size_t i;
	int ret;

	if (table == NULL)
		return ctl_no_memory(err);
	json_array_foreach (ends, i, end)
		ctl_table_add(table,
				(const char *[]){ctl_member(end, "name"), ctl_member(end, "result"),
						ctl_member_number(took, end, "took_us")});
	ret = ctl_table_print(table, ctl->out);
	ctl_table_destroy(table);
	return ret == 0 ? CTL_DONE : ctl_no_memory(err);
}

/* Ask, and say how each port has ended. */
static enum ctl_status
move_ports(struct ctl *ctl, const char *method, json_t *params, struct ctl_error *err)
{
	const json_t *timeout = json_object_get(params, "timeout_ms");
	json_int_t guests_ms = timeout != NULL ? json_integer_value(timeout) : DEFAULT_TIMEOUT_MS;
	enum ctl_status status;
	json_t *ends;
	json_t *end;
	size_t i;

	if (guests_ms > 0 && guests_ms + ANSWER_MS > (json_int_t)ctl->timeout_ms)
		ctl->timeout_ms = guests_ms + ANSWER_MS;
	status = ctl_request(ctl, method, params, &ends, err);
	if (status != CTL_DONE)
		return status;
	if (ctl->json)
		ctl_print_json(ctl->out, ends);
	else
		status = print_ends(ctl, ends, err);
	json_array_foreach (ends, i, end) {
		const char *result = ctl_member(end, "result");

		if (status == CTL_DONE && strcmp(result, "ok") != 0 &&
				strcmp(result, "absent") != 0)
			status = ctl_fail(err, EIO, "%s: %s: %s", ctl_member(end, "name"), method,
					result);
	}
	json_decref(ends);
	return status;
}

enum ctl_status
ctl_port_detach(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	return move_ports(ctl, "port.detach", make_params(args), err);
}

enum ctl_status
ctl_port_depart(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	return move_ports(ctl, "port.depart", make_params(args), err);
}

/* The value of addresses= is JSON, or @FILE with it. */
static enum ctl_status
read_addresses(json_t *params, struct ctl_error *err)
{
	const char *text = json_string_value(json_object_get(params, "addresses"));
	json_error_t why;
	json_t *addresses;

	if (text == NULL)
		return CTL_DONE;
	addresses = text[0] == '@' ? json_load_file(text + 1, 0, &why) : json_loads(text, 0, &why);
	if (addresses == NULL)
		return ctl_fail(err, EINVAL, "addresses=%.64s: must be JSON or @FILE: %s", text,
				why.text);
	return json_object_set_new(params, "addresses", addresses) == 0 ? CTL_DONE
									: ctl_no_memory(err);
}

enum ctl_status
ctl_port_attach(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	json_t *params = make_params(args);
	enum ctl_status status = params != NULL ? read_addresses(params, err) : CTL_DONE;

	if (status != CTL_DONE) {
		json_decref(params);
		return status;
	}
	return move_ports(ctl, "port.attach", params, err);
}
