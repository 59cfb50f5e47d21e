/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The part of a migration in which the VM runs: pre-copy, and the detach of its ports.
 *
 * How it works: QEMU must not stop the VM before its guest has let go of the ports, for a stopped
 * guest cannot acknowledge. So it is given a downtime limit of 0, sends memory while the VM runs,
 * and we look how much is left; when that can be sent within the wished downtime, the ports are
 * detached, and then we stop the VM ourselves, after which QEMU sends the rest at once.
 *
 * A guest so idle, or so short of processor time, that QEMU finds nothing left to send gets it to
 * the end by itself (11.1: within milliseconds of the second pass), perhaps while we wait for the
 * guest to let go. The capability pause-before-switchover has it wait there, with the VM stopped,
 * instead of leaving. Then the attempt is called off: the VM goes on here, with its ports. In the
 * next one QEMU is kept from sending before the ports are detached, by a bandwidth of next to
 * nothing. That is not done at first since QEMU looks at its bandwidth every 100 ms only, by which
 * the VM would be longer without its ports.
 */

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "migrate.h"
#include "output.h"

#define POLL_MS 5
#define WATCH_MS 20 /* between two looks at QEMU while guests let go */
#define KEEPALIVE_US 1000000
#define MAX_ATTEMPTS 3
#define MIN_GOAL (1u << 20) /* bytes */
#define STALL_US 10000000
#define STATUS_LIMIT_MS 5000
#define ABORT_LIMIT_MS 60000
/* Bytes per second: one each time that QEMU looks, as less would mean no limit. */
#define HELD_BANDWIDTH 10

/* One attempt. */
struct precopy {
	int64_t began_us;
	int64_t asked_us;     /* the other node, last */
	int64_t moved_us;     /* when something was sent, last */
	uint64_t transferred; /* bytes */
	unsigned int attempt;
	bool early; /* QEMU got to the end before the ports were detached */
	bool near;  /* what is left can be sent within the wished downtime */
};

static enum ctl_status
set_bandwidth(struct ctl_migration *m, json_int_t bytes_per_s, struct ctl_error *err)
{
	return ctl_qmp_call(m->qmp, "migrate-set-parameters",
			json_pack("{s:I}", "max-bandwidth", bytes_per_s), NULL, err);
}

/* As the user wants it. */
static json_int_t
bandwidth(const struct ctl_migration *m)
{
	return (json_int_t)m->bandwidth_mbit * 125000;
}

static enum ctl_status
start_migration(struct ctl_migration *m, const json_t *where, struct ctl_error *err)
{
	enum ctl_status status;

	status = ctl_qmp_call(m->qmp, "migrate-set-capabilities",
			json_pack("{s:[{s:s, s:b}, {s:s, s:b}, {s:s, s:b}]}", "capabilities",
					"capability", "events", "state", 1, "capability",
					"pause-before-switchover", "state", 1, "capability",
					"late-block-activate", "state", 1),
			NULL, err);
	if (status == CTL_DONE)
		status = ctl_qmp_call(m->qmp, "migrate-set-parameters",
				json_pack("{s:i, s:I}", "downtime-limit", 0, "max-bandwidth",
						bandwidth(m)),
				NULL, err);
	if (status == CTL_DONE)
		status = ctl_qmp_call(m->qmp, "migrate",
				json_pack("{s:s}", "uri", ctl_member(where, "uri")), NULL, err);
	m->migrating = status == CTL_DONE;
	return status;
}

/* What QEMU says of its migration. Its failure is ours. */
static enum ctl_status
query(struct ctl_migration *m, struct precopy *precopy, json_t **info, struct ctl_error *err)
{
	enum ctl_status status;

	status = ctl_qmp_call(m->qmp, "query-migrate", NULL, info, err);
	if (status != CTL_DONE)
		return status;
	precopy->early = strcmp(ctl_member(*info, "status"), "pre-switchover") == 0;
	if (strcmp(ctl_member(*info, "status"), "failed") == 0) {
		status = ctl_fail(err, EIO, "QEMU: migration failed: %s",
				ctl_member(*info, "error-desc"));
		json_decref(*info);
	}
	return status;
}

