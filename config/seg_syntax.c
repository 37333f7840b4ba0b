/* How a SEG's bytes may be written: one table. */
#include "config/seg_syntax.h"

#include <stddef.h>
#include <string.h>

static const char *const names[SEG_N_SYNTAXES] = { [SEG_EXPLICIT] = "explicit", [SEG_RLE] = "rle", [SEG_DEFLATED] = "deflated" };

const char *
seg_syntax_name(enum seg_syntax s)
{
	return names[s];
}

bool
seg_syntax_parse(const char *name, enum seg_syntax *out)
{
	for (size_t i = 0; i < SEG_N_SYNTAXES; i++)
		if (strcmp(names[i], name) == 0) {
			*out = (enum seg_syntax)i;
			return true;
		}
	return false;
}
