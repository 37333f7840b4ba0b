/* An evaluation as one HTML page that needs nothing but itself: tables, a strip of the cases, pictures of the worst, the median and the best. The cases of
 * the pictures are segmented once more, so that no masks are held meanwhile. Every text from outside is escaped; no script. */
#include "service/commands/evaluation.h"

#include "config/clock.h"
#include "config/file.h"
#include "model/segan.h"
#include "service/flow/preview.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char truth_rgb[3] = { 0x2e, 0xcc, 0x71 }, ours_rgb[3] = { 0xff, 0x5a, 0x3c };

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:72em;padding:0 1em;color:#1c2733;background:#fff}"
    "h1{font-size:1.5em;margin-bottom:.2em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{padding:.25em .7em;border-bottom:1px solid #d8dee5;text-align:right;white-space:nowrap}th{font-weight:600;background:#f3f6f9}"
    "th.t,td.t{text-align:left}.wide{overflow-x:auto}.pictures{display:flex;flex-wrap:wrap;gap:1em}figure{margin:0;max-width:23em}"
    "figure img{width:100%;background:#000;border-radius:4px}figcaption{font-size:.9em}.note{color:#566473;font-size:.9em}"
    ".truth{color:#1b8f4d;font-weight:600}.ours{color:#d63d1f;font-weight:600}";

static void
put_text(FILE *to, const char *text)
{
	for (; *text != '\0'; text++)
		switch (*text) {
		case '&': fputs("&amp;", to); break;
		case '<': fputs("&lt;", to); break;
		case '>': fputs("&gt;", to); break;
		case '"': fputs("&quot;", to); break;
		case '\'': fputs("&#39;", to); break;
		default: fputc((unsigned char)*text < 32 ? ' ' : *text, to);
		}
}

static void
put_base64(FILE *to, const unsigned char *bytes, size_t n)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		unsigned long three = (unsigned long)bytes[i] << 16 | (unsigned long)(i + 1 < n ? bytes[i + 1] : 0) << 8 | (i + 2 < n ? bytes[i + 2] : 0);
		fputc(letters[three >> 18], to);
		fputc(letters[three >> 12 & 63], to);
		fputc(i + 1 < n ? letters[three >> 6 & 63] : '=', to);
		fputc(i + 2 < n ? letters[three & 63] : '=', to);
	}
}

/* A cell; what is not a number is a dash. */
static void
put_number(FILE *to, double value, int decimals, bool with_sign)
{
	if (isnan(value))
		fputs("<td>&ndash;</td>", to);
	else
		fprintf(to, with_sign ? "<td>%+.*f</td>" : "<td>%.*f</td>", decimals, value);
}

static void
put_interval(FILE *to, double low, double high, int decimals, bool with_sign)
{
	if (isnan(low))
		fputs("<td>&ndash;</td>", to);
	else
		fprintf(to, with_sign ? "<td>%+.*f to %+.*f</td>" : "<td>%.*f to %.*f</td>", decimals, low, decimals, high);
}

static void
put_label(FILE *to, const char *label, const struct figure_kind *k)
{
	fputs("<tr><td class=t>", to);
	put_text(to, label);
	fprintf(to, "</td><td class=t>%s%s%s</td>", k->label, k->unit[0] != '\0' ? ", " : "", k->unit);
}

/* ---- tables ---- */

static void
put_summary(FILE *to, const struct evaluation *v, size_t model)
{
	const struct manifest *m = &v->models[model];

	fputs("<h2>", to);
	put_text(to, m->name);
	fputs("@", to);
	put_text(to, m->version);
	fprintf(to, " over %zu cases</h2>\n", v->n_rows - v->n_failed[model]);
	if (v->n_failed[model] > 0)
		fprintf(to, "<p>%zu cases could not be segmented; they are named below and count in no figure.</p>\n", v->n_failed[model]);
	fputs("<div class=wide><table><tr><th class=t>segment<th class=t>figure<th>mean<th>95 % interval<th>median<th>95 % interval<th>least<th>most<th>without</tr>\n", to);
	for (size_t s = 0; s < m->n_segments; s++)
		for (enum figure f = 0; f < N_FIGURES; f++) {
			const struct summary *x = &v->summary[model][s][f];
			const int d = figure_kind(f)->decimals;

			put_label(to, m->segments[s].label, figure_kind(f));
			put_number(to, x->mean, d, false);
			put_interval(to, x->mean_low, x->mean_high, d, false);
			put_number(to, x->median, d, false);
			put_interval(to, x->median_low, x->median_high, d, false);
			put_number(to, x->min, d, false);
			put_number(to, x->max, d, false);
			fprintf(to, "<td>%zu</td></tr>\n", x->missing);
		}
	fputs("</table></div>\n", to);
}

