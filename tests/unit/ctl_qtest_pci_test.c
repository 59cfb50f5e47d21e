/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * PCI configuration of AVP cards over qtest, against a machine of our own: registers behind ports
 * 0xcf8 and 0xcfc, memory where the MSI-X tables are, and a bridge.
 */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <threads.h>
#include <unistd.h>

#include <cmocka.h>

#include "qtest_pci.h"

#define LIMIT_MS 5000
#define NB_FUNCTIONS 3
#define TABLE_PA 0xfeb02000u
#define TABLE_WORDS 8 /* two vectors */
#define GUESTS_ADDRESS 0x80001234u

struct function {
	uint32_t bdf;
	uint32_t config[64]; /* words */
};

/* One machine. The socket's thread is the only one that uses it until it has ended. */
struct machine {
	struct function functions[NB_FUNCTIONS];
	uint32_t table[TABLE_WORDS];
	uint32_t address; /* of port 0xcf8 */
	bool memory_on;   /* when the table was written, were BAR and decoding there? */
	const char *fail; /* answer this instead of OK to the first memory access */
	char path[64];
	int fd;
	thrd_t thread;
};

static struct function *
selected(struct machine *m)
{
	unsigned int i;

	for (i = 0; i < NB_FUNCTIONS; i++)
		if (m->functions[i].bdf == (m->address >> 8 & 0xffff))
			return &m->functions[i];
	return NULL;
}

static void
answer(struct machine *m, FILE *stream, const char *line)
{
	struct function *function = selected(m);
	unsigned long long at = 0, value = 0;
	char word[16] = "";
	uint32_t *reg;

	assert_true(sscanf(line, "%15s %llx %llx", word, &at, &value) >= 2);
	reg = function != NULL ? &function->config[m->address >> 2 & 0x3f] : NULL;
	if (strcmp(word, "outl") == 0 && at == 0xcf8) {
		m->address = (uint32_t)value;
	} else if (strcmp(word, "inl") == 0 && at == 0xcf8) {
		fprintf(stream, "OK 0x%x\n", m->address);
		return;
	} else if (strcmp(word, "inl") == 0 && at == 0xcfc) {
		fprintf(stream, "OK 0x%x\n", reg != NULL ? *reg : UINT32_MAX);
		return;
	} else if (strcmp(word, "outl") == 0 && at == 0xcfc) {
		*reg = (uint32_t)value;
	} else if (strcmp(word, "outw") == 0 && (at & ~2ull) == 0xcfc) {
		*reg = (at & 2) != 0 ? (*reg & 0xffff) | (uint32_t)value << 16
				     : (*reg & 0xffff0000) | (uint32_t)value;
	} else if (m->fail != NULL) {
		fprintf(stream, "%s\n", m->fail);
		return;
	} else if (strcmp(word, "readl") == 0) {
		fprintf(stream, "OK 0x%016x\n", m->table[(at - TABLE_PA) / 4]);
		return;
	} else {
		assert_string_equal(word, "writel");
		m->table[(at - TABLE_PA) / 4] = (uint32_t)value;
		m->memory_on = m->functions[2].config[1] & 0x2 &&
				m->functions[2].config[5] == (TABLE_PA & ~0xfffu);
	}
	fprintf(stream, "OK\n");
}

static int
serve(void *arg)
{
	struct machine *m = arg;
	int fd = accept(m->fd, NULL, NULL);
	FILE *in = fdopen(dup(fd), "r"), *out = fdopen(fd, "w");
	char line[128];

	setvbuf(out, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), in) != NULL)
		answer(m, out, line);
	fclose(in);
	fclose(out);
	return 0;
}

static void
begin(struct machine *m)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(m->path, sizeof(m->path), "/tmp/ctl_qtest_test.%d", (int)getpid());
	memcpy(addr.sun_path, m->path, strlen(m->path) + 1);
	m->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(m->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(m->fd, 1), 0);
	m->address = GUESTS_ADDRESS;
	assert_int_equal(thrd_create(&m->thread, serve, m), thrd_success);
}

static void
end(struct machine *m)
{
	thrd_join(m->thread, NULL);
	close(m->fd);
	unlink(m->path);
	/* The guest finds the port as it has left it. */
	assert_int_equal(m->address, GUESTS_ADDRESS);
}

