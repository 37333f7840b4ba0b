/* Tracing: a crack is a side of a pixel inside with a pixel outside beyond it; every crack has one that follows, with the inside always on the same hand, so
 * the cracks fall into closed loops. A piece (4-connected) has one loop round it and one round each of its holes. */
#include "dicom/contour.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Right, down, left, up: each is the next one's right hand on a screen, where rows go down. */
static const int step_x[4] = { 1, 0, -1, 0 }, step_y[4] = { 0, 1, 0, -1 };

struct loop { struct contour_point *points; size_t n, room; uint32_t piece; bool is_hole; };
struct tracing {
	const uint8_t *plane;
	int32_t rows, cols, first_row, end_row;    /* rows outside of [first_row, end_row) count as outside */
	uint32_t *piece;                           /* (rows, cols): number of its piece, 0 = none */
	uint8_t *seen;                             /* (rows, cols): a bit a crack */
	struct contour_point *stack;               /* of the flood; room for every pixel */
	struct loop *loops;
	size_t n_loops, room;
};

/* items with room for n of them at least; NULL: there is no memory, and items is as it was. */
static void *
grown(void *items, size_t *room, size_t n, size_t size, struct err *e)
{
	const size_t larger = 2 * (n > *room ? n : *room) + 16;
	void *moved = items;

	if (n > *room && (larger > SIZE_MAX / size || (moved = realloc(items, larger * size)) == NULL)) {
		err_set(e, ERR_LIMIT, "no memory for outlines");
		return NULL;
	}
	*room = n > *room ? larger : *room;
	return moved;
}

static bool
is_inside(const struct tracing *t, int32_t x, int32_t y)
{
	return x >= 0 && x < t->cols && y >= t->first_row && y < t->end_row && t->plane[(size_t)y * (size_t)t->cols + (size_t)x] != 0;
}

static size_t
at(const struct tracing *t, int32_t x, int32_t y)
{
	return (size_t)y * (size_t)t->cols + (size_t)x;
}

/* ---- pieces ---- */

static void
flood(struct tracing *t, int32_t x, int32_t y, uint32_t number)
{
	size_t n = 0;

	t->stack[n++] = (struct contour_point) { x, y };
	t->piece[at(t, x, y)] = number;
	while (n > 0) {
		struct contour_point p = t->stack[--n];
		for (int d = 0; d < 4; d++) {
			int32_t qx = p.x + step_x[d], qy = p.y + step_y[d];
			if (!is_inside(t, qx, qy) || t->piece[at(t, qx, qy)] != 0)
				continue;
			t->piece[at(t, qx, qy)] = number;
			t->stack[n++] = (struct contour_point) { qx, qy };
		}
	}
}

static void
find_pieces(struct tracing *t)
{
	uint32_t number = 0;

	for (int32_t y = t->first_row; y < t->end_row; y++)
		for (int32_t x = 0; x < t->cols; x++)
			if (is_inside(t, x, y) && t->piece[at(t, x, y)] == 0)
				flood(t, x, y, ++number);
}

/* ---- loops ---- */

static int
add_point(struct loop *l, struct contour_point p, struct err *e)
{
	struct contour_point *points = grown(l->points, &l->room, l->n + 1, sizeof *points, e);

	if (points == NULL)
		return -1;
	l->points = points;
	l->points[l->n++] = p;
	return 0;
}

/* The next crack: straight on, round the pixel's own corner, or to the pixel that stands in the way. */
static void
follow(const struct tracing *t, int32_t *x, int32_t *y, int *side)
{
	int ahead = (*side + 1) % 4;
	int32_t qx = *x + step_x[ahead], qy = *y + step_y[ahead];

	if (!is_inside(t, qx, qy)) {
		*side = ahead;
		return;
	}
	*x = qx;
	*y = qy;
	if (is_inside(t, qx + step_x[*side], qy + step_y[*side])) {
		*x += step_x[*side];
		*y += step_y[*side];
		*side = (*side + 3) % 4;
	}
}

static bool
is_straight(const struct contour_point *a, const struct contour_point *b, const struct contour_point *c)
{
	return (int64_t)(b->x - a->x) * (c->y - b->y) == (int64_t)(b->y - a->y) * (c->x - b->x);
}