static void
put_comparison(FILE *to, const struct evaluation *v)
{
	fputs("<h2>", to);
	put_text(to, v->models[0].name);
	fprintf(to, "@%s minus ", v->models[0].version);
	put_text(to, v->models[1].name);
	fprintf(to, "@%s on the same cases</h2>\n<div class=wide><table><tr><th class=t>segment<th class=t>figure<th>mean difference<th>95 %% interval<th>p<th>better<th>worse<th>equal</tr>\n",
	    v->models[1].version);
	for (size_t s = 0; s < evaluation_compared_segments(v); s++)
		for (enum figure f = 0; f < N_FIGURES; f++) {
			const struct comparison *c = &v->comparison[s][f];
			const int d = figure_kind(f)->decimals;

			if (!figure_kind(f)->is_compared)
				continue;
			put_label(to, v->models[0].segments[s].label, figure_kind(f));
			put_number(to, c->difference.mean, d, true);
			put_interval(to, c->difference.mean_low, c->difference.mean_high, d, true);
			fprintf(to, "<td>%.3g</td><td>%zu</td><td>%zu</td><td>%zu</td></tr>\n", c->test.p, c->better, c->worse, c->equal);
		}
	fputs("</table></div>\n", to);
}

static void
put_case(FILE *to, const struct evaluation *v, const struct evaluation_row *r, size_t model)
{
	if (!r->is_done[model]) {
		fputs("<tr><td class=t>", to);
		put_text(to, r->of->name);
		fprintf(to, "</td><td class=t>%zu</td><td class=t colspan=8>not segmented: ", model + 1);
		put_text(to, r->reason[model]);
		fputs("</td></tr>\n", to);
		return;
	}
	for (size_t s = 0; s < v->models[model].n_segments; s++) {
		const struct metrics *m = &r->result[model].segments[s];

		fputs("<tr><td class=t>", to);
		put_text(to, r->of->name);
		fprintf(to, "</td><td class=t>%zu</td><td class=t>", model + 1);
		put_text(to, v->models[model].segments[s].label);
		fputs("</td>", to);
		put_number(to, m->dice, 3, false);
		put_number(to, m->precision, 3, false);
		put_number(to, m->sensitivity, 3, false);
		put_number(to, m->hd95_mm, 1, false);
		put_number(to, m->truth_ml, 1, false);
		put_number(to, m->result_ml, 1, false);
		put_number(to, m->volume_error_ml, 1, true);
		fputs("</tr>\n", to);
	}
}

static void
put_cases(FILE *to, const struct evaluation *v)
{
	fputs("<h2>Every case</h2>\n<div class=wide><table><tr><th class=t>case<th class=t>model<th class=t>segment<th>Dice<th>precision<th>sensitivity<th>HD95, mm<th>truth, ml<th>result, ml<th>error, ml</tr>\n", to);
	for (size_t i = 0; i < v->n_rows; i++)
		for (size_t m = 0; m < v->n_models; m++)
			put_case(to, v, &v->rows[i], m);
	fputs("</table></div>\n", to);
}

/* ---- a strip: a dot a case, Dice from left to right, a row a segment and model ---- */

