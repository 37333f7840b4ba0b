/* What `segan evaluate` found, as values, and the forms it is told in: text, JSON, CSV, one HTML page. */
#pragma once
#include "config/json.h"
#include "model/evaluate.h"
#include "model/figures.h"

#include <stdio.h>

/* The figures that are summed up over cases. */
enum figure { FIGURE_DICE, FIGURE_PRECISION, FIGURE_SENSITIVITY, FIGURE_HD95, FIGURE_VOLUME_ERROR, FIGURE_ABSOLUTE_VOLUME_ERROR, N_FIGURES };
struct figure_kind { const char *key, *label, *unit; int decimals; bool more_is_better, is_compared; };
const struct figure_kind *figure_kind(enum figure f);                       /* static */
double figure_of(const struct metrics *m, enum figure f);

enum { EVALUATION_MODELS = 2 };         /* the one that is asked about, and the one it is held against */

struct evaluation_row {
	const struct dataset_case *of;  /* borrowed */
	size_t index;                   /* in the data set */
	bool is_done[EVALUATION_MODELS];
	struct evaluated result[EVALUATION_MODELS]; /* where done */
	char reason[EVALUATION_MODELS][256];        /* where not */
};

/* Model 0 minus model 1 on the cases that both could do. */
struct comparison { struct summary difference; struct wilcoxon test; size_t better, worse, equal; };

struct evaluation {
	const char *set, *split;        /* borrowed */
	struct dataset *data;
	struct manifest models[EVALUATION_MODELS];
	struct evaluator *evaluators[EVALUATION_MODELS];
	size_t n_models;
	struct evaluation_row *rows;
	size_t n_rows, n_failed[EVALUATION_MODELS];
	struct summary summary[EVALUATION_MODELS][MODEL_MAX_SEGMENTS][N_FIGURES];
	struct comparison comparison[MODEL_MAX_SEGMENTS][N_FIGURES]; /* with two models; of the segments that both have */
};
size_t evaluation_compared_segments(const struct evaluation *v);
int evaluation_sum_up(struct evaluation *v, struct err *e);                 /* rows -> summaries and comparisons */

void evaluation_print_head(FILE *to);
void evaluation_print_row(FILE *to, const struct evaluation *v, const struct evaluation_row *r);
void evaluation_print_summary(FILE *to, const struct evaluation *v);
struct json *evaluation_json(const struct evaluation *v);                   /* caller: json_free */
int evaluation_write_csv(const struct evaluation *v, const char *path, struct err *e);
int evaluation_write_html(const struct evaluation *v, const char *path, struct err *e);
