/* segan dataset show: what went in, what was left out and why, split, digests. */
#include "service/commands/common.h"
#include "service/commands/dataset_parts.h"

#include <stdio.h>
#include <string.h>

static struct json *
case_json(const struct dataset_case *c)
{
	struct json *v = json_new_object(), *label = json_new_object();

	json_set_string(v, c->study_uid[0] != '\0' ? "study_uid" : "case", c->study_uid[0] != '\0' ? c->study_uid : c->name);
	json_set_string(v, "split", dataset_split_name(c->split));
	json_set_string(v, "patient", c->patient);
	json_set_string(v, "digest", c->digest);
	json_set_string(label, "sop_instance_uid", c->label_sop_uid[0] != '\0' ? c->label_sop_uid : NULL);
	json_set_string(label, "algorithm_type", c->algorithm_type[0] != '\0' ? c->algorithm_type : NULL);
	json_set_string(label, "creator", c->creator[0] != '\0' ? c->creator : NULL);
	json_set(v, "label", label);
	return v;
}

static int
show_json(const struct dataset *d)
{
	struct json *v = json_new_object(), *channels = json_new_array(), *cases = json_new_array(), *left_out = json_new_array();

	for (size_t i = 0; i < dataset_channels(d); i++)
		json_add_string(channels, dataset_channel(d, i));
	for (size_t i = 0; i < dataset_size(d); i++)
		json_add(cases, case_json(dataset_at(d, i)));
	for (size_t i = 0; i < dataset_left_out_size(d); i++) {
		struct json *l = json_new_object();
		const char *reason, *what = dataset_left_out(d, i, &reason);
		json_set_string(l, "what", what);
		json_set_string(l, "reason", reason);
		json_add(left_out, l);
	}
	json_set_string(v, "digest", dataset_digest(d));
	json_set(v, "channels", channels);
	json_set_int(v, "segments", (int64_t)dataset_segments(d));
	json_set(v, "cases", cases);
	json_set(v, "left_out", left_out);
	return command_print_json(v);
}

static int
show_plain(const struct dataset *d)
{
	size_t in_split[3] = { 0 };

	for (size_t i = 0; i < dataset_size(d); i++)
		in_split[dataset_at(d, i)->split]++;
	printf("%zu cases: %zu train, %zu validation, %zu test; channels", dataset_size(d), in_split[SPLIT_TRAIN], in_split[SPLIT_VALIDATION], in_split[SPLIT_TEST]);
	for (size_t i = 0; i < dataset_channels(d); i++)
		printf(" %s", dataset_channel(d, i));
	printf("; %zu segment%s\ndigest %s\n", dataset_segments(d), dataset_segments(d) == 1 ? "" : "s", dataset_digest(d));
	for (size_t i = 0; i < dataset_size(d); i++) {
		const struct dataset_case *c = dataset_at(d, i);
		printf("%-10s %s  patient %.12s  %zu x %zu x %zu", dataset_split_name(c->split), c->name, c->patient, c->grid.cols, c->grid.rows, c->grid.slices);
		if (c->label_sop_uid[0] != '\0')
			printf("  label %s %s by \"%s\"", c->label_sop_uid, c->algorithm_type, c->creator);
		putchar('\n');
	}
	for (size_t i = 0; i < dataset_left_out_size(d); i++) {
		const char *reason, *what = dataset_left_out(d, i, &reason);
		printf("left out   %s: %s\n", what, reason);
	}
	return EXIT_GOOD;
}

/* Every case's bytes are compared with their digest: what is shown as whole is whole. */
int
dataset_show(const char *set, bool as_json)
{
	struct err e;
	struct dataset *d = dataset_open(set, &e);
	int rc;

	if (d == NULL)
		return command_fail(&e);
	for (size_t i = 0; i < dataset_size(d); i++) {
		if (dataset_map(d, i, &e) != 0) {
			dataset_close(d);
			return command_fail(&e);
		}
		dataset_unmap(d, i);
	}
	rc = as_json ? show_json(d) : show_plain(d);
	dataset_close(d);
	return rc;
}
