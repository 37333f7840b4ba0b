// Which slices of a series make its volume. All of them, when together they are one. Else, in this order:
// - frames of a multi-frame instance that share a place: MAGNITUDE goes before the other ComplexImageComponents, then FrameType ORIGINAL before DERIVED;
// - several stacks (StackID): the one that is a whole volume. Where several are, none is taken; one of a single slice counts only beside others of one;
// - slices that still share a place (echoes, b-values, times, repeats): none is taken, and the reason names the attributes that tell them apart.
#include "dicom/split.hh"

#include <cmath>
#include <map>
#include <set>

enum { MAX_NAMED = 6 /* values of one attribute */, MAX_TRAITS = 3 };

typedef std::vector<struct slice_frame> frames;

static std::string
value_of(const struct slice_frame &f, const DcmTagKey &tag)
{
	const std::string *value = trait_find(f.traits, tag);

	return value != NULL ? *value : "";
}

// ---- saying what differs ----

static void
add_words(struct err *reason, const std::string &words)
{
	size_t n = strlen(reason->text);

	snprintf(reason->text + n, sizeof reason->text - n, "%s", words.c_str());
}

static std::string
values_of(const frames &slices, const DcmTagKey &tag)
{
	std::vector<std::string> values;
	std::set<std::string> seen;
	std::string text;

	for (const struct slice_frame &f : slices)
		if (seen.insert(value_of(f, tag)).second)
			values.push_back(value_of(f, tag));
	for (size_t i = 0; i < values.size() && i < MAX_NAMED; i++)
		text += (i > 0 ? ", " : "") + (values[i].empty() ? std::string("none") : values[i].substr(0, 32));
	return text + (values.size() > MAX_NAMED ? ", ..." : "");
}

// Attributes in which a and b differ, with the values that the series has of them.
static void
say_difference(const frames &slices, const struct slice_frame &a, const struct slice_frame &b, struct err *reason)
{
	std::vector<DcmTagKey> differing;

	for (const struct slice_frame *f : { &a, &b })
		for (const struct trait &t : f->traits)
			if (value_of(a, t.tag) != value_of(b, t.tag) && (f == &a || trait_find(a.traits, t.tag) == NULL))
				differing.push_back(t.tag);
	if (differing.empty())
		add_words(reason, "; no attribute that tells images apart differs: a repeated acquisition");
	for (size_t i = 0; i < differing.size() && i < MAX_TRAITS; i++)
		add_words(reason, (i == 0 ? "; they differ in " : "; in ") + trait_name(differing[i]) + ": " + values_of(slices, differing[i]));
}

// ---- narrowing ----

static std::string
component_of(const struct slice_frame &f)
{
	return value_of(f, DCM_ComplexImageComponent);
}

static std::string
pixels_of(const struct slice_frame &f)
{
	std::string type = value_of(f, DCM_FrameType);

	return type.substr(0, type.find('\\'));
}

// Frames of the wanted kind, when a and b differ in it; false: they do not, or none is of it.
static bool
prefer(const frames &slices, const struct slice_frame &a, const struct slice_frame &b, std::string (*kind)(const struct slice_frame &), const char *wanted, frames &out)
{
	if (a.number == 0 || b.number == 0 || kind(a) == kind(b))
		return false;
	for (const struct slice_frame &f : slices)
		if (kind(f) == wanted)
			out.push_back(f);
	return !out.empty();
}

// Order, grid and verdict of these slices, or of the preferred ones among them.
static int
judge(const frames &slices, struct volume &v, struct err *e)
{
	static const enum series_verdict verdicts[] = { SERIES_WHOLE, SERIES_GAP, SERIES_BAD, SERIES_BAD }; // by enum geometry_verdict
	std::vector<struct slice> places;
	std::vector<size_t> order(slices.size());
	frames preferred;

	for (const struct slice_frame &f : slices)
		places.push_back(f.place);
	v = {};
	enum geometry_verdict verdict = geometry_order(places.data(), places.size(), order.data(), &v.grid, &v.reason);
	v.verdict = verdicts[verdict];
	if (verdict != GEOMETRY_WHOLE && v.reason.code == ERR_LIMIT) {
		*e = v.reason;
		return -1;
	}
	if (verdict == GEOMETRY_WHOLE)
		for (size_t i : order)
			v.slices.push_back(slices[i]);
	if (verdict != GEOMETRY_DOUBLED)
		return 0;
	const struct slice_frame &a = slices[order[0]], &b = slices[order[1]];
	std::string why;
	if (prefer(slices, a, b, component_of, "MAGNITUDE", preferred))
		why = trait_name(DCM_ComplexImageComponent) + " MAGNITUDE";
	else if (prefer(slices, a, b, pixels_of, "ORIGINAL", preferred))
		why = trait_name(DCM_FrameType) + " ORIGINAL";
	if (preferred.empty()) {
		say_difference(slices, a, b, &v.reason);
		return 0;
	}
	if (judge(preferred, v, e) != 0) // fewer than before: one of a and b is not among them
		return -1;
	v.chosen = why + (v.chosen.empty() ? "" : ", " + v.chosen);
	return 0;
}

// ---- stacks ----

struct stack {
	std::string id;
	size_t n;
	struct volume v;
};

static std::string
stack_words(const struct stack &s)
{
	return s.id.substr(0, 32) + " (" + std::to_string(s.n) + (s.n == 1 ? " slice)" : " slices)");
}

static void
choose_stack(const std::vector<struct stack> &stacks, struct volume &v)
{
	const struct stack *largest = &stacks[0];
	std::vector<const struct stack *> whole;
	std::string words;

	for (const struct stack &s : stacks)
		if (s.n > largest->n)
			largest = &s;
	for (const struct stack &s : stacks)
		if (s.v.verdict == SERIES_WHOLE && (s.n > 1 || largest->n == 1))
			whole.push_back(&s);
	if (whole.size() == 1) {
		v = whole[0]->v;
		v.chosen = trait_name(DCM_StackID) + " " + whole[0]->id.substr(0, 32) + (v.chosen.empty() ? "" : ", " + v.chosen);
		return;
	}
	v.verdict = whole.empty() ? largest->v.verdict : SERIES_BAD;
	if (whole.empty()) {
		v.reason = largest->v.reason;
		err_note(&v.reason, "none of %zu stacks is a whole volume; %s %.32s", stacks.size(), trait_name(DCM_StackID).c_str(), largest->id.c_str());
		return;
	}
	for (size_t i = 0; i < whole.size() && i < MAX_NAMED; i++)
		words += (i > 0 ? ", " : "") + stack_words(*whole[i]);
	err_set(&v.reason, ERR_INPUT, "%zu stacks are whole volumes and nothing says which one is meant: %s %s", whole.size(), trait_name(DCM_StackID).c_str(), words.c_str());
}

int
split_choose(const frames &slices, struct volume &v, struct err *e)
{
	std::map<std::string, frames> by_stack;
	std::vector<struct stack> stacks;

	if (judge(slices, v, e) != 0)
		return -1;
	for (const struct slice_frame &f : slices)
		by_stack[value_of(f, DCM_StackID)].push_back(f);
	if (v.verdict == SERIES_WHOLE || by_stack.size() < 2)
		return 0;
	for (const auto &s : by_stack) {
		stacks.push_back({ s.first, s.second.size(), {} });
		if (judge(s.second, stacks.back().v, e) != 0)
			return -1;
	}
	choose_stack(stacks, v);
	return 0;
}
