/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * PCI configuration over qtest: see qtest_pci.h.
 *
 * How it works: QEMU's qtest socket takes commands such as `outl 0xcf8 0x80008000`, one per line,
 * and answers `OK` and perhaps a value. With it we use the configuration mechanism of every PC,
 * address in port 0xcf8 and data in 0xcfc, and read and write the MSI-X table as memory. Many
 * commands are sent at once and their answers read afterwards, since each takes a turn of QEMU's
 * main loop. The guest's own value of port 0xcf8 is put back at the end. Source: QEMU's
 * system/qtest.c, 11.1; PCI Local Bus Specification 3.0, sections 3.2.2.3, 6.1, 6.8.2.
 */

#include "qtest_pci.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"

#define PCI_ADDRESS 0xcf8u
#define PCI_DATA 0xcfcu
#define PCI_ENABLE 0x80000000u

#define PCI_ID 0x00
#define PCI_COMMAND 0x04
#define PCI_COMMAND_MEMORY 0x2u
#define PCI_HEADER 0x0c
#define PCI_HEADER_BRIDGE 1
#define PCI_BAR0 0x10
#define PCI_SECONDARY 0x18 /* of a bridge: primary, secondary, subordinate bus */
#define PCI_SUBSYSTEM 0x2c
#define PCI_CAPABILITIES 0x34
#define PCI_INTERRUPT 0x3c
#define PCI_CAP_MSIX 0x11u

#define AVP_PCI_ID 0x11101af4u
#define AVP_PCI_SUBSYSTEM 0x11041af4u

#define NB_BARS 6
#define NB_SLOTS 32
#define NB_FUNCTIONS 8
#define MAX_BUSES 256
#define MAX_CAPS 48
#define MAX_VECTORS 2048
#define MSIX_ENTRY_WORDS 4
#define MAX_BATCH 512       /* commands sent before their answers are read */
#define MAX_COMMAND_SIZE 48 /* bytes */

struct qtest {
	struct ctl_stream stream;
	struct ctl_limit limit;
	char batch[MAX_BATCH * MAX_COMMAND_SIZE];
	size_t batch_used;
	unsigned int nb_batch;
	uint64_t values[MAX_BATCH]; /* what the commands of the last batch answered */
	struct ctl_error *err;
	enum ctl_status status; /* of the first failure; after it nothing is done */
};

static bool
qtest_failed(const struct qtest *qtest)
{
	return qtest->status != CTL_DONE;
}

/* Take one answer; *@value is what follows OK, or 0. */
static void
qtest_answer(struct qtest *qtest, uint64_t *value)
{
	char *line;

	qtest->status = ctl_stream_line(&qtest->stream, &line, &qtest->limit, "qtest", qtest->err);
	if (qtest_failed(qtest))
		return;
	if (strncmp(line, "OK", 2) != 0)
		qtest->status = ctl_fail(qtest->err, EPROTO, "QEMU: qtest: %.80s", line);
	else
		*value = strtoull(line + 2, NULL, 16);
	free(line);
}

/* Send what has been collected and take the answers. After a failure they are all 0. */
static void
qtest_flush(struct qtest *qtest)
{
	unsigned int i;

	memset(qtest->values, 0, sizeof(qtest->values));
	if (!qtest_failed(qtest))
		qtest->status = ctl_stream_send(&qtest->stream, qtest->batch, qtest->batch_used,
				&qtest->limit, "qtest", qtest->err);
	for (i = 0; i < qtest->nb_batch && !qtest_failed(qtest); i++)
		qtest_answer(qtest, &qtest->values[i]);
	qtest->batch_used = 0;
	qtest->nb_batch = 0;
}

/* Collect a command. Returns the index of its answer after the next qtest_flush(). */
static unsigned int __attribute__((format(printf, 2, 3)))
qtest_command(struct qtest *qtest, const char *fmt, ...)
{
	va_list args;

	if (qtest->nb_batch == MAX_BATCH)
		qtest_flush(qtest);
	va_start(args, fmt);
	qtest->batch_used += (size_t)vsnprintf(
			qtest->batch + qtest->batch_used, MAX_COMMAND_SIZE, fmt, args);
	va_end(args);
	return qtest->nb_batch++;
}