static void
put_strip(FILE *to, const struct evaluation *v)
{
	size_t row = 0, n = 0;

	for (size_t m = 0; m < v->n_models; m++)
		n += v->models[m].n_segments;
	fprintf(to, "<h2>Dice of every case</h2>\n<svg viewBox=\"0 0 760 %zu\" width=\"100%%\" role=img aria-label=\"Dice of every case\" font-size=13>\n", n * 34 + 30);
	for (size_t m = 0; m < v->n_models; m++)
		for (size_t s = 0; s < v->models[m].n_segments; s++, row++) {
			const size_t y = row * 34 + 20;

			fprintf(to, "<text x=0 y=%zu>", y + 4);
			put_text(to, v->models[m].segments[s].label);
			fprintf(to, " (%zu)</text><line x1=240 x2=740 y1=%zu y2=%zu stroke=\"#d8dee5\" />\n", m + 1, y, y);
			if (v->summary[m][s][FIGURE_DICE].n > 0)
				fprintf(to, "<line x1=%.1f x2=%.1f y1=%zu y2=%zu stroke=\"#1c2733\" stroke-width=2 />\n", 240 + 500 * v->summary[m][s][FIGURE_DICE].mean,
				    240 + 500 * v->summary[m][s][FIGURE_DICE].mean, y - 11, y + 11);
			for (size_t i = 0; i < v->n_rows; i++)
				if (v->rows[i].is_done[m])
					fprintf(to, "<circle cx=%.1f cy=%zu r=5 fill=\"%s\" fill-opacity=.5 />\n", 240 + 500 * v->rows[i].result[m].segments[s].dice, y, m == 0 ? "#d63d1f" : "#2b6cb0");
		}
	for (int i = 0; i <= 10; i += 2)
		fprintf(to, "<text x=%d y=%zu text-anchor=middle fill=\"#566473\">%.1f</text>\n", 240 + 50 * i, n * 34 + 22, i / 10.0);
	fputs("</svg>\n<p class=note>A dot is a case, the upright line their mean. ", to);
	for (size_t m = 0; m < v->n_models; m++) {
		fprintf(to, "%s(%zu) ", m > 0 ? ", " : "", m + 1);
		put_text(to, v->models[m].name);
		fprintf(to, "@%s", v->models[m].version);
	}
	fputs(".</p>\n", to);
}

/* ---- pictures ---- */

struct ranked { size_t row; double dice; };

static int
by_dice(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	return x->dice != y->dice ? (x->dice > y->dice) - (x->dice < y->dice) : (x->row > y->row) - (x->row < y->row);
}

static const float *
shown_channel(const struct evaluation *v, const struct dataset_case *c)
{
	for (size_t i = 0; i < dataset_channels(v->data); i++)
		if (strcmp(dataset_channel(v->data, i), v->models[0].channels[0]) == 0)
			return c->channel[i];
	return c->channel[0];
}

static int
put_picture(FILE *to, const struct evaluation *v, const struct evaluation_row *r, size_t segment, const char *what, struct err *e)
{
	const struct metrics *m = &r->result[0].segments[segment];
	struct preview_request request = { .grid = &r->of->grid, .n_segments = 2 };
	struct evaluated again;
	unsigned char *png;
	size_t n;

	if (dataset_map(v->data, r->index, e) != 0 || evaluator_run(v->evaluators[0], r->of, &again, e) != 0)
		return -1;
	request.voxels.real = shown_channel(v, r->of);
	request.segments[0].mask = r->of->truth + segment * grid_voxels(&r->of->grid);
	request.segments[1].mask = evaluator_mask(v->evaluators[0], segment);
	request.segments[1].is_dashed = true;
	memcpy(request.segments[0].rgb, truth_rgb, 3);
	memcpy(request.segments[1].rgb, ours_rgb, 3);
	if ((png = preview_png(&request, &n, e)) == NULL)
		return -1;
	fputs("<figure><img alt=\"\" src=\"data:image/png;base64,", to);
	put_base64(to, png, n);
	free(png);
	fprintf(to, "\"><figcaption>%s: ", what);
	put_text(to, r->of->name);
	fprintf(to, "<br>Dice %.3f, truth %.1f ml, result %.1f ml", m->dice, m->truth_ml, m->result_ml);
	if (!isnan(m->hd95_mm))
		fprintf(to, ", HD95 %.1f mm", m->hd95_mm);
	fputs("</figcaption></figure>\n", to);
	return 0;
}

