/* Figures that tell heads from other things and heads with their skull from stripped ones, cheap next to the network: one pass over at most MAX_VOXELS
 * voxels, and some hundred rays. The margins are wide on purpose: a flag that real patients raise is soon ignored. They were set on the native FLAIR of
 * 80 patients of five sites (TCGA-LGG; in-plane spacing known to 10 %, that of slices not at all) and the stripped heads of BraTS 2013: what one group
 * has, the other is flagged for, and no patient held back from training is. */
#include "model/likeness.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MAX_VOXELS = 1 << 23, RAYS = 72, RAY_MM = 150, SURFACE_MM = 2, SCALP_MM = 20, PROFILE_MM = 25, LEAST_RAYS = 24 };
static const double thick_mm = 2.5;

/* How a figure is called, and how far from the training's it may lie: down to low x factor - slack, up to high x factor + slack. */
struct kind {
	const char *key, *below, *above, *after, *unit; /* below 310 after; ... had 900 to 1900 unit */
	double per;                                     /* the unit's size: 0.01 for % */
	double low_factor, high_factor, slack;
	bool is_wider_for_few;                          /* after n cases by 1 + 4/n: what varies from scanner to scanner more than from head to head */
};

#define SIZE(key, before, after, unit, low, high) { key, before, before, after, unit, 1, low, high, 0, false }
#define QUARTER(key, which) { key, "", "", " % of the head's voxels in the " which " quarter of its brightness", " %", 0.01, 1, 1, 0.15, true }
static const struct kind kinds[LIKENESS_N_FIGURES] = {
	[LIKENESS_HEAD_ML] = SIZE("head_ml", "head of ", " ml", " ml", 0.5, 2),
	[LIKENESS_WIDTH_MM] = SIZE("width_mm", "head ", " mm wide (left to right)", " mm", 0.8, 1.2),
	[LIKENESS_LENGTH_MM] = SIZE("length_mm", "head ", " mm long (front to back)", " mm", 0.8, 1.2),
	[LIKENESS_SKULL_SHARE] = { "skull_share", "no skull to be seen (dark under the scalp in ", "a skull to be seen (dark under the scalp in ", " % of directions)",
		" %", 0.01, 1, 1, 0.15, false },
	[LIKENESS_QUARTER_1] = QUARTER("darkest_quarter", "darkest"), [LIKENESS_QUARTER_2] = QUARTER("second_quarter", "second darkest"),
	[LIKENESS_QUARTER_3] = QUARTER("third_quarter", "second brightest"), [LIKENESS_QUARTER_4] = QUARTER("brightest_quarter", "brightest"),
	[LIKENESS_ROUGHNESS] = { "roughness", "", "neighbours 2 mm apart differ by ", " % of the head's brightness", " %", 0.01, 0, 1.6, 0, true },
};

const char *
likeness_key(enum likeness_figure f)
{
	return kinds[f].key;
}

/* ---- measuring ---- */

struct moments {
	double n, sum[3], product[3][3];       /* of the head's voxels' indices: slice, row, column */
	double quarters[4], steps, roughness;  /* voxels; pairs of neighbours, sum of their differences */
};

static double
brightness(double v, struct likeness_scale s)
{
	double t = (v - s.low) / (s.high - s.low);

	return t < -0.5 ? -0.5 : t > 2 ? 2 : t;
}

/* Row i of all slices' rows; `apart` columns are 2 mm. */
static void
add_row(struct moments *m, const struct grid *g, const struct voxels *v, size_t i, size_t apart, struct likeness_scale s)
{
	const size_t slice = i / g->rows, row = i * g->cols;
	const double at[2] = { (double)slice, (double)(i % g->rows) };
	double n = 0, sum = 0, square = 0;

	for (size_t c = 0; c < g->cols; c++) {
		const float here = voxels_at(v, slice, row + c);
		float there;
		double t;

		if (!(here > s.over))
			continue;
		t = brightness(here, s);
		n++;
		sum += (double)c;
		square += (double)c * (double)c;
		m->quarters[t < 0.25 ? 0 : t < 0.5 ? 1 : t < 0.75 ? 2 : 3]++;
		if (c + apart < g->cols && (there = voxels_at(v, slice, row + c + apart)) > s.over) {
			m->steps++;
			m->roughness += fabs(t - brightness(there, s));
		}
	}
	m->n += n;
	for (size_t a = 0; a < 2; a++) {
		m->sum[a] += n * at[a];
		m->product[a][2] += at[a] * sum;
		for (size_t k = a; k < 2; k++)
			m->product[a][k] += n * at[a] * at[k];
	}
	m->sum[2] += sum;
	m->product[2][2] += square;
}