/* A host bridge, a bridge to bus 3, and there an AVP card; with @on as its guest has set it up. */
static void
fill(struct machine *m, bool on)
{
	struct function *card = &m->functions[2];
	unsigned int i;

	memset(m, 0, sizeof(*m));
	m->functions[0].config[0] = 0x29c08086;
	m->functions[1].bdf = 4 << 3;
	m->functions[1].config[0] = 0x000c1b36;
	m->functions[1].config[3] = 0x00010000;
	m->functions[1].config[6] = 0x00030300;
	card->bdf = 3 << 8 | 0 << 3;
	card->config[0] = 0x11101af4;
	card->config[1] = 0x00100000;
	card->config[0x2c / 4] = 0x11041af4;
	card->config[0x34 / 4] = 0x40;
	card->config[0x40 / 4] = 0x00015005; /* MSI, next at 0x50 */
	card->config[0x40 / 4] = 0x00005005;
	card->config[0x50 / 4] = 0x00010011; /* MSI-X, two vectors, table in BAR 1 at 0 */
	card->config[0x54 / 4] = 0x1;
	if (!on)
		return;
	card->config[1] |= 0x6;
	card->config[4] = 0xfeb01000;
	card->config[5] = TABLE_PA;
	card->config[6] = 0x4000000c; /* 64 bits */
	card->config[7] = 0x1;
	card->config[0x3c / 4] = 0x10b;
	card->config[0x50 / 4] |= 0x80000000;
	for (i = 0; i < TABLE_WORDS; i++)
		m->table[i] = 0xfee00000 + i;
}

static void
card_behind_a_bridge_is_saved_and_restored(void **state)
{
	struct machine source, target;
	struct ctl_error err;
	json_t *cards;

	(void)state;
	fill(&source, true);
	begin(&source);
	assert_int_equal(ctl_qtest_pci_save(source.path, LIMIT_MS, &cards, &err), CTL_DONE);
	end(&source);
	assert_int_equal(json_array_size(cards), 1);

	fill(&target, false);
	begin(&target);
	assert_int_equal(ctl_qtest_pci_restore(target.path, LIMIT_MS, cards, &err), CTL_DONE);
	end(&target);
	json_decref(cards);
	source.functions[2].config[0x3c / 4] = 0x0b; /* what is read-only there is left alone */
	assert_memory_equal(target.functions[2].config, source.functions[2].config,
			sizeof(source.functions[2].config));
	assert_memory_equal(target.table, source.table, sizeof(source.table));
	assert_true(target.memory_on);
}

static void
card_that_the_guest_has_not_set_up_is_left(void **state)
{
	struct machine source, target, before;
	struct ctl_error err;
	json_t *cards;

	(void)state;
	fill(&source, false);
	begin(&source);
	assert_int_equal(ctl_qtest_pci_save(source.path, LIMIT_MS, &cards, &err), CTL_DONE);
	end(&source);
	fill(&target, false);
	before = target;
	begin(&target);
	assert_int_equal(ctl_qtest_pci_restore(target.path, LIMIT_MS, cards, &err), CTL_DONE);
	end(&target);
	json_decref(cards);
	assert_memory_equal(target.functions, before.functions, sizeof(before.functions));
}

static void
other_device_at_the_destination_is_an_error(void **state)
{
	struct machine source, target;
	struct ctl_error err;
	json_t *cards;

	(void)state;
	fill(&source, true);
	begin(&source);
	assert_int_equal(ctl_qtest_pci_save(source.path, LIMIT_MS, &cards, &err), CTL_DONE);
	end(&source);
	fill(&target, false);
	target.functions[2].config[0] = 0x10001af4;
	begin(&target);
	assert_int_equal(ctl_qtest_pci_restore(target.path, LIMIT_MS, cards, &err), CTL_FAILED);
	thrd_join(target.thread, NULL);
	close(target.fd);
	unlink(target.path);
	json_decref(cards);
	assert_string_equal(err.msg, "PCI device 03:00.0: no AVP card at the destination");
	assert_int_equal(target.functions[2].config[5], 0);
}

static void
refusal_is_an_error(void **state)
{
	struct machine source;
	struct ctl_error err;
	json_t *cards;

	(void)state;
	fill(&source, true);
	source.fail = "FAIL Unknown command 'readl'";
	begin(&source);
	assert_int_equal(ctl_qtest_pci_save(source.path, LIMIT_MS, &cards, &err), CTL_FAILED);
	thrd_join(source.thread, NULL);
	close(source.fd);
	unlink(source.path);
	assert_null(cards);
	assert_non_null(strstr(err.msg, "FAIL Unknown command"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(card_behind_a_bridge_is_saved_and_restored),
			cmocka_unit_test(card_that_the_guest_has_not_set_up_is_left),
			cmocka_unit_test(other_device_at_the_destination_is_an_error),
			cmocka_unit_test(refusal_is_an_error),
	};

	signal(SIGPIPE, SIG_IGN); /* who gives up does not read all answers */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
