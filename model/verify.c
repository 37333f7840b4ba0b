/* Reference numbers against this build: the forward passes in evaluation, by the straightforward path and by the one that serves; then the game: a
 * step's probabilities, losses, gradients and what it leaves, and the losses of the steps after it. Tolerances: SEGAN.md "Reference numbers". */
#include "model/verify.h"
#include "model/game_parts.h"
#include "model/network.h"
#include "model/nn/blas.h"
#include "model/reference.h"

#include <math.h>
#include <string.h>

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
	const struct tensor *want = reference_find(r, c->tensor);
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
	if (network_define(plain, &r->network, NETWORK_PLAIN, e) != 0 || network_fill(plain, reference_find, r, e) != 0)
		goto out;
	if (network_define(serving, &r->network, NETWORK_SERVING, e) != 0 || network_fold(plain, serving, &r->network, e) != 0)
		goto out;
	if (run_form(r, NETWORK_PLAIN, plain, to, e) == 0)
		result = run_form(r, NETWORK_SERVING, serving, to, e);
out:
	parameters_free(plain);
	parameters_free(serving);
	return result;
}

/* ---- training: one step, then nine more ---- */

enum { CURVE = 3 };                            /* critic, L1, segmentor: a row of "loss_curve" */

/* The fast path's gradients carry the rounding of its products; what RMSProp makes of a gradient near 0 in its first step is not looked at there, and
 * its curve is one with such steps in it. */
static const struct play { const char *path; bool exact; double probability, losses, gradients, curve; } plays[] = {
	{ "plain", true, 1e-5, 1e-5, 1e-4, 1e-3 },
	{ "fast", false, 1e-4, 1e-4, 1e-3, 1e-2 },
};

/* One run of the game over the reference. */
struct match { const struct reference *r; const struct play *play; struct game *game; struct listener *to; };

static void
tell(const struct match *m, const char *tensor, double error, double tolerance)
{
	struct verify_line l = { .tensor = tensor, .path = m->play->path, .error = error, .tolerance = tolerance, .within = error <= tolerance };

	m->to->within = m->to->within && l.within;
	m->to->n_lines++;
	m->to->line(m->to->arg, &l);
}

/* max|a-b|, and with relative that / max|b|; infinite as soon as a value is no number. */
static double
distance(const float *a, const float *b, size_t n, bool relative)
{
	double difference = 0, scale = 0;

	for (size_t i = 0; i < n; i++) {
		if (!isfinite(a[i]) || !isfinite(b[i]))
			return INFINITY;
		difference = fmax(difference, fabs((double)a[i] - b[i]));
		scale = fmax(scale, fabs((double)b[i]));
	}
	return difference == 0 || !relative ? difference : difference / scale;
}

/* The parameter that "grad.NAME" or "after.NAME" is about. */
static struct parameter *
parameter_of(const struct game *g, const char *name, const struct tensor *want, struct err *e)
{
	struct parameter *p = parameters_find(game_segmentor(g), name);

	if (!p && game_critic(g))
		p = parameters_find(game_critic(g), name);
	if (p && p->size == want->size)
		return p;
	err_set(e, ERR_INPUT, "the tensor %s has no parameter of its shape", want->name);
	return NULL;
}

/* grad.*: 1e-4 of the largest; after.*: half a learning rate (RMSProp divides by the gradient's own size in its first step). */
static int
compare_parameters(const struct match *m, struct err *e)
{
	const struct reference *r = m->r;

	for (size_t i = 0; i < r->n; i++) {
		const struct tensor *want = &r->tensors[i];
		const bool is_gradient = strncmp(want->name, "grad.", 5) == 0, is_after = m->play->exact && strncmp(want->name, "after.", 6) == 0;
		const struct parameter *p;

		if (!is_gradient && !is_after)
			continue;
		p = parameter_of(m->game, want->name + (is_gradient ? 5 : 6), want, e);
		if (!p)
			return -1;
		if (is_gradient && !p->gradient)
			return err_set(e, ERR_INPUT, "the tensor %s: nothing trains it", want->name);
		if (is_gradient)
			tell(m, want->name, distance(p->gradient, want->values, want->size, true), m->play->gradients);
		else
			tell(m, want->name, distance(p->value, want->values, want->size, false), 0.5 * r->game.lr);
	}
	return 0;
}

