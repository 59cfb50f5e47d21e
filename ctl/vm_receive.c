/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * avpctl vm receive: the taking side of a migration. The avpctl that gives a VM away starts it on
 * the other node (by ssh, or whatever hosts.conf says) and speaks to it on standard input and
 * output, an object per line each way.
 *
 *   {"method": "prepare", "params": {...}}   ports that hold packets, and QEMU waiting for the VM
 *   {"method": "status"}                     are QEMU and switch still there?
 *   {"method": "forget"}                     what came for the ports so far, the guest has had at
 * the source
 *   {"method": "run", "params": {...}}       the VM is here: put back the cards' state, let it run,
 * attach
 *   {"method": "abort"}                      take down what prepare has made
 *   {"method": "query"}                      what is known of a VM of that name (another process
 * prepared it)
 *
 * How it works: until "run" the VM is the source's. If the source says "abort", closes the
 * connection or is silent for longer than it said, all that was made here goes away. From the
 * moment that the VM runs here it stays, whatever becomes of the connection. So there is never a
 * doubt on this side, and for the source only while an answer to "run" is outstanding.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "ctl.h"
#include "output.h"
#include "qtest_pci.h"
#include "vm.h"
#include "vm_cmd.h"

#define FIRST_SILENCE_MS 15000 /* until the source says how long it may be silent */
#define LAUNCH_LIMIT_MS 30000
#define QTEST_LIMIT_MS 5000
#define SEND_LIMIT_MS 5000
#define FORGET_LIMIT_MS 1000

struct receive {
	struct ctl *ctl;
	struct ctl_vm vm;
	struct ctl_client *client; /* the switch */
	struct ctl_qmp *qmp;
	json_t *steps;           /* of "run", with their times */
	bool prepared;           /* something has been made here */
	bool ran;                /* the VM is ours */
	unsigned int silence_ms; /* of the source, after which it is taken for dead */
};

typedef enum ctl_status (*receive_method)(struct receive *receive, const json_t *params,
		json_t **result, struct ctl_error *err);

static enum ctl_status
call_switch(struct receive *receive, const char *method, json_t *params, json_t **result,
		struct ctl_error *err)
{
	json_t *dropped = NULL;
	enum ctl_status status;

	if (params == NULL)
		return ctl_no_memory(err);
	status = ctl_client_call(
			receive->client, method, params, result != NULL ? result : &dropped, err);
	json_decref(dropped);
	return status;
}

/* Take down what was made. */
static void
tear_down(struct receive *receive)
{
	struct ctl_error ignored;

	if (!receive->prepared || receive->ran)
		return;
	ctl_vm_end(&receive->vm, receive->qmp, &ignored);
	ctl_qmp_close(receive->qmp);
	receive->qmp = NULL;
	if (receive->client != NULL)
		ctl_vm_del_ports(&receive->vm, receive->client, &ignored);
	ctl_vm_remove(&receive->vm);
	receive->prepared = false;
}

/* Can this port carry what the guest has negotiated with the one that it comes from? */
static enum ctl_status
check_port(const json_t *wanted, const json_t *shown, struct ctl_error *err)
{
	static const char *const least[] = {"queues", "mru", NULL};
	const json_t *avp = json_object_get(shown, "avp");
	uint64_t need = ctl_member_u64(wanted, "features"), have;
	const char *name = ctl_member(wanted, "name");
	unsigned int i;

	have = ctl_member_u64(avp, "features_offered");
	if ((need & ~have) != 0)
		return ctl_fail(err, ENOTSUP,
				"%s: the guest uses features 0x%jx, the destination offers 0x%jx",
				name, (uintmax_t)need, (uintmax_t)have);
	for (i = 0; least[i] != NULL; i++) {
		need = ctl_member_u64(wanted, least[i]);
		have = ctl_member_u64(avp, least[i]);
		if (need > have)
			return ctl_fail(err, ENOTSUP, "%s: %s=%ju: the destination has %ju", name,
					least[i], (uintmax_t)need, (uintmax_t)have);
	}
	return CTL_DONE;
}

static enum ctl_status
prepare_port(struct receive *receive, json_t *port, struct ctl_error *err)
{
	json_t *shown = NULL, *entry;
	enum ctl_status status;

	status = call_switch(receive, "port.add", json_incref(json_object_get(port, "params")),
			&shown, err);
	if (status != CTL_DONE)
		return status;
	entry = json_is_array(shown) ? json_array_get(shown, 0) : shown;
	json_object_set_new(port, "made", json_true());
	json_object_set(port, "socket", json_object_get(json_object_get(entry, "avp"), "socket"));
	json_object_set(port, "mac", json_object_get(entry, "mac"));
	status = check_port(port, entry, err);
	json_decref(shown);
	return status;
}

