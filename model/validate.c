/* Validation during a training. One case at a time: its masks on the source grid, Dice against the truth. Other figures and intervals
 * are what segan evaluate is for. */
#include "model/validate.h"
#include "model/infer.h"

#include <math.h>
#include <stdlib.h>

/* Buffers of one case. */
struct work {
	const struct manifest *m;
	struct segmentor *segmentor;
	uint8_t *mask[MODEL_MAX_SEGMENTS];      /* one a segment: (slices, rows, cols) */
};

static void
release(struct work *w)
{
	for (size_t i = 0; i < MODEL_MAX_SEGMENTS; i++) {
		free(w->mask[i]);
		w->mask[i] = NULL;
	}
}

static int
reserve(struct work *w, const struct grid *g, struct err *e)
{
	for (size_t i = 0; i < w->m->n_segments; i++)
		if ((w->mask[i] = calloc(grid_voxels(g), 1)) == NULL)
			return err_set(e, ERR_LIMIT, "no memory to validate on %zu x %zu x %zu voxels", g->slices, g->rows, g->cols);
	return 0;
}

static double
dice(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t both = 0, sum = 0;

	for (size_t i = 0; i < n; i++) {
		both += a[i] && b[i];
		sum += (a[i] != 0) + (b[i] != 0);
	}
	return sum == 0 ? 1 : 2 * (double)both / (double)sum;
}

static int
one_case(struct work *w, const struct prepared *p, double *mean, struct err *e)
{
	const struct grid *g = &p->source->grid;
	const struct infer_request r = { .manifest = w->m, .segmentor = w->segmentor, .prep = p->prep, .grid = g, .mask = w->mask };
	const size_t voxels = grid_voxels(g);

	if (reserve(w, g, e) != 0 || infer_run(&r, NULL, NULL, e) != 0)
		return -1;
	*mean = 0;
	for (size_t i = 0; i < w->m->n_segments; i++) {
		const struct segment_kind *s = &w->m->segments[i];
		size_t n;

		if (prep_mask_finish(g, s, w->mask[i], &n, e) != 0)
			return -1;
		*mean += dice(w->mask[i], p->source->truth + s->map * voxels, voxels) / (double)w->m->n_segments;
	}
	return 0;
}

int
validate(const struct manifest *m, const struct prepared *cases, size_t n, unsigned threads, double *mean_dice, struct err *e)
{
	struct work w = { .m = m };
	double sum = 0, one = 0;
	int result = -1;

	*mean_dice = NAN;
	w.segmentor = segmentor_load(m, threads, e);
	if (!w.segmentor)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (one_case(&w, &cases[i], &one, e) != 0) {
			err_note(e, "validating on case %s", cases[i].source->name);
			goto out;
		}
		sum += one;
		prepared_rest(&cases[i]);
		release(&w);
	}
	if (n > 0)
		*mean_dice = sum / (double)n;
	result = 0;
out:
	release(&w);
	segmentor_free(w.segmentor);
	return result;
}