/* Look once. */
static enum ctl_status
precopy_look(struct ctl_migration *m, struct precopy *precopy, struct ctl_error *err)
{
	int64_t now_us = ctl_now_us();
	double bytes_per_us, goal;
	enum ctl_status status;
	uint64_t remaining, sent;
	json_t *info, *ram;

	status = query(m, precopy, &info, err);
	if (status != CTL_DONE)
		return status;
	ram = json_object_get(info, "ram");
	remaining = ctl_member_u64(ram, "remaining");
	sent = ctl_member_u64(ram, "transferred");
	if (sent != precopy->transferred)
		precopy->moved_us = now_us;
	precopy->transferred = sent;
	bytes_per_us = (double)sent / (double)(now_us - precopy->began_us + 1);
	/* After an attempt that was too late, sooner. */
	goal = bytes_per_us * m->downtime_ms * 1000 * (1u << 2 * precopy->attempt);
	if (goal < MIN_GOAL)
		goal = MIN_GOAL;
	precopy->near = strcmp(ctl_member(info, "status"), "active") == 0 && sent > 0 &&
			(double)remaining <= goal;
	if (sent > 0)
		ctl_migration_progress(m, remaining, bytes_per_us);
	json_decref(info);
	if (now_us - precopy->moved_us > STALL_US)
		return ctl_fail(err, ETIMEDOUT, "%s: QEMU has sent nothing for %d s", m->host_name,
				STALL_US / 1000000);
	if (now_us - precopy->began_us > (int64_t)m->timeout_s * 1000000)
		return ctl_fail(err, ETIMEDOUT,
				"%s: memory changes faster than it is sent: not within %u s; "
				"timeout_s= and downtime_ms= are the limits",
				m->vm.name, m->timeout_s);
	return CTL_DONE;
}

/* Send memory while the VM runs, until what is left fits. */
static enum ctl_status
precopy_run(struct ctl_migration *m, struct precopy *precopy, struct ctl_error *err)
{
	struct ctl_limit limit;
	enum ctl_status status;
	bool stop;

	precopy->began_us = precopy->asked_us = precopy->moved_us = ctl_now_us();
	precopy->transferred = 0;
	for (;;) {
		status = precopy_look(m, precopy, err);
		if (status != CTL_DONE || precopy->early || precopy->near)
			return status;
		if (ctl_now_us() - precopy->asked_us > KEEPALIVE_US) {
			status = ctl_peer_call(
					m->peer, "status", NULL, STATUS_LIMIT_MS, NULL, NULL, err);
			precopy->asked_us = ctl_now_us();
		}
		limit = ctl_limit_in(POLL_MS);
		if (status == CTL_DONE)
			status = ctl_wait_fd(m->signal_fd, POLLIN, &limit, &stop, err);
		if (status == CTL_DONE)
			status = ctl_migration_cancelled(m, err);
		if (status != CTL_DONE)
			return status;
	}
}

/* Wait until the switch has answered, QEMU has stopped the VM under the guest, or the user wants
 * no more. */
static enum ctl_status
watch_detach(struct ctl_migration *m, struct precopy *precopy, struct ctl_error *err)
{
	enum ctl_status status;
	struct ctl_limit limit;
	bool answered = false;
	json_t *info;

	for (;;) {
		limit = ctl_limit_in(WATCH_MS);
		status = ctl_client_wait(m->client, &limit, &answered, err);
		if (status != CTL_DONE || answered)
			return status;
		status = ctl_migration_cancelled(m, err);
		if (status == CTL_DONE)
			status = query(m, precopy, &info, err);
		if (status != CTL_DONE)
			return status;
		json_decref(info);
		if (precopy->early)
			return CTL_DONE;
	}
}

/* Have the VM run on here; the other node clears up. */
static enum ctl_status
call_off(struct ctl_migration *m, struct ctl_error *err)
{
	enum ctl_status status = ctl_migration_go_on(m, err);

	if (status != CTL_DONE)
		return status; /* the way back tries again */
	m->migrating = false;
	status = ctl_peer_call(m->peer, "abort", NULL, ABORT_LIMIT_MS, NULL, NULL, err);
	ctl_peer_close(m->peer);
	m->peer = NULL;
	return status;
}