static enum ctl_status
prepare_ports(struct receive *receive, struct ctl_error *err)
{
	enum ctl_status status = CTL_DONE;
	json_t *port;
	size_t i;

	json_array_foreach (json_object_get(receive->vm.info, "ports"), i, port) {
		if (status == CTL_DONE)
			status = prepare_port(receive, port, err);
	}
	return status;
}

/* Where QEMU listens: the address that was asked for, with the port that it got. */
static enum ctl_status
listen_address(struct receive *receive, const char *uri, json_t **result, struct ctl_error *err)
{
	json_t *info, *address, *version;
	const char *port, *last = strrchr(uri, ':');
	enum ctl_status status;
	char text[256];

	status = ctl_qmp_call(receive->qmp, "query-migrate", NULL, &info, err);
	if (status == CTL_DONE)
		status = ctl_qmp_call(receive->qmp, "query-version", NULL, &version, err);
	if (status != CTL_DONE)
		return status;
	address = json_array_get(json_object_get(info, "socket-address"), 0);
	port = json_string_value(json_object_get(address, "port"));
	if (strncmp(uri, "tcp:", 4) == 0 && port != NULL && last != NULL)
		snprintf(text, sizeof(text), "%.*s:%s", (int)(last - uri), uri, port);
	else
		snprintf(text, sizeof(text), "%s", uri);
	*result = json_pack("{s:s, s:O?}", "uri", text, "qemu", json_object_get(version, "qemu"));
	json_decref(info);
	json_decref(version);
	return *result != NULL ? CTL_DONE : ctl_no_memory(err);
}

static enum ctl_status
prepare_qemu(struct receive *receive, const char *uri, struct ctl_error *err)
{
	enum ctl_status status;

	status = ctl_vm_launch(&receive->vm, true, LAUNCH_LIMIT_MS, &receive->qmp, err);
	/* The disks stay the source's until the VM runs here, so that it can take them back. */
	if (status == CTL_DONE)
		status = ctl_qmp_call(receive->qmp, "migrate-set-capabilities",
				json_pack("{s:[{s:s, s:b}, {s:s, s:b}, {s:s, s:b}]}",
						"capabilities", "capability", "events", "state", 1,
						"capability", "late-block-activate", "state", 1,
						"capability", "pause-before-switchover", "state",
						1),
				NULL, err);
	if (status == CTL_DONE)
		status = ctl_qmp_call(receive->qmp, "migrate-incoming",
				json_pack("{s:s, s:b}", "uri", uri, "exit-on-error", 0), NULL, err);
	return status;
}

static enum ctl_status
receive_prepare(struct receive *receive, const json_t *params, json_t **result,
		struct ctl_error *err)
{
	const char *uri = ctl_member(params, "uri");
	enum ctl_status status;

	if (receive->prepared)
		return ctl_fail(err, EALREADY, "%s: prepared already", receive->vm.name);
	receive->vm.info = json_deep_copy(json_object_get(params, "vm"));
	if (!json_is_object(receive->vm.info))
		return ctl_fail(err, EINVAL, "prepare: no description of the VM");
	json_object_set_new(receive->vm.info, "switch", json_string(receive->ctl->socket_path));
	/* a source that does not say is one of before */
	if (json_object_get(params, "silence_ms") != NULL)
		receive->silence_ms = (unsigned int)ctl_member_u64(params, "silence_ms");
	if (receive->client == NULL &&
			ctl_client_open(&receive->client, receive->ctl->socket_path,
					(unsigned int)ctl_member_u64(params, "limit_ms"),
					err) != CTL_DONE)
		return CTL_FAILED;
	status = ctl_vm_create(&receive->vm, err);
	if (status != CTL_DONE)
		return status;
	receive->prepared = true;
	status = prepare_ports(receive, err);
	if (status == CTL_DONE)
		status = prepare_qemu(receive, uri, err);
	if (status == CTL_DONE)
		status = listen_address(receive, uri, result, err);
	if (status != CTL_DONE)
		tear_down(receive);
	return status;
}

static enum ctl_status
receive_status(struct receive *receive, const json_t *params, json_t **result,
		struct ctl_error *err)
{
	enum ctl_status status;
	json_t *answer;

	(void)params;
	if (!receive->prepared)
		return ctl_fail(err, EINVAL, "%s: not prepared", receive->vm.name);
	status = call_switch(receive, "version", json_object(), NULL, err);
	if (status == CTL_DONE)
		status = ctl_qmp_call(receive->qmp, "query-status", NULL, &answer, err);
	if (status != CTL_DONE)
		return status;
	*result = json_pack("{s:O?}", "status", json_object_get(answer, "status"));
	json_decref(answer);
	return *result != NULL ? CTL_DONE : ctl_no_memory(err);
}

