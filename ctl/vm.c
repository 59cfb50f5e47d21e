/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A VM's folder and its QEMU: see vm.h.
 */

#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "output.h"
#include "stream.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
#define QUIT_LIMIT_MS 5000
#define KILL_LIMIT_MS 5000
#define POLL_US 5000

static const char *const vm_files[] = {"vm.json", "vm.json.new", "qmp.sock", "monitor.sock",
		"qtest.sock", "qemu.log", "lock"};

extern char **environ;

const char *
ctl_vm_dir(const char *given)
{
	const char *env = getenv(CTL_VM_DIR_ENV);

	if (given != NULL)
		return given;
	return env != NULL && env[0] != '\0' ? env : CTL_VM_DEFAULT_DIR;
}

enum ctl_status
ctl_vm_init(struct ctl_vm *vm, const char *dir, const char *name, struct ctl_error *err)
{
	size_t len = strlen(name);

	*vm = (struct ctl_vm){.lock_fd = -1};
	if (len == 0 || len >= sizeof(vm->name) || strspn(name, NAME_CHARS) != len ||
			strchr("_.-", name[0]) != NULL)
		return ctl_usage(err,
				"%s: no name of a VM: 1 to %zu of A-Z a-z 0-9 _ . -, beginning "
				"with a "
				"letter or digit",
				name, sizeof(vm->name) - 1);
	if (dir[0] != '/')
		return ctl_usage(err, "dir=%s: an absolute path", dir);
	if (strlen(dir) + 1 + len >= sizeof(vm->folder))
		return ctl_usage(err,
				"%s/%s: too long: at most %zu bytes, since there are sockets in it",
				dir, name, sizeof(vm->folder) - 1);
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	snprintf(vm->folder, sizeof(vm->folder), "%s/%s", dir, name);
	return CTL_DONE;
}

void
ctl_vm_fini(struct ctl_vm *vm)
{
	if (vm->lock_fd >= 0)
		close(vm->lock_fd);
	json_decref(vm->info);
	vm->lock_fd = -1;
	vm->info = NULL;
}

const char *
ctl_vm_path(const struct ctl_vm *vm, const char *file, char out[CTL_VM_PATH_SIZE])
{
	snprintf(out, CTL_VM_PATH_SIZE, "%s/%s", vm->folder, file);
	return out;
}

/* Make a folder and those above it. */
static int
make_folders(const char *path)
{
	char part[CTL_VM_PATH_SIZE];
	const char *slash;

	for (slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return -errno;
	}
	return mkdir(path, 0700) == 0 ? 0 : -errno;
}

