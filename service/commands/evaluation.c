/* An evaluation's numbers over the set, and told as text, JSON and CSV. The page: evaluation_html.c. Which cases and models: evaluate.c. */
#include "service/commands/evaluation.h"

#include "config/clock.h"
#include "config/file.h"
#include "model/segan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct figure_kind *
figure_kind(enum figure f)
{
	static const struct figure_kind kinds[N_FIGURES] = {
		[FIGURE_DICE] = { "dice", "Dice", "", 3, true, true },
		[FIGURE_PRECISION] = { "precision", "precision", "", 3, true, true },
		[FIGURE_SENSITIVITY] = { "sensitivity", "sensitivity", "", 3, true, true },
		[FIGURE_HD95] = { "hd95_mm", "HD95", "mm", 1, false, true },
		[FIGURE_VOLUME_ERROR] = { "volume_error_ml", "volume error", "ml", 1, false, false },
		[FIGURE_ABSOLUTE_VOLUME_ERROR] = { "absolute_volume_error_ml", "|volume error|", "ml", 1, false, true },
	};

	return &kinds[f];
}

double
figure_of(const struct metrics *m, enum figure f)
{
	const double values[N_FIGURES] = { m->dice, m->precision, m->sensitivity, m->hd95_mm, m->volume_error_ml, fabs(m->volume_error_ml) };

	return values[f];
}

size_t
evaluation_compared_segments(const struct evaluation *v)
{
	size_t a = v->models[0].n_segments, b = v->models[1].n_segments;

	return v->n_models < 2 ? 0 : a < b ? a : b;
}

/* ---- over the set ---- */

static int
sum_up_model(struct evaluation *v, size_t model, double *values, struct err *e)
{
	for (size_t s = 0; s < v->models[model].n_segments; s++)
		for (enum figure f = 0; f < N_FIGURES; f++) {
			size_t n = 0;
			for (size_t i = 0; i < v->n_rows; i++)
				if (v->rows[i].is_done[model])
					values[n++] = figure_of(&v->rows[i].result[model].segments[s], f);
			if (figures_summary(values, n, &v->summary[model][s][f], e) != 0)
				return -1;
		}
	return 0;
}

static int
compare_figure(const struct evaluation *v, size_t segment, enum figure f, double *values, struct comparison *out, struct err *e)
{
	const double sign = figure_kind(f)->more_is_better ? 1 : -1;
	size_t n = 0;

	*out = (struct comparison){ 0 };
	for (size_t i = 0; i < v->n_rows; i++) {
		const struct evaluation_row *r = &v->rows[i];
		double d;

		if (!r->is_done[0] || !r->is_done[1])
			continue;
		d = figure_of(&r->result[0].segments[segment], f) - figure_of(&r->result[1].segments[segment], f);
		values[n++] = d;
		out->better += d * sign > 0;
		out->worse += d * sign < 0;
		out->equal += d * sign == 0;
	}
	return figures_summary(values, n, &out->difference, e) != 0 ? -1 : figures_wilcoxon(values, n, &out->test, e);
}

