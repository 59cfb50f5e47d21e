/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The steps of a migration: see migrate.h. Those in which the VM runs are in migrate_precopy.c.
 */

#include "migrate.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "qtest_pci.h"

#define PREPARE_LIMIT_MS 60000
#define SILENCE_MS 10000 /* of ours between two steps, on top of what the user allows */
#define QTEST_LIMIT_MS 5000
#define DRAIN_LIMIT_MS 5000
#define GRACE_US 200000
#define MAX_ADDRESSES 16 /* of port.attach */

enum ctl_status
ctl_migration_switch_begin(
		struct ctl_migration *m, const char *method, json_t *params, struct ctl_error *err)
{
	enum ctl_status status;

	if (params == NULL)
		return ctl_no_memory(err);
	if (m->client == NULL) {
		status = ctl_client_open(&m->client, ctl_member(m->vm.info, "switch"),
				m->ctl->timeout_ms + m->detach_ms + m->attach_ms, err);
		if (status != CTL_DONE) {
			json_decref(params);
			return status;
		}
	}
	return ctl_client_send(m->client, method, params, err);
}

enum ctl_status
ctl_migration_switch_end(
		struct ctl_migration *m, const char *method, json_t **result, struct ctl_error *err)
{
	json_t *dropped = NULL;
	enum ctl_status status;

	status = ctl_client_receive(m->client, method, result != NULL ? result : &dropped, err);
	json_decref(dropped);
	if (status != CTL_DONE &&
			(strcmp(err->code, "ECONNRESET") == 0 ||
					strcmp(err->code, "ETIMEDOUT") == 0)) {
		ctl_client_close(m->client);
		m->client = NULL;
	}
	return status;
}

enum ctl_status
ctl_migration_switch(struct ctl_migration *m, const char *method, json_t *params, json_t **result,
		struct ctl_error *err)
{
	enum ctl_status status = ctl_migration_switch_begin(m, method, params, err);

	return status == CTL_DONE ? ctl_migration_switch_end(m, method, result, err) : status;
}

enum ctl_status
ctl_migration_cancelled(const struct ctl_migration *m, struct ctl_error *err)
{
	struct pollfd entry = {.fd = m->signal_fd, .events = POLLIN};

	if (m->signal_fd < 0 || poll(&entry, 1, 0) <= 0)
		return CTL_DONE;
	return ctl_fail(err, ECANCELED, "cancelled by the user");
}

enum ctl_status
ctl_migration_wait(struct ctl_migration *m, const char *const words[], unsigned int limit_ms,
		struct ctl_error *err)
{
	struct ctl_limit limit = ctl_limit_in(limit_ms);
	enum ctl_status status;
	json_t *info, *event;
	unsigned int i;
	char word[32];

	for (;;) {
		status = ctl_qmp_call(m->qmp, "query-migrate", NULL, &info, err);
		if (status != CTL_DONE)
			return status;
		snprintf(word, sizeof(word), "%s", ctl_member(info, "status"));
		for (i = 0; words[i] != NULL; i++) {
			if (strcmp(word, words[i]) == 0) {
				json_decref(info);
				return CTL_DONE;
			}
		}
		if (strcmp(word, "failed") == 0)
			status = ctl_fail(err, EIO, "QEMU: migration failed: %s",
					ctl_member(info, "error-desc"));
		json_decref(info);
		if (status == CTL_DONE)
			status = ctl_qmp_event(m->qmp, &limit, &event, err);
		if (status != CTL_DONE)
			return status;
		if (event == NULL)
			return ctl_fail(err, ETIMEDOUT, "QEMU: migration still %s after %g s", word,
					limit_ms / 1000.0);
		json_decref(event);
	}
}

/* The VM must run, and its ports be there. */
static enum ctl_status
check(struct ctl_migration *m, struct ctl_error *err)
{
	json_t *answer, *port, *shown, *entry;
	enum ctl_status status;
	size_t i;

	status = ctl_qmp_call(m->qmp, "query-status", NULL, &answer, err);
	if (status != CTL_DONE)
		return status;
	if (strcmp(ctl_member(answer, "status"), "running") != 0)
		status = ctl_fail(err, EINVAL, "%s: is %s: only a running VM can be moved",
				m->vm.name, ctl_member(answer, "status"));
	json_decref(answer);
	json_array_foreach (json_object_get(m->vm.info, "ports"), i, port) {
		if (status == CTL_DONE)
			status = ctl_migration_switch(m, "port.show",
					json_pack("{s:s}", "name", ctl_member(port, "name")),
					&shown, err);
		if (status != CTL_DONE)
			return status;
		entry = json_is_array(shown) ? json_array_get(shown, 0) : shown;
		json_array_append(m->shown, entry);
		if (!json_is_true(json_object_get(json_object_get(entry, "avp"), "connected")))
			status = ctl_fail(err, ENOTCONN,
					"%s: QEMU is not connected to it (the switch was started "
					"after it?)",
					ctl_member(port, "name"));
		json_decref(shown);
	}
	return status;
}

