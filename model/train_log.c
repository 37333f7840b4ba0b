/* log.csv and curves.svg. The csv grows by appending; when a run is taken up again it is written anew from the lines that still hold. */
#include "model/train_log.h"
#include "config/file.h"
#include "model/run_folder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_COLUMNS = 9, MAX_CSV_BYTES = 1 << 28, LINE_BYTES = 256 };
static const char head[] = "step,lr,critic,l1,dice,segmentor,validation_dice,slices_per_second,minutes\n";

struct train_log {
	char run[RUN_PATH];
	FILE *csv;
	struct log_line *lines;
	size_t n, have;
};

/* What was not measured is an empty field. */
static void
print_line(const struct log_line *line, char text[LINE_BYTES])
{
	const double v[N_COLUMNS - 1] = { line->lr, line->losses.critic, line->losses.l1, line->losses.dice, line->losses.segmentor, line->validation_dice,
		line->slices_per_second, line->minutes };
	int n = snprintf(text, LINE_BYTES, "%lld", (long long)line->step);

	for (size_t i = 0; i < N_COLUMNS - 1; i++)
		n += isfinite(v[i]) ? snprintf(text + n, LINE_BYTES - (size_t)n, ",%.*g", i < N_COLUMNS - 3 ? 9 : 4, v[i]) : snprintf(text + n, LINE_BYTES - (size_t)n, ",");
	snprintf(text + n, LINE_BYTES - (size_t)n, "\n");
}

/* One line of the file; false: it is none of ours. */
static bool
parse_line(const char *text, struct log_line *out)
{
	double v[N_COLUMNS];

	for (size_t i = 0; i < N_COLUMNS; i++) {
		char *end;

		v[i] = *text == ',' || *text == '\n' ? NAN : strtod(text, &end);
		if (*text != ',' && *text != '\n') {
			if (end == text)
				return false;
			text = end;
		}
		if (*text++ != (i + 1 < N_COLUMNS ? ',' : '\n'))
			return false;
	}
	if (!(v[0] >= 0 && v[0] < 1e15))
		return false;
	*out = (struct log_line){ (int64_t)v[0], v[1], { v[2], v[3], v[4], v[5] }, v[6], v[7], v[8] };
	return true;
}

static int
keep(struct train_log *l, const struct log_line *line, struct err *e)
{
	if (l->n == l->have) {
		size_t more = l->have ? 2 * l->have : 256;
		struct log_line *longer = realloc(l->lines, more * sizeof *longer);

		if (!longer)
			return err_set(e, ERR_LIMIT, "no memory for the log of a training");
		l->lines = longer;
		l->have = more;
	}
	l->lines[l->n++] = *line;
	return 0;
}

/* A last line cut by a crash, and all behind step, is forgotten. */
static int
read_lines(struct train_log *l, int64_t step, struct err *e)
{
	struct run_path path = run_path(l->run, "log.csv");
	size_t n;
	char *text, *line;
	int result = 0;

	if (!file_exists(path.text) || step == 0)
		return 0;
	text = file_read(path.text, MAX_CSV_BYTES, &n, e);
	if (!text)
		return -1;
	line = strchr(text, '\n');
	while (result == 0 && line && line[1] && strchr(line + 1, '\n')) {
		struct log_line parsed;

		if (!parse_line(++line, &parsed))
			result = err_set(e, ERR_INPUT, "%s was changed: \"%.40s\"", path.text, line);
		else if (parsed.step <= step)
			result = keep(l, &parsed, e);
		line = strchr(line, '\n');
	}
	free(text);
	return result;
}

static int
append(struct train_log *l, const char *text, struct err *e)
{
	return fputs(text, l->csv) < 0 || fflush(l->csv) != 0 ? err_errno(e, "writing %s", run_path(l->run, "log.csv").text) : 0;
}

static int
write_lines(struct train_log *l, struct err *e)
{
	char text[LINE_BYTES];

	l->csv = fopen(run_path(l->run, "log.csv").text, "we");
	if (!l->csv)
		return err_errno(e, "creating %s", run_path(l->run, "log.csv").text);
	if (append(l, head, e) != 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		print_line(&l->lines[i], text);
		if (append(l, text, e) != 0)
			return -1;
	}
	return 0;
}

struct train_log *
train_log_open(const char *run, int64_t step, struct err *e)
{
	struct train_log *l = calloc(1, sizeof *l);

	if (!l) {
		err_set(e, ERR_LIMIT, "no memory for the log of a training");
		return NULL;
	}
	snprintf(l->run, sizeof l->run, "%s", run);
	if (read_lines(l, step, e) == 0 && write_lines(l, e) == 0)
		return l;
	train_log_free(l);
	return NULL;
}

void
train_log_free(struct train_log *l)
{
	if (!l)
		return;
	if (l->csv)
		fclose(l->csv); /* every line was flushed when it was added */
	free(l->lines);
	free(l);
}

int
train_log_add(struct train_log *l, const struct log_line *line, struct err *e)
{
	char text[LINE_BYTES];

	print_line(line, text);
	return keep(l, line, e) != 0 ? -1 : append(l, text, e);
}

