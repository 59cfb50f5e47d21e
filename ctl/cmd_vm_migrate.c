/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * avpctl vm migrate and vm cancel. The steps are in migrate.c.
 */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "migrate.h"
#include "output.h"
#include "vm_cmd.h"
#include "vm_config.h"

/* "migration" of a port's "avp": what the device has told the guest last (device.md). */
#define DEVICE_ATTACHED 2u
#define QMP_LIMIT_MS 5000
#define CANCEL_LIMIT_MS 60000
#define POLL_US 10000
#define CTL_ATTACH_MS 10000

/* A number among the command's keys. */
static enum ctl_status
number_key(const struct ctl_args *args, const char *key, unsigned int min, unsigned int max,
		unsigned int *value, struct ctl_error *err)
{
	json_t *given = json_object_get(args->keys, key);
	json_int_t number = json_integer_value(given);

	if (given == NULL)
		return CTL_DONE;
	if (number < min || number > max)
		return ctl_usage(err, "%s=%lld: from %u to %u", key, (long long)number, min, max);
	*value = (unsigned int)number;
	return CTL_DONE;
}

static enum ctl_status
read_keys(struct ctl_migration *m, const struct ctl_args *args, struct ctl_error *err)
{
	json_t *restore = json_object_get(args->keys, "restore");
	const char *log = json_string_value(json_object_get(args->keys, "log"));

	m->downtime_ms = 300;
	m->detach_ms = 1000;
	m->attach_ms = CTL_ATTACH_MS;
	m->stop_ms = 10000;
	m->timeout_s = 600;
	m->restore = restore == NULL || json_is_true(restore);
	if (number_key(args, "downtime_ms", 1, 60000, &m->downtime_ms, err) != CTL_DONE ||
			number_key(args, "detach_ms", 1, 60000, &m->detach_ms, err) != CTL_DONE ||
			number_key(args, "attach_ms", 1, 60000, &m->attach_ms, err) != CTL_DONE ||
			number_key(args, "stop_ms", 100, 600000, &m->stop_ms, err) != CTL_DONE ||
			number_key(args, "timeout_s", 1, 86400, &m->timeout_s, err) != CTL_DONE ||
			number_key(args, "bandwidth_mbit", 1, 1000000, &m->bandwidth_mbit, err) !=
					CTL_DONE)
		return CTL_USAGE;
	if (log != NULL) {
		m->log = fopen(log, "ae");
		if (m->log == NULL)
			return ctl_fail(err, errno, "log=%s: %s", log, ctl_strerror(errno));
	}
	return CTL_DONE;
}

/* From here on Ctrl-C and kill are something to read. The other node's command ignores Ctrl-C,
 * which the terminal sends to it as well. */
static int
watch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGINT, SIG_IGN); /* a blocked signal is kept all the same; a child inherits this */
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static enum ctl_status
open_vm(struct ctl_migration *m, struct ctl_error *err)
{
	char path[CTL_VM_PATH_SIZE];
	enum ctl_status status;

	status = ctl_vm_load(&m->vm, err);
	if (status == CTL_DONE)
		status = ctl_vm_lock(&m->vm, err);
	if (status == CTL_DONE)
		status = ctl_vm_load(&m->vm, err); /* as it is now that nobody else works on it */
	if (status == CTL_DONE && !ctl_vm_alive(&m->vm))
		status = ctl_fail(err, ESRCH, "%s: its QEMU has ended; avpctl vm stop %s clears up",
				m->vm.name, m->vm.name);
	if (status == CTL_DONE)
		status = ctl_qmp_open(
				&m->qmp, ctl_vm_path(&m->vm, "qmp.sock", path), QMP_LIMIT_MS, err);
	return status;
}

static void
migration_fini(struct ctl_migration *m)
{
	ctl_peer_close(m->peer);
	ctl_qmp_close(m->qmp);
	ctl_client_close(m->client);
	ctl_vm_fini(&m->vm);
	json_decref(m->host);
	json_decref(m->cards);
	json_decref(m->shown);
	json_decref(m->steps);
	json_decref(m->ports);
	if (m->log != NULL)
		fclose(m->log);
	if (m->signal_fd >= 0)
		close(m->signal_fd);
}

/* All of it: to the end, or back. */
static enum ctl_status
migrate(struct ctl_migration *m, struct ctl_error *err)
{
	enum ctl_status status = ctl_migration_run(m, err);

	if (status != CTL_DONE && !m->ran)
		status = ctl_migration_back(m, err);
	if (m->ran)
		ctl_migration_leave(m);
	if (status == CTL_DONE)
		ctl_migration_print(m);
	else
		ctl_migration_note(m, "failed");
	return status;
}

