/* Reference numbers against this build. The file comes from outside: every size and offset is held against its bounds before it is used.
 * Compared are the forward passes in evaluation, by the straightforward path and by the one that serves. Tensors of the training step (train.*,
 * grad.*, after.*) are not looked at here. */
#include "model/verify.h"
#include "config/file.h"
#include "config/json.h"
#include "model/network.h"
#include "model/nn/blas.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 30, MAX_TENSORS = 4096, MAX_SIDE = 4096, MAX_BATCH = 1024, MAX_CHANNELS = 64, MAX_LABELS = 16, MAX_WIDTH = 256 };
static const size_t max_first_level = 1 << 26; /* values of one map a width: keeps a pass within a few GB */

struct reference {
	struct json_doc *doc;          /* owns the names */
	float *values;                 /* NAME.bin */
	size_t n_values;
	struct tensor *tensors;
	size_t n;
	struct network network;
	const struct tensor *x;        /* (n, channels, h, w) */
};

static void
reference_close(struct reference *r)
{
	json_doc_free(r->doc);
	free(r->values);
	free(r->tensors);
}

static const struct tensor *
find(const void *source, const char *name)
{
	const struct reference *r = source;

	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->tensors[i].name, name) == 0)
			return &r->tensors[i];
	return NULL;
}

static int
whole(const struct json *v, double min, double max, size_t *out)
{
	double d = json_number(v, min - 1);

	if (json_type(v) != JSON_NUMBER || !(d >= min && d <= max) || d != floor(d))
		return -1;
	*out = (size_t)d;
	return 0;
}

/* {"name", "shape", "offset"} within the values */
static int
read_tensor(const struct reference *r, const struct json *v, struct tensor *t, struct err *e)
{
	const struct json *shape = json_get(v, "shape");
	size_t offset;

	t->name = json_text(json_get(v, "name"));
	if (!t->name)
		return err_set(e, ERR_INPUT, "a tensor without a name");
	if (find(r, t->name))
		return err_set(e, ERR_INPUT, "the tensor %s is there twice", t->name);
	if (json_type(shape) != JSON_ARRAY || json_size(shape) > WEIGHTS_MAX_DIMS)
		return err_set(e, ERR_INPUT, "the tensor %s has no shape of at most %d dimensions", t->name, WEIGHTS_MAX_DIMS);
	t->size = 1;
	for (const struct json *d = json_first(shape); d; d = json_next(d)) {
		if (whole(d, 1, MAX_BYTES, &t->dims[t->n_dims]) != 0 || __builtin_mul_overflow(t->size, t->dims[t->n_dims], &t->size))
			return err_set(e, ERR_INPUT, "the tensor %s has no possible shape", t->name);
		t->n_dims++;
	}
	if (whole(json_get(v, "offset"), 0, MAX_BYTES, &offset) != 0 || offset % sizeof(float) != 0)
		return err_set(e, ERR_INPUT, "the tensor %s has no offset that is a multiple of 4", t->name);
	offset /= sizeof(float);
	if (offset > r->n_values || t->size > r->n_values - offset)
		return err_set(e, ERR_INPUT, "the tensor %s lies outside the numbers", t->name);
	t->values = r->values + offset;
	return 0;
}

static int
read_tensors(struct reference *r, struct err *e)
{
	const struct json *list = json_get(json_root(r->doc), "tensors");

	if (json_type(list) != JSON_ARRAY || json_size(list) == 0 || json_size(list) > MAX_TENSORS)
		return err_set(e, ERR_INPUT, "\"tensors\" is not a list of 1 to %d tensors", MAX_TENSORS);
	r->tensors = calloc(json_size(list), sizeof *r->tensors);
	if (!r->tensors)
		return err_set(e, ERR_LIMIT, "no memory for the reference");
	for (const struct json *v = json_first(list); v; v = json_next(v)) {
		if (read_tensor(r, v, &r->tensors[r->n], e) != 0)
			return -1;
		r->n++;
	}
	return 0;
}

/* v absent: the first word. */
static int
read_word(const struct json *v, const char *key, const char *const words[2], struct err *e)
{
	for (int i = 0; i < 2; i++)
		if ((!v && i == 0) || (json_text(v) && strcmp(json_text(v), words[i]) == 0))
			return i;
	return err_set(e, ERR_INPUT, "\"%s\" must be \"%s\" or \"%s\"", key, words[0], words[1]);
}

