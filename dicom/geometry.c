/* Where slices lie. Only ImagePositionPatient and ImageOrientationPatient count (PS3.3 C.7.6.2.1.1), never InstanceNumber or the order of files.
 * Checks in this order: each slice by itself, then all against the first (size, spacing, orientation), then neighbours along the normal (doubled position, tilt,
 * even distance). The distance that the others are measured against is the lower median, which one missing slice does not move; the grid's spacing is the mean. */
#include "dicom/geometry.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* DESIGN.md, small print "Verdicts". */
static const double SPACING_SHARE = 0.01, SPACING_MM = 0.01;    /* two distances are equal within the larger of the two */
static const double COSINE = 1e-3;                               /* two orientations */
static const double DRIFT_SHARE = 0.01, DRIFT_MM = 0.05;         /* in-plane, between neighbours */
/* Ours: cosines rounded to three digits pass, a wrong tag does not; lengths beyond this are no patient's. */
static const double UNIT = 1e-2, SQUARE = 2e-3, SMALLEST_MM = 1e-6, LARGEST_MM = 1e6;

static const char POSITION[] = "ImagePositionPatient (0020,0032)", ORIENTATION[] = "ImageOrientationPatient (0020,0037)", SPACING[] = "PixelSpacing (0028,0030)";

static double
dot(const double a[3], const double b[3])
{
	return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void
scale(double v[3], double factor)
{
	for (int i = 0; i < 3; i++)
		v[i] *= factor;
}

static enum geometry_verdict bad(struct err *reason, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static enum geometry_verdict
bad(struct err *reason, const char *fmt, ...)
{
	va_list ap;

	reason->code = ERR_INPUT;
	va_start(ap, fmt);
	vsnprintf(reason->text, sizeof reason->text, fmt, ap);
	va_end(ap);
	return GEOMETRY_BAD;
}

static bool
is_length(double mm)
{
	return isfinite(mm) && mm >= SMALLEST_MM && mm <= LARGEST_MM;
}

/* Unit, square vectors out of nearly unit, nearly square ones; false for any others (NaN too). */
static bool
directions(const struct slice *s, double row[3], double col[3])
{
	double row_length = sqrt(dot(s->row_dir, s->row_dir)), col_length = sqrt(dot(s->col_dir, s->col_dir)), skew;

	if (!(fabs(row_length - 1) <= UNIT && fabs(col_length - 1) <= UNIT))
		return false;
	for (int i = 0; i < 3; i++) {
		row[i] = s->row_dir[i] / row_length;
		col[i] = s->col_dir[i] / col_length;
	}
	skew = dot(row, col);
	if (!(fabs(skew) <= SQUARE))
		return false;
	for (int i = 0; i < 3; i++)
		col[i] -= skew * row[i];
	scale(col, 1 / sqrt(dot(col, col)));
	return true;
}

static enum geometry_verdict
check_one(const struct slice *s, struct err *reason)
{
	double row[3], col[3];

	for (int i = 0; i < 3; i++)
		if (!isfinite(s->position_mm[i]) || fabs(s->position_mm[i]) > LARGEST_MM)
			return bad(reason, "slice %s: %s is no position in mm", s->name, POSITION);
	if (!directions(s, row, col))
		return bad(reason, "slice %s: %s is no pair of unit vectors at right angles", s->name, ORIENTATION);
	if (!is_length(s->spacing_mm[0]) || !is_length(s->spacing_mm[1]))
		return bad(reason, "slice %s: %s is no pair of positive lengths in mm, from %g to %g", s->name, SPACING, SMALLEST_MM, LARGEST_MM);
	if (s->rows == 0 || s->cols == 0)
		return bad(reason, "slice %s: Rows (0028,0010) or Columns (0028,0011) is 0", s->name);
	return GEOMETRY_WHOLE;
}

static bool
is_same_length(double mm, double reference_mm)
{
	return fabs(mm - reference_mm) <= fmax(SPACING_SHARE * reference_mm, SPACING_MM);
}

static enum geometry_verdict
check_pair(const struct slice *first, const struct slice *s, struct err *reason)
{
	double row[2][3], col[2][3];

	if (s->rows != first->rows || s->cols != first->cols)
		return bad(reason, "slices differ in size: %s has Rows (0028,0010) x Columns (0028,0011) %zu x %zu, %s has %zu x %zu", first->name, first->rows, first->cols,
		    s->name, s->rows, s->cols);
	if (!is_same_length(s->spacing_mm[0], first->spacing_mm[0]) || !is_same_length(s->spacing_mm[1], first->spacing_mm[1]))
		return bad(reason, "slices differ in %s: %s has %g\\%g, %s has %g\\%g", SPACING, first->name, first->spacing_mm[0], first->spacing_mm[1], s->name,
		    s->spacing_mm[0], s->spacing_mm[1]);
	if (!directions(first, row[0], col[0]) || !directions(s, row[1], col[1]))
		return bad(reason, "slice %s: %s is no pair of unit vectors", s->name, ORIENTATION);
	for (int i = 0; i < 3; i++)
		if (fabs(row[0][i] - row[1][i]) > COSINE || fabs(col[0][i] - col[1][i]) > COSINE)
			return bad(reason, "mixed orientation: %s of slices %s and %s differ", ORIENTATION, first->name, s->name);
	return GEOMETRY_WHOLE;
}

struct sorting {
	const struct slice *slices;
	double normal[3];
};

static int
compare_places(const void *a, const void *b, void *arg)
{
	const struct sorting *s = arg;
	size_t i = *(const size_t *)a, k = *(const size_t *)b;
	double x = dot(s->slices[i].position_mm, s->normal), y = dot(s->slices[k].position_mm, s->normal);

	return x < y ? -1 : x > y ? 1 : i < k ? -1 : i > k;
}

static int
compare_lengths(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* "slice UID at x\y\z" */
static const char *
place(const struct slice *s, char text[160])
{
	snprintf(text, 160, "%s at %.6g\\%.6g\\%.6g", s->name, s->position_mm[0], s->position_mm[1], s->position_mm[2]);
	return text;
}

/* Neighbours along the normal: not in one place, and one right above the other. */
static enum geometry_verdict
check_neighbours(const struct slice *a, const struct slice *b, const double normal[3], double *distance, struct err *reason)
{
	double step[3], drift;
	char text[2][160];

	for (int i = 0; i < 3; i++)
		step[i] = b->position_mm[i] - a->position_mm[i];
	*distance = dot(step, normal);
	if (*distance <= SPACING_MM) {
		bad(reason, "doubled position: %s of slice %s and of slice %s", POSITION, place(a, text[0]), place(b, text[1]));
		return GEOMETRY_DOUBLED;
	}
	for (int i = 0; i < 3; i++)
		step[i] -= *distance * normal[i];
	drift = sqrt(dot(step, step));
	if (drift > fmax(DRIFT_SHARE * *distance, DRIFT_MM))
		return bad(reason, "gantry tilt: %s moves %.3g mm within the plane between slice %s and slice %s", POSITION, drift, place(a, text[0]), place(b, text[1]));
	return GEOMETRY_WHOLE;
}

/* Says of the first distance that differs from the usual one how many slices would fill it, or that none would. */
static enum geometry_verdict
say_gap(const struct slice *a, const struct slice *b, double distance, double usual, struct err *reason)
{
	double missing = round(distance / usual) - 1;
	char text[2][160], cure[96];

	if (missing >= 1 && is_same_length(distance / (missing + 1), usual))
		snprintf(cure, sizeof cure, "%.0f slice%s missing between them", missing, missing > 1 ? "s are" : " is");
	else
		snprintf(cure, sizeof cure, "the slices are unevenly spaced");
	bad(reason, "gap: %s of slice %s and slice %s are %.6g mm apart along the normal, the usual distance is %.6g mm: %s", POSITION, place(a, text[0]), place(b, text[1]),
	    distance, usual, cure);
	return GEOMETRY_GAP;
}

/* usual: the lower median of n distances, by sorting a copy. false: no memory. */
static bool
usual_distance(const double *distances, size_t n, double *usual)
{
	double *sorted = calloc(n, sizeof *sorted);

	if (sorted == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		sorted[i] = distances[i];
	qsort(sorted, n, sizeof *sorted, compare_lengths);
	*usual = sorted[(n - 1) / 2];
	free(sorted);
	return true;
}

/* All neighbours of n >= 2 ordered slices; distances has n - 1 entries. On DOUBLED the two are put in front. */
static enum geometry_verdict
check_stack(const struct slice *slices, size_t n, size_t *order, const double normal[3], double *distances, struct err *reason)
{
	enum geometry_verdict verdict;
	double usual;

	for (size_t i = 0; i + 1 < n; i++)
		if ((verdict = check_neighbours(&slices[order[i]], &slices[order[i + 1]], normal, &distances[i], reason)) != GEOMETRY_WHOLE) {
			size_t both[2] = { order[i], order[i + 1] };
			order[0] = both[0];
			order[1] = both[1];
			return verdict;
		}
	if (!usual_distance(distances, n - 1, &usual)) {
		err_set(reason, ERR_LIMIT, "out of memory");
		return GEOMETRY_BAD;
	}
	for (size_t i = 0; i + 1 < n; i++)
		if (!is_same_length(distances[i], usual))
			return say_gap(&slices[order[i]], &slices[order[i + 1]], distances[i], usual, reason);
	return GEOMETRY_WHOLE;
}

static enum geometry_verdict
check_all(const struct slice *slices, size_t n, struct err *reason)
{
	enum geometry_verdict verdict;

	for (size_t i = 0; i < n; i++)
		if ((verdict = check_one(&slices[i], reason)) != GEOMETRY_WHOLE)
			return verdict;
	for (size_t i = 1; i < n; i++)
		if ((verdict = check_pair(&slices[0], &slices[i], reason)) != GEOMETRY_WHOLE)
			return verdict;
	return GEOMETRY_WHOLE;
}

enum geometry_verdict
geometry_order(const struct slice *slices, size_t n, size_t *order, struct grid *grid, struct err *reason)
{
	struct sorting sorting = { .slices = slices };
	enum geometry_verdict verdict;
	const struct slice *first;
	double *distances;

	assert(n > 0);
	for (size_t i = 0; i < n; i++)
		order[i] = i;
	if ((verdict = check_all(slices, n, reason)) != GEOMETRY_WHOLE)
		return verdict;
	*grid = (struct grid){ .slices = n, .rows = slices[0].rows, .cols = slices[0].cols,
		.spacing_mm = { is_length(slices[0].thickness_mm) ? slices[0].thickness_mm : 1, slices[0].spacing_mm[0], slices[0].spacing_mm[1] } };
	directions(&slices[0], grid->row_dir, grid->col_dir);
	grid_normal(grid, sorting.normal);
	qsort_r(order, n, sizeof *order, compare_places, &sorting);
	first = &slices[order[0]];
	for (int i = 0; i < 3; i++)
		grid->origin_mm[i] = first->position_mm[i];
	if (n == 1)
		return GEOMETRY_WHOLE;
	if ((distances = calloc(n - 1, sizeof *distances)) == NULL) {
		err_set(reason, ERR_LIMIT, "out of memory");
		return GEOMETRY_BAD;
	}
	verdict = check_stack(slices, n, order, sorting.normal, distances, reason);
	free(distances);
	if (verdict == GEOMETRY_WHOLE)
		grid->spacing_mm[0] = (dot(slices[order[n - 1]].position_mm, sorting.normal) - dot(first->position_mm, sorting.normal)) / (double)(n - 1);
	return verdict;
}
