/* Rules: which series of a study is which channel, and for every series why or why not (DESIGN "Flow of a case"). */
#pragma once
#include "config/settings.h"

#include <stdbool.h>

struct rules;
/* Compiles the patterns; a bad pattern or unknown keyword is ERR_INPUT with rule and line. borrows s. caller: rules_free. */
struct rules *rules_compile(const struct settings *s, struct err *e);
void rules_free(struct rules *r);

struct decision { char channel[65], rule[65], reason[512]; };               /* channel "" = not used; reason always says the rule, condition and value that decided */
/* One series by one of its files. fallback: only fallback rules are asked. -1: file unreadable. */
int rules_decide(const struct rules *r, const char *path, size_t n_slices, bool fallback, struct decision *out, struct err *e);