static int
read_network(struct reference *r, struct err *e)
{
	static const char *const kinds[2] = { [NETWORK_SEGAN] = "segan", [NETWORK_UNET] = "unet" };
	static const char *const skips[2] = { [SKIP_SUM] = "sum", [SKIP_CONCAT] = "concat" };
	const struct json *root = json_root(r->doc);
	struct network *n = &r->network;
	int kind = read_word(json_get(root, "segmentor"), "segmentor", kinds, e), skip;

	if (kind < 0)
		return -1;
	skip = read_word(json_get(root, "skip"), "skip", skips, e);
	if (skip < 0)
		return -1;
	n->kind = (enum network_kind)kind;
	n->skip = (enum network_skip)skip;
	if (whole(json_get(root, "channels"), 1, MAX_CHANNELS, &n->channels) != 0 || whole(json_get(root, "labels"), 1, MAX_LABELS, &n->labels) != 0 ||
	    whole(json_get(root, "width"), 1, MAX_WIDTH, &n->width) != 0)
		return err_set(e, ERR_INPUT, "\"channels\", \"labels\" and \"width\" must be from 1 to %d, %d and %d", MAX_CHANNELS, MAX_LABELS, MAX_WIDTH);
	n->leaky_slope = json_number(json_get(root, "leaky_slope"), 0.2);
	n->bn_eps = json_number(json_get(root, "bn_eps"), 1e-5);
	if (!(n->leaky_slope >= 0 && n->leaky_slope <= 1) || !(n->bn_eps > 0 && n->bn_eps <= 1))
		return err_set(e, ERR_INPUT, "\"leaky_slope\" must be from 0 to 1, \"bn_eps\" over 0, up to 1");
	if (json_bool(json_get(root, "align_corners"), false))
		return err_set(e, ERR_INPUT, "\"align_corners\" must be false: the network resizes with half-pixel centres");
	return 0;
}

static int
check_input(struct reference *r, struct err *e)
{
	const struct tensor *x = r->x = find(r, "x");

	if (!x || x->n_dims != 4 || x->dims[1] != r->network.channels)
		return err_set(e, ERR_INPUT, "there is no tensor x of shape (batch, %zu, height, cols)", r->network.channels);
	if (x->dims[0] > MAX_BATCH || x->dims[2] > MAX_SIDE || x->dims[3] > MAX_SIDE ||
	    x->dims[0] * x->dims[2] * x->dims[3] > max_first_level / r->network.width)
		return err_set(e, ERR_INPUT, "x is too large for a reference: %zu slices of %zu x %zu at width %zu", x->dims[0], x->dims[2], x->dims[3],
			r->network.width);
	return 0;
}

/* NAME.json -> NAME.bin beside it */
static int
load_values(struct reference *r, const char *json_path, struct err *e)
{
	char path[4096];
	size_t n = strlen(json_path), bytes;

	if (n < 5 || strcmp(json_path + n - 5, ".json") != 0 || n >= sizeof path)
		return err_set(e, ERR_INPUT, "a reference is NAME.json with NAME.bin beside it");
	snprintf(path, sizeof path, "%.*s.bin", (int)(n - 5), json_path);
	r->values = (float *)(void *)file_read(path, MAX_BYTES, &bytes, e);
	r->n_values = r->values ? bytes / sizeof(float) : 0;
	return r->values ? 0 : -1;
}

static int
reference_open(struct reference *r, const char *json_path, struct err *e)
{
	r->doc = json_load(json_path, 0, e);
	if (!r->doc || load_values(r, json_path, e) != 0)
		return -1;
	return read_tensors(r, e) != 0 || read_network(r, e) != 0 ? -1 : check_input(r, e);
}

/* What is compared, and how closely (SEGAN.md "Reference numbers"). */
enum output { LOGITS, PROBABILITY };
static const struct check { enum network_form form; const char *tensor, *path; enum output output; double tolerance; } checks[] = {
	{ NETWORK_PLAIN, "eval.logits", "plain", LOGITS, 1e-5 },
	{ NETWORK_PLAIN, "eval.probability", "plain", PROBABILITY, 1e-5 },
	{ NETWORK_SERVING, "eval.logits", "fast", LOGITS, 1e-4 },
	{ NETWORK_SERVING, "eval.probability", "fast", PROBABILITY, 1e-4 },
};

struct listener { void (*line)(void *arg, const struct verify_line *l); void *arg; size_t n_lines; bool within; };