/* The parameters of port.add for a port like this one. */
static json_t *
port_params(const json_t *shown)
{
	static const char *const same[] = {
			"mode", "native", "trunks", "check_source_mac", "fdb_max", "mac", NULL};
	static const char *const of_avp[] = {"queues", "ring", "buffers", "mru", "domain", NULL};
	const json_t *avp = json_object_get(shown, "avp");
	bool trunk = strcmp(ctl_member(shown, "mode"), "trunk") == 0;
	json_t *params, *value;
	unsigned int i;

	params = json_pack("{s:s, s:s, s:b, s:b}", "name", ctl_member(shown, "name"), "type", "avp",
			"incoming", 1, "vlan_offload",
			(int)(ctl_member_u64(avp, "features_offered") & 1));
	if (params == NULL)
		return NULL;
	for (i = 0; same[i] != NULL; i++) {
		value = json_object_get(shown, same[i]);
		if (value != NULL &&
				(trunk ||
						(strcmp(same[i], "native") != 0 &&
								strcmp(same[i], "trunks") != 0)))
			json_object_set(params, same[i], value);
	}
	value = json_object_get(shown, "network");
	if (!trunk && json_is_string(value))
		json_object_set(params, "network", value);
	for (i = 0; of_avp[i] != NULL; i++) {
		value = json_object_get(avp, of_avp[i]);
		if (value != NULL && !json_is_null(value))
			json_object_set(params, of_avp[i], value);
	}
	return params;
}

/* The description of the VM for the other node. */
static json_t *
describe(struct ctl_migration *m)
{
	json_t *ports = json_array(), *port, *shown, *avp, *qemu;
	size_t i;

	json_array_foreach (json_object_get(m->vm.info, "ports"), i, port) {
		shown = json_array_get(m->shown, i);
		avp = json_object_get(shown, "avp");
		json_array_append_new(ports,
				json_pack("{s:O, s:O, s:o, s:O?, s:O?, s:O?}", "name",
						json_object_get(port, "name"), "addr",
						json_object_get(port, "addr"), "params",
						port_params(shown), "features",
						json_object_get(avp, "features"), "queues",
						json_object_get(avp, "queues"), "mru",
						json_object_get(avp, "mru")));
	}
	qemu = json_object_get(m->host, "qemu");
	if (!json_is_string(qemu))
		qemu = json_object_get(m->vm.info, "qemu");
	return json_pack("{s:s, s:O, s:O, s:O, s:o}", "name", m->vm.name, "qemu", qemu, "args",
			json_object_get(m->vm.info, "args"), "bus",
			json_object_get(m->vm.info, "bus"), "ports", ports);
}

enum ctl_status
ctl_migration_prepare(struct ctl_migration *m, json_t **where, struct ctl_error *err)
{
	int64_t began_us = ctl_migration_begins(m, "prepare");
	/* it hears nothing while the guest lets go, and then until QEMU is done */
	const unsigned int silence_ms = SILENCE_MS + m->detach_ms + 2 * m->stop_ms;
	enum ctl_status status;

	status = ctl_peer_open(&m->peer, m->host, m->vm.name, err);
	if (status == CTL_DONE)
		status = ctl_peer_call(m->peer, "prepare",
				json_pack("{s:o, s:O, s:i, s:i}", "vm", describe(m), "uri",
						json_object_get(m->host, "migrate"), "limit_ms",
						(int)(m->ctl->timeout_ms + m->attach_ms),
						"silence_ms", (int)silence_ms),
				PREPARE_LIMIT_MS, where, NULL, err);
	if (status == CTL_DONE)
		ctl_migration_ended(m, "prepare", began_us, json_pack("{s:O}", "host", *where));
	return status;
}

/* Packets that the switch holds for the VM, all ports; and note what was dropped of them. */
static uint64_t
count_held(struct ctl_migration *m, uint64_t *dropped)
{
	json_t *names = ctl_vm_port_names(&m->vm), *name, *shown, *hold;
	struct ctl_error ignored;
	uint64_t held = 0;
	size_t i;

	*dropped = 0;
	json_array_foreach (names, i, name) {
		if (ctl_migration_switch(m, "port.show", json_pack("{s:O}", "name", name), &shown,
				    &ignored) != CTL_DONE)
			continue;
		hold = json_object_get(json_array_get(shown, 0), "hold");
		held += ctl_member_u64(hold, "packets");
		*dropped += ctl_member_u64(hold, "dropped");
		json_decref(shown);
	}
	json_decref(names);
	return held;
}

