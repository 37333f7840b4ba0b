/* The preprocessing of SEGAN.md, last section, in its order: turn to LPS, subtract the floor, find the head, scale by its percentiles, clip,
 * resample in plane, pad with air; and the way back for probabilities. Nothing is copied: a network slice is computed from the source voxels, which
 * are read through strides (the turn) and bilinear taps (the spacing), or, of a series in another plane, through trilinear ones (resample.c). The
 * statistics are those of the source's voxels either way. Masks and specks: mask.c. Statistics: statistics.c. */
#include "model/prep.h"
#include "model/resample.h"
#include "model/statistics.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_SIDE = 8192 };                      /* network rows or columns: over seven metres at 0.9 mm is no patient */

/* A value between two neighbours: (1 - weight) * v[low] + weight * v[high]. */
struct tap { size_t low, high; float weight; };

/* One direction in the plane. */
struct axis {
	size_t n_source, n_model, n_padded;
	ptrdiff_t step;                        /* from one source voxel to the next along it, in the order of the model */
	struct tap *to_model;                  /* (n_model): taps in the source */
	struct tap *to_source;                 /* (n_source): taps in the model */
};

/* x -> (x - shift) * scale, clipped; air is what 0 above the floor becomes; voxels over head_over are head. */
struct intensity { double shift, scale, head_over; float air; };

struct prep {
	const struct manifest *m;
	size_t n_slices, slice_size;           /* of the network's side; of the source: voxels in one */
	size_t neighbour_step;                 /* slices from one to what counts as the slice beside it */
	bool is_reversed;                      /* source slices run from top to bottom */
	ptrdiff_t first;                       /* source voxel, within a slice, of the model's (0, 0) */
	struct axis rows, cols;
	bool is_resampled;                     /* then only the sizes of rows and cols count, and ... */
	struct grid source;
	struct resample there, back;           /* network slices in the source, source in the unpadded network slices */
	struct voxels voxels[MODEL_MAX_CHANNELS];
	struct intensity intensity[MODEL_MAX_CHANNELS];
};

/* Half-pixel centres, edges repeated, as PyTorch's interpolate(align_corners=False). Equal sizes give the identity exactly. caller: free */
static struct tap *
taps_new(size_t n_from, size_t n_to)
{
	struct tap *taps = calloc(n_to, sizeof *taps);
	double ratio = (double)n_from / (double)n_to;

	for (size_t i = 0; taps && i < n_to; i++) {
		double at = ((double)i + 0.5) * ratio - 0.5;

		if (at < 0)
			at = 0;
		taps[i].low = (size_t)at < n_from - 1 ? (size_t)at : n_from - 1;
		taps[i].high = taps[i].low + 1 < n_from ? taps[i].low + 1 : taps[i].low;
		taps[i].weight = (float)(at - (double)taps[i].low);
	}
	return taps;
}

static int
plan_axis(struct axis *a, size_t n_source, double spacing_mm, const struct manifest *m, struct err *e)
{
	double n = (double)n_source * spacing_mm / m->spacing_mm;

	if (n_source == 0 || !(spacing_mm > 0) || !(n < MAX_SIDE))
		return err_set(e, ERR_INPUT, "%zu pixels of %g mm in plane: not a size this model can take", n_source, spacing_mm);
	a->n_source = n_source;
	a->n_model = n < 1 ? 1 : (size_t)lround(n);
	a->n_padded = (a->n_model + m->pad_multiple - 1) / m->pad_multiple * m->pad_multiple;
	a->to_model = taps_new(n_source, a->n_model);
	a->to_source = taps_new(a->n_model, n_source);
	return a->to_model && a->to_source ? 0 : err_set(e, ERR_LIMIT, "no memory to prepare a volume");
}

/* Which stored direction runs to the left (+x), which to the back (+y), and from where: LPS. Slices are to run to the head (+z). */
static int
plan_turn(struct prep *p, const struct grid *g, const double normal[3], struct err *e)
{
	const double *along_cols = g->row_dir, *along_rows = g->col_dir;   /* where the column index, the row index grows to */
	bool is_swapped;

	is_swapped = fabs(along_cols[1]) + fabs(along_rows[0]) > fabs(along_cols[0]) + fabs(along_rows[1]);
	if (plan_axis(&p->rows, is_swapped ? g->cols : g->rows, g->spacing_mm[is_swapped ? 2 : 1], p->m, e) != 0)
		return -1;
	if (plan_axis(&p->cols, is_swapped ? g->rows : g->cols, g->spacing_mm[is_swapped ? 1 : 2], p->m, e) != 0)
		return -1;
	p->rows.step = is_swapped ? 1 : (ptrdiff_t)g->cols;
	p->cols.step = is_swapped ? (ptrdiff_t)g->cols : 1;
	if ((is_swapped ? along_cols[1] : along_rows[1]) < 0) {
		p->first += (ptrdiff_t)(p->rows.n_source - 1) * p->rows.step;
		p->rows.step = -p->rows.step;
	}
	if ((is_swapped ? along_rows[0] : along_cols[0]) < 0) {
		p->first += (ptrdiff_t)(p->cols.n_source - 1) * p->cols.step;
		p->cols.step = -p->cols.step;
	}
	p->is_reversed = normal[2] < 0;
	p->n_slices = g->slices;
	p->neighbour_step = 1;
	return 0;
}