/* ---- the picture: two panels over the steps, losses above, validation Dice below ---- */

enum { WIDTH = 900, PANEL = 260, LEFT = 70, TOP = 40, GAP = 60, PLOT = WIDTH - LEFT - 20, MAX_POINTS = 800 };

struct curve { const char *name, *colour; size_t offset; int panel; };
static const struct curve curves[] = {
	{ "critic", "#888888", offsetof(struct log_line, losses.critic), 0 },
	{ "multi-scale L1", "#3c78d8", offsetof(struct log_line, losses.l1), 0 },
	{ "Dice loss", "#e6503c", offsetof(struct log_line, losses.dice), 0 },
	{ "validation Dice", "#2a9d4b", offsetof(struct log_line, validation_dice), 1 },
};
enum { N_CURVES = sizeof curves / sizeof *curves };

static double
value_of(const struct log_line *line, const struct curve *c)
{
	double v;

	memcpy(&v, (const char *)line + c->offset, sizeof v);
	return v;
}

static bool
is_measured(const struct train_log *l, const struct curve *c)
{
	for (size_t i = 0; i < l->n; i++)
		if (isfinite(value_of(&l->lines[i], c)))
			return true;
	return false;
}

static void
range_of(const struct train_log *l, int panel, double range[2])
{
	range[0] = 0;
	range[1] = panel == 1 ? 1 : 1e-9;
	for (size_t k = 0; k < N_CURVES; k++)
		for (size_t i = 0; curves[k].panel == panel && i < l->n; i++) {
			double v = value_of(&l->lines[i], &curves[k]);
			range[0] = v < range[0] ? v : range[0];  /* nan is in no range */
			range[1] = v > range[1] ? v : range[1];
		}
}

static void
draw_frame(FILE *f, int panel, const double range[2], int64_t steps)
{
	const int top = TOP + panel * (PANEL + GAP);

	fprintf(f, "<rect x='%d' y='%d' width='%d' height='%d' fill='none' stroke='#bbb'/>\n", LEFT, top, PLOT, PANEL);
	for (int i = 0; i <= 4; i++) {
		fprintf(f, "<text x='%d' y='%d' text-anchor='end'>%.3g</text>\n", LEFT - 6, top + PANEL - i * PANEL / 4 + 4, range[0] + (range[1] - range[0]) * i / 4);
		fprintf(f, "<text x='%d' y='%d' text-anchor='middle'>%lld</text>\n", LEFT + i * PLOT / 4, top + PANEL + 16, (long long)(steps * i / 4));
	}
}

/* Means of equal stretches, at most MAX_POINTS of them. */
static void
draw_curve(FILE *f, const struct train_log *l, const struct curve *c, const double range[2], int at_name)
{
	const int top = TOP + c->panel * (PANEL + GAP);
	const size_t stretch = c->panel == 1 ? 1 : (l->n + MAX_POINTS - 1) / MAX_POINTS;
	const double steps = (double)l->lines[l->n - 1].step;

	fprintf(f, "<text x='%d' y='%d' fill='%s'>%s</text>\n<polyline fill='none' stroke='%s' stroke-width='1.5' points='", LEFT + 8 + at_name * 130, top - 8, c->colour,
	    c->name, c->colour);
	for (size_t i = 0; i < l->n; i += stretch) {
		double sum = 0, n = 0;

		for (size_t k = i; k < i + stretch && k < l->n; k++)
			if (isfinite(value_of(&l->lines[k], c))) {
				sum += value_of(&l->lines[k], c);
				n++;
			}
		if (n > 0)
			fprintf(f, "%.1f,%.1f ", LEFT + PLOT * (double)l->lines[i].step / steps, top + PANEL - PANEL * (sum / n - range[0]) / (range[1] - range[0]));
	}
	fputs("'/>\n", f);
}

int
train_log_draw(const struct train_log *l, struct err *e)
{
	char *text = NULL;
	size_t size;
	FILE *f;
	int result;

	if (l->n == 0)
		return 0;
	f = open_memstream(&text, &size);
	if (!f)
		return err_set(e, ERR_LIMIT, "no memory for a picture");
	fprintf(f, "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' font-family='sans-serif' font-size='12'>\n<rect width='100%%' height='100%%' fill='white'/>\n",
	    WIDTH, TOP + 2 * (PANEL + GAP));
	for (int panel = 0; panel < 2; panel++) {
		double range[2];
		int at_name = 0;

		range_of(l, panel, range);
		draw_frame(f, panel, range, l->lines[l->n - 1].step);
		for (size_t k = 0; k < N_CURVES; k++)
			if (curves[k].panel == panel && is_measured(l, &curves[k]))
				draw_curve(f, l, &curves[k], range, at_name++);
	}
	fputs("</svg>\n", f);
	result = fclose(f) != 0 ? err_set(e, ERR_LIMIT, "no memory for a picture") : file_write(run_path(l->run, "curves.svg").text, text, size, e);
	free(text);
	return result;
}
