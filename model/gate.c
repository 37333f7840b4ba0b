/* An evaluation is read case by case: its own means are not taken on trust. The rule is a better mean, not a significant one: held-back sets are small; the
 * interval and p are kept with the promotion, for who reads its history. */
#include "model/gate.h"

#include "config/json.h"
#include "model/figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
is_text(const struct json *object, const char *key, const char *wanted)
{
	const char *text = json_text(json_get(object, key));

	return text != NULL && strcmp(text, wanted) == 0;
}

static int
check_model(const struct json *v, const struct manifest *m, const char *what, struct err *e)
{
	const char *name = json_text(json_get(v, "name")), *version = json_text(json_get(v, "version"));

	if (name == NULL || version == NULL)
		return err_set(e, ERR_INPUT, "no evaluation of segan evaluate --json%s", strcmp(what, "against") == 0 ? " --against the model in service" : "");
	if (strcmp(name, m->name) != 0 || strcmp(version, m->version) != 0)
		return err_set(e, ERR_INPUT, "it is %s %.64s@%.64s, not %s@%s", what, name, version, m->name, m->version);
	if (!is_text(v, "weights_sha256", m->weights_sha256))
		return err_set(e, ERR_INPUT, "it was made with other weights of %s@%s than are installed", m->name, m->version);
	return 0;
}

/* A model that says on which data set it was trained is held against cases held back from that very training. One that says nothing cannot be checked. */
static int
check_training(const struct manifest *candidate, const struct json *evaluation, struct err *e)
{
	const char *digest = json_text(json_get(json_get(evaluation, "data"), "digest")), *trained;
	char path[sizeof candidate->dir + 16];
	struct json_doc *doc;
	int rc = 0;

	snprintf(path, sizeof path, "%s/model.json", candidate->dir);
	if ((doc = json_load(path, 0, e)) == NULL)
		return -1;
	trained = json_text(json_get(json_get(json_root(doc), "training"), "data_digest"));
	if (trained != NULL && (digest == NULL || strcmp(trained, digest) != 0))
		rc = err_set(e, ERR_STATE, "%s@%s was trained on another data set (digest %.12s...) than it was evaluated on: nobody knows which of these cases were held back from it",
		    candidate->name, candidate->version, trained);
	json_doc_free(doc);
	return rc;
}

/* Mean Dice over the segments that both have; false when a figure is missing. */
static bool
difference_of(const struct json *ours, const struct json *theirs, double *difference)
{
	double sum = 0;
	size_t n = 0;

	for (const struct json *a = json_first(ours), *b = json_first(theirs); a != NULL && b != NULL; a = json_next(a), b = json_next(b), n++) {
		double x = json_number(json_get(a, "dice"), -1), y = json_number(json_get(b, "dice"), -1);
		if (!(x >= 0 && x <= 1 && y >= 0 && y <= 1))
			return false;
		sum += x - y;
	}
	*difference = n > 0 ? sum / (double)n : 0;
	return n > 0;
}

/* A case that only the candidate could segment says nothing against it, and is left out; one that it could not is the end. */
static int
read_case(const struct json *c, double *differences, size_t *n, struct err *e)
{
	const char *name = json_text(json_get(c, "case")), *split = json_text(json_get(c, "split"));
	const struct json *ours = json_get(c, "segments"), *theirs = json_get(c, "against");

	if (name == NULL || split == NULL)
		return err_set(e, ERR_INPUT, "it has a case without name or split");
	if (strcmp(split, "test") != 0)
		return err_set(e, ERR_STATE, "the case %.128s is of the split %.16s: only test cases are held back (segan evaluate --split test)", name, split);
	if (json_type(ours) != JSON_ARRAY)
		return err_set(e, ERR_STATE, "the candidate could not segment the case %.128s", name);
	if (json_type(theirs) != JSON_ARRAY)
		return 0;
	if (!difference_of(ours, theirs, &differences[*n]))
		return err_set(e, ERR_INPUT, "it has no Dice for the case %.128s", name);
	++*n;
	return 0;
}

static int
judge(const double *differences, size_t n, struct gate *out, struct err *e)
{
	struct summary s;
	struct wilcoxon w;

	if (n == 0)
		return err_set(e, ERR_STATE, "it has no case that both models segmented");
	if (figures_summary(differences, n, &s, e) != 0 || figures_wilcoxon(differences, n, &w, e) != 0)
		return -1;
	out->cases = n;
	out->difference = s.mean;
	out->low = s.mean_low;
	out->high = s.mean_high;
	out->p = w.p;
	if (!(s.mean > 0))
		return err_set(e, ERR_STATE, "not better than the model in service: mean Dice differs by %+.4f (95 %% interval %+.4f to %+.4f) over %zu held-back cases", s.mean, s.mean_low,
		    s.mean_high, n);
	return 0;
}

static int
check(const struct json *root, const struct manifest *candidate, const struct manifest *in_service, struct gate *out, struct err *e)
{
	const struct json *cases = json_get(root, "cases");
	double *differences;
	size_t n = 0;
	int rc = 0;

	if (check_model(json_get(root, "model"), candidate, "of", e) != 0 || check_model(json_get(json_get(root, "against"), "model"), in_service, "against", e) != 0)
		return -1;
	if (check_training(candidate, root, e) != 0)
		return -1;
	if ((differences = calloc(json_size(cases) + 1, sizeof *differences)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %zu cases", json_size(cases));
	for (const struct json *c = json_first(cases); c != NULL && rc == 0; c = json_next(c))
		rc = read_case(c, differences, &n, e);
	if (rc == 0)
		rc = judge(differences, n, out, e);
	free(differences);
	return rc;
}

int
gate_check(const char *path, const struct manifest *candidate, const struct manifest *in_service, struct gate *out, struct err *e)
{
	struct json_doc *doc;
	int rc;

	*out = (struct gate){ 0 };
	if (digest_of_file(path, 0, out->sha256, e) != 0)
		return err_note(e, "the evaluation");
	if ((doc = json_load(path, 0, e)) == NULL)
		return err_note(e, "the evaluation");
	rc = check(json_root(doc), candidate, in_service, out, e);
	json_doc_free(doc);
	return rc != 0 ? err_note(e, "the evaluation %s", path) : 0;
}