static void
plan_size(struct axis *a, size_t n, size_t pad_multiple)
{
	a->n_model = n;
	a->n_padded = (n + pad_multiple - 1) / pad_multiple * pad_multiple;
}

/* Network slices of their own, in the model's plane. */
static int
plan_plane(struct prep *p, const struct grid *g, struct err *e)
{
	struct grid plane;

	for (int i = 0; i < 3; i++)
		if (!(g->spacing_mm[i] > 0))
			return err_set(e, ERR_INPUT, "voxels of %g x %g x %g mm cannot be resampled", g->spacing_mm[0], g->spacing_mm[1], g->spacing_mm[2]);
	if (!resample_axial(g, p->m->spacing_mm, &plane) || plane.slices > MAX_SIDE || plane.rows > MAX_SIDE || plane.cols > MAX_SIDE)
		return err_set(e, ERR_INPUT, "the slices are not %s, and resampled they would have more than %d slices, rows or columns, or no place", p->m->plane, MAX_SIDE);
	p->is_resampled = true;
	p->source = *g;
	p->n_slices = plane.slices;
	p->neighbour_step = plane.spacing_mm[0] < p->m->neighbour_mm ? (size_t)lround(p->m->neighbour_mm / plane.spacing_mm[0]) : 1;
	plan_size(&p->rows, plane.rows, p->m->pad_multiple);
	plan_size(&p->cols, plane.cols, p->m->pad_multiple);
	p->there = resample_between(g, &plane);
	p->back = resample_between(&plane, g);
	p->back.stride[0] = p->m->network.labels * p->rows.n_padded * p->cols.n_padded;
	p->back.stride[1] = p->cols.n_padded;
	return 0;
}

static float
clip(double v, const double range[2])
{
	return (float)(v < range[0] ? range[0] : v > range[1] ? range[1] : v);
}

static int
plan_intensity(const struct normalisation *k, const struct voxels *voxels, size_t n, struct intensity *out, struct err *e)
{
	double whole[2], head[2], floor_value, low, high;
	size_t n_voxels;

	if (statistics_percentiles(voxels, n, 0, -INFINITY, (double[]){ k->floor_percentile, k->head_percentile }, 2, whole, &n_voxels, e) != 0)
		return -1;
	floor_value = whole[0];
	if (statistics_percentiles(voxels, n, floor_value, k->head_fraction * (whole[1] - floor_value), (double[]){ k->low_percentile, k->high_percentile },
		2, head, &n_voxels, e) != 0)
		return -1;
	if (n_voxels == 0)
		return err_set(e, ERR_INPUT, "no head in the volume: no voxel stands out");
	low = head[0];
	high = head[1];
	if (!(high > low))
		return err_set(e, ERR_INPUT, "the image is constant where there should be a head");
	out->shift = floor_value + low;
	out->scale = 1 / (high - low);
	out->head_over = floor_value + k->head_fraction * (whole[1] - floor_value);
	out->air = clip(-low * out->scale, k->clip);
	return 0;
}

static int
plan_grid(struct prep *p, const struct grid *g, struct err *e)
{
	const size_t n = grid_voxels(g);
	double normal[3];

	if (n == 0 || n > SIZE_MAX / sizeof(float))
		return err_set(e, ERR_INPUT, "%zu x %zu x %zu is no volume", g->slices, g->rows, g->cols);
	p->slice_size = g->rows * g->cols;
	grid_normal(g, normal);
	return fabs(normal[2]) >= M_SQRT1_2 - 1e-6 ? plan_turn(p, g, normal, e) : plan_plane(p, g, e);
}

static int
plan(struct prep *p, const struct volume *channels, struct err *e)
{
	const struct grid *g = channels[0].grid;

	for (size_t i = 1; i < p->m->n_channels; i++)
		if (!grid_same(g, channels[i].grid))
			return err_set(e, ERR_INPUT, "the channels %s and %s are not on one grid", p->m->channels[0], p->m->channels[i]);
	if (plan_grid(p, g, e) != 0)
		return -1;
	for (size_t i = 0; i < p->m->n_channels; i++) {
		p->voxels[i] = channels[i].voxels;
		if (plan_intensity(&p->m->normalisation, &p->voxels[i], grid_voxels(g), &p->intensity[i], e) != 0)
			return err_note(e, "channel %s", p->m->channels[i]);
	}
	return 0;
}

