/* Slices come from two decks, with tumour and without, each shuffled anew on every pass, in the recipe's proportion. A sample is one slice (or its truth)
 * read through one affine map of the plane: turn, scale, mirror and place of the crop at once, so nothing is resampled twice but by the preprocessing.
 *
 * DESIGN: sampler_batch deals the batch's slices in the caller's thread; then threads - 1 helpers and the caller take samples off an atomic counter, each
 * with its own scratch. A sample's numbers come from its own random stream, so who computes it does not matter.
 *
 * Voxels are read where the cases' files are mapped, and a case rests after every batch it was in: memory does not grow with the set. */
#include "model/sampler.h"
#include "model/distribution.h"
#include "model/random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LANES = 64 };
enum stream { STREAM_SHUFFLE = 1, STREAM_SAMPLE = 2 };

struct slice { size_t prepared, k; };

/* Slices with tumour, or those without. */
struct deck {
	struct slice *slices;                  /* in order of case and slice */
	size_t n_slices;
	size_t *first;                         /* (n_cases + 1): a case's first slice in the deck */
	size_t n_cases;                        /* that have any */
	size_t *order;                         /* (n_cards): this pass's shuffle of the slices or of the cases */
	size_t n_cards;
	int64_t pass;                          /* what order is for; -1: nothing yet */
};

struct sampler {
	const struct recipe *r;
	const struct prepared *cases;
	size_t n_cases, pixels;                /* pixels: of the largest network slice */
	struct deck decks[2];                  /* [has tumour] */
	unsigned n_lanes;
	float *scratch[MAX_LANES];             /* (channels + labels, pixels) a lane */
	struct slice *dealt;                   /* (batch) */
};

/* ---- cases ---- */

static int
prepare(struct dataset *d, size_t i, const struct manifest *m, struct prepared *out, struct err *e)
{
	struct volume volumes[MODEL_MAX_CHANNELS];

	if (dataset_map(d, i, e) != 0)
		return -1;
	*out = (struct prepared){ .source = dataset_at(d, i), .set = d, .at = i };
	for (size_t c = 0; c < m->n_channels; c++) {
		size_t k = 0;

		while (k < dataset_channels(d) && strcmp(dataset_channel(d, k), m->channels[c]) != 0)
			k++;
		if (k == dataset_channels(d))
			return err_set(e, ERR_INPUT, "the data set has no channel %s: it was not among those of segan dataset create --channels", m->channels[c]);
		volumes[c] = (struct volume){ &out->source->grid, { .real = out->source->channel[k] } };
	}
	out->prep = prep_new(m, volumes, m->n_channels, e);
	if (out->prep)
		distribution_measure(out->prep, volumes, m->n_channels, out->likeness);
	prepared_rest(out);
	if (out->prep && !prep_is_resampled(out->prep))
		return 0;
	if (out->prep)
		err_set(e, ERR_INPUT, "its slices are not %s: training takes slices as acquired", m->plane);
	prep_free(out->prep);
	return err_note(e, "case %s", out->source->name);
}

int
prepared_open(struct dataset *d, const struct manifest *m, enum dataset_split split, struct prepared **out, size_t *n, struct err *e)
{
	size_t size = dataset_size(d);

	*n = 0;
	*out = calloc(size ? size : 1, sizeof **out);
	if (!*out)
		return err_set(e, ERR_LIMIT, "no memory for a list of cases");
	for (size_t i = 0; i < size; i++) {
		if (dataset_at(d, i)->split != split)
			continue;
		if (prepare(d, i, m, &(*out)[*n], e) != 0) {
			prepared_free(*out, *n);
			*out = NULL;
			*n = 0;
			return -1;
		}
		++*n;
	}
	return 0;
}

void
prepared_free(struct prepared *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		prep_free(p[i].prep);
	free(p);
}

void
prepared_rest(const struct prepared *p)
{
	if (p->set)
		dataset_rest(p->set, p->at);
}

/* ---- decks ---- */

static bool
any(const uint8_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i])
			return true;
	return false;
}

static bool
has_tumour(const struct prepared *p, size_t k, size_t labels)
{
	const struct grid *g = &p->source->grid;
	const size_t plane = g->rows * g->cols, at = prep_source_slice(p->prep, k) * plane;

	for (size_t i = 0; i < labels; i++)
		if (any(p->source->truth + i * g->slices * plane + at, plane))
			return true;
	return false;
}

