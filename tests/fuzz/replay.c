/* Runs a target over files, without libFuzzer:  fuzz_replay TARGET FILE...   Each input runs twice: what the first run leaves behind must not harm the second.
 * With --list: the names of all targets. */
#include "tests/fuzz/fuzz.h"

#include "config/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECONDS = 30 /* for one input: far more than any needs, under the slowest sanitizer */ };

static int
replay(const struct fuzz_target *target, const char *path)
{
	struct err e;
	size_t n;
	char *bytes = file_read(path, 16 << 20, &n, &e);

	if (bytes == NULL) {
		fprintf(stderr, "%s\n", e.text);
		return -1;
	}
	alarm(SECONDS);
	printf("%s\n", path); /* the last one named is the one that ended the process */
	fflush(stdout);
	target->one((const uint8_t *)bytes, n);
	target->one((const uint8_t *)bytes, n);
	free(bytes);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct fuzz_target *target = argc > 1 ? fuzz_find(argv[1]) : NULL;

	for (size_t i = 0; argc == 2 && strcmp(argv[1], "--list") == 0 && fuzz_targets[i] != NULL; i++)
		printf("%s\n", fuzz_targets[i]->name);
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return 0;
	if (argc < 3 || target == NULL) {
		fprintf(stderr, "usage: fuzz_replay TARGET FILE... | --list\n");
		return 2;
	}
	if (target->start != NULL)
		target->start();
	for (int i = 2; i < argc; i++)
		if (replay(target, argv[i]) != 0)
			return 1;
	return 0;
}
