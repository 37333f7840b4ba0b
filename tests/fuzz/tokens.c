/* The tokens_file. */
#include "tests/fuzz/fuzz.h"

#include "service/http/auth.h"

#include <string.h>

static void
one(const uint8_t *bytes, size_t n)
{
	struct auth_list l;
	struct err e;

	if (auth_list_load(fuzz_file(0, bytes, n), &l, &e) != 0) {
		fuzz_must(e.text[0] != '\0');
		return;
	}
	for (size_t i = 0; i < l.n; i++) {
		fuzz_must(l.tokens[i].role < AUTH_NOBODY && l.tokens[i].name[0] != '\0' && strlen(l.tokens[i].name) < AUTH_NAME);
		for (size_t k = 0; k < i; k++)
			fuzz_must(strcmp(l.tokens[i].name, l.tokens[k].name) != 0);
	}
	auth_list_free(&l);
}

const struct fuzz_target fuzz_tokens = { "tokens", NULL, one };