static void
config_select(struct qtest *qtest, uint32_t bdf, uint32_t offset)
{
	qtest_command(qtest, "outl 0x%x 0x%" PRIx32 "\n", PCI_ADDRESS,
			PCI_ENABLE | bdf << 8 | (offset & 0xfc));
}

/* Collect a read of a register; its answer is at the index returned. */
static unsigned int
config_ask(struct qtest *qtest, uint32_t bdf, uint32_t offset)
{
	config_select(qtest, bdf, offset);
	return qtest_command(qtest, "inl 0x%x\n", PCI_DATA);
}

static uint32_t
config_read(struct qtest *qtest, uint32_t bdf, uint32_t offset)
{
	unsigned int at = config_ask(qtest, bdf, offset);

	qtest_flush(qtest);
	return (uint32_t)qtest->values[at];
}

static void
config_write(struct qtest *qtest, uint32_t bdf, uint32_t offset, uint32_t value)
{
	config_select(qtest, bdf, offset);
	qtest_command(qtest, "outl 0x%x 0x%" PRIx32 "\n", PCI_DATA, value);
}

/* Only the upper or lower half of a register: the other half may have bits that a write clears. */
static void
config_write_half(struct qtest *qtest, uint32_t bdf, uint32_t offset, uint32_t value)
{
	config_select(qtest, bdf, offset);
	qtest_command(qtest, "outw 0x%x 0x%" PRIx32 "\n", PCI_DATA + (offset & 2), value & 0xffff);
}

/* Offset of the MSI-X capability, or 0. */
static uint32_t
find_msix(struct qtest *qtest, uint32_t bdf)
{
	uint32_t at = config_read(qtest, bdf, PCI_CAPABILITIES) & 0xfc, cap;
	unsigned int i;

	for (i = 0; i < MAX_CAPS && at >= 0x40 && !qtest_failed(qtest); i++) {
		cap = config_read(qtest, bdf, at);
		if ((cap & 0xff) == PCI_CAP_MSIX)
			return at;
		at = cap >> 8 & 0xfc;
	}
	return 0;
}

/* Physical address of a memory BAR; 0 if it has none. */
static uint64_t
bar_address(const uint32_t bars[NB_BARS], unsigned int bar)
{
	uint64_t address;

	if (bar >= NB_BARS || (bars[bar] & 0x1) != 0)
		return 0;
	address = bars[bar] & ~0xfu;
	if ((bars[bar] & 0x6) == 0x4 && bar + 1 < NB_BARS)
		address |= (uint64_t)bars[bar + 1] << 32;
	return address;
}

/* The MSI-X table as an array of words. */
static json_t *
save_table(struct qtest *qtest, uint64_t table, unsigned int nb_words)
{
	json_t *words = json_array();
	unsigned int first, i, nb;

	for (first = 0; first < nb_words; first += nb) {
		nb = nb_words - first < MAX_BATCH ? nb_words - first : MAX_BATCH;
		for (i = 0; i < nb; i++)
			qtest_command(qtest, "readl 0x%" PRIx64 "\n", table + 4 * (first + i));
		qtest_flush(qtest);
		for (i = 0; i < nb; i++)
			json_array_append_new(words, json_integer((json_int_t)qtest->values[i]));
	}
	return words;
}

