/* libFuzzer's side: the environment's FUZZ_TARGET says which target the one program runs. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const struct fuzz_target *target;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *name = getenv("FUZZ_TARGET");

	(void)argc;
	(void)argv;
	target = name != NULL ? fuzz_find(name) : NULL;
	if (target == NULL) {
		fprintf(stderr, "FUZZ_TARGET must be one of");
		for (size_t i = 0; fuzz_targets[i] != NULL; i++)
			fprintf(stderr, " %s", fuzz_targets[i]->name);
		fprintf(stderr, "\n");
		exit(2);
	}
	if (target->start != NULL)
		target->start();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	target->one(bytes, n);
	return 0;
}