enum ctl_status
ctl_vm_lock(struct ctl_vm *vm, struct ctl_error *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[CTL_VM_PATH_SIZE];

	vm->lock_fd = open(ctl_vm_path(vm, "lock", path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (vm->lock_fd < 0)
		return ctl_fail(err, errno, "%s: %s", path, ctl_strerror(errno));
	if (fcntl(vm->lock_fd, F_SETLK, &lock) == 0)
		return CTL_DONE;
	close(vm->lock_fd);
	vm->lock_fd = -1;
	return ctl_fail(err, EBUSY, "%s: process %d is at work on it", vm->name,
			(int)ctl_vm_lock_holder(vm));
}

pid_t
ctl_vm_lock_holder(const struct ctl_vm *vm)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[CTL_VM_PATH_SIZE];
	int fd = open(ctl_vm_path(vm, "lock", path), O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
		lock.l_pid = 0;
	close(fd);
	return lock.l_pid;
}

enum ctl_status
ctl_vm_create(struct ctl_vm *vm, struct ctl_error *err)
{
	enum ctl_status status;
	int ret = make_folders(vm->folder);

	if (ret == -EEXIST)
		return ctl_fail(err, EEXIST, "%s: there is such a VM; avpctl vm show", vm->name);
	if (ret != 0)
		return ctl_fail(err, -ret, "%s: %s", vm->folder, ctl_strerror(-ret));
	status = ctl_vm_lock(vm, err);
	if (status != CTL_DONE)
		ctl_vm_remove(vm);
	return status;
}

enum ctl_status
ctl_vm_load(struct ctl_vm *vm, struct ctl_error *err)
{
	char path[CTL_VM_PATH_SIZE];
	json_error_t cause;

	json_decref(vm->info);
	vm->info = NULL;
	if (access(vm->folder, F_OK) != 0)
		return ctl_fail(err, errno, errno == ENOENT ? "%s: no such VM" : "%s: %s", vm->name,
				ctl_strerror(errno));
	vm->info = json_load_file(ctl_vm_path(vm, "vm.json", path), 0, &cause);
	if (!json_is_object(vm->info)) {
		json_decref(vm->info);
		vm->info = NULL;
		return ctl_fail(err, EIO, "%s: %s", path, cause.text);
	}
	return CTL_DONE;
}

/* Written beside the old one, so that nobody reads half of it. */
enum ctl_status
ctl_vm_save(const struct ctl_vm *vm, struct ctl_error *err)
{
	char path[CTL_VM_PATH_SIZE], new[CTL_VM_PATH_SIZE];

	ctl_vm_path(vm, "vm.json", path);
	ctl_vm_path(vm, "vm.json.new", new);
	if (json_dump_file(vm->info, new, JSON_INDENT(2)) != 0 || rename(new, path) != 0)
		return ctl_fail(err, errno != 0 ? errno : EIO, "%s: cannot be written: %s", path,
				ctl_strerror(errno));
	return CTL_DONE;
}

enum ctl_status
ctl_vm_set_state(struct ctl_vm *vm, const char *state, struct ctl_error *err)
{
	if (json_object_set_new(vm->info, "state", json_string(state)) != 0)
		return ctl_no_memory(err);
	return ctl_vm_save(vm, err);
}

void
ctl_vm_remove(struct ctl_vm *vm)
{
	char path[CTL_VM_PATH_SIZE];
	size_t i;

	for (i = 0; i < sizeof(vm_files) / sizeof(vm_files[0]); i++)
		unlink(ctl_vm_path(vm, vm_files[i], path));
	rmdir(vm->folder);
}

/* The words of QEMU's command line that are ours: to be reached, and the cards. */
static int
add_own_args(const struct ctl_vm *vm, bool incoming, json_t *words)
{
	const char *bus = ctl_member(vm->info, "bus");
	char text[CTL_VM_PATH_SIZE + 64];
	json_t *port, *device;
	char *value;
	size_t i;

	json_array_append_new(words, json_string("-name"));
	json_array_append_new(words, json_string(vm->name));
	json_array_append_new(words, json_string("-qmp"));
	snprintf(text, sizeof(text), "unix:%s/qmp.sock,server=on,wait=off", vm->folder);
	json_array_append_new(words, json_string(text));
	json_array_append_new(words, json_string("-qmp"));
	snprintf(text, sizeof(text), "unix:%s/monitor.sock,server=on,wait=off", vm->folder);
	json_array_append_new(words, json_string(text));
	json_array_append_new(words, json_string("-qtest"));
	snprintf(text, sizeof(text), "unix:%s/qtest.sock,server=on,wait=off", vm->folder);
	json_array_append_new(words, json_string(text));
	json_array_append_new(words, json_string("-qtest-log"));
	json_array_append_new(words, json_string("none"));
	json_array_foreach (json_object_get(vm->info, "ports"), i, port) {
		device = json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s}}", "driver", "vfio-user-pci",
				"id", ctl_member(port, "name"), "bus", bus, "addr",
				ctl_member(port, "addr"), "socket", "type", "unix", "path",
				ctl_member(port, "socket"));
		value = device != NULL ? json_dumps(device, JSON_COMPACT) : NULL;
		json_decref(device);
		if (value == NULL)
			return -ENOMEM;
		json_array_append_new(words, json_string("-device"));
		json_array_append_new(words, json_string(value));
		free(value);
	}
	if (incoming) {
		json_array_append_new(words, json_string("-S"));
		json_array_append_new(words, json_string("-incoming"));
		json_array_append_new(words, json_string("defer"));
	}
	return 0;
}