struct prep *
prep_new(const struct manifest *m, const struct volume *channels, size_t n_channels, struct err *e)
{
	struct prep *p;

	if (n_channels != m->n_channels) {
		err_set(e, ERR_BUG, "%zu channels for the model %s, which takes %zu", n_channels, m->name, m->n_channels);
		return NULL;
	}
	p = calloc(1, sizeof *p);
	if (!p) {
		err_set(e, ERR_LIMIT, "no memory to prepare a volume");
		return NULL;
	}
	p->m = m;
	if (plan(p, channels, e) == 0)
		return p;
	prep_free(p);
	return NULL;
}

static void
axis_close(struct axis *a)
{
	free(a->to_model);
	free(a->to_source);
}

void
prep_free(struct prep *p)
{
	if (!p)
		return;
	axis_close(&p->rows);
	axis_close(&p->cols);
	free(p);
}

int
prep_size(const struct manifest *m, const struct grid *g, struct prep_size *out, struct err *e)
{
	struct prep p = { .m = m };
	int rc = plan_grid(&p, g, e);

	*out = (struct prep_size){ p.n_slices, p.rows.n_padded, p.cols.n_padded, p.is_resampled };
	axis_close(&p.rows);
	axis_close(&p.cols);
	return rc;
}

bool
prep_is_resampled(const struct prep *p)
{
	return p->is_resampled;
}

size_t
prep_slices(const struct prep *p)
{
	return p->n_slices;
}

size_t
prep_rows(const struct prep *p)
{
	return p->rows.n_padded;
}

size_t
prep_cols(const struct prep *p)
{
	return p->cols.n_padded;
}

size_t
prep_source_slice(const struct prep *p, size_t k)
{
	return p->is_reversed ? p->n_slices - 1 - k : k;
}

/* The four neighbours a (above: left, right), b (below: left, right) of a point, mixed by the taps' weights. */
static inline float
mix(const float a[2], const float b[2], float down, float right)
{
	float above = (1 - right) * a[0] + right * a[1], below = (1 - right) * b[0] + right * b[1];

	return (1 - down) * above + down * below;
}

/* Where a slice of a channel is read: its voxels from `first` on, as the network gets their values. */
struct tones { const struct voxels *voxels; size_t slice, first; const struct intensity *as; const double *range; };

static inline float
tone(const struct tones *t, ptrdiff_t at)
{
	return clip((voxels_at(t->voxels, t->slice, t->first + (size_t)at) - t->as->shift) * t->as->scale, t->range);
}

/* Model row `row` of one channel: out (n_padded columns). */
static void
input_row(const struct prep *p, const struct tones *t, const struct tap *row, float *out)
{
	const ptrdiff_t upper = p->first + (ptrdiff_t)row->low * p->rows.step, lower = p->first + (ptrdiff_t)row->high * p->rows.step;

	for (size_t c = 0; c < p->cols.n_model; c++) {
		const struct tap *col = &p->cols.to_model[c];
		ptrdiff_t left = (ptrdiff_t)col->low * p->cols.step, right = (ptrdiff_t)col->high * p->cols.step;
		float a[2] = { tone(t, upper + left), tone(t, upper + right) }, b[2] = { tone(t, lower + left), tone(t, lower + right) };

		out[c] = mix(a, b, row->weight, col->weight);
	}
	for (size_t c = p->cols.n_model; c < p->cols.n_padded; c++)
		out[c] = t->as->air;
}

/* Model row r of slice k of one channel, of a series in another plane; what lies beside it is air. out (n_padded columns) */
static void
resampled_row(const struct prep *p, size_t channel, size_t k, size_t r, float *out)
{
	struct tones t = { .voxels = &p->voxels[channel], .as = &p->intensity[channel], .range = p->m->normalisation.clip };
	struct resample_taps taps;

	for (size_t c = 0; c < p->cols.n_padded; c++) {
		out[c] = t.as->air;
		if (c >= p->cols.n_model || !resample_at(&p->there, k, r, c, &taps))
			continue;
		out[c] = 0;
		for (int i = 0; i < 8; i++) {
			t.slice = taps.slice[i >> 2];
			out[c] += taps.weight[i] * tone(&t, (ptrdiff_t)taps.at[i]);
		}
	}
}

