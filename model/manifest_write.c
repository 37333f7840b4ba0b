/* struct manifest -> model.json: the way back of manifest.c, key by key. Training adds its notes to what this gives. */
#include "model/manifest.h"
#include "config/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct json *
network(const struct network *n)
{
	struct json *v = json_new_object();

	json_set_string(v, "kind", n->kind == NETWORK_UNET ? "unet" : "segan");
	json_set_int(v, "width", (int64_t)n->width);
	json_set_int(v, "labels", (int64_t)n->labels);
	json_set_string(v, "skip", n->skip == SKIP_CONCAT ? "concat" : "sum");
	json_set_number(v, "leaky_slope", n->leaky_slope);
	json_set_number(v, "bn_eps", n->bn_eps);
	return v;
}

static struct json *
normalisation(const struct normalisation *n)
{
	struct json *v = json_new_object();

	json_set_string(v, "kind", "percentile-head");
	json_set_number(v, "floor_percentile", n->floor_percentile);
	json_set(v, "head_over", json_new_pair(n->head_fraction, n->head_percentile));
	json_set_number(v, "low_percentile", n->low_percentile);
	json_set_number(v, "high_percentile", n->high_percentile);
	json_set(v, "clip", json_new_pair(n->clip[0], n->clip[1]));
	return v;
}

static struct json *
input(const struct manifest *m)
{
	struct json *v = json_new_object();

	json_set_string(v, "plane", m->plane);
	json_set_string(v, "orientation", "LPS");
	json_set_number(v, "spacing_mm", m->spacing_mm);
	json_set_string(v, "skull", m->skull_present ? "present" : "stripped");
	json_set_int(v, "pad_multiple", (int64_t)m->pad_multiple);
	json_set_int(v, "neighbours", (int64_t)m->neighbours);
	json_set_number(v, "neighbour_mm", m->neighbour_mm);
	json_set_bool(v, "mirror", m->mirror);
	json_set(v, "normalisation", normalisation(&m->normalisation));
	return v;
}

static struct json *
code(const struct code *c)
{
	struct json *v = json_new_array();

	json_add_string(v, c->scheme);
	json_add_string(v, c->value);
	json_add_string(v, c->meaning);
	return v;
}

static struct json *
segment(const struct segment_kind *s)
{
	struct json *v = json_new_object();
	char colour[8];

	snprintf(colour, sizeof colour, "#%02x%02x%02x", s->rgb[0], s->rgb[1], s->rgb[2]);
	json_set_int(v, "number", s->number);
	json_set_int(v, "map", (int64_t)s->map);
	json_set_string(v, "label", s->label);
	json_set_number(v, "threshold", s->threshold);
	json_set_number(v, "minimum_ml", s->minimum_ml);
	json_set_number(v, "peak", s->peak);
	json_set_string(v, "colour", colour);
	json_set(v, "category", code(&s->category));
	json_set(v, "type", code(&s->type));
	json_set(v, "anatomy", code(&s->anatomy));
	return v;
}

/* To four digits: more would say nothing of the next head. */
static double
rounded(double value)
{
	char text[32];

	snprintf(text, sizeof text, "%.4g", value);
	return strtod(text, NULL);
}

struct json *
manifest_statistics_json(const struct manifest *m)
{
	struct json *v = json_new_object(), *channels = json_new_object();

	json_set_int(v, "cases", (int64_t)m->statistics[0].n_cases);
	for (size_t i = 0; i < m->n_channels; i++) {
		const struct likeness_range *r = &m->statistics[i];
		struct json *figures = json_new_object();

		for (size_t f = 0; f < LIKENESS_N_FIGURES; f++)
			if (isfinite(r->low[f]))
				json_set(figures, likeness_key((enum likeness_figure)f), json_new_pair(rounded(r->low[f]), rounded(r->high[f])));
		json_set(channels, m->channels[i], figures);
	}
	json_set(v, "channels", channels);
	return v;
}

struct json *
manifest_json(const struct manifest *m)
{
	struct json *v = json_new_object(), *channels = json_new_array(), *segments = json_new_array();

	json_set_string(v, "name", m->name);
	json_set_string(v, "version", m->version);
	json_set_string(v, "description", m->description);
	for (size_t i = 0; i < m->n_channels; i++)
		json_add_string(channels, m->channels[i]);
	json_set(v, "channels", channels);
	json_set(v, "network", network(&m->network));
	json_set(v, "input", input(m));
	for (size_t i = 0; i < m->n_segments; i++)
		json_add(segments, segment(&m->segments[i]));
	json_set(v, "segments", segments);
	if (m->statistics[0].n_cases > 0)
		json_set(v, "statistics", manifest_statistics_json(m));
	json_set_string(v, "licence", m->licence);
	json_set_string(v, "weights_sha256", m->weights_sha256);
	return v;
}