/* Twice the area, over 0 for a loop that goes round as right, down, left, up. */
static int64_t
turning(const struct loop *l)
{
	int64_t sum = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct contour_point *a = &l->points[i], *b = &l->points[(i + 1) % l->n];
		sum += (int64_t)a->x * b->y - (int64_t)b->x * a->y;
	}
	return sum;
}

static int
trace_loop(struct tracing *t, int32_t x, int32_t y, int side, struct err *e)
{
	struct loop *l = &t->loops[t->n_loops++];
	size_t kept = 0;

	*l = (struct loop) { .piece = t->piece[at(t, x, y)] };
	for (; (t->seen[at(t, x, y)] & 1u << side) == 0; follow(t, &x, &y, &side)) {
		t->seen[at(t, x, y)] |= (uint8_t)(1u << side);
		if (add_point(l, (struct contour_point) { 2 * x + step_x[side], 2 * y + step_y[side] }, e) != 0)
			return -1;
	}
	l->is_hole = turning(l) < 0;
	for (size_t i = 0; i < l->n; i++) {        /* corners only; the first and last of a straight run are kept by their neighbours */
		const struct contour_point *before = kept > 0 ? &l->points[kept - 1] : &l->points[l->n - 1], *after = &l->points[(i + 1) % l->n];
		struct contour_point p = l->points[i];
		if (i + 1 == l->n ? is_straight(before, &p, &l->points[0]) : is_straight(before, &p, after))
			continue;
		l->points[kept++] = p;
	}
	l->n = kept;
	return 0;
}

static int
find_loops(struct tracing *t, struct err *e)
{
	for (int32_t y = t->first_row; y < t->end_row; y++)
		for (int32_t x = 0; x < t->cols; x++)
			for (int side = 0; side < 4 && is_inside(t, x, y); side++) {
				struct loop *loops;
				if (is_inside(t, x + step_x[side], y + step_y[side]) || (t->seen[at(t, x, y)] & 1u << side) != 0)
					continue;
				loops = grown(t->loops, &t->room, t->n_loops + 1, sizeof *loops, e);
				if (loops == NULL)
					return -1;
				t->loops = loops;
				if (trace_loop(t, x, y, side, e) != 0)
					return -1;
			}
	return 0;
}

/* ---- keyholes ---- */

static size_t
leftmost(const struct loop *l)
{
	size_t best = 0;

	for (size_t i = 1; i < l->n; i++)
		if (l->points[i].x < l->points[best].x)
			best = i;
	return best;
}

/* Pieces together, outline first, holes from left to right: what is left of a hole, on its height, is then part of the outline already. */
static int
by_piece(const void *a, const void *b)
{
	const struct loop *p = a, *q = b;
	int32_t x = p->points[leftmost(p)].x, y = q->points[leftmost(q)].x;

	if (p->piece != q->piece)
		return p->piece < q->piece ? -1 : 1;
	return p->is_hole != q->is_hole ? (p->is_hole ? 1 : -1) : (x > y) - (x < y);
}

/* Where a line to the left from m first meets the outline: in *meets, on the edge behind point *edge. Edges are level, upright or diagonal, so that it meets
 * them at whole numbers. */
static void
look_left(const struct loop *outline, struct contour_point m, size_t *edge, struct contour_point *meets)
{
	*meets = (struct contour_point) { INT32_MIN, m.y };
	for (size_t i = 0; i < outline->n; i++) {
		const struct contour_point *a = &outline->points[i], *b = &outline->points[(i + 1) % outline->n];
		int32_t x;

		if ((a->y < m.y && b->y < m.y) || (a->y > m.y && b->y > m.y))
			continue;
		if (a->y == b->y)
			x = a->x > b->x ? a->x : b->x;
		else
			x = a->x + (m.y - a->y) * (b->x - a->x) / (b->y - a->y);
		if (x < m.x && x > meets->x) {
			meets->x = x;
			*edge = i;
		}
	}
}

static bool
same(struct contour_point a, struct contour_point b)
{
	return a.x == b.x && a.y == b.y;
}

