/* An archive -> cases, a study at a time: listed, fetched into a folder, packed as a folder is, removed. A study that cannot be had is left out by name; when
 * several in a row cannot, the archive is away and the making ends, with nothing written. */
#include "config/file.h"
#include "service/commands/dataset_parts.h"
#include "service/commands/trail.h"
#include "service/flow/retrieve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 3, MAX_IN_A_ROW = 3 };

struct fetching {
	struct making *making;
	const struct retrieve_archive *archive;
	const struct rules *rules;
	const struct manifest *model;
	struct trail *trail;
	const char *recorded;          /* the study whose fetching is in the trail */
	char dir[1200];                /* of one study, below making->hidden */
};

/* Images that a rule may take, and SEGs. */
static bool
is_wanted(const char *modality)
{
	static const char *const wanted[] = { "MR", "CT", "SEG" };

	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		if (strcmp(modality, wanted[i]) == 0)
			return true;
	return false;
}

/* Before it is fetched, once for all tries. */
static int
record(struct fetching *f, const char *study_uid, struct err *e)
{
	char text[128];

	snprintf(text, sizeof text, "segan dataset create, from archive %.64s", f->archive->setting->remote.name);
	if (f->recorded != study_uid && trail_record(f->trail, &(const struct audit_entry){ .event = AUDIT_EXPORT, .action = 'R', .study_uid = study_uid,
		.destination = f->making->set, .text = text }, e) != 0)
		return -1;
	f->recorded = study_uid;
	return 0;
}

/* One try. ERR_INPUT, ERR_NOT_FOUND: it is no case. */
static int
fetch(struct fetching *f, const char *study_uid, struct err *e)
{
	struct scu_wanted w = { .study_uid = study_uid, .dir = f->dir };
	struct retrieve_series *series;
	const char **uids;
	size_t n = 0, n_segs = 0, n_got = 0, n_missing = 0;
	int rc = -1;

	if (retrieve_list(f->archive, study_uid, &series, &n, e) != 0)
		return -1;
	if ((uids = calloc(n + 1, sizeof *uids)) == NULL) {
		err_set(e, ERR_LIMIT, "no memory for %zu series", n);
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		n_segs += strcmp(series[i].modality, "SEG") == 0;
		if (is_wanted(series[i].modality))
			uids[w.n_series++] = series[i].uid;
	}
	w.series_uids = uids;
	if (n_segs == 0)
		err_set(e, ERR_INPUT, "no SEG in the study");
	else if (file_remove_tree(f->dir, e) == 0 && file_make_dirs(f->dir, 0700, e) == 0 && record(f, study_uid, e) == 0 &&
		retrieve_instances(f->archive, &w, &n_got, &n_missing, e) == 0)
		rc = n_missing > 0 ? err_set(e, ERR_INPUT, "the archive could not send %zu of its instances (compressed, perhaps); %zu came", n_missing, n_got)
			: n_got == 0 ? err_set(e, ERR_INPUT, "the archive sent none of its instances") : 0;
out:
	free(uids);
	free(series);
	return rc;
}

/* *in_a_row counts the studies for which the archive did not answer. -1 only when the making must end. */
static int
add_study(struct fetching *f, const char *study_uid, int *in_a_row, struct err *e)
{
	struct err why = { .code = ERR_PEER };
	int rc = -1;

	snprintf(f->dir, sizeof f->dir, "%s/%s", f->making->hidden, study_uid);
	for (int i = 0; i < TRIES && rc != 0 && why.code == ERR_PEER; i++)
		rc = fetch(f, study_uid, &why);
	*in_a_row = rc != 0 && why.code == ERR_PEER ? *in_a_row + 1 : 0;
	if (*in_a_row == MAX_IN_A_ROW) {
		*e = why;
		return err_note(e, "study %s, and %d before it", study_uid, MAX_IN_A_ROW - 1);
	}
	if (rc == 0)
		return making_from_dicom(f->making, f->dir, f->rules, f->model, e) != 0 ? -1 : file_remove_tree(f->dir, e);
	why.code = why.code == ERR_PEER ? ERR_INPUT : why.code;        /* left out; ERR_LIMIT, ERR_IO end it */
	return making_refuse(f->making, study_uid, &why, e);
}

static int
add_studies(struct fetching *f, const struct retrieve_uid *studies, size_t n, struct err *e)
{
	int in_a_row = 0;

	for (size_t i = 0; i < n; i++) {
		f->making->is_part = true;
		if (add_study(f, studies[i].text, &in_a_row, e) != 0)
			return -1;
		f->making->is_part = false;
		if (making_progress(f->making, i + 1, n, e) != 0)
			return -1;
	}
	return 0;
}

int
making_from_archive(struct making *m, const struct retrieve_archive *a, const struct scu_key *keys, size_t n_keys, const struct rules *r,
	const struct manifest *model, struct err *e)
{
	struct fetching f = { .making = m, .archive = a, .rules = r, .model = model };
	struct retrieve_uid *studies = NULL;
	char folder[1150];
	size_t n = 0;
	int rc;

	if (retrieve_start(e) != 0 || (f.trail = trail_open(a->settings->data_dir, e)) == NULL)
		return -1;
	if (retrieve_studies(a, keys, n_keys, &studies, &n, e) != 0) {
		trail_close(f.trail);
		return -1;
	}
	snprintf(folder, sizeof folder, "%s/fetched", dataset_part(m->writer));
	m->hidden = folder;
	rc = n == 0 ? err_set(e, ERR_NOT_FOUND, "archive %s has no study that matches the query", a->setting->remote.name) : add_studies(&f, studies, n, e);
	if (rc == 0)
		rc = file_remove_tree(folder, e);
	m->hidden = NULL;
	free(studies);
	trail_close(f.trail);
	return rc;
}
