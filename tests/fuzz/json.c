/* JSON text: what is accepted prints to a text that is accepted and prints the same. */
#include "tests/fuzz/fuzz.h"

#include "config/json.h"

#include <stdlib.h>
#include <string.h>

static char *
print(const char *text, size_t n, unsigned flags, bool pretty)
{
	struct err e;
	struct json_doc *d = json_parse(text, n, flags, &e);
	char *printed;

	if (d == NULL) {
		fuzz_must(e.code == ERR_INPUT || e.code == ERR_LIMIT);
		return NULL;
	}
	fuzz_must(json_line(d, json_root(d)) > 0);
	printed = json_print(json_root(d), pretty, &e);
	fuzz_must(printed != NULL);
	json_doc_free(d);
	return printed;
}

static void
one(const uint8_t *bytes, size_t n)
{
	for (unsigned flags = 0; flags <= JSON_COMMENTS; flags += JSON_COMMENTS) {
		char *first = print((const char *)bytes, n, flags, flags != 0), *second;
		if (first == NULL)
			continue;
		second = print(first, strlen(first), 0, flags != 0);
		fuzz_must(second != NULL && strcmp(first, second) == 0);
		free(first);
		free(second);
	}
}

const struct fuzz_target fuzz_json = { "json", NULL, one };
