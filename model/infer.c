/* Network slices in, probabilities on the source grid out, a batch at a time. */
#include "model/infer.h"

#include "model/fraction.h"

#include <stdlib.h>
#include <string.h>

/* x (batch, channels, h, w), y (batch, or all slices of a resampled series; labels, h, w), mirrored (batch, labels, h, w), back (labels, rows, cols) of
 * the grid. */
struct buffers { float *x, *y, *mirrored, *back; };

/* n rows of w columns, each from back to front. */
static void
mirror(float *rows, size_t n, size_t w)
{
	for (size_t i = 0; i < n; i++, rows += w)
		for (size_t a = 0, b = w - 1; a < b; a++, b--) {
			float value = rows[a];
			rows[a] = rows[b];
			rows[b] = value;
		}
}

/* y: probabilities of x, n slices; of a model that mirrors the mean of those of x and of x mirrored. x is used up. */
static int
run_network(const struct infer_request *r, size_t n, const struct buffers *b, float *y, struct err *e)
{
	const size_t h = prep_rows(r->prep), w = prep_cols(r->prep), labels = r->manifest->network.labels, n_out = n * labels * h * w;

	if (segmentor_run(r->segmentor, b->x, n, h, w, y, e) != 0)
		return -1;
	if (!r->manifest->mirror)
		return 0;
	mirror(b->x, n * r->manifest->network.channels * h, w);
	if (segmentor_run(r->segmentor, b->x, n, h, w, b->mirrored, e) != 0)
		return -1;
	mirror(b->mirrored, n * labels * h, w);
	for (size_t i = 0; i < n_out; i++)
		y[i] = 0.5f * (y[i] + b->mirrored[i]);
	return 0;
}

/* Probabilities (labels, rows, cols) of a source slice to where they are wanted. */
static void
deliver(const struct infer_request *r, size_t slice, const float *maps)
{
	const size_t plane = r->grid->rows * r->grid->cols;

	for (size_t i = 0; i < r->manifest->n_segments; i++)
		prep_mask_slice(&r->manifest->segments[i], maps + r->manifest->segments[i].map * plane, plane, r->mask[i] + slice * plane);
	for (size_t i = 0; r->fraction != NULL && i < r->manifest->n_segments; i++)
		fraction_of(maps + r->manifest->segments[i].map * plane, plane, r->manifest->segments[i].threshold, r->fraction[i] + slice * plane);
	for (size_t m = 0; r->probability != NULL && m < r->manifest->network.labels; m++)
		memcpy(r->probability[m] + slice * plane, maps + m * plane, plane * sizeof(float));
}

/* Slices k .. k+n-1 through the network; their probabilities to their place on the source grid, or, of a resampled series, kept in y. */
static int
run_batch(const struct infer_request *r, size_t k, size_t n, const struct buffers *b, struct err *e)
{
	const size_t h = prep_rows(r->prep), w = prep_cols(r->prep), one = r->manifest->network.labels * h * w;

	for (size_t i = 0; i < n; i++)
		prep_slice(r->prep, k + i, b->x + i * r->manifest->network.channels * h * w);
	if (prep_is_resampled(r->prep))
		return run_network(r, n, b, b->y + k * one, e);
	if (run_network(r, n, b, b->y, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		prep_back(r->prep, k + i, b->y + i * one, b->back);
		deliver(r, prep_source_slice(r->prep, k + i), b->back);
	}
	return 0;
}

static int
run_all(const struct infer_request *r, size_t batch, const struct buffers *b, progress_fn progress, void *arg, struct err *e)
{
	const size_t total = prep_slices(r->prep);

	for (size_t k = 0; k < total; k += batch) {
		size_t n = total - k < batch ? total - k : batch;
		if (run_batch(r, k, n, b, e) != 0)
			return -1;
		if (progress != NULL && progress(arg, k + n, total) != 0)
			return err_set(e, ERR_STATE, "stopped after %zu of %zu slices", k + n, total);
	}
	for (size_t s = 0; prep_is_resampled(r->prep) && s < r->grid->slices; s++) {
		prep_gather(r->prep, b->y, s, b->back);
		deliver(r, s, b->back);
	}
	return 0;
}

int
infer_need(const struct manifest *m, const struct grid *g, unsigned threads, double *bytes, struct err *e)
{
	const double batch = 2.0 * threads, labels = (double)m->network.labels;
	struct prep_size s;
	double pixels;

	if (prep_size(m, g, &s, e) != 0)
		return -1;
	pixels = (double)s.rows * (double)s.cols;
	*bytes = threads * segmentor_lane_bytes(&m->network, s.rows, s.cols);
	*bytes += sizeof(float) * batch * pixels * ((double)m->network.channels + (m->mirror ? labels : 0));
	*bytes += sizeof(float) * labels * (pixels * (s.is_resampled ? (double)s.slices : batch) + (double)g->rows * (double)g->cols);
	return 0;
}

int
infer_run(const struct infer_request *r, progress_fn progress, void *arg, struct err *e)
{
	const size_t batch = 2 * (size_t)segmentor_threads(r->segmentor), held = prep_is_resampled(r->prep) ? prep_slices(r->prep) : batch;
	const size_t pixels = prep_rows(r->prep) * prep_cols(r->prep), labels = r->manifest->network.labels;
	struct buffers b = { calloc(batch * r->manifest->network.channels * pixels, sizeof *b.x), calloc(held, labels * pixels * sizeof *b.y),
		r->manifest->mirror ? calloc(batch * labels * pixels, sizeof *b.mirrored) : NULL, calloc(labels * r->grid->rows * r->grid->cols, sizeof *b.back) };
	int rc;

	if (b.x == NULL || b.y == NULL || b.back == NULL || (r->manifest->mirror && b.mirrored == NULL))
		rc = err_set(e, ERR_LIMIT, "no memory for %zu slices of %zu pixels", held, pixels);
	else
		rc = run_all(r, batch, &b, progress, arg, e);
	free(b.x);
	free(b.y);
	free(b.mirrored);
	free(b.back);
	return rc;
}