enum ctl_status
ctl_vm_migrate(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	const char *hosts = args->options[CTL_VM_MIGRATE_HOSTS].value;
	struct ctl_migration m = {
			.ctl = ctl, .signal_fd = -1, .vm.lock_fd = -1, .attach_ms = CTL_ATTACH_MS};
	enum ctl_status status;

	m.host_name = args->options[CTL_VM_MIGRATE_TO].value;
	if (m.host_name == NULL)
		return ctl_usage(err, "vm migrate: --to HOST: a node of %s",
				hosts != NULL ? hosts : CTL_HOSTS_DEFAULT);
	m.shown = json_array();
	m.steps = json_array();
	m.ports = json_object();
	status = read_keys(&m, args, err);
	if (status == CTL_DONE)
		status = ctl_vm_of_args(&m.vm, args, err);
	if (status == CTL_DONE)
		status = ctl_hosts_load(hosts != NULL ? hosts : CTL_HOSTS_DEFAULT, m.host_name,
				&m.host, err);
	if (status == CTL_DONE)
		status = open_vm(&m, err);
	if (status == CTL_DONE) {
		m.signal_fd = watch_signals();
		status = migrate(&m, err);
	}
	migration_fini(&m);
	return status;
}

/* Have the avpctl that moves the VM turn back, and wait for it. */
static enum ctl_status
cancel_running(struct ctl_migration *m, pid_t holder, struct ctl_error *err)
{
	struct ctl_limit limit = ctl_limit_in(CANCEL_LIMIT_MS);
	struct ctl_error ignored;

	if (kill(holder, SIGTERM) != 0 && errno != ESRCH)
		return ctl_fail(err, errno, "%s: process %d: %s", m->vm.name, (int)holder,
				ctl_strerror(errno));
	while (ctl_vm_lock_holder(&m->vm) == holder) {
		if (ctl_now_us() > limit.end_us)
			return ctl_fail(err, ETIMEDOUT, "%s: process %d is still at work on it",
					m->vm.name, (int)holder);
		usleep(POLL_US);
	}
	if (ctl_vm_load(&m->vm, &ignored) != CTL_DONE)
		return ctl_fail(err, EALREADY, "%s: too late: it has moved", m->vm.name);
	return CTL_DONE;
}

/* Is a port on the move? "error" says that the guest has not acknowledged, but not what. */
static bool
is_detached(const json_t *port)
{
	const char *migration = ctl_member(port, "migration");

	if (strcmp(migration, "error") == 0)
		return ctl_member_u64(json_object_get(port, "avp"), "migration") != DEVICE_ATTACHED;
	return strcmp(migration, "none") != 0;
}

/* Is any of the VM's ports on the move? */
static bool
any_detached(struct ctl_migration *m, struct ctl_error *err)
{
	json_t *names = ctl_vm_port_names(&m->vm), *name, *shown;
	bool detached = false;
	size_t i;

	json_array_foreach (names, i, name) {
		if (ctl_migration_switch(m, "port.show", json_pack("{s:O}", "name", name), &shown,
				    err) != CTL_DONE)
			continue;
		detached |= is_detached(json_array_get(shown, 0));
		json_decref(shown);
	}
	json_decref(names);
	return detached;
}

enum ctl_status
ctl_vm_cancel(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	struct ctl_migration m = {
			.ctl = ctl, .signal_fd = -1, .vm.lock_fd = -1, .attach_ms = CTL_ATTACH_MS};
	enum ctl_status status;
	pid_t holder;

	m.steps = json_array();
	m.ports = json_object();
	status = ctl_vm_of_args(&m.vm, args, err);
	if (status == CTL_DONE)
		status = ctl_vm_load(&m.vm, err);
	holder = status == CTL_DONE ? ctl_vm_lock_holder(&m.vm) : 0;
	if (status == CTL_DONE && holder != 0) {
		status = cancel_running(&m, holder, err);
	} else if (status == CTL_DONE) {
		status = open_vm(&m, err);
		if (status == CTL_DONE) {
			m.detached = any_detached(&m, err);
			snprintf(err->msg, sizeof(err->msg), "%s: cancelled", m.vm.name);
			snprintf(err->code, sizeof(err->code), "EIO");
			status = ctl_migration_resume(&m, err);
		}
	}
	migration_fini(&m);
	return status;
}
