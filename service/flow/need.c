/* The formula of need.h. tests/unit/test_need.c holds it against what a process really takes. */
#include "service/flow/need.h"

#include "model/infer.h"

#include <math.h>
#include <string.h>

static const double PROGRAM_MB = 256, INSTANCE_MB = 0.125;

/* Bytes for each voxel of the first channel: masks and what is made of them. */
static double
bytes_a_voxel(const struct segment_request *r)
{
	const double segments = (double)r->manifest->n_segments;
	double bytes = segments;

	if (r->probability_path != NULL)
		bytes += sizeof(float) * (double)r->manifest->network.labels;
	if (r->paths[RESULT_FRACTIONAL] != NULL)
		bytes += 2 * segments;             /* one while it is computed, one in the file's object */
	if (r->paths[RESULT_LABELMAP] != NULL)
		bytes += 1;
	return bytes + segments / 8;
}

int
need_mb(const struct segment_request *r, struct series *const *series, double *mb, struct err *e)
{
	const struct grid *g = series_grid(series[0]);
	const double voxels = (double)g->slices * (double)g->rows * (double)g->cols;
	double bytes;

	if (infer_need(r->manifest, g, segmentor_threads(r->segmentor), &bytes, e) != 0)
		return -1;
	bytes += voxels * bytes_a_voxel(r);
	*mb = PROGRAM_MB;
	for (size_t i = 0; i < r->n_channels; i++) {
		const struct grid *own = series_grid(series[i]);
		bytes += sizeof(uint16_t) * (double)own->slices * (double)own->rows * (double)own->cols;
		if (!grid_same(own, g))
			bytes += sizeof(float) * voxels;
		*mb += INSTANCE_MB * (double)series_info(series[i])->n_instances;
	}
	*mb = ceil(*mb + bytes / (1 << 20));
	return 0;
}

int
need_check(const struct segment_request *r, struct series *const *series, struct err *e)
{
	const struct grid *g = series_grid(series[0]);
	double mb;

	if (need_mb(r, series, &mb, e) != 0)
		return -1;
	if (r->memory_mb <= 0 || mb <= (double)r->memory_mb)
		return 0;
	return err_set(e, ERR_INPUT, "needs %.0f MB, worker_memory_mb is %lld: %zu slices of Rows %zu x Columns %zu in %zu channel%s for model %s (series %s)", mb,
	    (long long)r->memory_mb, g->slices, g->rows, g->cols, r->n_channels, r->n_channels > 1 ? "s" : "", r->manifest->name, series_info(series[0])->series_uid);
}
