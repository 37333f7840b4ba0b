/* One to eight files as a series: verdict, grid, voxels. */
#include "tests/fuzz/fuzz.h"

#include "dicom/series.h"

#include <math.h>
#include <string.h>

static void
one(const uint8_t *bytes, size_t n)
{
	struct fuzz_part parts[FUZZ_FILES];
	const char *paths[FUZZ_FILES];
	struct series_input in = { .paths = paths, .n = fuzz_parts(bytes, n, parts, FUZZ_FILES) };
	enum series_verdict verdict;
	struct series_info info;
	struct err reason, e;

	for (size_t i = 0; i < in.n; i++)
		paths[i] = fuzz_file(i, parts[i].bytes, parts[i].n);
	if (series_check(&in, &verdict, &info, &reason, &e) != 0)
		return;
	fuzz_must(verdict == SERIES_WHOLE || reason.text[0] != '\0');
	struct series *s = series_load(&in, &e);
	if (s == NULL) {
		fuzz_must(e.text[0] != '\0');
		return;
	}
	fuzz_must(verdict == SERIES_WHOLE && memcmp(&info.grid, series_grid(s), sizeof info.grid) == 0);
	double sum = 0;
	const struct voxels voxels = series_voxels(s);
	for (size_t i = 0; i < grid_voxels(series_grid(s)); i++)
		sum += (double)voxels_any(&voxels, i);
	fuzz_must(!isnan(sum));
	series_free(s);
}

const struct fuzz_target fuzz_series = { "series", fuzz_start_dicom, one };
