/* Trilinear reading. Both grids are affine, so the way from the indices of one to those of the other is, too: found once, at four points. */
#include "model/resample.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

static const double EDGE = 0.5 + 1e-3;         /* voxels: half a voxel belongs to the last one; the rest is how exact positions in files are */
static const double LARGEST = 1e6;             /* slices, rows or columns: of no patient */

struct resample
resample_between(const struct grid *from, const struct grid *to)
{
	struct resample m = { .size = { from->slices, from->rows, from->cols }, .stride = { from->rows * from->cols, from->cols, 1 } };
	double *const steps[3] = { m.by_slice, m.by_row, m.by_col };
	double mm[3];

	grid_point(to, 0, 0, 0, mm);
	grid_index(from, mm, m.start);
	for (int i = 0; i < 3; i++) {
		grid_point(to, i == 0, i == 1, i == 2, mm);
		grid_index(from, mm, steps[i]);
		for (int k = 0; k < 3; k++)
			steps[i][k] -= m.start[k];
	}
	return m;
}

bool
resample_at(const struct resample *m, size_t slice, size_t row, size_t col, struct resample_taps *t)
{
	size_t low[3], step[3];
	float part[3];

	for (int i = 0; i < 3; i++) {
		double last = (double)m->size[i] - 1;
		double at = m->start[i] + (double)slice * m->by_slice[i] + (double)row * m->by_row[i] + (double)col * m->by_col[i];
		if (!(at >= -EDGE && at <= last + EDGE))
			return false;
		at = at < 0 ? 0 : at > last ? last : at;
		low[i] = (size_t)at;
		step[i] = low[i] + 1 < m->size[i] ? m->stride[i] : 0;
		part[i] = (float)(at - (double)low[i]);
	}
	t->slice[0] = low[0];
	t->slice[1] = low[0] + (step[0] > 0);
	for (int n = 0; n < 8; n++) {
		t->at[n] = 0;
		t->weight[n] = 1;
		for (int i = 0; i < 3; i++) {
			bool is_high = n >> (2 - i) & 1;
			t->at[n] += low[i] * m->stride[i] + (is_high ? step[i] : 0);
			t->weight[n] *= is_high ? part[i] : 1 - part[i];
		}
	}
	return true;
}

void
resample_slice(const struct resample *m, const struct voxels *voxels, const struct grid *to, size_t slice, float outside, float *out)
{
	struct resample_taps t;

	for (size_t r = 0; r < to->rows; r++)
		for (size_t c = 0; c < to->cols; c++, out++) {
			if (!resample_at(m, slice, r, c, &t)) {
				*out = outside;
				continue;
			}
			*out = 0;
			for (int n = 0; n < 8; n++)
				*out += t.weight[n] * voxels_at(voxels, t.slice[n >> 2], t.at[n]);
		}
}

static float
lowest(const struct voxels *v, size_t n)
{
	float low = voxels_any(v, 0);

	for (size_t i = 1; i < n; i++)
		low = fminf(low, voxels_any(v, i));
	return low;
}

static bool
has_any(const struct resample *m, const struct grid *to)
{
	struct resample_taps t;

	for (size_t s = 0; s < to->slices; s++)
		for (size_t r = 0; r < to->rows; r++)
			for (size_t c = 0; c < to->cols; c++)
				if (resample_at(m, s, r, c, &t))
					return true;
	return false;
}

float *
resample_volume(const struct grid *from, const struct voxels *voxels, const struct grid *to, struct err *e)
{
	const struct resample m = resample_between(from, to);
	const size_t n = grid_voxels(to);
	float air, *out;

	if (!has_any(&m, to)) {
		err_set(e, ERR_INPUT, "the volumes do not overlap anywhere");
		return NULL;
	}
	if (n > SIZE_MAX / sizeof *out || (out = malloc(n * sizeof *out)) == NULL) {
		err_set(e, ERR_LIMIT, "no memory to resample a volume to %zu x %zu x %zu voxels", to->slices, to->rows, to->cols);
		return NULL;
	}
	air = lowest(voxels, grid_voxels(from));
	for (size_t s = 0; s < to->slices; s++)
		resample_slice(&m, voxels, to, s, air, out + s * to->rows * to->cols);
	return out;
}

/* What the source spans along each axis of the patient: its voxels' centres moved by `more` voxels outwards. */
static void
span(const struct grid *g, double more, double low[3], double high[3])
{
	const double last[3] = { (double)g->slices - 1 + more, (double)g->rows - 1 + more, (double)g->cols - 1 + more };

	for (unsigned corner = 0; corner < 8; corner++) {
		double mm[3];
		grid_point(g, corner & 1 ? last[0] : -more, corner & 2 ? last[1] : -more, corner & 4 ? last[2] : -more, mm);
		for (int i = 0; i < 3; i++) {
			low[i] = corner == 0 || mm[i] < low[i] ? mm[i] : low[i];
			high[i] = corner == 0 || mm[i] > high[i] ? mm[i] : high[i];
		}
	}
}

bool
resample_axial(const struct grid *source, double spacing_mm, struct grid *out)
{
	double distance = fabs(source->row_dir[2]) > fabs(source->col_dir[2]) ? source->spacing_mm[2] : source->spacing_mm[1];
	double low[3], high[3], n[3];

	distance *= fmax(1, floor(spacing_mm / distance + 1e-6));
	span(source, 0, low, high);
	n[0] = 1 + ceil((high[2] - low[2]) / distance - 1e-3);
	*out = (struct grid){ .spacing_mm = { distance }, .origin_mm = { 0, 0, low[2] }, .row_dir = { 1, 0, 0 }, .col_dir = { 0, 1, 0 } };
	span(source, 0.5, low, high);
	for (int i = 1; i < 3; i++) {          /* rows along y, columns along x */
		int axis = 2 - i;
		double extent = high[axis] - low[axis];
		n[i] = fmax(1, round(extent / spacing_mm));
		out->spacing_mm[i] = extent / n[i];
		out->origin_mm[axis] = low[axis] + out->spacing_mm[i] / 2;
	}
	for (int i = 0; i < 3; i++)
		if (!(n[i] >= 1 && n[i] <= LARGEST && out->spacing_mm[i] > 0))
			return false;
	out->slices = (size_t)n[0];
	out->rows = (size_t)n[1];
	out->cols = (size_t)n[2];
	return true;
}