static double
loss_error(double got, const struct json *want)
{
	double b = json_number(want, NAN);

	return isnan(b) ? (json_type(want) == JSON_NULL ? 0 : INFINITY) : got == b ? 0 : fabs(got - b) / fabs(b);
}

/* "scalars": the losses of the first step. */
static void
compare_losses(const struct match *m, const struct game_losses *l)
{
	const struct json *scalars = json_get(json_root(m->r->doc), "scalars");
	const struct { const char *key, *name; double value; } losses[CURVE] = {
		{ "critic_loss", "scalars.critic_loss", l->critic }, { "segmentor_l1", "scalars.segmentor_l1", l->l1 },
		{ "segmentor_loss", "scalars.segmentor_loss", l->segmentor },
	};

	for (size_t i = 0; i < CURVE; i++)
		if (json_get(scalars, losses[i].key))
			tell(m, losses[i].name, loss_error(losses[i].value, json_get(scalars, losses[i].key)), m->play->losses);
}

/* A row of "loss_curve": the largest error of its three losses, of the largest so far. */
static double
row_error(const struct json *row, const struct game_losses *l, double worst)
{
	const double got[CURVE] = { l->critic, l->l1, l->segmentor };
	const struct json *want = json_first(row);

	for (size_t i = 0; i < CURVE; i++, want = json_next(want))
		worst = fmax(worst, want ? loss_error(got[i], want) : INFINITY);
	return worst;
}

static int
step(const struct match *m, struct game_losses *l, struct err *e)
{
	const struct tensor *x = m->r->x;

	return game_step(m->game, x->values, m->r->truth->values, x->dims[0], x->dims[2], x->dims[3], l, e);
}

/* The first step was done with losses l; the others follow. */
static int
compare_curve(const struct match *m, struct game_losses *l, struct err *e)
{
	const struct json *row = json_first(json_get(json_root(m->r->doc), "loss_curve"));
	double worst;

	if (!row)
		return 0;
	worst = row_error(row, l, 0);
	while ((row = json_next(row)) != NULL) {
		if (step(m, l, e) == 0)
			worst = row_error(row, l, worst);
		else if (e->code == ERR_STATE)
			worst = INFINITY;
		else
			return -1;
	}
	tell(m, "loss_curve", worst, m->play->curve);
	return 0;
}

static int
play(const struct match *m, struct err *e)
{
	const struct tensor *probability = reference_find(m->r, "train.probability");
	struct parameters *critic = game_critic(m->game);
	struct game_losses l;

	if (network_fill(game_segmentor(m->game), reference_find, m->r, e) != 0 || (critic && network_fill(critic, reference_find, m->r, e) != 0))
		return -1;
	if (m->play->exact)
		game_set_exact(m->game);
	if (step(m, &l, e) != 0) {
		if (e->code != ERR_STATE)
			return -1;
		tell(m, "scalars", INFINITY, m->play->losses);
		return 0;
	}
	if (probability && probability->size == m->r->truth->size)
		tell(m, probability->name, distance(game_prediction(m->game), probability->values, probability->size, true), m->play->probability);
	compare_losses(m, &l);
	return compare_parameters(m, e) != 0 ? -1 : compare_curve(m, &l, e);
}

static int
run_games(const struct reference *r, struct listener *to, struct err *e)
{
	int result = 0;

	for (size_t i = 0; r->truth && result == 0 && i < sizeof plays / sizeof *plays; i++) {
		struct match m = { r, &plays[i], game_new(&r->game, 1, e), to };
		result = m.game ? play(&m, e) : -1;
		game_free(m.game);
	}
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
		result = run(&r, &to, e) != 0 ? -1 : run_games(&r, &to, e);
	if (result == 0 && to.n_lines == 0)
		result = err_set(e, ERR_INPUT, "nothing in it can be compared");
	if (result == 0)
		*within = to.within;
	else
		err_note(e, "%s", json_path);
	reference_close(&r);
	return result;
}