/* Worst, median and best, of the cases where there is something to find (of all, where there are none such). */
static int
put_pictures(FILE *to, const struct evaluation *v, size_t segment, struct err *e)
{
	struct ranked *ranked = calloc(v->n_rows + 1, sizeof *ranked);
	size_t n = 0;
	int rc = 0;

	if (ranked == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the order of %zu cases", v->n_rows);
	for (bool with_truth = true; n == 0; with_truth = false) {
		for (size_t i = 0; i < v->n_rows; i++) {
			const struct metrics *m = &v->rows[i].result[0].segments[segment];
			if (v->rows[i].is_done[0] && (!with_truth || m->truth_ml > 0))
				ranked[n++] = (struct ranked){ i, m->dice };
		}
		if (!with_truth)
			break;
	}
	if (n > 0) {
		qsort(ranked, n, sizeof *ranked, by_dice);
		fputs("<h2>", to);
		put_text(to, v->models[0].segments[segment].label);
		fputs(": worst, median, best</h2>\n<p><span class=truth>Truth</span> drawn through, <span class=ours>result</span> dashed; the slice where both are largest.</p>\n<div class=pictures>\n", to);
		rc = put_picture(to, v, &v->rows[ranked[0].row], segment, n > 1 ? "Worst" : "The case", e);
		if (rc == 0 && n > 2)
			rc = put_picture(to, v, &v->rows[ranked[(n - 1) / 2].row], segment, "Median", e);
		if (rc == 0 && n > 1)
			rc = put_picture(to, v, &v->rows[ranked[n - 1].row], segment, "Best", e);
		fputs("</div>\n", to);
	}
	free(ranked);
	return rc;
}

/* ---- the page ---- */

static void
put_head(FILE *to, const struct evaluation *v)
{
	const char *slash = strrchr(v->set, '/');
	char now[CLOCK_TEXT];

	clock_text(clock_ms(), now);
	fputs("<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>Evaluation of ", to);
	put_text(to, v->models[0].name);
	fprintf(to, "@%s</title><style>%s</style></head><body>\n<h1>Evaluation of ", v->models[0].version, style);
	put_text(to, v->models[0].name);
	fprintf(to, "@%s</h1>\n<p>%zu cases, split %s, data set ", v->models[0].version, v->n_rows, v->split);
	put_text(to, slash != NULL && slash[1] != '\0' ? slash + 1 : v->set);
	fputs(". Research use only, not a medical device.</p>\n", to);
	fprintf(to, "<p class=note>Made %s by segan " SEGAN_VERSION " (compute core %s). Data set digest %s", now, compute_core(), dataset_digest(v->data));
	for (size_t m = 0; m < v->n_models; m++)
		fprintf(to, "; weights %zu sha256 %s", m + 1, v->models[m].weights_sha256);
	fputs(".</p>\n", to);
}

static const char notes[] =
    "<h2>How the figures are made</h2>\n<p class=note>Over whole volumes on the grid of the source images. Dice, precision, sensitivity: of voxels; both masks empty: 1; one "
    "empty: 0. HD95: the larger of the two directed 95th percentiles of the distances between the outlines, exact, in mm; both empty: 0; one empty: none, counted under "
    "&ldquo;without&rdquo;. Volume error: result minus truth. Intervals: 95 %, percentile bootstrap over cases, 10000 samples. p: Wilcoxon's signed-rank test, two-sided.</p>\n</body></html>\n";

int
evaluation_write_html(const struct evaluation *v, const char *path, struct err *e)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);
	int rc = 0;

	if (to == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %s", path);
	put_head(to, v);
	for (size_t m = 0; m < v->n_models; m++)
		put_summary(to, v, m);
	if (v->n_models == 2)
		put_comparison(to, v);
	put_strip(to, v);
	for (size_t s = 0; s < v->models[0].n_segments && rc == 0; s++)
		rc = put_pictures(to, v, s, e);
	put_cases(to, v);
	fputs(notes, to);
	if (fclose(to) != 0 && rc == 0)
		rc = err_set(e, ERR_LIMIT, "no memory for %s", path);
	if (rc == 0)
		rc = file_write(path, text, n, e);
	free(text);
	return rc;
}
