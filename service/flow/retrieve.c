/* One interface over two kinds of archive. UIDs from outside are checked before they stand in a request or a file's name. */
#include "service/flow/retrieve.h"

#include "service/flow/deliver_stow.h"
#include "service/flow/peer.h"
#include "service/flow/retrieve_web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KEYS = 40 };

/* Rows of text, all of one size, that begin with a UID. */
struct list { char *rows; size_t n, size; };

static int
by_uid(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int
add_row(struct list *l, const char *uid, struct err *e)
{
	char *larger;

	if (!dicom_uid_is_valid(uid))
		return err_set(e, ERR_PEER, "the archive answered with an invalid UID");
	if ((larger = reallocarray(l->rows, l->n + 1, l->size)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory for a list of %zu UIDs", l->n + 1);
	l->rows = larger;
	memset(larger + l->n * l->size, 0, l->size);
	snprintf(larger + l->n++ * l->size, DICOM_UID, "%s", uid);
	return 0;
}

/* Some archives tell a study once a modality or a patient's name. */
static void
sort_rows(struct list *l)
{
	size_t kept = 0;

	if (l->n > 1)
		qsort(l->rows, l->n, l->size, by_uid);
	for (size_t i = 0; i < l->n; i++)
		if (kept == 0 || strcmp(l->rows + (kept - 1) * l->size, l->rows + i * l->size) != 0)
			memmove(l->rows + kept++ * l->size, l->rows + i * l->size, l->size);
	l->n = kept;
}

static int
found_study(void *arg, const char *const *values, struct err *e)
{
	return add_row(arg, values[0], e);
}

static int
found_series(void *arg, const char *const *values, struct err *e)
{
	struct list *l = arg;

	if (add_row(l, values[0], e) != 0)
		return -1;
	snprintf(((struct retrieve_series *)(void *)l->rows)[l->n - 1].modality, sizeof ((struct retrieve_series *)0)->modality, "%s", values[1]);
	return 0;
}

static int
find(const struct retrieve_archive *a, const char *level, const char *path, const struct scu_key *keys, size_t n, scu_found_fn found, struct list *l, struct err *e)
{
	const struct scu_peer peer = peer_of_destination(a->settings, &a->setting->remote);
	int rc = a->setting->type == ARCHIVE_DICOMWEB ? retrieve_web_find(&a->setting->remote, path, keys, n, found, l, e) : scu_find(&peer, level, keys, n, found, l, e);

	if (rc == 0)
		sort_rows(l);
	else
		free(l->rows);
	return rc == 0 ? 0 : err_note(e, "archive %s", a->setting->remote.name);
}

int
retrieve_start(struct err *e)
{
	return stow_start(e);
}

int
retrieve_studies(const struct retrieve_archive *a, const struct scu_key *keys, size_t n_keys, struct retrieve_uid **out, size_t *n, struct err *e)
{
	struct list l = { .size = sizeof **out };
	struct scu_key all[MAX_KEYS] = { { "StudyInstanceUID", "" } };
	size_t n_all = 1;

	for (size_t i = 0; i < n_keys; i++) {
		if (!dicom_keyword_is_known(keys[i].keyword))
			return err_set(e, ERR_INPUT, "\"%.64s\" is no DICOM keyword", keys[i].keyword);
		if (strcmp(keys[i].keyword, "StudyInstanceUID") == 0)
			all[0] = keys[i];
		else if (n_all == MAX_KEYS)
			return err_set(e, ERR_INPUT, "more than %d keys", MAX_KEYS - 1);
		else
			all[n_all++] = keys[i];
	}
	if (find(a, "STUDY", "studies", all, n_all, found_study, &l, e) != 0)
		return -1;
	*out = (struct retrieve_uid *)(void *)l.rows;
	*n = l.n;
	return 0;
}

int
retrieve_list(const struct retrieve_archive *a, const char *study_uid, struct retrieve_series **out, size_t *n, struct err *e)
{
	struct list l = { .size = sizeof **out };
	const struct scu_key keys[] = { { "SeriesInstanceUID", "" }, { "Modality", "" }, { "StudyInstanceUID", study_uid } };
	char path[DICOM_UID + 20];

	snprintf(path, sizeof path, "studies/%s/series", study_uid);
	if (find(a, "SERIES", path, keys, a->setting->type == ARCHIVE_DICOMWEB ? 2 : 3, found_series, &l, e) != 0)
		return -1;
	*out = (struct retrieve_series *)(void *)l.rows;
	*n = l.n;
	return 0;
}

int
retrieve_instances(const struct retrieve_archive *a, const struct scu_wanted *wanted, size_t *n_got, size_t *n_missing, struct err *e)
{
	const struct scu_peer peer = peer_of_destination(a->settings, &a->setting->remote);
	struct scu_wanted w = *wanted;
	int rc;

	w.max_instance_bytes = a->max_instance_bytes;
	*n_missing = 0;
	rc = a->setting->type == ARCHIVE_DICOMWEB ? retrieve_web_get(&a->setting->remote, &w, n_got, e) : scu_get(&peer, &w, n_got, n_missing, e);
	return rc == 0 ? 0 : err_note(e, "archive %s", a->setting->remote.name);
}