/* Network slice k of one channel: x (n_padded rows, n_padded columns). */
static void
input_plane(const struct prep *p, size_t channel, size_t k, float *x)
{
	const size_t slice = p->is_resampled ? 0 : prep_source_slice(p, k);
	const struct tones t = { &p->voxels[channel], slice, slice * p->slice_size, &p->intensity[channel], p->m->normalisation.clip };

	for (size_t r = 0; r < p->rows.n_padded; r++, x += p->cols.n_padded) {
		if (r < p->rows.n_model && p->is_resampled)
			resampled_row(p, channel, k, r, x);
		else if (r < p->rows.n_model)
			input_row(p, &t, &p->rows.to_model[r], x);
		else
			for (size_t c = 0; c < p->cols.n_padded; c++)
				x[c] = t.as->air;
	}
}

void
prep_slice(const struct prep *p, size_t k, float *x)
{
	const size_t plane = p->rows.n_padded * p->cols.n_padded, reach = p->m->neighbours;

	for (size_t i = 0; i < p->m->n_channels; i++)
		for (size_t n = 0; n <= 2 * reach; n++, x += plane) {
			size_t up = k + n * p->neighbour_step, at = up < reach * p->neighbour_step ? 0 : up - reach * p->neighbour_step;

			input_plane(p, i, at < p->n_slices ? at : p->n_slices - 1, x);
		}
}

float
prep_air(const struct prep *p, size_t i)
{
	return p->intensity[i].air;
}

struct likeness_scale
prep_scale(const struct prep *p, size_t i)
{
	const struct intensity *t = &p->intensity[i];

	return (struct likeness_scale){ .over = t->head_over, .low = t->shift, .high = t->shift + 1 / t->scale };
}

/* Model row of a mask, by the taps of the image: slice is the source slice; out (n_padded columns). */
static void
truth_row(const struct prep *p, const uint8_t *slice, const struct tap *row, float *out)
{
	const uint8_t *upper = slice + p->first + (ptrdiff_t)row->low * p->rows.step, *lower = slice + p->first + (ptrdiff_t)row->high * p->rows.step;

	for (size_t c = 0; c < p->cols.n_model; c++) {
		const struct tap *col = &p->cols.to_model[c];
		ptrdiff_t left = (ptrdiff_t)col->low * p->cols.step, right = (ptrdiff_t)col->high * p->cols.step;
		const float a[2] = { upper[left] != 0, upper[right] != 0 }, b[2] = { lower[left] != 0, lower[right] != 0 };

		out[c] = mix(a, b, row->weight, col->weight) >= 0.5F;
	}
}

void
prep_truth(const struct prep *p, size_t k, const uint8_t *mask, float *out)
{
	const size_t at = prep_source_slice(p, k) * p->slice_size, n = p->rows.n_padded * p->cols.n_padded;

	for (size_t i = 0; i < n; i++)
		out[i] = 0;
	for (size_t r = 0; r < p->rows.n_model; r++)
		truth_row(p, mask + at, &p->rows.to_model[r], out + r * p->cols.n_padded);
}

void
prep_back(const struct prep *p, size_t k, const float *probability, float *out)
{
	const size_t plane = p->rows.n_padded * p->cols.n_padded;

	(void)k;                               /* all slices lie alike */
	for (size_t map = 0; map < p->m->network.labels; map++, probability += plane, out += p->slice_size)
		for (size_t r = 0; r < p->rows.n_source; r++) {
			const struct tap *row = &p->rows.to_source[r];
			const float *upper = probability + row->low * p->cols.n_padded, *lower = probability + row->high * p->cols.n_padded;
			float *to = out + p->first + (ptrdiff_t)r * p->rows.step;

			for (size_t c = 0; c < p->cols.n_source; c++) {
				const struct tap *col = &p->cols.to_source[c];
				const float a[2] = { upper[col->low], upper[col->high] }, b[2] = { lower[col->low], lower[col->high] };

				to[(ptrdiff_t)c * p->cols.step] = mix(a, b, row->weight, col->weight);
			}
		}
}

void
prep_gather(const struct prep *p, const float *maps, size_t slice, float *out)
{
	const size_t plane = p->rows.n_padded * p->cols.n_padded, labels = p->m->network.labels;
	struct resample_taps t;

	for (size_t r = 0; r < p->source.rows; r++)
		for (size_t c = 0; c < p->source.cols; c++, out++) {
			bool is_inside = resample_at(&p->back, slice, r, c, &t);

			for (size_t map = 0; map < labels; map++) {
				float sum = 0;
				for (int i = 0; is_inside && i < 8; i++)
					sum += t.weight[i] * maps[map * plane + t.at[i]];
				out[map * p->slice_size] = sum;
			}
		}
}
