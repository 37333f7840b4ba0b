/* The frame of the fuzz targets: files in memory, parts, the table. */
#include "tests/fuzz/fuzz.h"

#include "config/log.h"
#include "dicom/dicom.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const struct fuzz_target *const fuzz_targets[] = { &fuzz_codecs, &fuzz_dataset, &fuzz_dicom, &fuzz_http, &fuzz_json, &fuzz_log, &fuzz_manifest, &fuzz_multipart, &fuzz_rules,
	&fuzz_seg, &fuzz_series, &fuzz_settings, &fuzz_tokens, &fuzz_weights, &fuzz_worker, NULL };

static int slot_fd[FUZZ_FILES]; /* 0: none yet */
static char folder[64], links[FUZZ_FILES][128];

void
fuzz_abort(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

const struct fuzz_target *
fuzz_find(const char *name)
{
	for (size_t i = 0; fuzz_targets[i] != NULL; i++)
		if (strcmp(fuzz_targets[i]->name, name) == 0)
			return fuzz_targets[i];
	return NULL;
}

static int
open_slot(size_t slot)
{
	fuzz_must(slot < FUZZ_FILES);
	if (slot_fd[slot] == 0) {
		slot_fd[slot] = memfd_create("input", MFD_CLOEXEC);
		fuzz_must(slot_fd[slot] > 0);
	}
	return slot_fd[slot];
}

const char *
fuzz_file(size_t slot, const void *bytes, size_t n)
{
	static char paths[FUZZ_FILES][FUZZ_PATH];
	int fd = open_slot(slot);

	fuzz_must(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, n, 0) == (ssize_t)n);
	snprintf(paths[slot], FUZZ_PATH, "/proc/self/fd/%d", fd);
	return paths[slot];
}

static void
remove_folder(void)
{
	for (size_t i = 0; i < FUZZ_FILES && links[i][0] != '\0'; i++)
		unlink(links[i]);
	rmdir(folder);
}

const char *
fuzz_folder(const char *const *names, size_t n)
{
	fuzz_must(folder[0] == '\0' && n <= FUZZ_FILES);
	snprintf(folder, sizeof folder, "/tmp/segan-fuzz-XXXXXX");
	fuzz_must(mkdtemp(folder) != NULL);
	for (size_t i = 0; i < n; i++) {
		snprintf(links[i], sizeof links[i], "%s/%s", folder, names[i]);
		fuzz_must(symlink(fuzz_file(i, "", 0), links[i]) == 0);
	}
	fuzz_must(atexit(remove_folder) == 0);
	return folder;
}

size_t
fuzz_parts(const uint8_t *bytes, size_t n, struct fuzz_part *parts, size_t most)
{
	static const char between[] = "\n--next--\n";
	size_t found = 0;

	for (;;) {
		const uint8_t *at = found + 1 < most && n > 0 ? memmem(bytes, n, between, sizeof between - 1) : NULL;
		parts[found++] = (struct fuzz_part){ bytes, at != NULL ? (size_t)(at - bytes) : n };
		if (at == NULL)
			return found;
		n -= (size_t)(at - bytes) + sizeof between - 1;
		bytes = at + sizeof between - 1;
	}
}

char *
fuzz_text(const uint8_t *bytes, size_t n)
{
	char *text = malloc(n + 1);

	fuzz_must(text != NULL);
	if (n > 0)
		memcpy(text, bytes, n);
	text[n] = '\0';
	return text;
}

void
fuzz_start_dicom(void)
{
	struct err e;

	if (dicom_start(&e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	log_set_level(LOG_ERROR);
}
