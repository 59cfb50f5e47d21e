/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/device/avpd_irq.c: eventfds come, signal and go, and none is left open.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* after the four that it needs */
#include <cmocka.h>

#include "avpd_irq.h"

static int
count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static int
set_irqs(struct avpd_irq *irq, uint32_t start, uint32_t count, const int *fds)
{
	const struct vuser_irq_set set = {
			.index = AVPD_IRQ_MSIX,
			.action = VUSER_IRQ_TRIGGER,
			.start = start,
			.count = count,
			.fds = fds,
	};

	return avpd_irq_set(irq, &set);
}

/* Give vector @vector a new eventfd. Returns the test's own descriptor of it. */
static int
give(struct avpd_irq *irq, uint32_t vector)
{
	const int own = eventfd(0, EFD_NONBLOCK);
	const int fd = dup(own);

	assert_true(own >= 0 && fd >= 0);
	assert_int_equal(set_irqs(irq, vector, 1, &fd), 0);
	return own;
}

/* Times that it has been signalled since the last call. */
static uint64_t
signals(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void
vector_without_eventfd_signals_nobody(void **state)
{
	struct avpd_irq irq;

	(void)state;
	avpd_irq_init(&irq);
	assert_false(avpd_irq_raise(&irq, 0));
	assert_int_equal(avpd_irq_nb_set(&irq), 0);
	assert_int_equal(irq.nb_signalled, 0);
}

static void
raise_signals_its_vector_alone(void **state)
{
	struct avpd_irq irq;
	int own[2];

	(void)state;
	avpd_irq_init(&irq);
	own[0] = give(&irq, 0);
	own[1] = give(&irq, AVP_NB_VECTORS - 1);
	assert_int_equal(avpd_irq_nb_set(&irq), 2);
	assert_true(avpd_irq_raise(&irq, 0));
	assert_true(avpd_irq_raise(&irq, 0));
	assert_int_equal(signals(own[0]), 2);
	assert_int_equal(signals(own[1]), 0);
	assert_int_equal(irq.nb_signalled, 2);
	avpd_irq_fini(&irq);
	close(own[0]);
	close(own[1]);
}

static void
replaced_and_removed_eventfds_are_closed(void **state)
{
	const int before = count_fds();
	const int none[AVP_NB_VECTORS] = {-1, -1, -1, -1, -1, -1, -1, -1, -1};
	struct avpd_irq irq;

	(void)state;
	avpd_irq_init(&irq);
	for (uint32_t i = 0; i < 100; i++)
		close(give(&irq, i % AVP_NB_VECTORS));
	assert_int_equal(count_fds(), before + (int)AVP_NB_VECTORS);
	assert_int_equal(set_irqs(&irq, 2, 3, none), 0);
	assert_int_equal(avpd_irq_nb_set(&irq), AVP_NB_VECTORS - 3);
	assert_int_equal(set_irqs(&irq, 0, 0, NULL), 0);
	assert_int_equal(avpd_irq_nb_set(&irq), 0);
	assert_int_equal(count_fds(), before);
	close(give(&irq, 1));
	avpd_irq_fini(&irq);
	assert_int_equal(count_fds(), before);
}

static void
refused_descriptors_are_closed(void **state)
{
	const int before = count_fds();
	struct avpd_irq irq;
	struct vuser_irq_set set = {
			.index = 0,
			.action = VUSER_IRQ_TRIGGER,
			.count = 1,
	};
	int fd;

	(void)state;
	avpd_irq_init(&irq);
	fd = eventfd(0, 0);
	set.fds = &fd;
	assert_int_equal(avpd_irq_set(&irq, &set), -EINVAL);
	fd = eventfd(0, 0);
	set.index = AVPD_IRQ_MSIX;
	set.action = VUSER_IRQ_MASK;
	assert_int_equal(avpd_irq_set(&irq, &set), -ENOTSUP);
	fd = eventfd(0, 0);
	set.action = VUSER_IRQ_TRIGGER;
	set.start = AVP_NB_VECTORS;
	assert_int_equal(avpd_irq_set(&irq, &set), -EINVAL);
	assert_int_equal(count_fds(), before);
	assert_int_equal(avpd_irq_nb_set(&irq), 0);
}

static void
full_eventfd_does_not_block(void **state)
{
	const uint64_t most = UINT64_MAX - 1;
	struct avpd_irq irq;
	int own;

	(void)state;
	avpd_irq_init(&irq);
	own = give(&irq, 0);
	assert_int_equal(write(own, &most, sizeof(most)), sizeof(most));
	assert_int_equal(fcntl(own, F_SETFL, 0), 0); /* a write would wait now */
	assert_false(avpd_irq_raise(&irq, 0));
	avpd_irq_fini(&irq);
	close(own);
}

static void
client_can_trigger_vectors_itself(void **state)
{
	const uint8_t which[3] = {1, 0, 1};
	struct vuser_irq_set set = {
			.index = AVPD_IRQ_MSIX,
			.action = VUSER_IRQ_TRIGGER,
			.start = 0,
			.count = 3,
			.data = which,
	};
	struct avpd_irq irq;
	int own[3];

	(void)state;
	avpd_irq_init(&irq);
	for (uint32_t i = 0; i < 3; i++)
		own[i] = give(&irq, i);
	assert_int_equal(avpd_irq_set(&irq, &set), 0);
	assert_int_equal(signals(own[0]), 1);
	assert_int_equal(signals(own[1]), 0);
	assert_int_equal(signals(own[2]), 1);
	assert_int_equal(set_irqs(&irq, 1, 2, NULL), 0);
	assert_int_equal(signals(own[0]), 0);
	assert_int_equal(signals(own[1]), 1);
	assert_int_equal(signals(own[2]), 1);
	avpd_irq_fini(&irq);
	for (uint32_t i = 0; i < 3; i++)
		close(own[i]);
}

static void
table_is_memory_and_pending_bits_are_0(void **state)
{
	uint8_t bytes[AVPD_BAR_MSIX_SIZE];
	struct avpd_irq irq;

	(void)state;
	avpd_irq_init(&irq);
	memset(bytes, 0xc3, sizeof(bytes));
	avpd_irq_bar_write(&irq, 0, bytes, sizeof(bytes));
	memset(bytes, 0, sizeof(bytes));
	avpd_irq_bar_read(&irq, 0, bytes, sizeof(bytes));
	for (uint32_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], i < AVPD_MSIX_TABLE_SIZE ? 0xc3 : 0);
	avpd_irq_reset(&irq);
	avpd_irq_bar_read(&irq, AVPD_MSIX_TABLE_SIZE - 4, bytes, 8);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(bytes[i], 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(vector_without_eventfd_signals_nobody),
			cmocka_unit_test(raise_signals_its_vector_alone),
			cmocka_unit_test(replaced_and_removed_eventfds_are_closed),
			cmocka_unit_test(refused_descriptors_are_closed),
			cmocka_unit_test(full_eventfd_does_not_block),
			cmocka_unit_test(client_can_trigger_vectors_itself),
			cmocka_unit_test(table_is_memory_and_pending_bits_are_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