/* Every slice onto its deck. */
static int
sort_slices(struct sampler *s, struct err *e)
{
	size_t total = 0;

	for (size_t i = 0; i < s->n_cases; i++)
		total += prep_slices(s->cases[i].prep);
	for (size_t t = 0; t < 2; t++) {
		struct deck *d = &s->decks[t];

		d->pass = -1;
		d->slices = calloc(total, sizeof *d->slices);
		d->order = calloc(total, sizeof *d->order);
		d->first = calloc(s->n_cases + 1, sizeof *d->first);
		if (!d->slices || !d->order || !d->first)
			return err_set(e, ERR_LIMIT, "no memory for a list of %zu slices", total);
	}
	for (size_t i = 0; i < s->n_cases; i++) {
		size_t before[2] = { s->decks[0].n_slices, s->decks[1].n_slices };

		for (size_t k = 0; k < prep_slices(s->cases[i].prep); k++) {
			struct deck *d = &s->decks[has_tumour(&s->cases[i], k, s->r->model.network.labels)];
			d->slices[d->n_slices++] = (struct slice){ i, k };
		}
		prepared_rest(&s->cases[i]);
		for (size_t t = 0; t < 2; t++)
			if (s->decks[t].n_slices > before[t])
				s->decks[t].first[++s->decks[t].n_cases] = s->decks[t].n_slices;
	}
	for (size_t t = 0; t < 2; t++)
		s->decks[t].n_cards = s->r->draw == DRAW_CASES ? s->decks[t].n_cases : s->decks[t].n_slices;
	return 0;
}

/* Fisher and Yates, from a stream of this deck and pass. */
static void
shuffle(struct deck *d, uint64_t seed, size_t which, int64_t pass)
{
	struct random r = random_stream(seed, STREAM_SHUFFLE + 16 * which, (uint64_t)pass);

	for (size_t i = 0; i < d->n_cards; i++)
		d->order[i] = i;
	for (size_t i = d->n_cards; i > 1; i--) {
		size_t k = random_below(&r, i), swap = d->order[k];
		d->order[k] = d->order[i - 1];
		d->order[i - 1] = swap;
	}
	d->pass = pass;
}

/* Sample i: which deck, the how manyth card of it; a case's card gives one of its slices. */
static struct slice
deal(struct sampler *s, int64_t i)
{
	const double fraction = s->decks[1].n_cards == 0 ? 0 : s->decks[0].n_cards == 0 ? 1 : s->r->tumour_fraction;
	const int64_t before = (int64_t)floor((double)i * fraction), after = (int64_t)floor((double)(i + 1) * fraction);
	const size_t which = after > before;
	struct deck *d = &s->decks[which];
	const int64_t card = which ? before : i - before, pass = card / (int64_t)d->n_cards;
	struct random r = random_stream((uint64_t)s->r->seed, STREAM_SAMPLE + 16, (uint64_t)i);
	size_t at;

	if (d->pass != pass)
		shuffle(d, (uint64_t)s->r->seed, which, pass);
	at = d->order[card % (int64_t)d->n_cards];
	if (s->r->draw == DRAW_CASES)
		at = d->first[at] + random_below(&r, d->first[at + 1] - d->first[at]);
	return d->slices[at];
}

/* ---- samples ---- */

/* Network slice point of an output point: centre + (row, col) * (down, right). */
struct map { double centre[2], down[2], right[2]; };

/* Where the middle of the crop may lie: the crop within the slice where it is the smaller, else the slice within the crop. Whole pixels from the edge, so
 * that a crop that is neither turned nor scaled is not resampled either. */
static double
place(struct random *r, double size, double window, double crop)
{
	double slack = fabs(size - window) / 2, middle = (crop - 1) / 2;

	return round((size - 1) / 2 + random_between(r, -slack, slack) - middle) + middle;
}

static struct map
draw_map(const struct recipe *recipe, struct random *r, size_t rows, size_t cols)
{
	const struct augmentation *a = &recipe->augmentation;
	const bool is_mirrored = random_unit(r) < a->flip;
	const double angle = random_between(r, -a->rotate_degrees, a->rotate_degrees) * M_PI / 180, step = 1 / random_between(r, a->scale[0], a->scale[1]);
	const double mirror = is_mirrored ? -step : step, window = (double)recipe->crop * step;
	struct map m = { .down = { step * cos(angle), step * sin(angle) }, .right = { -mirror * sin(angle), mirror * cos(angle) } };

	m.centre[0] = place(r, (double)rows, window, (double)recipe->crop);
	m.centre[1] = place(r, (double)cols, window, (double)recipe->crop);
	return m;
}

