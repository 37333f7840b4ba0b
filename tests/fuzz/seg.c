/* A segmentation that somebody wrote, read onto a series of ours: that of the corpus of `series`. */
#include "tests/fuzz/fuzz.h"

#include "config/file.h"
#include "dicom/seg_read.h"

#include <stdio.h>
#include <stdlib.h>

static struct series *source;

static void
start(void)
{
	const char *paths[FUZZ_FILES], *file = "tests/fuzz/corpus/series/slices";
	struct fuzz_part parts[FUZZ_FILES];
	struct err e;
	size_t n;

	fuzz_start_dicom();
	char *bytes = file_read(file, 1 << 20, &n, &e);
	if (bytes != NULL) {
		size_t n_parts = fuzz_parts((const uint8_t *)bytes, n, parts, FUZZ_FILES);
		for (size_t i = 0; i < n_parts; i++)
			paths[i] = fuzz_file(i, parts[i].bytes, parts[i].n);
		source = series_load(&(struct series_input){ .paths = paths, .n = n_parts }, &e);
		free(bytes);
	}
	if (source == NULL) {
		fprintf(stderr, "%s: %s\n", file, e.text);
		exit(1);
	}
}

static void
read_masks(const struct seg_file *s)
{
	enum { MOST = 4 };
	unsigned numbers[MOST];
	uint8_t *masks[MOST];
	size_t n = 0, n_voxels = grid_voxels(series_grid(source));
	struct err e;

	for (; n < MOST && n < seg_read_info(s)->n_segments; n++) {
		numbers[n] = seg_read_at(s, n)->number;
		masks[n] = malloc(n_voxels);
		fuzz_must(masks[n] != NULL);
	}
	if (seg_read_masks(s, source, numbers, n, masks, &e) == 0)
		for (size_t i = 0; i < n * n_voxels; i++)
			fuzz_must(masks[i / n_voxels][i % n_voxels] <= 1);
	while (n > 0)
		free(masks[--n]);
}

static void
one(const uint8_t *bytes, size_t n)
{
	struct err e;
	struct seg_file *s = seg_read_open(fuzz_file(0, bytes, n), &e);

	if (s == NULL)
		return;
	seg_read_refers_to(s, series_info(source)->series_uid);
	read_masks(s);
	seg_read_free(s);
}

const struct fuzz_target fuzz_seg = { "seg", start, one };
