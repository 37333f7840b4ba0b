/* Network slices in, probabilities on the source grid out, a batch at a time. */
#include "model/infer.h"

#include "model/fraction.h"

#include <stdlib.h>
#include <string.h>

/* Buffers of a batch: x (batch, channels, h, w), y and mirrored (batch, labels, h, w), back (labels, rows, cols) of the grid. */
struct batch { float *x, *y, *mirrored, *back; };

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
run_network(const struct infer_request *r, size_t n, const struct batch *b, struct err *e)
{
	const size_t h = prep_rows(r->prep), w = prep_cols(r->prep), labels = r->manifest->network.labels, n_out = n * labels * h * w;

	if (segmentor_run(r->segmentor, b->x, n, h, w, b->y, e) != 0)
		return -1;
	if (!r->manifest->mirror)
		return 0;
	mirror(b->x, n * r->manifest->network.channels * h, w);
	if (segmentor_run(r->segmentor, b->x, n, h, w, b->mirrored, e) != 0)
		return -1;
	mirror(b->mirrored, n * labels * h, w);
	for (size_t i = 0; i < n_out; i++)
		b->y[i] = 0.5f * (b->y[i] + b->mirrored[i]);
	return 0;
}

/* Probabilities (labels, rows, cols) of a source slice to the bytes of its segments. */
static void
keep_fractions(const struct infer_request *r, size_t slice, const float *maps)
{
	const size_t plane = r->grid->rows * r->grid->cols;

	for (size_t i = 0; i < r->manifest->n_segments; i++)
		fraction_of(maps + r->manifest->segments[i].map * plane, plane, r->manifest->segments[i].threshold, r->fraction[i] + slice * plane);
}

/* Slices k .. k+n-1 through the network, their probabilities to their place on the source grid. */
static int
run_batch(const struct infer_request *r, size_t k, size_t n, const struct batch *b, struct err *e)
{
	const size_t h = prep_rows(r->prep), w = prep_cols(r->prep), labels = r->manifest->network.labels, plane = r->grid->rows * r->grid->cols;

	for (size_t i = 0; i < n; i++)
		prep_slice(r->prep, k + i, b->x + i * r->manifest->network.channels * h * w);
	if (run_network(r, n, b, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		size_t slice = prep_source_slice(r->prep, k + i);
		prep_back(r->prep, k + i, b->y + i * labels * h * w, b->back);
		for (size_t m = 0; m < labels; m++)
			memcpy(r->probability[m] + slice * plane, b->back + m * plane, plane * sizeof(float));
		if (r->fraction != NULL)
			keep_fractions(r, slice, b->back);
	}
	return 0;
}

int
infer_run(const struct infer_request *r, progress_fn progress, void *arg, struct err *e)
{
	const size_t total = prep_slices(r->prep), batch = 2 * (size_t)segmentor_threads(r->segmentor);
	const size_t pixels = prep_rows(r->prep) * prep_cols(r->prep), labels = r->manifest->network.labels;
	struct batch b = { calloc(batch * r->manifest->network.channels * pixels, sizeof *b.x), calloc(batch * labels * pixels, sizeof *b.y),
		r->manifest->mirror ? calloc(batch * labels * pixels, sizeof *b.mirrored) : NULL, calloc(labels * r->grid->rows * r->grid->cols, sizeof *b.back) };
	int rc = -1;

	if (b.x == NULL || b.y == NULL || b.back == NULL || (r->manifest->mirror && b.mirrored == NULL)) {
		err_set(e, ERR_LIMIT, "no memory for a batch of %zu slices of %zu pixels", batch, pixels);
		goto out;
	}
	for (size_t k = 0; k < total; k += batch) {
		size_t n = total - k < batch ? total - k : batch;
		if (run_batch(r, k, n, &b, e) != 0)
			goto out;
		if (progress != NULL && progress(arg, k + n, total) != 0) {
			err_set(e, ERR_STATE, "stopped after %zu of %zu slices", k + n, total);
			goto out;
		}
	}
	rc = 0;
out:
	free(b.x);
	free(b.y);
	free(b.mirrored);
	free(b.back);
	return rc;
}
