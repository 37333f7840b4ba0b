/* What the tests of SEGs share: a study, and the judges: tests/tools/seg_check.py (rules, with dciodvfy), seg_readback.py (voxels, bytes), DCMTK's dump and
 * JSON. */
#pragma once
#include "tests/unit/study_stage.h"

static void
write_bytes(const char *path, const void *bytes, size_t n)
{
	struct err e;

	if (file_write(path, bytes, n, &e) != 0)
		fail_msg("%s", e.text);
}

static void
write_seg(struct study *t, struct seg_result *out)
{
	struct err e;

	if (seg_write(&t->request, t->seg_path, out, &e) != 0)
		fail_msg("%s", e.text);
}

/* The text of one attribute of the data set itself, not of its items, by dcmdump; "" when absent or empty. Static. */
static const char *
attribute(const char *path, const char *keyword)
{
	static char value[TEXT];

	value[0] = '\0';
	must_run((const char *const[]){ "dcmdump", "-q", "-Un", "+L", "+p", "+P", keyword, path, NULL });
	for (const char *line = output(); line != NULL && *line != '\0'; line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL) {
		const char *from = strchr(line, '['), *to = from != NULL ? strchr(from, ']') : NULL;

		if (strncmp(line + 11, " ", 1) == 0 && to != NULL) /* "(0020,000e) UI [...]"; in an item: "(0008,1115).(0020,000e) UI [...]" */
			snprintf(value, sizeof value, "%.*s", (int)(to - from - 1), from + 1);
	}
	return value;
}
