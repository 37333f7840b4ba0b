/* Between match.c (one file by the rules) and match_files.c (a series of several); nobody else's. */
#pragma once
#include "service/flow/match.h"
#include "service/flow/match_values.h"

struct rules {
	const struct settings *settings;
};

/* Of the frame, or the whole, that v speaks of. */
bool match_rule_holds(const struct rule_setting *rule, struct match_values *v);
/* Whether a value that the rule asks for is not the same in all frames. */
bool match_rule_varies(const struct rule_setting *rule, struct match_values *v);
/* The rules, then the fallback rules. */
void match_decide_all(const struct rules *r, struct match_values *v, struct decision *d);