/* Input sizes that 16 does not divide are padded with zeros behind, and cut back. */
static size_t
padded(size_t n)
{
	return (n + NETWORK_MULTIPLE - 1) / NETWORK_MULTIPLE * NETWORK_MULTIPLE;
}

static void
fill_input(const struct reference *r, struct node *x)
{
	const size_t h = r->x->dims[2], w = r->x->dims[3];

	memset(x->value, 0, shape_size(x->shape) * sizeof *x->value);
	for (size_t plane = 0; plane < x->shape.n * x->shape.c; plane++)
		for (size_t row = 0; row < h; row++)
			memcpy(x->value + (plane * x->shape.h + row) * x->shape.w, r->x->values + (plane * h + row) * w, w * sizeof *x->value);
}

/* max|a-b| / max|b|; infinite as soon as a value is no number. want (n, c, h, w), got the same, padded. */
static double
relative_error(const struct node *got, const struct tensor *want)
{
	const size_t h = want->dims[2], w = want->dims[3];
	double difference = 0, scale = 0;

	for (size_t i = 0; i < want->size; i++) {
		size_t row = i / w, plane = row / h;
		double b = want->values[i], a = got->value[(plane * got->shape.h + row % h) * got->shape.w + i % w];

		if (!isfinite(a) || !isfinite(b))
			return INFINITY;
		difference = fmax(difference, fabs(a - b));
		scale = fmax(scale, fabs(b));
	}
	return difference == 0 ? 0 : difference / scale;
}

static int
compare(const struct reference *r, const struct check *c, const struct network_pass *pass, struct listener *to, struct err *e)
{
	const struct tensor *want = find(r, c->tensor);
	const struct node *got = c->output == LOGITS ? pass->logits : pass->probability;
	struct verify_line l = { .tensor = c->tensor, .path = c->path, .tolerance = c->tolerance };

	if (!want)
		return 0;
	if (want->n_dims != 4 || want->dims[0] != got->shape.n || want->dims[1] != got->shape.c || want->dims[2] != r->x->dims[2] ||
	    want->dims[3] != r->x->dims[3])
		return err_set(e, ERR_INPUT, "the tensor %s is not of the shape that x gives", c->tensor);
	l.error = relative_error(got, want);
	l.within = l.error <= l.tolerance;
	to->within = to->within && l.within;
	to->n_lines++;
	to->line(to->arg, &l);
	return 0;
}

/* One forward pass in that form, and everything that is compared with it. */
static int
run_form(const struct reference *r, enum network_form form, struct parameters *p, struct listener *to, struct err *e)
{
	const struct shape x = { r->x->dims[0], r->x->dims[1], padded(r->x->dims[2]), padded(r->x->dims[3]) };
	struct network_pass pass;
	int result = 0;

	if (network_pass_open(&pass, p, &r->network, form, x, e) != 0)
		return -1;
	fill_input(r, pass.x);
	graph_forward(pass.graph);
	for (size_t i = 0; i < sizeof checks / sizeof *checks && result == 0; i++)
		if (checks[i].form == form)
			result = compare(r, &checks[i], &pass, to, e);
	network_pass_close(&pass);
	return result;
}

static int
run(const struct reference *r, struct listener *to, struct err *e)
{
	struct parameters *plain = parameters_new(e), *serving = plain ? parameters_new(e) : NULL;
	int result = -1;

	if (!serving)
		goto out;
	if (network_define(plain, &r->network, NETWORK_PLAIN, e) != 0 || network_fill(plain, find, r, e) != 0)
		goto out;
	if (network_define(serving, &r->network, NETWORK_SERVING, e) != 0 || network_fold(plain, serving, r->network.bn_eps, e) != 0)
		goto out;
	if (run_form(r, NETWORK_PLAIN, plain, to, e) == 0)
		result = run_form(r, NETWORK_SERVING, serving, to, e);
out:
	parameters_free(plain);
	parameters_free(serving);
	return result;
}

int
verify_file(const char *json_path, void (*line)(void *arg, const struct verify_line *l), void *arg, bool *within, struct err *e)
{
	struct reference r = { 0 };
	struct listener to = { .line = line, .arg = arg, .within = true };
	int result = -1;

	blas_one_thread();
	*within = false;
	if (reference_open(&r, json_path, e) == 0)
		result = run(&r, &to, e);
	if (result == 0 && to.n_lines == 0)
		result = err_set(e, ERR_INPUT, "nothing in it can be compared");
	if (result == 0)
		*within = to.within;
	else
		err_note(e, "%s", json_path);
	reference_close(&r);
	return result;
}
