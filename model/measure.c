/* Largest diameters by convex hulls. The faces of voxels lie in layers: those in the plane of a slice, those half a distance above and below it. The ends of a
 * largest diameter are corners of the hull of all, which has no other corners than those of the layers' hulls; and of a row of voxels only the first and the
 * last can be corners. Faces between two voxels of the mask may be counted with the others: they lie within the hull. */
#include "model/measure.h"

#include <math.h>
#include <stdlib.h>

struct point { double y, x; };                     /* mm along rows and columns */
struct layer {
	double z, middle[2], radius;               /* mm; the points lie within radius of the middle */
	size_t first, n;                           /* of its hull's points */
	size_t slice;
	bool is_slice;                             /* in the plane of a slice, not between two */
};
struct hulls {
	struct point *points;                      /* of all layers, one after the other */
	struct layer *layers;                      /* room for 3 a slice */
	struct point *candidates, *centres;        /* of the slice at work: room for 6 and 2 a row */
	size_t n_points, room, n_layers;
};

/* ---- hulls ---- */

static int
by_place(const void *a, const void *b)
{
	const struct point *p = a, *q = b;

	return p->x != q->x ? (p->x > q->x) - (p->x < q->x) : (p->y > q->y) - (p->y < q->y);
}

/* Twice the area of the triangle; over 0: a turn to the left. */
static double
turn(const struct point *a, const struct point *b, const struct point *c)
{
	return (b->x - a->x) * (c->y - a->y) - (b->y - a->y) * (c->x - a->x);
}

/* The lower or upper side of the hull of n sorted points (A. M. Andrew's chain), without its last corner, which begins the other side. */
static size_t
half_hull(const struct point *sorted, size_t n, bool is_upper, struct point *hull)
{
	size_t m = 0;

	for (size_t i = 0; i < n; i++) {
		const struct point *p = &sorted[is_upper ? n - 1 - i : i];
		while (m >= 2 && turn(&hull[m - 2], &hull[m - 1], p) <= 0)
			m--;
		hull[m++] = *p;
	}
	return m - 1;
}

static void
enclose(const struct point *p, struct layer *l)
{
	struct point low = p[0], high = p[0];

	for (size_t i = 1; i < l->n; i++) {
		low = (struct point) { fmin(low.y, p[i].y), fmin(low.x, p[i].x) };
		high = (struct point) { fmax(high.y, p[i].y), fmax(high.x, p[i].x) };
	}
	l->middle[0] = (low.y + high.y) / 2;
	l->middle[1] = (low.x + high.x) / 2;
	for (size_t i = 0; i < l->n; i++)
		l->radius = fmax(l->radius, hypot(p[i].y - l->middle[0], p[i].x - l->middle[1]));
}

/* The hull of n points becomes a layer; sorts them. */
static int
add_layer(struct hulls *h, struct point *points, size_t n, struct layer layer, struct err *e)
{
	struct layer *l = &h->layers[h->n_layers++];

	if (h->room - h->n_points < 2 * n) {
		size_t room = 2 * (h->room + n);
		struct point *larger = realloc(h->points, room * sizeof *larger);
		if (larger == NULL)
			return err_set(e, ERR_LIMIT, "no memory for %zu points of an outline", room);
		h->points = larger;
		h->room = room;
	}
	qsort(points, n, sizeof *points, by_place);
	*l = layer;
	l->first = h->n_points;
	l->n = half_hull(points, n, false, h->points + l->first);
	l->n += half_hull(points, n, true, h->points + l->first + l->n);
	if (l->n == 0) { /* all in one place */
		h->points[l->first] = points[0];
		l->n = 1;
	}
	enclose(h->points + l->first, l);
	h->n_points += l->n;
	return 0;
}

