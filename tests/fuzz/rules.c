/* Rules (settings), then a DICOM file that they judge. Without a second part: the shipped rules judge the input. */
#include "tests/fuzz/fuzz.h"

#include "config/log.h"
#include "service/flow/match.h"

#include <string.h>

static struct settings *shipped;

static void
start(void)
{
	struct err e;

	fuzz_start_dicom();
	shipped = settings_load(NULL, &e); /* reachable to the end: no leak */
	fuzz_must(shipped != NULL);
}

static void
decide(const struct settings *s, const char *path)
{
	struct err e;
	struct rules *r = rules_compile(s, &e);
	struct decision d;
	const char *const *frames;

	if (r == NULL)
		return;
	if (rules_decide_all(r, path, 5, &d, &e) == 0) {
		fuzz_must(d.reason[0] != '\0' && strchr(d.reason, '\n') == NULL);
		if (d.rule[0] != '\0' && rules_frames(r, d.rule, &path, 1, &frames, &e) == 0)
			rules_frames_free(frames, 1);
	}
	rules_free(r);
}

static void
one(const uint8_t *bytes, size_t n)
{
	struct fuzz_part parts[2];
	struct settings *s;
	struct err e;

	if (fuzz_parts(bytes, n, parts, 2) == 1) {
		decide(shipped, fuzz_file(0, bytes, n));
	} else if ((s = settings_parse((const char *)parts[0].bytes, parts[0].n, "input", &e)) != NULL) {
		decide(s, fuzz_file(0, parts[1].bytes, parts[1].n));
		settings_free(s);
	}
}

const struct fuzz_target fuzz_rules = { "rules", start, one };
