/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * One run of avpctl from the command line to the exit status, and the requests that commands make.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "client.h"
#include "complete.h"
#include "ctl.h"
#include "help.h"
#include "output.h"

enum ctl_status
ctl_request(struct ctl *ctl, const char *method, json_t *params, json_t **result,
		struct ctl_error *err)
{
	enum ctl_status status;

	if (params == NULL)
		return ctl_no_memory(err);
	if (ctl->client == NULL) {
		status = ctl_client_open(&ctl->client, ctl->socket_path, ctl->timeout_ms, err);
		if (status != CTL_DONE) {
			json_decref(params);
			return status;
		}
	}
	return ctl_client_call(ctl->client, method, params, result, err);
}

enum ctl_status
ctl_simple_request(struct ctl *ctl, const char *method, json_t *params, struct ctl_error *err)
{
	enum ctl_status status;
	json_t *result;

	status = ctl_request(ctl, method, params, &result, err);
	if (status != CTL_DONE)
		return status;
	if (ctl->json)
		ctl_print_json(ctl->out, result);
	json_decref(result);
	return CTL_DONE;
}

json_t *
ctl_params(const struct ctl_args *args, const char *name)
{
	json_t *params = json_copy(args->keys);

	if (params == NULL || args->nb_words == 0 || name == NULL)
		return params;
	if (json_object_set_new(params, name, json_string(args->words[0])) != 0) {
		json_decref(params);
		return NULL;
	}
	return params;
}

static enum ctl_status
run_command(struct ctl *ctl, int argc, char **argv, bool help, struct ctl_error *err)
{
	const struct ctl_command *command;
	enum ctl_status status;
	struct ctl_args args;
	int used;

	if (argc > 0 && strcmp(argv[0], CTL_COMPLETE_WORD) == 0) {
		ctl_complete(ctl, argc - 1, argv + 1);
		return CTL_DONE;
	}
	if (help && ctl_help(ctl->out, argc, argv))
		return CTL_DONE;
	status = ctl_args_command(argc, argv, &command, &used, err);
	if (status == CTL_DONE)
		status = ctl_args_parse(command, argc - used, argv + used, &args, err);
	if (status != CTL_DONE)
		return status;
	status = command->run(ctl, &args, err);
	ctl_args_fini(&args);
	return status;
}

/* The socket: --socket, else the environment, else the default. */
static const char *
choose_socket(const struct ctl_globals *globals)
{
	const char *env = getenv(CTL_SOCKET_ENV);

	if (globals->socket_path != NULL)
		return globals->socket_path;
	return env != NULL && env[0] != '\0' ? env : CTL_DEFAULT_SOCKET;
}

enum ctl_status
ctl_main(int argc, char **argv, FILE *out, FILE *notes)
{
	struct ctl ctl = {.out = out, .notes = notes};
	struct ctl_globals globals;
	enum ctl_status status;
	struct ctl_error err;

	status = ctl_args_globals(&argc, argv, &globals, &err);
	ctl.json = globals.json;
	ctl.socket_path = choose_socket(&globals);
	ctl.timeout_ms = globals.timeout_ms != 0 ? globals.timeout_ms : CTL_DEFAULT_TIMEOUT_MS;
	if (status == CTL_DONE && globals.version)
		fprintf(out, "avpctl %s\n", CTL_VERSION);
	else if (status == CTL_DONE)
		status = run_command(&ctl, argc - 1, argv + 1, globals.help, &err);
	ctl_client_close(ctl.client);
	if (fflush(out) != 0 && status == CTL_DONE)
		status = ctl_fail(&err, EIO, "standard output: cannot be written to");
	if (status != CTL_DONE)
		ctl_error_print(notes, &err, globals.json);
	return status;
}