/* The points that may be corners: of the faces in the slice's plane, and of the voxels' centres, above and below which the other faces lie. */
static void
find_candidates(const struct grid *g, const uint8_t *plane, struct hulls *h, size_t *n, size_t *n_centres)
{
	double dy = g->spacing_mm[1], dx = g->spacing_mm[2];

	*n = *n_centres = 0;
	for (size_t r = 0; r < g->rows; r++) {
		const uint8_t *row = plane + r * g->cols;
		size_t ends[2] = { 0, g->cols };

		while (ends[0] < g->cols && row[ends[0]] == 0)
			ends[0]++;
		if (ends[0] == g->cols)
			continue;
		while (row[--ends[1]] == 0)
			;
		for (int i = 0; i < 2; i++) {
			struct point p = { (double)r * dy, (double)ends[i] * dx };
			h->centres[(*n_centres)++] = p;
			h->candidates[(*n)++] = (struct point) { p.y, p.x + (i == 0 ? -dx / 2 : dx / 2) };
			h->candidates[(*n)++] = (struct point) { p.y - dy / 2, p.x };
			h->candidates[(*n)++] = (struct point) { p.y + dy / 2, p.x };
		}
	}
}

static int
add_slice(const struct grid *g, const uint8_t *plane, size_t slice, struct hulls *h, struct err *e)
{
	double z = (double)slice * g->spacing_mm[0], half = g->spacing_mm[0] / 2;
	size_t n, n_centres;

	find_candidates(g, plane, h, &n, &n_centres);
	if (n == 0)
		return 0;
	if (add_layer(h, h->centres, n_centres, (struct layer) { .z = z - half }, e) != 0 ||
	    add_layer(h, h->candidates, n, (struct layer) { .z = z, .slice = slice, .is_slice = true }, e) != 0)
		return -1;
	return add_layer(h, h->centres, n_centres, (struct layer) { .z = z + half }, e);
}

/* ---- diameters ---- */

static double
widest(const struct hulls *h, const struct layer *a, const struct layer *b)
{
	double most = 0;

	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < b->n; k++) {
			const struct point *p = &h->points[a->first + i], *q = &h->points[b->first + k];
			most = fmax(most, (p->y - q->y) * (p->y - q->y) + (p->x - q->x) * (p->x - q->x));
		}
	return sqrt(most + (a->z - b->z) * (a->z - b->z));
}

/* What no pair of the two can exceed. */
static double
bound(const struct layer *a, const struct layer *b)
{
	return hypot(a->z - b->z, hypot(a->middle[0] - b->middle[0], a->middle[1] - b->middle[1]) + a->radius + b->radius);
}

static void
find_diameters(const struct hulls *h, struct measure *out)
{
	for (size_t i = 0; i < h->n_layers; i++) {
		const struct layer *a = &h->layers[i];
		double mm = a->is_slice && bound(a, a) > out->long_axis_mm ? widest(h, a, a) : 0;

		if (mm > out->long_axis_mm) {
			out->long_axis_mm = mm;
			out->long_axis_slice = a->slice;
		}
		for (size_t k = h->n_layers; k-- > i;) /* the far ones first: they leave less to do */
			if (bound(a, &h->layers[k]) > out->diameter_mm)
				out->diameter_mm = fmax(out->diameter_mm, widest(h, a, &h->layers[k]));
	}
}

int
measure_mask(const struct grid *g, const uint8_t *mask, struct measure *out, struct err *e)
{
	size_t plane = g->rows * g->cols;
	struct hulls h = { .layers = calloc(3 * g->slices + 1, sizeof *h.layers), .candidates = calloc(6 * g->rows + 1, sizeof *h.candidates),
		.centres = calloc(2 * g->rows + 1, sizeof *h.centres) };
	int rc = h.layers == NULL || h.candidates == NULL || h.centres == NULL ? err_set(e, ERR_LIMIT, "no memory to measure %zu slices", g->slices) : 0;

	*out = (struct measure) { 0 };
	for (size_t i = 0; i < g->slices * plane; i++)
		out->voxels += mask[i] != 0;
	out->volume_ml = (double)out->voxels * grid_voxel_ml(g);
	for (size_t s = 0; s < g->slices && out->voxels > 0 && rc == 0; s++)
		rc = add_slice(g, mask + s * plane, s, &h, e);
	if (rc == 0)
		find_diameters(&h, out);
	free(h.points);
	free(h.layers);
	free(h.candidates);
	free(h.centres);
	return rc == 0 ? 0 : err_note(e, "measuring a mask");
}
