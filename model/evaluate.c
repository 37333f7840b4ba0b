/* A model over a case, as the service would do it; then its figures. Does not choose cases, count over them or print: service/commands/evaluate.c. */
#include "model/evaluate.h"

#include "config/clock.h"
#include "model/infer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct evaluator {
	const struct manifest *manifest;
	struct segmentor *segmentor;
	size_t channel_of[MODEL_MAX_CHANNELS];      /* of the model -> of the data set */
	size_t voxels;                              /* what the buffers have room for */
	uint8_t *mask[MODEL_MAX_SEGMENTS];          /* one a segment */
};

static void
free_buffers(struct evaluator *v)
{
	for (size_t i = 0; i < MODEL_MAX_SEGMENTS; i++) {
		free(v->mask[i]);
		v->mask[i] = NULL;
	}
	v->voxels = 0;
}

void
evaluator_free(struct evaluator *v)
{
	if (!v)
		return;
	free_buffers(v);
	segmentor_free(v->segmentor);
	free(v);
}

static int
map_channels(struct evaluator *v, const char *const *channels, size_t n_channels, struct err *e)
{
	for (size_t i = 0; i < v->manifest->n_channels; i++) {
		size_t k = 0;

		while (k < n_channels && strcmp(channels[k], v->manifest->channels[i]) != 0)
			k++;
		if (k == n_channels)
			return err_set(e, ERR_INPUT, "the model %s@%s needs the channel %s, which the data set does not have", v->manifest->name, v->manifest->version, v->manifest->channels[i]);
		v->channel_of[i] = k;
	}
	return 0;
}

struct evaluator *
evaluator_new(const struct manifest *m, const char *const *channels, size_t n_channels, size_t n_truth, unsigned threads, struct err *e)
{
	struct evaluator *v = calloc(1, sizeof *v);

	if (!v) {
		err_set(e, ERR_LIMIT, "no memory for an evaluation");
		return NULL;
	}
	v->manifest = m;
	if (map_channels(v, channels, n_channels, e) == 0) {
		if (m->n_segments > n_truth)
			err_set(e, ERR_INPUT, "the model %s@%s has %zu segments, the data set has the truth of %zu", m->name, m->version, m->n_segments, n_truth);
		else if ((v->segmentor = segmentor_load(m, threads, e)) != NULL)
			return v;
	}
	evaluator_free(v);
	return NULL;
}

static int
make_room(struct evaluator *v, size_t voxels, struct err *e)
{
	if (voxels <= v->voxels)
		return 0;
	free_buffers(v);
	for (size_t i = 0; i < v->manifest->n_segments; i++)
		if ((v->mask[i] = malloc(voxels)) == NULL)
			return err_set(e, ERR_LIMIT, "no memory for the masks of %zu voxels", voxels);
	v->voxels = voxels;
	return 0;
}

static int
segment(struct evaluator *v, const struct dataset_case *c, struct err *e)
{
	struct infer_request r = { .manifest = v->manifest, .segmentor = v->segmentor, .grid = &c->grid, .mask = v->mask };
	struct volume volumes[MODEL_MAX_CHANNELS];
	struct prep *prep;
	int rc;

	for (size_t i = 0; i < v->manifest->n_channels; i++)
		volumes[i] = (struct volume){ &c->grid, { .real = c->channel[v->channel_of[i]] } };
	r.prep = prep = prep_new(v->manifest, volumes, v->manifest->n_channels, e);
	if (!prep)
		return -1;
	rc = infer_run(&r, NULL, NULL, e);
	prep_free(prep);
	for (size_t i = 0; i < v->manifest->n_segments && rc == 0; i++) {
		const struct segment_kind *s = &v->manifest->segments[i];
		size_t n;
		rc = prep_mask_finish(&c->grid, s, v->mask[i], &n, e);
	}
	return rc;
}

int
evaluator_run(struct evaluator *v, const struct dataset_case *c, struct evaluated *out, struct err *e)
{
	const size_t voxels = grid_voxels(&c->grid);
	const int64_t began_ms = clock_monotonic_ms();

	*out = (struct evaluated){ .n_segments = v->manifest->n_segments };
	if (make_room(v, voxels, e) != 0 || segment(v, c, e) != 0)
		return -1;
	out->took_ms = clock_monotonic_ms() - began_ms;
	for (size_t i = 0; i < out->n_segments; i++)
		if (metrics_compare(&c->grid, c->truth + i * voxels, v->mask[i], &out->segments[i], e) != 0)
			return -1;
	return 0;
}

const uint8_t *
evaluator_mask(const struct evaluator *v, size_t segment_index)
{
	assert(segment_index < v->manifest->n_segments);
	return v->mask[segment_index];
}