/* The operator's word with the VM's folder in place of ${folder}. */
static json_t *
expand_word(const struct ctl_vm *vm, const char *word)
{
	static const char mark[] = "${folder}";
	const char *at = strstr(word, mark);
	json_t *value;
	char *text;

	if (at == NULL)
		return json_string(word);
	if (asprintf(&text, "%.*s%s%s", (int)(at - word), word, vm->folder, at + sizeof(mark) - 1) <
			0)
		return NULL;
	value = expand_word(vm, text);
	free(text);
	return value;
}

/* QEMU's whole command line; the strings belong to the array of words. */
static enum ctl_status
make_words(const struct ctl_vm *vm, bool incoming, json_t **words, char ***argv,
		struct ctl_error *err)
{
	json_t *word;
	size_t i;

	*words = json_array();
	json_array_append_new(*words, json_string(ctl_member(vm->info, "qemu")));
	json_array_foreach (json_object_get(vm->info, "args"), i, word)
		json_array_append_new(*words, expand_word(vm, json_string_value(word)));
	*argv = NULL;
	if (add_own_args(vm, incoming, *words) == 0)
		*argv = calloc(json_array_size(*words) + 1, sizeof(**argv));
	if (*argv == NULL) {
		json_decref(*words);
		return ctl_no_memory(err);
	}
	json_array_foreach (*words, i, word)
		(*argv)[i] = (char *)(uintptr_t)json_string_value(word);
	return CTL_DONE;
}

/* Start QEMU: a session of its own, output to its log, no signal blocked. */
static enum ctl_status
spawn_qemu(const struct ctl_vm *vm, char **argv, pid_t *pid, struct ctl_error *err)
{
	char log[CTL_VM_PATH_SIZE];
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, interrupt;
	int ret;

	ctl_vm_path(vm, "qemu.log", log);
	sigemptyset(&none);
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_adddup2(&files, 1, 2);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &interrupt);
	posix_spawnattr_setflags(
			&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	ret = posix_spawnp(pid, argv[0], &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	if (ret != 0)
		return ctl_fail(err, ret, "%s: QEMU %s: %s", vm->name, argv[0], ctl_strerror(ret));
	return CTL_DONE;
}

/* The last line of QEMU's log that says more than a warning. */
static void
last_words(const struct ctl_vm *vm, char out[256])
{
	char path[CTL_VM_PATH_SIZE], line[512];
	FILE *file = fopen(ctl_vm_path(vm, "qemu.log", path), "re");

	snprintf(out, 256, "it said nothing");
	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] != '\0' && strstr(line, "warning:") == NULL)
			snprintf(out, 256, "%.255s", line);
	}
	fclose(file);
}

/* Wait until its monitor answers. */
static enum ctl_status
wait_for_qemu(const struct ctl_vm *vm, pid_t pid, unsigned int timeout_ms, struct ctl_qmp **qmp,
		struct ctl_error *err)
{
	struct ctl_limit limit = ctl_limit_in(timeout_ms);
	char path[CTL_VM_PATH_SIZE], words[256];

	ctl_vm_path(vm, "qmp.sock", path);
	for (;;) {
		if (access(path, F_OK) == 0 && ctl_qmp_open(qmp, path, timeout_ms, err) == CTL_DONE)
			return CTL_DONE;
		if (waitpid(pid, NULL, WNOHANG) == pid) {
			last_words(vm, words);
			return ctl_fail(err, ECHILD, "%s: QEMU has ended: %s", vm->name, words);
		}
		if (ctl_now_us() > limit.end_us) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			return ctl_fail(err, ETIMEDOUT,
					"%s: QEMU's monitor does not answer within %g s", vm->name,
					timeout_ms / 1000.0);
		}
		usleep(POLL_US);
	}
}

