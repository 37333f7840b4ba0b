/* What the fuzz targets share. A target is one function that takes any bytes and leaves nothing behind: no file, no memory, no state for the next input.
 * The same functions run under libFuzzer (fuzzer.c, `make fuzz`) and over the corpus in `make test` (replay.c). A finding is a crash, a sanitizer's report, a
 * leak, an input that takes too long or too much memory, or a fuzz_must that does not hold. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct fuzz_target {
	const char *name;                         /* of its file, and of its folder below tests/fuzz/corpus */
	void (*start)(void);                      /* once, before the first input; NULL: nothing to do */
	void (*one)(const uint8_t *bytes, size_t n);
};
extern const struct fuzz_target fuzz_codecs, fuzz_dataset, fuzz_dicom, fuzz_http, fuzz_json, fuzz_log, fuzz_manifest, fuzz_multipart, fuzz_rules, fuzz_seg, fuzz_series,
    fuzz_settings, fuzz_tokens, fuzz_weights, fuzz_worker;

const struct fuzz_target *fuzz_find(const char *name); /* NULL: none is called so */
extern const struct fuzz_target *const fuzz_targets[]; /* up to a NULL */

enum { FUZZ_FILES = 8, FUZZ_PATH = 64 };
/* A file in memory that holds these bytes; the path is good until the slot's next file. slot: below FUZZ_FILES. */
const char *fuzz_file(size_t slot, const void *bytes, size_t n);
/* A folder in which NAME is the file of slot i, for i < n. It goes when the process ends. Once a target. */
const char *fuzz_folder(const char *const *names, size_t n);

struct fuzz_part { const uint8_t *bytes; size_t n; };
/* The input as several files, which "\n--next--\n" parts. Returns how many, 1 to most; the last one has all the rest. */
size_t fuzz_parts(const uint8_t *bytes, size_t n, struct fuzz_part *parts, size_t most);
/* The same bytes with a 0 at their end, in memory of just that size: what reads beyond is seen. caller: free. */
char *fuzz_text(const uint8_t *bytes, size_t n);

/* What must hold whatever the input is; else the process aborts, and the input is kept. */
#define fuzz_must(holds) ((holds) ? (void)0 : fuzz_abort(#holds, __FILE__, __LINE__))
void fuzz_abort(const char *what, const char *file, int line) __attribute__((noreturn));
void fuzz_start_dicom(void);                           /* dictionary loaded, no line logged */