static json_t *
save_card(struct qtest *qtest, uint32_t bdf)
{
	uint32_t msix = find_msix(qtest, bdf), bars[NB_BARS], command, control, place, interrupt;
	unsigned int at[NB_BARS + 4], i;
	json_t *list, *table = NULL;
	uint64_t table_pa;

	for (i = 0; i < NB_BARS; i++)
		at[i] = config_ask(qtest, bdf, PCI_BAR0 + 4 * i);
	at[NB_BARS] = config_ask(qtest, bdf, PCI_COMMAND);
	at[NB_BARS + 1] = config_ask(qtest, bdf, PCI_INTERRUPT);
	at[NB_BARS + 2] = config_ask(qtest, bdf, msix);
	at[NB_BARS + 3] = config_ask(qtest, bdf, msix + 4);
	qtest_flush(qtest);
	list = json_array();
	for (i = 0; i < NB_BARS; i++) {
		bars[i] = (uint32_t)qtest->values[at[i]];
		json_array_append_new(list, json_integer(bars[i]));
	}
	command = qtest->values[at[NB_BARS]] & 0xffff;
	interrupt = qtest->values[at[NB_BARS + 1]] & 0xff;
	control = msix != 0 ? qtest->values[at[NB_BARS + 2]] >> 16 & 0xffff : 0;
	place = (uint32_t)qtest->values[at[NB_BARS + 3]];
	table_pa = bar_address(bars, place & 0x7);
	if (msix != 0 && (command & PCI_COMMAND_MEMORY) != 0 && table_pa != 0)
		table = save_table(qtest, table_pa + (place & ~0x7u),
				((control & 0x7ff) + 1) * MSIX_ENTRY_WORDS);
	return json_pack("{s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:o*}", "bdf", (json_int_t)bdf,
			"command", (json_int_t)command, "bars", list, "interrupt",
			(json_int_t)interrupt, "msix", (json_int_t)msix, "control",
			(json_int_t)control, "table_pa", (json_int_t)(table_pa + (place & ~0x7u)),
			"table", table);
}

static void save_bus(struct qtest *qtest, uint32_t bus, bool seen[MAX_BUSES], json_t *cards);

/* One function: a card of ours, or a bridge with more behind it. */
static void
save_function(struct qtest *qtest, uint32_t bdf, uint32_t id, uint32_t header, bool seen[MAX_BUSES],
		json_t *cards)
{
	uint32_t behind;

	if ((header & 0x7f) == PCI_HEADER_BRIDGE) {
		behind = config_read(qtest, bdf, PCI_SECONDARY) >> 8 & 0xff;
		if (!seen[behind])
			save_bus(qtest, behind, seen, cards);
	} else if (id == AVP_PCI_ID &&
			config_read(qtest, bdf, PCI_SUBSYSTEM) == AVP_PCI_SUBSYSTEM) {
		json_array_append_new(cards, save_card(qtest, bdf));
	}
}

/* Look at all functions of a bus, and at the buses behind it. */
static void
save_bus(struct qtest *qtest, uint32_t bus, bool seen[MAX_BUSES], json_t *cards)
{
	unsigned int id_at[NB_SLOTS], header_at[NB_SLOTS], slot, function;
	uint32_t ids[NB_SLOTS], headers[NB_SLOTS], bdf, id;

	seen[bus] = true;
	for (slot = 0; slot < NB_SLOTS; slot++) {
		id_at[slot] = config_ask(qtest, bus << 8 | slot << 3, PCI_ID);
		header_at[slot] = config_ask(qtest, bus << 8 | slot << 3, PCI_HEADER);
	}
	qtest_flush(qtest);
	for (slot = 0; slot < NB_SLOTS; slot++) {
		ids[slot] = (uint32_t)qtest->values[id_at[slot]];
		headers[slot] = qtest->values[header_at[slot]] >> 16 & 0xff;
	}
	for (slot = 0; slot < NB_SLOTS && !qtest_failed(qtest); slot++) {
		if (ids[slot] == UINT32_MAX)
			continue;
		bdf = bus << 8 | slot << 3;
		save_function(qtest, bdf, ids[slot], headers[slot], seen, cards);
		for (function = 1; function < NB_FUNCTIONS && (headers[slot] & 0x80) != 0;
				function++) {
			id = config_read(qtest, bdf | function, PCI_ID);
			if (id != UINT32_MAX)
				save_function(qtest, bdf | function, id,
						config_read(qtest, bdf | function, PCI_HEADER) >>
										16 &
								0xff,
						seen, cards);
		}
	}
}

static enum ctl_status
qtest_open(struct qtest *qtest, const char *path, unsigned int timeout_ms, uint32_t *address,
		struct ctl_error *err)
{
	int fd, code;

