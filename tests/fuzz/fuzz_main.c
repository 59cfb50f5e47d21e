/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The main function of every fuzzer, so that it runs with any compiler: replays its corpus, then
 * goes on with random inputs, some of them changed corpus entries, for some seconds.
 *
 *   NAME_fuzz [-s SEED] [-t SECONDS] [CORPUS]
 *
 * The input under which it dies is written to crash-NAME_fuzz in the present folder: put it in the
 * corpus. For libFuzzer, build the fuzzer's own file with clang -fsanitize=fuzzer, without this.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_INPUT_SIZE 4096u
#define MAX_CORPUS 1024u
#define DEFAULT_SECONDS 3u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	size_t size;
	uint8_t data[MAX_INPUT_SIZE];
};

static struct input *corpus[MAX_CORPUS];
static uint32_t nb_corpus;

/* What is being tried, for the signal handler. */
static const struct input *current;
static const char *name;

static void
died(int signum)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "crash-%s", name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd >= 0 && current != NULL &&
			write(fd, current->data, current->size) == (ssize_t)current->size)
		fprintf(stderr, "%s: input of %zu bytes is in %s\n", name, current->size, path);
	signal(signum, SIG_DFL);
	raise(signum);
}

static void
try(const struct input *input)
{
	/* of just this size, so that a sanitizer sees a read beyond its end */
	uint8_t *data = malloc(input->size > 0 ? input->size : 1);

	if (data == NULL)
		return;
	memcpy(data, input->data, input->size);
	current = input;
	LLVMFuzzerTestOneInput(data, input->size);
	current = NULL;
	free(data);
}

static int
load(const char *dir, const char *file)
{
	char path[1024];
	struct input *input;
	ssize_t size;
	int fd;

	if (nb_corpus == MAX_CORPUS)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	input = calloc(1, sizeof(*input));
	size = input == NULL ? -1 : read(fd, input->data, MAX_INPUT_SIZE);
	close(fd);
	if (size < 0) {
		free(input);
		return -EIO;
	}
	input->size = (size_t)size;
	corpus[nb_corpus++] = input;
	return 0;
}

static int
load_dir(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int ret = 0;

	if (d == NULL) {
		fprintf(stderr, "%s: %s: %s\n", name, dir, strerror(errno));
		return -errno;
	}
	while (ret == 0 && (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] != '.')
			ret = load(dir, entry->d_name);
	}
	closedir(d);
	return ret;
}

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Mostly small bytes, which fuzzers take for choices; sometimes all there are. */
static uint8_t
random_byte(uint64_t *state)
{
	const uint64_t value = next_random(state);

	return value & 0x100 ? (uint8_t)value : (uint8_t)(value & 0xf);
}

static void
make_input(struct input *input, uint64_t *state)
{
	const struct input *base = nb_corpus > 0 ? corpus[next_random(state) % nb_corpus] : NULL;
	uint32_t nb_changes;

	if (base == NULL || next_random(state) % 2 == 0) {
		input->size = next_random(state) % 512;
		for (size_t i = 0; i < input->size; i++)
			input->data[i] = random_byte(state);
		return;
	}
	*input = *base;
	nb_changes = 1 + next_random(state) % 8;
	for (uint32_t i = 0; i < nb_changes && input->size > 0; i++)
		input->data[next_random(state) % input->size] = random_byte(state);
	if (next_random(state) % 4 == 0)
		input->size = next_random(state) % (input->size + 1);
}

int
main(int argc, char **argv)
{
	uint64_t seed = (uint64_t)time(NULL);
	unsigned int seconds = DEFAULT_SECONDS;
	static struct input input;
	uint64_t nb_random = 0;
	uint64_t state;
	time_t end;
	int opt;

	name = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
	while ((opt = getopt(argc, argv, "s:t:")) != -1) {
		if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (opt == 't')
			seconds = (unsigned int)strtoul(optarg, NULL, 0);
		else
			return 2;
	}
	for (int i = optind; i < argc; i++) {
		if (load_dir(argv[i]) < 0)
			return 1;
	}
	signal(SIGABRT, died);
	signal(SIGSEGV, died);
	signal(SIGBUS, died);
	printf("%s: %u inputs of the corpus, then %u s with seed %llu\n", name, nb_corpus, seconds,
			(unsigned long long)seed);
	fflush(stdout);
	for (uint32_t i = 0; i < nb_corpus; i++)
		try(corpus[i]);
	state = seed * 2 + 1; /* never 0 */
	end = time(NULL) + (time_t)seconds;
	while (time(NULL) < end) {
		for (uint32_t i = 0; i < 100; i++, nb_random++) {
			make_input(&input, &state);
			try(&input);
		}
	}
	printf("%s: %llu random inputs\n", name, (unsigned long long)nb_random);
	for (uint32_t i = 0; i < nb_corpus; i++)
		free(corpus[i]);
	return 0;
}