/* Every `step`-th row of the volume. */
static void
take_moments(const struct grid *g, const struct voxels *voxels, struct likeness_scale s, size_t step, struct moments *m)
{
	double apart = g->spacing_mm[2] > 0 ? round(2 / g->spacing_mm[2]) : 1;

	*m = (struct moments){ 0 };
	for (size_t i = 0; i < g->slices * g->rows; i += step)
		add_row(m, g, voxels, i, apart < 1 ? 1 : apart > (double)g->cols ? g->cols : (size_t)apart, s);
}

/* Full axis, along axis d of the patient, of the ellipse that has the head's spread. */
static double
spread_mm(const struct grid *g, const struct moments *m, size_t d)
{
	double normal[3], variance = 0;

	grid_normal(g, normal);
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < 3; k++) {
			const double *const along[3] = { normal, g->col_dir, g->row_dir };
			double covariance = m->product[i < k ? i : k][i < k ? k : i] / m->n - m->sum[i] / m->n * (m->sum[k] / m->n);

			variance += along[i][d] * g->spacing_mm[i] * along[k][d] * g->spacing_mm[k] * covariance;
		}
	return variance > 0 ? 4 * sqrt(variance) : 0;
}

/* The voxel at a point of the patient; false: it lies outside. */
static bool
voxel_at(const struct grid *g, const struct voxels *voxels, const double mm[3], float *value)
{
	const size_t sides[3] = { g->slices, g->rows, g->cols };
	double index[3];
	size_t at = 0;

	grid_index(g, mm, index);
	for (size_t i = 0; i < 3; i++) {
		double k = nearbyint(index[i]);

		if (!(k >= 0 && k < (double)sides[i]))
			return false;
		at = at * sides[i] + (size_t)k;
	}
	*value = voxels_any(voxels, at);
	return true;
}

/* Inwards to the centre: is there something dark between SURFACE_MM and SCALP_MM below the head's surface? 1, 0; -1: the ray ends too soon to say. */
static int
ray(const struct grid *g, const struct voxels *voxels, const double centre[3], double angle, double over)
{
	int surface = -1, result = 0;

	for (int r = RAY_MM; r > 0; r--) {
		const double at[3] = { centre[0] + r * cos(angle), centre[1] + r * sin(angle), centre[2] };
		float v;

		if (!voxel_at(g, voxels, at, &v))
			continue;
		if (surface < 0 && v > over)
			surface = r;
		if (surface >= 0 && surface - r >= SURFACE_MM && surface - r < SCALP_MM && !(v > over))
			result = 1;
	}
	return surface > PROFILE_MM ? result : -1;
}

/* Axial rays, a little below the head's centre to well above it: there the scalp, the skull and the brain lie as rings. Thick slices hide a skull that they
 * lie along, so where they are thick the rays within them count. */
static double
skull_share(const struct grid *g, const struct voxels *voxels, const double centre[3], double over)
{
	static const double levels_mm[] = { -10, 0, 10, 20, 30 };
	const double most_across = g->spacing_mm[0] > thick_mm ? 0.5 : 2;
	size_t n = 0, n_skull = 0;
	double normal[3];

	grid_normal(g, normal);
	for (size_t i = 0; i < sizeof levels_mm / sizeof *levels_mm; i++) {
		const double at[3] = { centre[0], centre[1], centre[2] + levels_mm[i] };

		float middle;

		for (size_t k = 0; k < RAYS && voxel_at(g, voxels, at, &middle); k++) {
			double angle = 2 * M_PI * (double)k / RAYS;
			int seen = fabs(cos(angle) * normal[0] + sin(angle) * normal[1]) > most_across ? -1 : ray(g, voxels, at, angle, over);

			n += seen >= 0;
			n_skull += seen > 0;
		}
	}
	return n >= LEAST_RAYS ? (double)n_skull / (double)n : NAN;
}

