/* Folders -> series -> which fills which channel: what `segan inspect` prints and `segan segment` segments. Headers only. */
#pragma once
#include "config/digest.h"
#include "dicom/series.h"
#include "service/flow/match.h"
#include "service/flow/precedence.h"

struct scan_instance { char sop_uid[DICOM_UID] /* first: it is what is searched for */, digest[DIGEST_HEX]; };
struct scan_series {
	struct series_info info;           /* grid only when verdict is SERIES_WHOLE */
	enum series_verdict verdict;
	struct err reason;                 /* for every other verdict */
	char **paths;
	struct scan_instance *instances;   /* by SOP UID, so not parallel to paths; n_paths of them */
	size_t n_paths;
	const char *const *frames;         /* of each path, those that the rule means (struct series_input) */
	struct decision decision;          /* of the rules */
	bool is_registered;                /* the rule says so (struct segment_channel) */
	struct candidate candidate;
};

struct scan;
/* Walks the folders (or files). An instance that is there twice counts once. What is no DICOM image or cannot be read is told by scan_problem (the first thousand). caller: scan_free. */
struct scan *scan_open(char *const *dirs, size_t n, const struct rules *r, struct err *e);
void scan_free(struct scan *s);
size_t scan_size(const struct scan *s);
const struct scan_series *scan_at(const struct scan *s, size_t i);                       /* sorted by study, then series UID; borrowed */
const char *scan_problem(const struct scan *s, size_t i);                                /* NULL behind the last; borrowed */
/* The series of a study that fills the channel; NULL when none fits. borrowed. */
const struct scan_series *scan_filler(const struct scan *s, const char *study_uid, const char *channel);
/* For one that fits a channel but does not fill it, and for one that no rule takes: why. */
void scan_explain(const struct scan *s, const struct scan_series *series, char *text, size_t size);
