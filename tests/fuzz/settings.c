/* The daemon's settings; what is accepted is printed, and the print is accepted and prints the same. */
#include "tests/fuzz/fuzz.h"

#include "config/settings.h"

#include <stdlib.h>
#include <string.h>

static char *
print(const char *text, size_t n)
{
	struct err e;
	struct settings *s = settings_parse(text, n, "input", &e);
	struct archive_setting archive;
	char *printed = NULL;

	if (s != NULL) {
		printed = settings_print(s, &e);
		fuzz_must(printed != NULL);
		settings_archive(s, "a", &archive, &e);
		settings_destination(s, "pacs");
		settings_model(s, "glioma-flair");
	}
	settings_free(s);
	return printed;
}

static void
one(const uint8_t *bytes, size_t n)
{
	char *first = print((const char *)bytes, n), *second;

	if (first == NULL)
		return;
	second = print(first, strlen(first));
	fuzz_must(second != NULL && strcmp(first, second) == 0);
	free(first);
	free(second);
}

const struct fuzz_target fuzz_settings = { "settings", NULL, one };