void
ctl_migration_keep_results(struct ctl_migration *m, const char *what, const json_t *results)
{
	const char *name, *word;
	json_t *result, *port;
	size_t i;

	json_array_foreach (results, i, result) {
		name = ctl_member(result, "name");
		word = ctl_member(result, "result");
		port = json_object_get(m->ports, name);
		if (port == NULL) {
			port = json_object();
			json_object_set_new(m->ports, name, port);
		}
		json_object_set(port, what, result);
		if (strcmp(word, "absent") == 0)
			ctl_migration_note(m, "%s: %s: its guest has no driver for it", name, what);
		else if (strcmp(word, "ok") != 0)
			ctl_migration_note(m, "%s: %s: %s: the guest is moved all the same", name,
					what, word);
	}
}

bool
ctl_migration_has_ports(const struct ctl_migration *m)
{
	return json_array_size(json_object_get(m->vm.info, "ports")) > 0;
}

static enum ctl_status
stop(struct ctl_migration *m, struct ctl_error *err)
{
	int64_t began_us = ctl_migration_begins(m, "stop");
	enum ctl_status status;

	m->stopped = true;
	status = ctl_qmp_call(m->qmp, "stop", NULL, NULL, err);
	if (status == CTL_DONE)
		ctl_migration_ended(m, "stop", began_us, NULL);
	return status;
}

/* From here on the MACs of the VM are not this switch's: it would drop what the VM sends from
 * elsewhere. What is held goes there as soon as they are seen. Should the VM stay, attach makes
 * them ours again. */
static enum ctl_status
depart(struct ctl_migration *m, struct ctl_error *err)
{
	struct ctl_error cause;
	int64_t began_us;

	(void)err;
	if (!ctl_migration_has_ports(m))
		return CTL_DONE;
	began_us = ctl_migration_begins(m, "depart");
	/* Without this switch the VM is better off there. */
	if (ctl_migration_switch(m, "port.depart",
			    json_pack("{s:o}", "names", ctl_vm_port_names(&m->vm)), NULL,
			    &cause) != CTL_DONE)
		ctl_migration_note(m, "what this switch held for %s is lost: %s", m->vm.name,
				cause.msg);
	ctl_migration_ended(m, "depart", began_us, NULL);
	return CTL_DONE;
}

/* What the guest has made of its cards; QEMU sends the rest of the memory meanwhile. */
static enum ctl_status
save(struct ctl_migration *m, struct ctl_error *err)
{
	char path[CTL_VM_PATH_SIZE];
	enum ctl_status status;
	int64_t began_us;

	if (!m->restore)
		return CTL_DONE;
	began_us = ctl_migration_begins(m, "save");
	status = ctl_qtest_pci_save(
			ctl_vm_path(&m->vm, "qtest.sock", path), QTEST_LIMIT_MS, &m->cards, err);
	if (status == CTL_DONE)
		ctl_migration_ended(m, "save", began_us,
				json_pack("{s:I}", "cards", (json_int_t)json_array_size(m->cards)));
	return status;
}

/* The rest of the memory, then the devices. */
static enum ctl_status
transfer(struct ctl_migration *m, struct ctl_error *err)
{
	static const char *const paused[] = {"pre-switchover", NULL};
	static const char *const ended[] = {"completed", NULL};
	int64_t began_us = ctl_migration_begins(m, "transfer");
	enum ctl_status status;

	status = ctl_migration_wait(m, paused, m->stop_ms, err);
	if (status == CTL_DONE)
		status = ctl_migration_cancelled(m, err);
	if (status == CTL_DONE)
		status = ctl_qmp_call(m->qmp, "migrate-continue",
				json_pack("{s:s}", "state", "pre-switchover"), NULL, err);
	if (status == CTL_DONE)
		status = ctl_migration_wait(m, ended, m->stop_ms, err);
	if (status == CTL_DONE)
		ctl_migration_ended(m, "transfer", began_us, NULL);
	return status;
}

/* IP and MAC addresses that the guest has been seen with, for the announcement at the other node.
 */
static json_t *
collect_addresses(struct ctl_migration *m)
{
	json_t *all = json_array(), *shown, *address, *other;
	size_t i, k, n;
	bool known;

	json_array_foreach (m->shown, i, shown) {
		json_array_foreach (json_object_get(shown, "addresses"), k, address) {
			known = false;
			json_array_foreach (all, n, other)
				known |= json_equal(other, address) != 0;
			if (!known && json_array_size(all) < MAX_ADDRESSES)
				json_array_append(all, address);
		}
	}
	return all;
}

