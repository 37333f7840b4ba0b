/* Rules: which series of a study is which channel, and for every series why or why not (DESIGN "Flow of a case"). A pattern is searched in the attribute's
 * text, case-insensitive, the values of a multi-valued attribute joined by '\' ("ORIGINAL\PRIMARY\M"), at most MATCH_TEXT bytes of it; a range holds when
 * any value lies in it, ends included. A rule with a channel fits a multi-frame file when it fits all frames' values together, or one frame by itself. An absent attribute fits no condition: "where" fails, "not" does not. Attributes that are computed: match_values.h. */
#pragma once
#include "config/settings.h"

#include <stdbool.h>

struct rules;
/* An unknown keyword is ERR_INPUT with rule and line. borrows s. caller: rules_free. */
struct rules *rules_compile(const struct settings *s, struct err *e);
void rules_free(struct rules *r);

struct decision { char channel[65], rule[65], reason[1000]; };              /* channel "" = not used; reason always says the rule, condition and value that decided */
/* One series by one of its files. fallback: only fallback rules are asked, else only the others. -1: file unreadable. One line, no patient attribute's value.
 * A rule without a channel that fits: rule is its name, channel "". */
int rules_decide(const struct rules *r, const char *path, size_t n_instances, bool fallback, struct decision *out, struct err *e);
/* The rules and, where none fits, the fallback rules; what the rules said when neither does. -1: file unreadable. */
int rules_decide_all(const struct rules *r, const char *path, size_t n_instances, struct decision *out, struct err *e);
/* A series by all its files; where they are multi-frame or share places each is asked: the first of the rules with a channel that fit any of them. */
int rules_decide_series(const struct rules *r, const char *const *paths, size_t n, struct decision *out, struct err *e);
/* What every rule by itself says of a file, in their order. */
typedef void (*rules_each)(void *arg, const struct rule_setting *rule, bool fits, const char *reason);
int rules_explain(const struct rules *r, const char *path, size_t n_instances, rules_each each, void *arg, struct err *e);
/* Of multi-frame files a rule means the frames that it fits each by itself, of single-frame files that share places the files: (n) lists for struct
 * series_input. NULL: all of them, as where no two files lie in one place, nothing that the rule asks for differs, or nothing fits alone. caller:
 * rules_frames_free. */
int rules_frames(const struct rules *r, const char *rule, const char *const *paths, size_t n, const char *const **frames, struct err *e);
void rules_frames_free(const char *const *frames, size_t n);
/* Place of a rule in the settings, for who comes first; -1: no such rule (any more). */
int rules_place(const struct rules *r, const char *name, const struct rule_setting **rule);
/* Whether that rule says that its series lie where the model's first channel does, though their FrameOfReferenceUID is another. */
bool rules_registered(const struct rules *r, const char *name);