static enum ctl_status
detach(struct ctl_migration *m, struct precopy *precopy, struct ctl_error *err)
{
	int64_t began_us;
	enum ctl_status status;
	json_t *results;

	status = ctl_peer_call(m->peer, "forget", NULL, STATUS_LIMIT_MS, NULL, NULL, err);
	if (status != CTL_DONE)
		return status;
	began_us = ctl_migration_begins(m, "detach");
	m->detached = true;
	status = ctl_migration_switch_begin(m, "port.detach",
			json_pack("{s:o, s:i}", "names", ctl_vm_port_names(&m->vm), "timeout_ms",
					(int)m->detach_ms),
			err);
	if (status == CTL_DONE)
		status = watch_detach(m, precopy, err);
	/* the guest can only answer if it runs */
	if (status == CTL_DONE && precopy->early)
		status = call_off(m, err);
	if (status == CTL_DONE)
		status = ctl_migration_switch_end(m, "port.detach", &results, err);
	if (status != CTL_DONE) {
		/* on this connection the attach would have to wait for the answer */
		ctl_client_close(m->client);
		m->client = NULL;
		return status;
	}
	ctl_migration_ended(m, "detach", began_us,
			json_pack("{s:b, s:O}", "too_late", (int)precopy->early, "ports", results));
	if (!precopy->early)
		ctl_migration_keep_results(m, "detach", results);
	json_decref(results);
	if (!precopy->early)
		return CTL_DONE;
	m->detached = false;
	return ctl_migration_attach_here(m, err);
}

/* Detach with QEMU kept from getting to the end meanwhile. */
static enum ctl_status
detach_held(struct ctl_migration *m, struct precopy *precopy, struct ctl_error *err)
{
	enum ctl_status status = set_bandwidth(m, HELD_BANDWIDTH, err);
	json_t *info;

	if (status == CTL_DONE)
		status = query(m, precopy, &info, err);
	if (status != CTL_DONE)
		return status;
	json_decref(info);
	if (precopy->early)
		return call_off(m, err);
	status = detach(m, precopy, err);
	if (status == CTL_DONE && !precopy->early)
		status = set_bandwidth(m, bandwidth(m), err);
	return status;
}

/* One attempt. In vain if precopy->early is set at the end. */
static enum ctl_status
attempt(struct ctl_migration *m, struct precopy *precopy, struct ctl_error *err)
{
	enum ctl_status status;
	json_t *where = NULL;
	int64_t began_us = 0;

	status = ctl_migration_prepare(m, &where, err);
	if (status == CTL_DONE)
		status = ctl_migration_cancelled(m, err);
	if (status == CTL_DONE) {
		began_us = ctl_migration_begins(m, "precopy");
		status = start_migration(m, where, err);
	}
	json_decref(where);
	if (status == CTL_DONE)
		status = precopy_run(m, precopy, err);
	if (status != CTL_DONE)
		return status;
	ctl_migration_ended(m, "precopy", began_us,
			json_pack("{s:b, s:I}", "too_late", (int)precopy->early, "sent_bytes",
					(json_int_t)precopy->transferred));
	if (precopy->early)
		return call_off(m, err);
	if (!ctl_migration_has_ports(m))
		return CTL_DONE;
	return precopy->attempt == 0 ? detach(m, precopy, err) : detach_held(m, precopy, err);
}

enum ctl_status
ctl_migration_approach(struct ctl_migration *m, struct ctl_error *err)
{
	struct precopy precopy = {.attempt = 0};
	enum ctl_status status;

	for (; precopy.attempt < MAX_ATTEMPTS; precopy.attempt++) {
		status = attempt(m, &precopy, err);
		if (status != CTL_DONE || !precopy.early)
			return status;
		ctl_migration_note(m,
				"%s: QEMU was at the end before the ports were detached: once "
				"more, detaching earlier",
				m->vm.name);
	}
	return ctl_fail(err, EAGAIN,
			"%s: QEMU was at the end before the ports were detached, %d times",
			m->vm.name, MAX_ATTEMPTS);
}
