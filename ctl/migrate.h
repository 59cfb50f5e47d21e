/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A migration in the hands of the side that gives the VM away: what its files share. Steps are in
 * migrate.c and migrate_precopy.c, the ways back in migrate_back.c, what is told about it in
 * migrate_log.c, the commands in cmd_vm_migrate.c. docs/migration.md explains the order of the
 * steps and why.
 */

#ifndef CTL_MIGRATE_H
#define CTL_MIGRATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "client.h"
#include "ctl.h"
#include "peer.h"
#include "qmp.h"
#include "stream.h"
#include "vm.h"

struct ctl_migration {
	struct ctl *ctl;
	struct ctl_vm vm;
	json_t *host; /* of ctl_hosts_load() */
	const char *host_name;
	struct ctl_qmp *qmp;
	struct ctl_client *client; /* the switch here */
	struct ctl_peer *peer;     /* the other node */
	json_t *cards;             /* of ctl_qtest_pci_save() */
	json_t *shown; /* the ports here, as port.show has them, before anything began */
	int signal_fd; /* readable: the user wants to stop */

	/* what the user wants */
	unsigned int downtime_ms;
	unsigned int detach_ms;
	unsigned int attach_ms;
	unsigned int stop_ms;
	unsigned int timeout_s;
	unsigned int bandwidth_mbit; /* 0: no limit */
	bool restore;

	/* how far it has come, which is what there is to undo */
	bool migrating; /* QEMU's migration was started */
	bool detached;  /* ports were asked to, at least */
	bool stopped;   /* the VM does not run here */
	bool asked;     /* the other node was told to run the VM */
	bool ran;       /* and does */

	/* what is told */
	FILE *log; /* NULL: none */
	int64_t began_us;
	json_t *steps; /* array: {"step", "node", "began_us", "ended_us"} */
	json_t *ports; /* object by name: results of detach and attach */
	const char *phase;
	bool line_open; /* the terminal's last line is ours to write over */
	int64_t told_us;
	uint64_t held; /* packets held here, when last asked */
};

/** The steps, in order; the first that fails ends it. */
enum ctl_status ctl_migration_run(struct ctl_migration *m, struct ctl_error *err);

/**
 * After a failure: have the VM run here again, or find out that it runs elsewhere.
 *
 * @err  in: why; out: the same and what state is left
 * Returns CTL_DONE if the VM has moved after all.
 */
enum ctl_status ctl_migration_back(struct ctl_migration *m, struct ctl_error *err);

/** Have the VM and its ports run here, whatever state they are in. Used by `vm cancel` as well. */
enum ctl_status ctl_migration_resume(struct ctl_migration *m, struct ctl_error *err);

/** End QEMU's migration, if there is one, and have the VM run here. Its ports are left alone. */
enum ctl_status ctl_migration_go_on(struct ctl_migration *m, struct ctl_error *err);

/** After the VM runs elsewhere: what is here goes. */
void ctl_migration_leave(struct ctl_migration *m);

/** Wait until QEMU's migration is in one of these states (NULL after the last). */
enum ctl_status ctl_migration_wait(struct ctl_migration *m, const char *const words[],
		unsigned int limit_ms, struct ctl_error *err);

/** A request to the switch here. @params: taken over; @result: NULL, or out. */
enum ctl_status ctl_migration_switch(struct ctl_migration *m, const char *method, json_t *params,
		json_t **result, struct ctl_error *err);

/** The same in two halves: send, and wait for the answer. In between the client may be waited for.
 */
enum ctl_status ctl_migration_switch_begin(
		struct ctl_migration *m, const char *method, json_t *params, struct ctl_error *err);
enum ctl_status ctl_migration_switch_end(struct ctl_migration *m, const char *method,
		json_t **result, struct ctl_error *err);

/** Have the other node make ports and a QEMU that waits. @where: out: {"uri": where it listens}. */
enum ctl_status ctl_migration_prepare(
		struct ctl_migration *m, json_t **where, struct ctl_error *err);

/** Prepare, send memory while the VM runs, detach the ports. Tries again if QEMU was too quick. */
enum ctl_status ctl_migration_approach(struct ctl_migration *m, struct ctl_error *err);

/** Attach those ports that are detached, here. */
enum ctl_status ctl_migration_attach_here(struct ctl_migration *m, struct ctl_error *err);

/** Keep results by port in m->ports: {"p0": {"detach": {...}, "attach": {...}}}. */
void ctl_migration_keep_results(struct ctl_migration *m, const char *what, const json_t *results);

bool ctl_migration_has_ports(const struct ctl_migration *m);

/** Fails with ECANCELED if the user has asked to stop. */
enum ctl_status ctl_migration_cancelled(const struct ctl_migration *m, struct ctl_error *err);

/** Begin a step: log it, show it. Returns the time, for ctl_migration_ended(). */
int64_t ctl_migration_begins(struct ctl_migration *m, const char *step);
/** End it. @more: further members of the log's line, taken over; may be NULL. */
void ctl_migration_ended(struct ctl_migration *m, const char *step, int64_t began_us, json_t *more);
/** A step of the other node, with its times. */
void ctl_migration_remote_steps(struct ctl_migration *m, const json_t *steps);
/** Something worth a line of its own. */
void ctl_migration_note(struct ctl_migration *m, const char *fmt, ...)
		__attribute__((format(printf, 2, 3)));
/** Memory still to be sent; shown at intervals. */
void ctl_migration_progress(struct ctl_migration *m, uint64_t remaining, double mbytes_per_s);
/** The result for the user, or for a program. */
void ctl_migration_print(struct ctl_migration *m);

#endif /* CTL_MIGRATE_H */
