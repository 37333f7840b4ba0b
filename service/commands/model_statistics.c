/* segan model statistics: what a model's training cases are like, written into the model.json of one that was trained before there were statistics.
 * A training writes them by itself. Weights and every other key stay as they are. */
#include "config/file.h"
#include "model/distribution.h"
#include "service/commands/model_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Another set's statistics would judge by heads that the model has never seen. */
static int
check_set(const struct json *model, const struct dataset *d, struct err *e)
{
	const char *stated = json_text(json_get(json_get(model, "training"), "data_digest"));

	if (stated == NULL || strcmp(stated, dataset_digest(d)) == 0)
		return 0;
	return err_set(e, ERR_INPUT, "the model was trained on another data set (digest %.12s..., this one has %.12s...)", stated, dataset_digest(d));
}

static int
learn(struct dataset *d, struct manifest *m, struct err *e)
{
	struct prepared *cases;
	size_t n;

	if (prepared_open(d, m, SPLIT_TRAIN, &cases, &n, e) != 0)
		return -1;
	distribution_learn(m, cases, n);
	prepared_free(cases, n);
	return n > 0 ? 0 : err_set(e, ERR_INPUT, "the data set has no case for training");
}

static int
rewrite(const struct json *model, const struct manifest *m, const char *path, struct err *e)
{
	struct json *v = json_copy(model);
	char *text;
	int rc = -1;

	json_set(v, "statistics", manifest_statistics_json(m));
	if ((text = json_print(v, true, e)) != NULL)
		rc = file_write(path, text, strlen(text), e);
	free(text);
	json_free(v);
	return rc;
}

int
model_statistics(char *const *words, const struct model_options *o)
{
	char path[sizeof ((struct manifest *)0)->dir + 16];
	struct json_doc *doc = NULL;
	struct dataset *d = NULL;
	struct manifest m;
	struct err e;
	int rc = -1;

	if (o->data == NULL)
		return command_usage(model_usage, "statistics: of which cases? --data SET, the one that the model was trained on");
	if (command_run_model(words[0], &m, &e) != 0)
		return command_fail(&e);
	snprintf(path, sizeof path, "%s/model.json", m.dir);
	if ((doc = json_load(path, 0, &e)) != NULL && (d = dataset_open(o->data, &e)) != NULL && check_set(json_root(doc), d, &e) == 0 && learn(d, &m, &e) == 0)
		rc = rewrite(json_root(doc), &m, path, &e);
	dataset_close(d);
	json_doc_free(doc);
	if (rc != 0)
		return command_fail(&e);
	if (o->json)
		return command_print_json(manifest_statistics_json(&m));
	printf("%s: statistics of %zu training cases\n", path, m.statistics[0].n_cases);
	return EXIT_GOOD;
}
