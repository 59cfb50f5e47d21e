/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * avpctl, the command line of avp-switch: what its files share. A command is an entry of a table
 * (struct ctl_command): its words, keys and options are parsed and explained from there (args.c,
 * help.c), so the function behind it sees checked arguments only. It sends requests over the
 * control socket (client.c) and shows the answers (output.c). There is no DPDK in here: avpctl and
 * the switch meet at the control protocol only, which docs/switch.md describes.
 */

#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "error.h"

#define CTL_DEFAULT_SOCKET "/run/avp/switch.sock"
#define CTL_SOCKET_ENV "AVP_SWITCH_SOCKET"
#define CTL_DEFAULT_TIMEOUT_MS 5000

#define CTL_MAX_WORDS 32
#define CTL_MAX_OPTIONS 3

struct ctl_client;

/** One run of avpctl. */
struct ctl {
	const char *socket_path;
	unsigned int timeout_ms;   /* for one request, connecting included */
	bool json;                 /* --json: results and errors as JSON */
	FILE *out;                 /* results */
	FILE *notes;               /* errors and hints */
	struct ctl_client *client; /* NULL until the first request */
};

/** How the VALUE of a KEY=VALUE word becomes JSON. */
enum ctl_kind {
	CTL_KIND_STRING,
	CTL_KIND_NAME, /* as a string, or null when it is empty */
	CTL_KIND_NUMBER,
	CTL_KIND_SWITCH, /* on or off, yes or no: true or false */
	CTL_KIND_LIST,   /* comma-separated: array of strings */
};

/** A key that a command takes; its name is that of the parameter in the protocol. */
struct ctl_key {
	const char *name; /* NULL ends a list of keys */
	enum ctl_kind kind;
	const char *value; /* what the help shows as VALUE */
	const char *help;
};

/** An option of one command, in addition to the ones that all have. */
struct ctl_option {
	const char *name;  /* "--watch"; NULL ends a list */
	const char *value; /* what the help shows as its value; NULL: takes none */
	bool optional;     /* the value may be left out; a next word that is a number is it */
	const char *help;
};

/** The arguments of a command, checked against its entry. */
struct ctl_args {
	const char *words[CTL_MAX_WORDS];
	unsigned int nb_words;
	json_t *keys; /* object: key to value, ready to be sent */
	struct {
		bool given;
		const char *value;  /* NULL if left out */
	} options[CTL_MAX_OPTIONS]; /* by their index in the command's list */
};

struct ctl_command {
	const char *object; /* first word: "port"; NULL ends the table */
	const char *verb;   /* second word: "add"; NULL: the command has one word */
	const char *words;  /* what the help shows for the other words: "NAME" or "[NAME]" */
	unsigned int min_words;
	unsigned int max_words;
	const struct ctl_key *keys;       /* may be NULL */
	const struct ctl_option *options; /* may be NULL */
	const char *summary;              /* one line of help */
	const char *notes;                /* more help, whole lines; may be NULL */
	enum ctl_status (*run)(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err);
};

/** All commands, in the order of the help. */
extern const struct ctl_command ctl_commands[];

enum ctl_status ctl_network_add(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_network_del(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_network_show(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_port_add(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_port_del(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_port_set(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_port_show(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_port_detach(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_port_attach(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_port_depart(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_fdb_show(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_fdb_flush(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_stats(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_capture(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_vm_start(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_vm_stop(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_vm_show(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_vm_migrate(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_vm_cancel(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_vm_receive(struct ctl *, const struct ctl_args *, struct ctl_error *);
enum ctl_status ctl_version(struct ctl *, const struct ctl_args *, struct ctl_error *);

/** Indices of the options of commands that have some; see commands.c. */
enum {
	CTL_PORT_SHOW_QEMU,
	CTL_PORT_SHOW_USER,
};
enum {
	CTL_STATS_WATCH,
	CTL_STATS_COUNT,
};
enum {
	CTL_VM_MIGRATE_TO,
	CTL_VM_MIGRATE_HOSTS,
};

/**
 * Ask the switch, connecting to it if that was not done yet.
 *
 * @params  taken over, also on failure; NULL: could not be made for lack of memory
 * @result  out: a new reference
 */
enum ctl_status ctl_request(struct ctl *ctl, const char *method, json_t *params, json_t **result,
		struct ctl_error *err);

/** A request whose result is of interest only with --json. */
enum ctl_status ctl_simple_request(
		struct ctl *ctl, const char *method, json_t *params, struct ctl_error *err);

/** The parameters of a request: the command's keys and, if there is one, its first word as @name.
 * NULL without memory. */
json_t *ctl_params(const struct ctl_args *args, const char *name);

/**
 * Run avpctl: parse, do, and print what went wrong. Returns the exit status.
 *
 * @argv  as main() has it; NULL after the last
 */
enum ctl_status ctl_main(int argc, char **argv, FILE *out, FILE *notes);

#endif /* CTL_CTL_H */