int
evaluation_sum_up(struct evaluation *v, struct err *e)
{
	double *values = calloc(v->n_rows + 1, sizeof *values);
	int rc = 0;

	if (values == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the figures of %zu cases", v->n_rows);
	for (size_t m = 0; m < v->n_models && rc == 0; m++)
		rc = sum_up_model(v, m, values, e);
	for (size_t s = 0; s < evaluation_compared_segments(v) && rc == 0; s++)
		for (enum figure f = 0; f < N_FIGURES && rc == 0; f++)
			rc = compare_figure(v, s, f, values, &v->comparison[s][f], e);
	free(values);
	return rc;
}

/* ---- text ---- */

void
evaluation_print_head(FILE *to)
{
	fprintf(to, "%-40s %-20s %6s %6s %6s %8s %9s %9s %9s\n", "case", "segment", "Dice", "prec.", "sens.", "HD95 mm", "truth ml", "result ml", "error ml");
}

static void
print_result(FILE *to, const struct evaluation *v, const struct evaluation_row *r, size_t model)
{
	const char *mark = model == 0 ? "" : " (against)";

	if (!r->is_done[model]) {
		fprintf(to, "%-40s not segmented%s: %s\n", r->of->name, mark, r->reason[model]);
		return;
	}
	for (size_t s = 0; s < v->models[model].n_segments; s++) {
		const struct metrics *m = &r->result[model].segments[s];
		fprintf(to, "%-40s %-20s %6.3f %6.3f %6.3f ", r->of->name, v->models[model].segments[s].label, m->dice, m->precision, m->sensitivity);
		if (isnan(m->hd95_mm))
			fprintf(to, "%8s", "-");
		else
			fprintf(to, "%8.1f", m->hd95_mm);
		fprintf(to, " %9.1f %9.1f %+9.1f%s\n", m->truth_ml, m->result_ml, m->volume_error_ml, mark);
	}
}

void
evaluation_print_row(FILE *to, const struct evaluation *v, const struct evaluation_row *r)
{
	for (size_t m = 0; m < v->n_models; m++)
		print_result(to, v, r, m);
}

static void
print_model_summary(FILE *to, const struct evaluation *v, size_t model)
{
	const struct manifest *m = &v->models[model];

	fprintf(to, "\n%s@%s over %zu cases%s\n", m->name, m->version, v->n_rows - v->n_failed[model], v->n_failed[model] > 0 ? " (those that could not be segmented left out)" : "");
	fprintf(to, "%-20s %-18s %10s %22s %10s %22s %10s %10s\n", "segment", "figure", "mean", "95 % interval", "median", "95 % interval", "least", "most");
	for (size_t s = 0; s < m->n_segments; s++)
		for (enum figure f = 0; f < N_FIGURES; f++) {
			const struct summary *x = &v->summary[model][s][f];
			const struct figure_kind *k = figure_kind(f);
			const int d = k->decimals;

			fprintf(to, "%-20s %-15s %-2s %10.*f [%9.*f, %9.*f] %10.*f [%9.*f, %9.*f] %10.*f %10.*f", m->segments[s].label, k->label, k->unit, d, x->mean, d, x->mean_low, d,
			    x->mean_high, d, x->median, d, x->median_low, d, x->median_high, d, x->min, d, x->max);
			if (x->missing > 0)
				fprintf(to, "  (%zu without: one mask empty)", x->missing);
			fputc('\n', to);
		}
}

static void
print_comparison(FILE *to, const struct evaluation *v)
{
	fprintf(to, "\n%s@%s minus %s@%s on the same cases\n", v->models[0].name, v->models[0].version, v->models[1].name, v->models[1].version);
	fprintf(to, "%-20s %-18s %10s %22s %8s %6s %6s %6s\n", "segment", "figure", "mean", "95 % interval", "p", "better", "worse", "equal");
	for (size_t s = 0; s < evaluation_compared_segments(v); s++)
		for (enum figure f = 0; f < N_FIGURES; f++) {
			const struct comparison *c = &v->comparison[s][f];
			const struct figure_kind *k = figure_kind(f);
			const int d = k->decimals;

			if (k->is_compared)
				fprintf(to, "%-20s %-15s %-2s %+10.*f [%+9.*f, %+9.*f] %8.3g %6zu %6zu %6zu\n", v->models[0].segments[s].label, k->label, k->unit, d, c->difference.mean, d,
				    c->difference.mean_low, d, c->difference.mean_high, c->test.p, c->better, c->worse, c->equal);
		}
}

void
evaluation_print_summary(FILE *to, const struct evaluation *v)
{
	for (size_t m = 0; m < v->n_models; m++)
		print_model_summary(to, v, m);
	if (v->n_models == 2)
		print_comparison(to, v);
}

/* ---- JSON ---- */

static struct json *
model_json(const struct manifest *m)
{
	struct json *v = json_new_object();

	json_set_string(v, "name", m->name);
	json_set_string(v, "version", m->version);
	json_set_string(v, "weights_sha256", m->weights_sha256);
	return v;
}

static struct json *
metrics_json(const struct metrics *m, const struct segment_kind *s)
{
	struct json *v = json_new_object();

	json_set_int(v, "number", s->number);
	json_set_string(v, "label", s->label);
	json_set_number(v, "dice", m->dice);
	json_set_number(v, "precision", m->precision);
	json_set_number(v, "sensitivity", m->sensitivity);
	json_set_number(v, "hd95_mm", m->hd95_mm);
	json_set_number(v, "truth_ml", m->truth_ml);
	json_set_number(v, "result_ml", m->result_ml);
	json_set_number(v, "volume_error_ml", m->volume_error_ml);
	return v;
}

static struct json *
result_json(const struct evaluation *v, const struct evaluation_row *r, size_t model)
{
	struct json *list = json_new_array();

	for (size_t s = 0; s < v->models[model].n_segments; s++)
		json_add(list, metrics_json(&r->result[model].segments[s], &v->models[model].segments[s]));
	return list;
}

static struct json *
row_json(const struct evaluation *v, const struct evaluation_row *r)
{
	static const char *const keys[EVALUATION_MODELS][2] = { { "segments", "reason" }, { "against", "against_reason" } };
	struct json *o = json_new_object();

	json_set_string(o, "case", r->of->name);
	json_set_string(o, "study_uid", r->of->study_uid[0] != '\0' ? r->of->study_uid : NULL);
	json_set_string(o, "patient", r->of->patient);
	json_set_string(o, "split", dataset_split_name(r->of->split));
	for (size_t m = 0; m < v->n_models; m++)
		if (r->is_done[m])
			json_set(o, keys[m][0], result_json(v, r, m));
		else {
			json_set_null(o, keys[m][0]);
			json_set_string(o, keys[m][1], r->reason[m]);
		}
	if (r->is_done[0])
		json_set_int(o, "took_ms", r->result[0].took_ms);
	return o;
}

static struct json *
summary_json(const struct summary *s)
{
	struct json *v = json_new_object(), *mean = json_new_array(), *median = json_new_array();

	json_set_int(v, "cases", (int64_t)s->n);
	json_set_int(v, "missing", (int64_t)s->missing);
	json_set_number(v, "mean", s->mean);
	json_add_number(mean, s->mean_low);
	json_add_number(mean, s->mean_high);
	json_set(v, "mean_interval", mean);
	json_set_number(v, "median", s->median);
	json_add_number(median, s->median_low);
	json_add_number(median, s->median_high);
	json_set(v, "median_interval", median);
	json_set_number(v, "min", s->min);
	json_set_number(v, "max", s->max);
	return v;
}

/* One object a segment: number, label, an object a figure. */
static struct json *
summaries_json(const struct evaluation *v, size_t model)
{
	struct json *list = json_new_array();

	for (size_t s = 0; s < v->models[model].n_segments; s++) {
		struct json *o = json_new_object();
		json_set_int(o, "number", v->models[model].segments[s].number);
		json_set_string(o, "label", v->models[model].segments[s].label);
		for (enum figure f = 0; f < N_FIGURES; f++)
			json_set(o, figure_kind(f)->key, summary_json(&v->summary[model][s][f]));
		json_add(list, o);
	}
	return list;
}

static struct json *
comparison_json(const struct evaluation *v)
{
	struct json *list = json_new_array();

	for (size_t s = 0; s < evaluation_compared_segments(v); s++) {
		struct json *o = json_new_object();
		json_set_int(o, "number", v->models[0].segments[s].number);
		json_set_string(o, "label", v->models[0].segments[s].label);
		for (enum figure f = 0; f < N_FIGURES; f++) {
			const struct comparison *c = &v->comparison[s][f];
			struct json *x;
			if (!figure_kind(f)->is_compared)
				continue;
			x = summary_json(&c->difference);
			json_set_number(x, "wilcoxon_p", c->test.p);
			json_set_bool(x, "wilcoxon_is_exact", c->test.is_exact);
			json_set_int(x, "better", (int64_t)c->better);
			json_set_int(x, "worse", (int64_t)c->worse);
			json_set_int(x, "equal", (int64_t)c->equal);
			json_set(o, figure_kind(f)->key, x);
		}
		json_add(list, o);
	}
	return list;
}

struct json *
evaluation_json(const struct evaluation *v)
{
	struct json *o = json_new_object(), *data = json_new_object(), *cases = json_new_array();
	char now[CLOCK_TEXT];

	clock_text(clock_ms(), now);
	json_set_string(o, "program", "segan " SEGAN_VERSION);
	json_set_string(o, "created", now);
	json_set_string(o, "core", compute_core());
	json_set_string(data, "digest", dataset_digest(v->data));
	json_set_string(data, "split", v->split);
	json_set_int(data, "cases", (int64_t)v->n_rows);
	json_set_int(data, "failed", (int64_t)v->n_failed[0]);
	json_set(o, "data", data);
	json_set(o, "model", model_json(&v->models[0]));
	json_set(o, "segments", summaries_json(v, 0));
	if (v->n_models == 2) {
		struct json *against = json_new_object();
		json_set(against, "model", model_json(&v->models[1]));
		json_set_int(against, "failed", (int64_t)v->n_failed[1]);
		json_set(against, "segments", summaries_json(v, 1));
		json_set(o, "against", against);
		json_set(o, "comparison", comparison_json(v));
	}
	for (size_t i = 0; i < v->n_rows; i++)
		json_add(cases, row_json(v, &v->rows[i]));
	json_set(o, "cases", cases);
	return o;
}

/* ---- CSV (RFC 4180) ---- */

/* A text that a spreadsheet would take for a formula gets an apostrophe in front. */
static void
put_quoted(FILE *to, const char *text)
{
	fputs(strchr("=+-@\t\r", text[0]) != NULL && text[0] != '\0' ? "\"'" : "\"", to);
	for (; *text != '\0'; text++) {
		if (*text == '"')
			fputc('"', to);
		fputc(*text, to);
	}
	fputc('"', to);
}

static void
put_case(FILE *to, const struct evaluation *v, const struct evaluation_row *r, size_t model)
{
	char name[140];

	snprintf(name, sizeof name, "%s@%s", v->models[model].name, v->models[model].version);
	put_quoted(to, name);
	fputc(',', to);
	put_quoted(to, r->of->name);
	fprintf(to, ",%s,%s", r->of->patient, dataset_split_name(r->of->split));
}

static void
put_result(FILE *to, const struct evaluation *v, const struct evaluation_row *r, size_t model)
{
	if (!r->is_done[model]) {
		put_case(to, v, r, model);
		fputs(",,,,,,,,,,,", to);         /* the columns from segment to took_ms */
		put_quoted(to, r->reason[model]);
		fputs("\r\n", to);
		return;
	}
	for (size_t s = 0; s < v->models[model].n_segments; s++) {
		const struct metrics *m = &r->result[model].segments[s];

		put_case(to, v, r, model);
		fprintf(to, ",%u,", v->models[model].segments[s].number);
		put_quoted(to, v->models[model].segments[s].label);
		fprintf(to, ",%.6f,%.6f,%.6f,", m->dice, m->precision, m->sensitivity);
		if (!isnan(m->hd95_mm))
			fprintf(to, "%.4f", m->hd95_mm);
		fprintf(to, ",%.4f,%.4f,%.4f,%lld,\r\n", m->truth_ml, m->result_ml, m->volume_error_ml, (long long)r->result[model].took_ms);
	}
}

int
evaluation_write_csv(const struct evaluation *v, const char *path, struct err *e)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);
	int rc;

	if (to == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %s", path);
	fputs("model,case,patient,split,segment,label,dice,precision,sensitivity,hd95_mm,truth_ml,result_ml,volume_error_ml,took_ms,reason\r\n", to);
	for (size_t m = 0; m < v->n_models; m++)
		for (size_t i = 0; i < v->n_rows; i++)
			put_result(to, v, &v->rows[i], m);
	rc = fclose(to) != 0 ? err_set(e, ERR_LIMIT, "no memory for %s", path) : file_write(path, text, n, e);
	free(text);
	return rc;
}