/* v at a point between pixels; outside beyond the edge. */
static inline float
read_point(const float *v, ptrdiff_t rows, ptrdiff_t cols, double row, double col, float outside)
{
	const double r0 = floor(row), c0 = floor(col);
	const ptrdiff_t r = (ptrdiff_t)r0, c = (ptrdiff_t)c0;
	const float down = (float)(row - r0), right = (float)(col - c0);
	float corner[4];

	if (r < -1 || c < -1 || r >= rows || c >= cols)
		return outside;
	if (r >= 0 && c >= 0 && r + 1 < rows && c + 1 < cols) {
		const float *p = v + r * cols + c;

		return (1 - down) * ((1 - right) * p[0] + right * p[1]) + down * ((1 - right) * p[cols] + right * p[cols + 1]);
	}
	for (ptrdiff_t i = 0; i < 4; i++) {
		ptrdiff_t y = r + i / 2, x = c + i % 2;
		corner[i] = y >= 0 && x >= 0 && y < rows && x < cols ? v[y * cols + x] : outside;
	}
	return (1 - down) * ((1 - right) * corner[0] + right * corner[1]) + down * ((1 - right) * corner[2] + right * corner[3]);
}

struct plane { const float *v; size_t rows, cols; float outside; };

/* One plane through the map: out (crop, crop). */
static void
warp(const struct plane *p, const struct map *m, size_t crop, float *out)
{
	const double middle = ((double)crop - 1) / 2;

	for (size_t i = 0; i < crop; i++)
		for (size_t k = 0; k < crop; k++) {
			double row = (double)i - middle, col = (double)k - middle;
			*out++ = read_point(p->v, (ptrdiff_t)p->rows, (ptrdiff_t)p->cols, m->centre[0] + row * m->down[0] + col * m->right[0],
				m->centre[1] + row * m->down[1] + col * m->right[1], p->outside);
		}
}

static void
change_intensity(const struct augmentation *a, struct random *r, float *x, size_t n)
{
	const double factor = random_between(r, a->intensity_scale[0], a->intensity_scale[1]), shift = random_between(r, -a->intensity_shift, a->intensity_shift);
	const double gamma = random_between(r, a->gamma[0], a->gamma[1]), noise = a->noise * random_unit(r);

	for (size_t i = 0; gamma != 1 && i < n; i++)
		if (x[i] > 0 && x[i] < 1)
			x[i] = powf(x[i], (float)gamma);
	for (size_t i = 0; i < n; i++)
		x[i] = (float)(x[i] * factor + shift);
	for (size_t i = 0; noise > 0 && i < n; i++)
		x[i] += (float)(noise * random_normal(r));
}

/* Sample i, dealt as slice: x (channels, crop, crop), truth (labels, crop, crop). */
static void
make_sample(const struct sampler *s, const struct slice *slice, int64_t i, float *scratch, float *x, float *truth)
{
	const struct recipe *recipe = s->r;
	const struct prepared *p = &s->cases[slice->prepared];
	const size_t rows = prep_rows(p->prep), cols = prep_cols(p->prep), crop = (size_t)recipe->crop;
	const size_t slices = 1 + 2 * recipe->model.neighbours;        /* of each channel: moved and changed together */
	struct random r = random_stream((uint64_t)recipe->seed, STREAM_SAMPLE, (uint64_t)i);
	const struct map m = draw_map(recipe, &r, rows, cols);

	prep_slice(p->prep, slice->k, scratch);
	for (size_t c = 0; c < recipe->model.n_channels; c++, x += slices * crop * crop) {
		for (size_t n = 0; n < slices; n++)
			warp(&(struct plane){ scratch + (c * slices + n) * rows * cols, rows, cols, prep_air(p->prep, c) }, &m, crop, x + n * crop * crop);
		change_intensity(&recipe->augmentation, &r, x, slices * crop * crop);
	}
	for (size_t l = 0; l < recipe->model.network.labels; l++, truth += crop * crop) {
		prep_truth(p->prep, slice->k, p->source->truth + l * grid_voxels(&p->source->grid), scratch);
		warp(&(struct plane){ scratch, rows, cols, 0 }, &m, crop, truth);
		for (size_t k = 0; k < crop * crop; k++)
			truth[k] = truth[k] >= 0.5F;
	}
}