void
likeness_measure(const struct grid *g, const struct voxels *voxels, struct likeness_scale s, struct likeness *out)
{
	const size_t step = grid_voxels(g) / MAX_VOXELS + 1;
	double *f = out->figure, centre[3];
	struct moments m;

	for (size_t i = 0; i < LIKENESS_N_FIGURES; i++)
		f[i] = NAN;
	take_moments(g, voxels, s, step, &m);
	if (m.n == 0 || !(s.high > s.low))
		return;
	f[LIKENESS_HEAD_ML] = m.n * (double)step * grid_voxel_ml(g);
	f[LIKENESS_WIDTH_MM] = spread_mm(g, &m, 0);
	f[LIKENESS_LENGTH_MM] = spread_mm(g, &m, 1);
	grid_point(g, m.sum[0] / m.n, m.sum[1] / m.n, m.sum[2] / m.n, centre);
	f[LIKENESS_SKULL_SHARE] = skull_share(g, voxels, centre, s.over);
	for (size_t i = 0; i < 4; i++)
		f[LIKENESS_QUARTER_1 + i] = m.quarters[i] / m.n;
	if (m.steps > 0)
		f[LIKENESS_ROUGHNESS] = m.roughness / m.steps;
}

/* ---- ranges ---- */

struct likeness_range
likeness_nothing(void)
{
	struct likeness_range r = { .whose = "the model's training heads had" };

	for (size_t i = 0; i < LIKENESS_N_FIGURES; i++)
		r.low[i] = r.high[i] = NAN;
	return r;
}

struct likeness_range
likeness_by_skull(bool is_present)
{
	struct likeness_range r = likeness_nothing();

	r.whose = is_present ? "the model takes heads with their skull, which have" : "the model takes skull-stripped heads, which have";
	r.low[LIKENESS_SKULL_SHARE] = is_present ? 0.4 : 0;
	r.high[LIKENESS_SKULL_SHARE] = is_present ? 1 : 0.1;
	return r;
}

void
likeness_add(struct likeness_range *r, const struct likeness *l)
{
	r->n_cases++;
	for (size_t i = 0; i < LIKENESS_N_FIGURES; i++) {
		r->low[i] = fmin(r->low[i], l->figure[i]);         /* a nan counts for nothing */
		r->high[i] = fmax(r->high[i], l->figure[i]);
	}
}

/* ---- judging ---- */

static void
say(const struct kind *k, const struct likeness_range *r, double value, bool is_below, char *text, size_t size)
{
	const size_t n = strlen(text), i = (size_t)(k - kinds);

	snprintf(text + n, size - n, "%s%s%.0f%s; %s %.0f to %.0f%s", n > 0 ? "; " : "", is_below ? k->below : k->above, value / k->per, k->after, r->whose,
		r->low[i] / k->per, r->high[i] / k->per, k->unit);
}

size_t
likeness_judge(const struct likeness_range *r, const struct likeness *l, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < LIKENESS_N_FIGURES; i++) {
		const struct kind *k = &kinds[i];
		const double wider = k->is_wider_for_few && r->n_cases > 0 ? 1 + 4.0 / (double)r->n_cases : 1;
		const double low = r->low[i] * (1 - (1 - k->low_factor) * wider) - k->slack * wider;
		const double high = r->high[i] * (1 + (k->high_factor - 1) * wider) + k->slack * wider, value = l->figure[i];

		if (!(value < low) && !(value > high))             /* neither, where one of them is not known */
			continue;
		say(k, r, value, value < low, text, size);
		n++;
	}
	return n;
}