enum ctl_status
ctl_vm_launch(struct ctl_vm *vm, bool incoming, unsigned int timeout_ms, struct ctl_qmp **qmp,
		struct ctl_error *err)
{
	enum ctl_status status;
	char **argv;
	json_t *words;
	pid_t pid = 0;

	status = make_words(vm, incoming, &words, &argv, err);
	if (status != CTL_DONE)
		return status;
	status = spawn_qemu(vm, argv, &pid, err);
	free(argv);
	json_decref(words);
	if (status == CTL_DONE)
		status = wait_for_qemu(vm, pid, timeout_ms, qmp, err);
	if (status != CTL_DONE)
		return status;
	if (json_object_set_new(vm->info, "pid", json_integer(pid)) != 0)
		return ctl_no_memory(err);
	return ctl_vm_set_state(vm, incoming ? "incoming" : "running", err);
}

/* Is the process with the description's id the VM's QEMU? An id may have been given anew. */
bool
ctl_vm_alive(const struct ctl_vm *vm)
{
	json_int_t pid = json_integer_value(json_object_get(vm->info, "pid"));
	char path[64], mark[CTL_VM_PATH_SIZE + 16], *line = NULL;
	bool alive = false;
	size_t room = 0;
	FILE *file;

	if (pid <= 0)
		return false;
	waitpid((pid_t)pid, NULL, WNOHANG); /* if it is our own child */
	snprintf(path, sizeof(path), "/proc/%lld/cmdline", (long long)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	snprintf(mark, sizeof(mark), "unix:%s/qmp.sock", vm->folder);
	while (!alive && getdelim(&line, &room, '\0', file) >= 0)
		alive = strncmp(line, mark, strlen(mark)) == 0;
	free(line);
	fclose(file);
	return alive;
}

static bool
wait_for_end(const struct ctl_vm *vm, unsigned int timeout_ms)
{
	struct ctl_limit limit = ctl_limit_in(timeout_ms);

	while (ctl_vm_alive(vm)) {
		if (ctl_now_us() > limit.end_us)
			return false;
		usleep(POLL_US);
	}
	return true;
}

enum ctl_status
ctl_vm_end(struct ctl_vm *vm, struct ctl_qmp *qmp, struct ctl_error *err)
{
	json_int_t pid = json_integer_value(json_object_get(vm->info, "pid"));
	struct ctl_error ignored;

	if (!ctl_vm_alive(vm))
		return CTL_DONE;
	if (qmp != NULL && ctl_qmp_call(qmp, "quit", NULL, NULL, &ignored) == CTL_DONE &&
			wait_for_end(vm, QUIT_LIMIT_MS))
		return CTL_DONE;
	kill((pid_t)pid, SIGKILL);
	if (wait_for_end(vm, KILL_LIMIT_MS))
		return CTL_DONE;
	return ctl_fail(err, EBUSY, "%s: QEMU, process %lld, does not end", vm->name,
			(long long)pid);
}

json_t *
ctl_vm_port_names(const struct ctl_vm *vm)
{
	json_t *names = json_array(), *port;
	size_t i;

	json_array_foreach (json_object_get(vm->info, "ports"), i, port)
		json_array_append(names, json_object_get(port, "name"));
	return names;
}

enum ctl_status
ctl_vm_del_ports(const struct ctl_vm *vm, struct ctl_client *client, struct ctl_error *err)
{
	enum ctl_status status = CTL_DONE, one;
	struct ctl_error first;
	json_t *port, *result;
	size_t i;

	json_array_foreach (json_object_get(vm->info, "ports"), i, port) {
		if (!json_is_true(json_object_get(port, "made")))
			continue;
		one = ctl_client_call(client, "port.del",
				json_pack("{s:s}", "name", ctl_member(port, "name")), &result,
				&first);
		if (one == CTL_DONE)
			json_decref(result);
		else if (status == CTL_DONE) {
			status = one;
			*err = first;
		}
	}
	return status;
}