/* The source is about to detach: what was broadcast until now, the guest has had there. */
static enum ctl_status
receive_forget(struct receive *receive, const json_t *params, json_t **result,
		struct ctl_error *err)
{
	(void)params;
	if (!receive->prepared)
		return ctl_fail(err, EINVAL, "%s: not prepared", receive->vm.name);
	return call_switch(receive, "port.detach",
			json_pack("{s:o, s:i}", "names", ctl_vm_port_names(&receive->vm),
					"timeout_ms", FORGET_LIMIT_MS),
			result, err);
}

/* Note when a step of "run" was done. */
static void
note_step(struct receive *receive, const char *step, int64_t began_us)
{
	json_array_append_new(receive->steps,
			json_pack("{s:s, s:I, s:I}", "step", step, "began_us", (json_int_t)began_us,
					"ended_us", (json_int_t)ctl_wall_us()));
}

/* Wait until QEMU has taken in all of the VM. */
static enum ctl_status
wait_loaded(struct receive *receive, unsigned int limit_ms, struct ctl_error *err)
{
	struct ctl_limit limit = ctl_limit_in(limit_ms);
	enum ctl_status status;
	json_t *event, *info;
	char word[32];

	for (;;) {
		status = ctl_qmp_call(receive->qmp, "query-migrate", NULL, &info, err);
		if (status != CTL_DONE)
			return status;
		snprintf(word, sizeof(word), "%s", ctl_member(info, "status"));
		if (strcmp(word, "failed") == 0)
			status = ctl_fail(err, EIO, "QEMU at the destination: %s",
					ctl_member(info, "error-desc"));
		json_decref(info);
		if (status != CTL_DONE || strcmp(word, "completed") == 0)
			return status;
		status = ctl_qmp_event(receive->qmp, &limit, &event, err);
		if (status != CTL_DONE)
			return status;
		if (event == NULL)
			return ctl_fail(err, ETIMEDOUT,
					"QEMU at the destination: has not all of the VM after %g s",
					limit_ms / 1000.0);
		json_decref(event);
	}
}

/* All up to the point at which the VM is ours. */
static enum ctl_status
run_here(struct receive *receive, const json_t *params, struct ctl_error *err)
{
	const json_t *cards = json_object_get(params, "cards");
	int64_t began_us = ctl_wall_us();
	char path[CTL_VM_PATH_SIZE];
	enum ctl_status status;

	status = wait_loaded(receive, (unsigned int)ctl_member_u64(params, "load_ms"), err);
	note_step(receive, "load", began_us);
	if (status == CTL_DONE)
		status = call_switch(receive, "version", json_object(), NULL, err);
	began_us = ctl_wall_us();
	if (status == CTL_DONE && json_array_size(cards) > 0) {
		status = ctl_qtest_pci_restore(ctl_vm_path(&receive->vm, "qtest.sock", path),
				QTEST_LIMIT_MS, cards, err);
		note_step(receive, "restore", began_us);
	}
	began_us = ctl_wall_us();
	if (status == CTL_DONE)
		status = ctl_vm_set_state(&receive->vm, "running", err);
	if (status == CTL_DONE)
		status = ctl_qmp_call(receive->qmp, "cont", NULL, NULL, err);
	if (status == CTL_DONE)
		note_step(receive, "resume", began_us);
	return status;
}

static bool
has_name(const json_t *names, json_t *wanted)
{
	json_t *name;
	size_t i;

	json_array_foreach (names, i, name) {
		if (json_equal(name, wanted))
			return true;
	}
	return false;
}

/* Attach these ports, if there are any, and add the results. */
static enum ctl_status
attach_some(struct receive *receive, const json_t *attach, json_t *names, bool wait, json_t *ports,
		struct ctl_error *err)
{
	json_t *params, *results = NULL;
	enum ctl_status status;

	if (json_array_size(names) == 0)
		return CTL_DONE;
	params = json_copy((json_t *)(uintptr_t)attach);
	json_object_set(params, "names", names);
	if (!wait)
		json_object_set_new(params, "timeout_ms", json_integer(0));
	status = call_switch(receive, "port.attach", params, &results, err);
	json_array_extend(ports, results);
	json_decref(results);
	return status;
}

/* Those first that a guest comes back to: it is waiting. */
static enum ctl_status
attach_ports(struct receive *receive, const json_t *params, json_t *ports, struct ctl_error *err)
{
	const json_t *attach = json_object_get(params, "attach");
	const json_t *absent = json_object_get(params, "absent");
	json_t *waiting = json_array(), *others = json_array(), *name;
	int64_t began_us = ctl_wall_us();
	struct ctl_error ignored;
	enum ctl_status status;
	size_t i;

	json_array_foreach (json_object_get(attach, "names"), i, name)
		json_array_append(has_name(absent, name) ? others : waiting, name);
	status = attach_some(receive, attach, waiting, true, ports, err);
	/* whatever became of those: the VM runs */
	if (attach_some(receive, attach, others, false, ports,
			    status == CTL_DONE ? err : &ignored) != CTL_DONE)
		status = CTL_FAILED;
	json_decref(waiting);
	json_decref(others);
	note_step(receive, "attach", began_us);
	return status;
}