	memset(qtest, 0, sizeof(*qtest));
	qtest->err = err;
	qtest->limit = ctl_limit_in(timeout_ms);
	qtest->status = ctl_unix_connect(path, timeout_ms, &fd, &code, err);
	if (qtest_failed(qtest))
		return qtest->status;
	qtest->stream = (struct ctl_stream){.in_fd = fd, .out_fd = fd, .peer = "QEMU's qtest"};
	qtest_command(qtest, "inl 0x%x\n", PCI_ADDRESS);
	qtest_flush(qtest);
	*address = (uint32_t)qtest->values[0];
	return CTL_DONE;
}

static enum ctl_status
qtest_close(struct qtest *qtest, uint32_t address)
{
	qtest_command(qtest, "outl 0x%x 0x%" PRIx32 "\n", PCI_ADDRESS, address);
	qtest_flush(qtest);
	ctl_stream_fini(&qtest->stream);
	return qtest->status;
}

enum ctl_status
ctl_qtest_pci_save(const char *path, unsigned int timeout_ms, json_t **cards, struct ctl_error *err)
{
	bool seen[MAX_BUSES] = {false};
	enum ctl_status status;
	struct qtest qtest; /* 28 KiB */
	uint32_t address;

	*cards = json_array();
	if (*cards == NULL)
		return ctl_no_memory(err);
	status = qtest_open(&qtest, path, timeout_ms, &address, err);
	if (status == CTL_DONE) {
		save_bus(&qtest, 0, seen, *cards);
		status = qtest_close(&qtest, address);
	}
	if (status != CTL_DONE) {
		json_decref(*cards);
		*cards = NULL;
	}
	return status;
}

static uint32_t
card_number(const json_t *card, const char *key)
{
	return (uint32_t)json_integer_value(json_object_get(card, key));
}

/* BARs before decoding, the table before MSI-X: QEMU takes up vectors when MSI-X is turned on. */
static void
restore_card(struct qtest *qtest, const json_t *card)
{
	uint32_t bdf = card_number(card, "bdf"), msix = card_number(card, "msix");
	uint64_t table = (uint64_t)json_integer_value(json_object_get(card, "table_pa"));
	json_t *value;
	size_t i;

	json_array_foreach (json_object_get(card, "bars"), i, value)
		config_write(qtest, bdf, (uint32_t)(PCI_BAR0 + 4 * i),
				(uint32_t)json_integer_value(value));
	config_write(qtest, bdf, PCI_INTERRUPT, card_number(card, "interrupt"));
	config_write_half(qtest, bdf, PCI_COMMAND, card_number(card, "command"));
	json_array_foreach (json_object_get(card, "table"), i, value) {
		if (i >= MAX_VECTORS * MSIX_ENTRY_WORDS)
			break;
		qtest_command(qtest, "writel 0x%" PRIx64 " 0x%" PRIx32 "\n", table + 4 * i,
				(uint32_t)json_integer_value(value));
	}
	if (msix != 0)
		config_write_half(qtest, bdf, msix + 2, card_number(card, "control"));
}

enum ctl_status
ctl_qtest_pci_restore(const char *path, unsigned int timeout_ms, const json_t *cards,
		struct ctl_error *err)
{
	enum ctl_status status;
	struct qtest qtest;
	uint32_t address, bdf;
	json_t *card;
	size_t i;

	status = qtest_open(&qtest, path, timeout_ms, &address, err);
	if (status != CTL_DONE)
		return status;
	json_array_foreach (cards, i, card) {
		bdf = card_number(card, "bdf");
		if ((card_number(card, "command") & PCI_COMMAND_MEMORY) == 0)
			continue;
		if (config_read(&qtest, bdf, PCI_ID) != AVP_PCI_ID && !qtest_failed(&qtest))
			qtest.status = ctl_fail(err, ENODEV,
					"PCI device %02" PRIx32 ":%02" PRIx32 ".%" PRIx32
					": no AVP card at the destination",
					bdf >> 8, bdf >> 3 & 0x1f, bdf & 0x7);
		restore_card(&qtest, card);
	}
	return qtest_close(&qtest, address);
}