/* One call of sampler_batch, shared by its lanes. */
struct work { struct sampler *s; int64_t first; float *x, *truth; atomic_size_t next; };
struct lane { struct work *work; float *scratch; };

static void *
lane_main(void *arg)
{
	const struct lane *lane = arg;
	struct work *w = lane->work;
	const struct recipe *r = w->s->r;
	const size_t image = (size_t)(r->crop * r->crop);
	size_t i;

	while ((i = atomic_fetch_add(&w->next, 1)) < (size_t)r->batch)
		make_sample(w->s, &w->s->dealt[i], w->first + (int64_t)i, lane->scratch, w->x + i * r->model.network.channels * image,
			w->truth + i * r->model.network.labels * image);
	return NULL;
}

void
sampler_batch(struct sampler *s, int64_t step, float *x, float *truth)
{
	struct work work = { .s = s, .first = step * s->r->batch, .x = x, .truth = truth };
	struct lane lanes[MAX_LANES];
	pthread_t helpers[MAX_LANES];
	size_t n_helpers = 0;

	for (int64_t i = 0; i < s->r->batch; i++)
		s->dealt[i] = deal(s, work.first + i);
	for (size_t i = 0; i < s->n_lanes; i++)
		lanes[i] = (struct lane){ &work, s->scratch[i] };
	/* A helper that cannot be started is no loss but time. */
	while (n_helpers + 1 < s->n_lanes && pthread_create(&helpers[n_helpers], NULL, lane_main, &lanes[n_helpers + 1]) == 0)
		n_helpers++;
	lane_main(&lanes[0]);
	while (n_helpers > 0)
		pthread_join(helpers[--n_helpers], NULL);
	for (int64_t i = 0; i < s->r->batch; i++)
		prepared_rest(&s->cases[s->dealt[i].prepared]);
}

int64_t
sampler_epoch(const struct sampler *s)
{
	const int64_t n = (int64_t)(s->decks[0].n_slices + s->decks[1].n_slices);

	return (n + s->r->batch - 1) / s->r->batch;
}

static int
plan(struct sampler *s, unsigned threads, struct err *e)
{
	const size_t planes = s->r->model.network.channels + s->r->model.network.labels;

	for (size_t i = 0; i < s->n_cases; i++) {
		size_t pixels = prep_rows(s->cases[i].prep) * prep_cols(s->cases[i].prep);
		s->pixels = pixels > s->pixels ? pixels : s->pixels;
	}
	s->dealt = calloc((size_t)s->r->batch, sizeof *s->dealt);
	if (!s->dealt)
		return err_set(e, ERR_LIMIT, "no memory for a batch of %lld samples", (long long)s->r->batch);
	s->n_lanes = threads < 1 ? 1 : threads > MAX_LANES ? MAX_LANES : threads;
	for (size_t i = 0; i < s->n_lanes; i++) {
		s->scratch[i] = calloc(planes * s->pixels, sizeof *s->scratch[i]);
		if (!s->scratch[i])
			return err_set(e, ERR_LIMIT, "no memory for a slice of %zu pixels", s->pixels);
	}
	return sort_slices(s, e);
}

struct sampler *
sampler_new(const struct recipe *r, const struct prepared *cases, size_t n, unsigned threads, struct err *e)
{
	struct sampler *s;

	if (n == 0) {
		err_set(e, ERR_INPUT, "the data set has no case to train on");
		return NULL;
	}
	s = calloc(1, sizeof *s);
	if (!s) {
		err_set(e, ERR_LIMIT, "no memory for a sampler");
		return NULL;
	}
	*s = (struct sampler){ .r = r, .cases = cases, .n_cases = n };
	if (plan(s, threads, e) == 0)
		return s;
	sampler_free(s);
	return NULL;
}

void
sampler_free(struct sampler *s)
{
	if (!s)
		return;
	for (size_t t = 0; t < 2; t++) {
		free(s->decks[t].slices);
		free(s->decks[t].order);
		free(s->decks[t].first);
	}
	for (size_t i = 0; i < MAX_LANES; i++)
		free(s->scratch[i]);
	free(s->dealt);
	free(s);
}