static int
join_hole(struct loop *outline, const struct loop *hole, struct err *e)
{
	size_t from = leftmost(hole), edge = 0;
	struct contour_point m = hole->points[from], meets;
	struct loop joined = { .n = 0 };
	int rc = 0;

	look_left(outline, m, &edge, &meets);
	for (size_t i = 0; i <= edge && rc == 0; i++)
		rc = add_point(&joined, outline->points[i], e);
	if (rc == 0 && !same(meets, outline->points[edge]))
		rc = add_point(&joined, meets, e);
	for (size_t i = 0; i <= hole->n && rc == 0; i++)
		rc = add_point(&joined, hole->points[(from + i) % hole->n], e);
	if (rc == 0 && !same(meets, outline->points[(edge + 1) % outline->n]))
		rc = add_point(&joined, meets, e);
	for (size_t i = edge + 1; i < outline->n && rc == 0; i++)
		rc = add_point(&joined, outline->points[i], e);
	if (rc != 0) {
		free(joined.points);
		return -1;
	}
	free(outline->points);
	outline->points = joined.points;
	outline->n = joined.n;
	outline->room = joined.room;
	return 0;
}

static int
join_holes(struct tracing *t, struct err *e)
{
	struct loop *outline = NULL;

	if (t->n_loops > 1)
		qsort(t->loops, t->n_loops, sizeof *t->loops, by_piece);
	for (size_t i = 0; i < t->n_loops; i++) {
		if (!t->loops[i].is_hole)
			outline = &t->loops[i];
		else if (join_hole(outline, &t->loops[i], e) != 0)
			return -1;
	}
	return 0;
}

/* ---- all of it ---- */

static int
keep(struct contours *c, const struct loop *l, struct err *e)
{
	struct contour_point *points = grown(c->points, &c->points_room, c->n_points + l->n, sizeof *points, e);
	struct contour *list;

	if (points == NULL)
		return -1;
	c->points = points;
	list = grown(c->list, &c->list_room, c->n + 1, sizeof *list, e);
	if (list == NULL)
		return -1;
	c->list = list;
	c->list[c->n++] = (struct contour) { c->n_points, l->n };
	memcpy(c->points + c->n_points, l->points, l->n * sizeof *l->points);
	c->n_points += l->n;
	return 0;
}

static void
forget_loops(struct tracing *t)
{
	for (size_t i = 0; i < t->n_loops; i++)
		free(t->loops[i].points);
	t->n_loops = 0;
}

/* The rows from first to end; in two halves when an outline is too long. */
static int
trace_rows(struct tracing *t, int32_t first, int32_t end, size_t max_points, struct contours *out, struct err *e)
{
	size_t n = (size_t)t->rows * (size_t)t->cols, longest = 0;
	int rc = 0;

	forget_loops(t);
	memset(t->piece, 0, n * sizeof *t->piece);
	memset(t->seen, 0, n);
	t->first_row = first;
	t->end_row = end;
	find_pieces(t);
	if (find_loops(t, e) != 0 || join_holes(t, e) != 0)
		return -1;
	for (size_t i = 0; i < t->n_loops; i++)
		longest = !t->loops[i].is_hole && t->loops[i].n > longest ? t->loops[i].n : longest;
	if (longest > max_points && end - first > 1)
		return trace_rows(t, first, first + (end - first) / 2, max_points, out, e) != 0 ? -1 : trace_rows(t, first + (end - first) / 2, end, max_points, out, e);
	for (size_t i = 0; i < t->n_loops && rc == 0; i++)
		rc = t->loops[i].is_hole ? 0 : keep(out, &t->loops[i], e);
	return rc;
}

int
contours_trace(const uint8_t *plane, size_t rows, size_t cols, size_t max_points, struct contours *out, struct err *e)
{
	struct tracing t = { .plane = plane, .rows = (int32_t)rows, .cols = (int32_t)cols };
	int rc;

	*out = (struct contours) { 0 };
	if (rows == 0 || cols == 0 || rows > UINT16_MAX || cols > UINT16_MAX) /* what a DICOM image has at most */
		return err_set(e, ERR_INPUT, "%zu x %zu pixels cannot be outlined", rows, cols);
	t.piece = calloc(rows * cols, sizeof *t.piece);
	t.seen = calloc(rows * cols, 1);
	t.stack = calloc(rows * cols, sizeof *t.stack);
	rc = t.piece == NULL || t.seen == NULL || t.stack == NULL ? err_set(e, ERR_LIMIT, "no memory for outlines") : trace_rows(&t, 0, t.rows, max_points, out, e);
	forget_loops(&t);
	free(t.loops);
	free(t.piece);
	free(t.seen);
	free(t.stack);
	return rc;
}

void
contours_free(struct contours *c)
{
	free(c->points);
	free(c->list);
	*c = (struct contours) { 0 };
}
