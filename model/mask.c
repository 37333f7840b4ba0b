/* Probabilities -> one mask: threshold, then removal of small and of faint pieces. While a mask is made a voxel is a byte of two bits, so that no volume of
 * probabilities is needed. Only bytes that change are written: of a mask from calloc, memory that nothing was found in is never taken. Pieces are 26-connected (they touch by a face, an edge or a corner) and found over runs of voxels along the columns, so memory grows with the outline of what was found, not with the volume. */
#include "model/prep.h"

#include <stdlib.h>

enum { FOUND = 1, PEAK = 2 };                   /* at or over the threshold; and at or over the peak */

/* Columns [begin, end); parent: a run of the same piece, itself at the root; of a root's piece: size, its voxels, and whether one of them is a PEAK. */
struct run { size_t begin, end, parent, size; bool has_peak; };

struct pieces {
	struct run *runs;
	size_t n;
	size_t *row_begin;                     /* (rows of all slices + 1): first run of each */
};

static bool
reaches_peak(const uint8_t *mask, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (mask[i] & PEAK)
			return true;
	return false;
}

/* Runs of one row from column 0 on; runs NULL: only counts them. */
static size_t
row_runs(const uint8_t *row, size_t cols, size_t first, struct run *runs)
{
	size_t n = 0;

	for (size_t c = 0; c < cols; c++) {
		size_t begin = c;

		while (c < cols && row[c])
			c++;
		if (c == begin)
			continue;
		if (runs)
			runs[first + n] = (struct run){ begin, c, first + n, c - begin, reaches_peak(row + begin, c - begin) };
		n++;
	}
	return n;
}

static size_t
root(struct run *runs, size_t i)
{
	while (runs[i].parent != i)
		i = runs[i].parent = runs[runs[i].parent].parent;
	return i;
}

static void
join(struct run *runs, size_t i, size_t j)
{
	i = root(runs, i);
	j = root(runs, j);
	if (i == j)
		return;
	if (i > j) {
		size_t k = i;
		i = j;
		j = k;
	}
	runs[j].parent = i;
	runs[i].size += runs[j].size;
	runs[i].has_peak |= runs[j].has_peak;
}

/* Joins the runs of two neighbouring rows that touch, corners included. Both lists are in order of their columns. */
static void
join_rows(struct pieces *p, size_t row, size_t other)
{
	size_t i = p->row_begin[row], j = p->row_begin[other];

	while (i < p->row_begin[row + 1] && j < p->row_begin[other + 1]) {
		if (p->runs[i].begin <= p->runs[j].end && p->runs[j].begin <= p->runs[i].end)
			join(p->runs, i, j);
		if (p->runs[i].end < p->runs[j].end)
			i++;
		else
			j++;
	}
}

/* Every row with those of its 13 earlier neighbours that are in other rows. */
static void
join_all(struct pieces *p, const struct grid *g)
{
	for (size_t s = 0; s < g->slices; s++)
		for (size_t r = 0; r < g->rows; r++) {
			size_t row = s * g->rows + r;

			if (r > 0)
				join_rows(p, row, row - 1);
			if (s == 0)
				continue;
			join_rows(p, row, row - g->rows);
			if (r > 0)
				join_rows(p, row, row - g->rows - 1);
			if (r + 1 < g->rows)
				join_rows(p, row, row - g->rows + 1);
		}
}

static int
pieces_find(struct pieces *p, const struct grid *g, const uint8_t *mask, struct err *e)
{
	const size_t n_rows = g->slices * g->rows;

	p->row_begin = calloc(n_rows + 1, sizeof *p->row_begin);
	if (!p->row_begin)
		return err_set(e, ERR_LIMIT, "no memory for the rows of a mask");
	for (size_t row = 0; row < n_rows; row++) {
		p->row_begin[row] = p->n;
		p->n += row_runs(mask + row * g->cols, g->cols, p->n, NULL);
	}
	p->row_begin[n_rows] = p->n;
	p->runs = calloc(p->n ? p->n : 1, sizeof *p->runs);
	if (!p->runs)
		return err_set(e, ERR_LIMIT, "no memory for the pieces of a mask");
	for (size_t row = 0; row < n_rows; row++)
		row_runs(mask + row * g->cols, g->cols, p->row_begin[row], p->runs);
	join_all(p, g);
	return 0;
}

static void
pieces_close(struct pieces *p)
{
	free(p->runs);
	free(p->row_begin);
}

/* Clears the runs of pieces under minimum_ml or without a peak. */
static void
remove_weak(struct pieces *p, const struct grid *g, const struct segment_kind *s, uint8_t *mask)
{
	const double voxel_ml = grid_voxel_ml(g);

	for (size_t row = 0; row < g->slices * g->rows; row++)
		for (size_t i = p->row_begin[row]; i < p->row_begin[row + 1]; i++) {
			const struct run *piece = &p->runs[root(p->runs, i)];
			if ((double)piece->size * voxel_ml >= s->minimum_ml && piece->has_peak)
				continue;
			for (size_t c = p->runs[i].begin; c < p->runs[i].end; c++)
				mask[row * g->cols + c] = 0;
		}
}

void
prep_mask_slice(const struct segment_kind *s, const float *probability, size_t n, uint8_t *mask)
{
	for (size_t i = 0; i < n; i++) {
		const uint8_t is = !(probability[i] >= s->threshold) ? 0 : probability[i] >= s->peak ? FOUND | PEAK : FOUND;
		if (mask[i] != is)
			mask[i] = is;
	}
}

/* Bytes of two bits -> 0/1; returns how many are 1. */
static size_t
only_found(uint8_t *mask, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		count += mask[i] & FOUND;
		if (mask[i] & PEAK)
			mask[i] = FOUND;
	}
	return count;
}

int
prep_mask_finish(const struct grid *g, const struct segment_kind *s, uint8_t *mask, size_t *n, struct err *e)
{
	struct pieces p = { 0 };
	int result = 0;

	if (s->minimum_ml > 0 || s->peak > s->threshold) {
		result = pieces_find(&p, g, mask, e);
		if (result == 0)
			remove_weak(&p, g, s, mask);
		pieces_close(&p);
	}
	*n = only_found(mask, grid_voxels(g));
	return result;
}

int
prep_mask(const struct grid *g, const float *probability, const struct segment_kind *s, uint8_t *mask, size_t *n, struct err *e)
{
	prep_mask_slice(s, probability, grid_voxels(g), mask);
	return prep_mask_finish(g, s, mask, n, e);
}
