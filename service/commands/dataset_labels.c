/* Segments of a SEG against those of a model. */
#include "service/commands/dataset_labels.h"

#include <string.h>
#include <strings.h>

static bool
same_code(const struct code *a, const struct seg_term *b)
{
	return strcmp(a->scheme, b->scheme) == 0 && strcmp(a->value, b->value) == 0;
}

/* Models have no modifiers; a segment that has one is something more special. */
static bool
same_codes(const struct segment_kind *k, const struct seg_read_segment *s)
{
	return same_code(&k->category, &s->category) && same_code(&k->type, &s->type) && s->modifier.value[0] == '\0';
}

static bool
same_label(const struct segment_kind *k, const struct seg_read_segment *s)
{
	return strcasecmp(k->label, s->label) == 0;
}

typedef bool (*same_fn)(const struct segment_kind *k, const struct seg_read_segment *s);

/* How many segments of the SEG are the same as k; *number is the last one's. */
static size_t
count_in_seg(const struct seg_file *seg, const struct segment_kind *k, same_fn same, unsigned *number)
{
	size_t n = 0;

	for (size_t i = 0; i < seg_read_info(seg)->n_segments; i++)
		if (same(k, seg_read_at(seg, i))) {
			*number = seg_read_at(seg, i)->number;
			n++;
		}
	return n;
}

static const struct seg_read_segment *
segment_of(const struct seg_file *seg, unsigned number)
{
	for (size_t i = 0; i < seg_read_info(seg)->n_segments; i++)
		if (seg_read_at(seg, i)->number == number)
			return seg_read_at(seg, i);
	return NULL;
}

static size_t
count_in_model(const struct manifest *m, const struct seg_read_segment *s, same_fn same)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_segments; i++)
		n += same(&m->segments[i], s);
	return n;
}

int
labels_map(const struct seg_file *seg, const struct manifest *m, unsigned numbers[MODEL_MAX_SEGMENTS], struct err *e)
{
	static const same_fn ways[] = { same_codes, same_label };

	for (size_t i = 0; i < m->n_segments; i++) {
		const struct segment_kind *k = &m->segments[i];
		size_t found[2] = { 0, 0 };
		bool is_mapped = false;
		for (size_t w = 0; w < 2 && !is_mapped; w++) {
			found[w] = count_in_seg(seg, k, ways[w], &numbers[i]);
			is_mapped = found[w] == 1 && count_in_model(m, segment_of(seg, numbers[i]), ways[w]) == 1;
		}
		if (!is_mapped && found[0] + found[1] > 0)
			return err_set(e, ERR_INPUT, "segment \"%s\" of model %s is ambiguous in the SEG: neither by codes nor by label is there just one", k->label, m->name);
		if (!is_mapped)
			return err_set(e, ERR_INPUT, "segment \"%s\" of model %s is not in the SEG: none has its category and type codes, or its label", k->label, m->name);
		for (size_t p = 0; p < i; p++)
			if (numbers[p] == numbers[i])
				return err_set(e, ERR_INPUT, "segment %u of the SEG would be both \"%s\" and \"%s\"", numbers[i], m->segments[p].label, k->label);
	}
	return 0;
}

const char *
labels_algorithm_type(const struct seg_file *seg, unsigned number)
{
	const struct seg_read_segment *s = segment_of(seg, number);

	return s == NULL ? "" : s->algorithm_type;
}

enum label_kind
labels_judge(const struct seg_file *seg, const unsigned *numbers, size_t n)
{
	bool is_by_a_person = true;

	for (size_t i = 0; i < n; i++) {
		const char *type = labels_algorithm_type(seg, numbers[i]);
		is_by_a_person = is_by_a_person && (strcmp(type, "MANUAL") == 0 || strcmp(type, "SEMIAUTOMATIC") == 0);
	}
	if (is_by_a_person || seg_read_info(seg)->origin == SEG_OURS_CHANGED)
		return LABEL_YES;
	return seg_read_info(seg)->origin == SEG_OURS ? LABEL_OURS : LABEL_IF_DIFFERENT;
}