/* Ports whose guest has no driver for them, as far as the detach has told. */
static json_t *
absent_names(struct ctl_migration *m)
{
	json_t *names = json_array(), *port;
	const char *name;

	json_object_foreach (m->ports, name, port) {
		if (strcmp(ctl_member(json_object_get(port, "detach"), "result"), "absent") == 0)
			json_array_append_new(names, json_string(name));
	}
	return names;
}

/* Parameters of port.attach at the other node. */
static json_t *
attach_params(struct ctl_migration *m)
{
	return json_pack("{s:o, s:i, s:o}", "names", ctl_vm_port_names(&m->vm), "timeout_ms",
			(int)m->attach_ms, "addresses", collect_addresses(m));
}

/* The point of no return. */
static enum ctl_status
run(struct ctl_migration *m, struct ctl_error *err)
{
	int64_t began_us = ctl_migration_begins(m, "run");
	enum ctl_status status;
	const char *cause;
	bool answered;
	json_t *result;

	status = ctl_vm_set_state(&m->vm, "leaving", err);
	if (status != CTL_DONE)
		return status;
	m->asked = true;
	status = ctl_peer_call(m->peer, "run",
			json_pack("{s:O?, s:o, s:o, s:i}", "cards", m->cards, "attach",
					attach_params(m), "absent", absent_names(m), "load_ms",
					(int)m->stop_ms),
			m->stop_ms + m->attach_ms + 2 * m->ctl->timeout_ms, &result, &answered,
			err);
	if (status != CTL_DONE) {
		m->asked = !answered;
		return status;
	}
	m->ran = true;
	ctl_migration_ended(m, "run", began_us, NULL);
	ctl_migration_remote_steps(m, json_object_get(result, "steps"));
	ctl_migration_keep_results(m, "attach", json_object_get(result, "ports"));
	cause = ctl_member(result, "attach_error");
	if (cause[0] != '\0' && strcmp(cause, "-") != 0)
		status = ctl_fail(err, EIO, "%s runs at %s, but its network is not up: %.300s",
				m->vm.name, m->host_name, cause);
	json_decref(result);
	return status;
}

/* Let what is held go to the network, end QEMU, take the ports away. */
void
ctl_migration_leave(struct ctl_migration *m)
{
	struct ctl_limit limit = ctl_limit_in(DRAIN_LIMIT_MS);
	int64_t began_us = ctl_migration_begins(m, "end");
	uint64_t held, dropped;
	struct ctl_error cause;
	json_t *port;
	size_t i;

	/* What is on its way here from hosts behind the other switch is sent back while the ports
	 * are there. */
	usleep(GRACE_US);
	do {
		held = count_held(m, &dropped);
	} while (held > 0 && ctl_now_us() < limit.end_us && usleep(1000) == 0);
	if (held + dropped > 0)
		ctl_migration_note(m, "packets held here for %s: %ju dropped, %ju still wait",
				m->vm.name, (uintmax_t)dropped, (uintmax_t)held);
	json_array_foreach (json_object_get(m->vm.info, "ports"), i, port)
		json_object_set_new(
				port, "made", json_true()); /* whoever made them: they have moved */
	if (ctl_vm_end(&m->vm, m->qmp, &cause) != CTL_DONE)
		ctl_migration_note(m, "%s", cause.msg);
	if (m->client != NULL && ctl_vm_del_ports(&m->vm, m->client, &cause) != CTL_DONE)
		ctl_migration_note(m, "%s", cause.msg);
	ctl_vm_remove(&m->vm);
	ctl_migration_ended(m, "end", began_us,
			json_pack("{s:I, s:I}", "held", (json_int_t)held, "dropped",
					(json_int_t)dropped));
}

enum ctl_status
ctl_migration_run(struct ctl_migration *m, struct ctl_error *err)
{
	static enum ctl_status (*const steps[])(struct ctl_migration *, struct ctl_error *) = {
			ctl_migration_approach, stop, depart, save, transfer, run};
	int64_t began_us = ctl_migration_begins(m, "check");
	enum ctl_status status;
	size_t i;

	status = check(m, err);
	if (status == CTL_DONE)
		ctl_migration_ended(m, "check", began_us, NULL);
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == CTL_DONE; i++) {
		status = steps[i](m, err);
		if (status == CTL_DONE && !m->ran)
			status = ctl_migration_cancelled(m, err);
	}
	return status;
}