static enum ctl_status
receive_run(struct receive *receive, const json_t *params, json_t **result, struct ctl_error *err)
{
	struct ctl_error cause = {.msg = ""};
	enum ctl_status status;
	json_t *ports;

	if (!receive->prepared)
		return ctl_fail(err, EINVAL, "%s: not prepared", receive->vm.name);
	receive->steps = json_array();
	status = run_here(receive, params, err);
	if (status != CTL_DONE) {
		json_decref(receive->steps);
		tear_down(receive);
		return status;
	}
	receive->ran = true;
	ports = json_array();
	if (json_array_size(json_object_get(receive->vm.info, "ports")) > 0)
		attach_ports(receive, params, ports, &cause);
	*result = json_pack("{s:o, s:o, s:s}", "steps", receive->steps, "ports", ports,
			"attach_error", cause.msg);
	receive->steps = NULL;
	/* Never an error from here on: the source would run the VM as well. Without an answer it
	 * asks. */
	return CTL_DONE;
}

static enum ctl_status
receive_abort(struct receive *receive, const json_t *params, json_t **result, struct ctl_error *err)
{
	(void)params;
	tear_down(receive);
	*result = json_object();
	return *result != NULL ? CTL_DONE : ctl_no_memory(err);
}

/* About a VM that another process has to do with, or had. */
static enum ctl_status
receive_query(struct receive *receive, const json_t *params, json_t **result, struct ctl_error *err)
{
	struct ctl_error cause;
	char word[32] = "absent";
	pid_t holder = 0;

	(void)params;
	if (ctl_vm_load(&receive->vm, &cause) == CTL_DONE) {
		holder = ctl_vm_lock_holder(&receive->vm);
		ctl_vm_status(&receive->vm, word);
	}
	*result = json_pack("{s:s, s:i}", "status", word, "busy", (int)holder);
	return *result != NULL ? CTL_DONE : ctl_no_memory(err);
}

static const struct {
	const char *name;
	receive_method run;
} methods[] = {
		{"prepare", receive_prepare},
		{"status", receive_status},
		{"forget", receive_forget},
		{"run", receive_run},
		{"abort", receive_abort},
		{"query", receive_query},
};

static enum ctl_status
answer(struct receive *receive, struct ctl_stream *stream, const json_t *request,
		struct ctl_error *err)
{
	struct ctl_limit limit = ctl_limit_in(SEND_LIMIT_MS);
	const char *method = ctl_member(request, "method");
	struct ctl_error cause = {.code = ""};
	enum ctl_status status;
	json_t *result = NULL;
	size_t i;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].name, method) == 0)
			break;
	}
	if (i == sizeof(methods) / sizeof(methods[0]))
		status = ctl_fail(&cause, ENOSYS, "%s: no such method", method);
	else
		status = methods[i].run(
				receive, json_object_get(request, "params"), &result, &cause);
	if (status == CTL_DONE)
		result = json_pack("{s:o}", "result", result);
	else
		result = json_pack("{s:{s:s, s:s}}", "error", "code", cause.code, "message",
				cause.msg);
	return ctl_stream_send_object(stream, result, &limit, method, err);
}

enum ctl_status
ctl_vm_receive(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	struct ctl_stream stream = {
			.in_fd = STDIN_FILENO, .out_fd = STDOUT_FILENO, .peer = "the source"};
	struct receive receive = {.ctl = ctl, .silence_ms = FIRST_SILENCE_MS};
	struct ctl_limit limit;
	enum ctl_status status;
	json_t *request;

	status = ctl_vm_of_args(&receive.vm, args, err);
	if (status != CTL_DONE)
		return status;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	while (status == CTL_DONE) {
		limit = ctl_limit_in(receive.silence_ms);
		status = ctl_stream_object(&stream, &request, &limit, receive.vm.name, err);
		if (status != CTL_DONE)
			break;
		status = answer(&receive, &stream, request, err);
		json_decref(request);
	}
	/* The source goes when it has what it wants. */
	if (strcmp(err->code, "ECONNRESET") == 0)
		status = CTL_DONE;
	free(stream.buf);
	tear_down(&receive);
	ctl_qmp_close(receive.qmp);
	ctl_client_close(receive.client);
	ctl_vm_fini(&receive.vm);
	return status;
}
