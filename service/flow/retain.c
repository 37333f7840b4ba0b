/* What goes, and when. A study whose series are settled and whose jobs and deliveries have ended goes when its last instance and its last job's end are
 * retention.days ago (retention.unused_days when no rule accepts any of it); earlier, the oldest first, while spool and results take more than retention.max_mb, or,
 * where that is set, while the disk has hardly more than disk_reserve_mb. What is left of it in the database: db/retention.h.
 * DESIGN: one thread does all of this. A crash between rows and files leaves notes, which the first look after a start works off; a file under the name of an instance
 * that has come again meanwhile stays (intake_remove). A look that fails is repeated.
 * Removed is: unlinked, and the folder synced. Nothing is overwritten, see "Retention" in README.md. */
#include "service/flow/retain.h"

#include "config/clock.h"
#include "config/file.h"
#include "config/log.h"
#include "db/retention.h"
#include "dicom/attributes.h"
#include "service/flow/audit.h"
#include "service/flow/intake.h"
#include "service/flow/node.h"
#include "service/flow/spool.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LEFTOVERS = 500 /* a commit */, PACE_MS = 1000, AGAIN_MS = 60000, LONGEST_MS = 3600000 /* what held an old study may let it go; the wall clock may be set */ };
#define DAY_MS INT64_C(86400000)
#define MIB INT64_C(1048576)

struct retain {
	struct node *node;
	pthread_t thread;
	int64_t next_ms;                     /* when to look at the studies again, if nothing presses */
	int64_t orphans_ms;                  /* when to look for files without rows */
};

static bool
goes_on(const struct retain *r)
{
	return bell_rest(&r->node->retain, 0);
}

/* ---- files ---- */

static int
remove_file(struct retain *r, const struct leftover *l, bool folders[SPOOL_FOLDERS], bool *results, struct err *e)
{
	char path[SPOOL_PATH];
	bool is_gone;

	if (l->job == 0) {
		folders[spool_folder(l->sop_uid)] = true;
		return intake_remove(r->node, l->sop_uid, &is_gone, e);
	}
	*results = true;
	spool_result(r->node, l->job, "", path);
	path[strlen(path) - 1] = 0; /* the folder itself */
	return file_remove_tree(path, e);
}

/* The notes go when the disk has forgotten the files. */
static int
work_off(struct retain *r, size_t *n, struct err *e)
{
	bool folders[SPOOL_FOLDERS] = { false }, results = false;
	struct leftover *list = NULL;
	char path[SPOOL_PATH];
	int result;

	result = retention_leftovers(r->node->db, LEFTOVERS, &list, n, e);
	for (size_t i = 0; i < *n && result == 0; i++)
		result = remove_file(r, &list[i], folders, &results, e);
	for (unsigned i = 0; i < SPOOL_FOLDERS && result == 0; i++)
		if (folders[i])
			result = spool_sync_folder(r->node, i, e);
	snprintf(path, sizeof path, "%s/results", r->node->settings->data_dir);
	if (result == 0 && results)
		result = file_sync_dir(path, e);
	if (result == 0 && *n > 0)
		result = retention_forget(r->node->db, list[*n - 1].id, e);
	free(list);
	return result == 0 ? 0 : err_note(e, "removing what retention has marked");
}

static int
work_all_off(struct retain *r, struct err *e)
{
	size_t n;

	do {
		if (work_off(r, &n, e) != 0)
			return -1;
	} while (n == LEFTOVERS && goes_on(r));
	return 0;
}

/* ---- how much there is ---- */

static int
add_size(void *arg, const char *path, struct err *e)
{
	struct stat st;

	(void)e; /* what is not there takes nothing */
	if (stat(path, &st) == 0)
		*(int64_t *)arg += st.st_size;
	return 0;
}

static int
measure(struct node *n, struct err *e)
{
	int64_t *jobs = NULL;
	size_t count = 0;
	int result = retention_unmeasured(n->db, &jobs, &count, e);

	for (size_t i = 0; i < count && result == 0 && bell_rest(&n->retain, 0); i++) {
		char path[SPOOL_PATH];
		int64_t bytes = 0;
		spool_result(n, jobs[i], "", path);
		if (file_exists(path))
			result = file_walk(path, add_size, &bytes, e);
		if (result == 0)
			result = retention_measured(n->db, jobs[i], bytes, e);
	}
	free(jobs);
	return result;
}

enum why { WHY_NOT, WHY_UNUSED, WHY_AGE, WHY_SIZE, WHY_DISK };
static const char *const why_words[] = { [WHY_UNUSED] = "unused", [WHY_AGE] = "age", [WHY_SIZE] = "size", [WHY_DISK] = "disk" };
static const char *const causes[] = {
	[WHY_UNUSED] = "images and results removed by retention: no rule uses the study (retention.unused_days)",
	[WHY_AGE] = "images and results removed by retention: retention.days are over",
	[WHY_SIZE] = "images and results removed by retention: the spool was larger than retention.max_mb",
	[WHY_DISK] = "images and results removed by retention: the disk had hardly more than disk_reserve_mb left",
};

/* Whether even what is not old must go. An eighth above the reserve, so that no instance need be refused. Whoever sets no max_mb has not asked for that. */
static int
press(const struct node *n, enum why *why, struct err *e)
{
	const struct settings *s = n->settings;
	int64_t bytes, free_mb;

	*why = WHY_NOT;
	if (s->retention_max_mb == 0)
		return 0;
	if (retention_bytes(n->db, &bytes, e) != 0 || (free_mb = file_free_mb(s->data_dir, e)) < 0)
		return -1;
	if (bytes > s->retention_max_mb * MIB)
		*why = WHY_SIZE;
	else if (free_mb < s->disk_reserve_mb + s->disk_reserve_mb / 8)
		*why = WHY_DISK;
	return 0;
}

/* ---- studies ---- */

static int64_t
due_ms(const struct settings *s, const struct kept_study *k)
{
	int64_t days = s->retention_days;

	if (days == 0)
		return INT64_MAX;
	if (!k->is_used && s->retention_unused_days > 0 && s->retention_unused_days < days)
		days = s->retention_unused_days;
	return k->since_ms + days * DAY_MS;
}

static int
remove_study(struct retain *r, const struct kept_study *k, enum why why, struct err *e)
{
	struct audit_entry trail = audit_study_deleted(k->study_uid, NULL, causes[why]);
	struct removed_study gone;
	int64_t now_ms = clock_ms();
	int rc;

	audit_attach(&trail);
	rc = retention_remove(r->node->db, k, now_ms, causes[why], &gone, e);
	if (audit_detach())
		audit_tell(r->node);
	if (rc != 0)
		return e->code == ERR_STATE ? 0 : -1; /* something came, or was asked for, meanwhile */
	atomic_fetch_add(&r->node->n_removed, gone.instances);
	log_event(LOG_INFO, "study_removed", "study=%s why=%s instances=%" PRId64 " jobs=%" PRId64 " bytes=%" PRId64 " age_s=%" PRId64, k->study_uid, why_words[why],
	    gone.instances, gone.jobs, gone.bytes, (now_ms - k->since_ms) / 1000);
	return work_all_off(r, e);
}

static int
consider(struct retain *r, const struct kept_study *k, enum why *pressed, struct err *e)
{
	int64_t due = due_ms(r->node->settings, k);
	bool is_due = clock_ms() >= due;

	if (!is_due && *pressed == WHY_NOT) {
		r->next_ms = due < r->next_ms ? due : r->next_ms;
		return 0;
	}
	if (remove_study(r, k, !is_due ? *pressed : k->is_used || due == k->since_ms + r->node->settings->retention_days * DAY_MS ? WHY_AGE : WHY_UNUSED, e) != 0)
		return -1;
	return press(r->node, pressed, e);
}

static int
go_through(struct retain *r, enum why *pressed, struct err *e)
{
	struct kept_study *list = NULL;
	size_t n = 0;
	int result;

	r->next_ms = clock_ms() + LONGEST_MS;
	result = retention_studies(r->node->db, &list, &n, e);
	for (size_t i = 0; i < n && result == 0 && goes_on(r); i++)
		result = consider(r, &list[i], pressed, e);
	free(list);
	if (result != 0)
		r->next_ms = 0;
	return result;
}

/* ---- files that no row names ----
 * A crash after the rename and before the row leaves one: never acknowledged, and a patient's all the same. Once a day, when it is as old as what retention.days takes. */

static void
leave(const char *path, const char *why)
{
	log_event(LOG_WARN, "spool_file_left", "path=%s text=\"%s\"", path, why);
}

static int
look_at_file(void *arg, const char *path, struct err *e)
{
	struct retain *r = arg;
	struct attributes *a;
	char wanted[SPOOL_PATH], uid[DB_UID];
	struct stat st;
	struct err why;
	bool is_gone;

	if (!goes_on(r))
		return 1;
	if (stat(path, &st) != 0 || clock_ms() - (int64_t)st.st_mtim.tv_sec * 1000 < r->node->settings->retention_days * DAY_MS)
		return 0;
	if ((a = attributes_load(path, &why)) == NULL) {
		leave(path, why.text);
		return 0;
	}
	snprintf(uid, sizeof uid, "%s", attributes_header(a)->sop_uid);
	attributes_free(a);
	spool_path(r->node, uid, wanted);
	if (strcmp(path, wanted) != 0) {
		leave(path, "its name is not the one of its SOP Instance UID");
		return 0;
	}
	if (intake_remove(r->node, uid, &is_gone, e) != 0)
		return -1;
	if (!is_gone)
		return 0;
	log_event(LOG_INFO, "spool_file_removed", "instance=%s text=\"it had no row: a crash left it\"", uid);
	return spool_sync_folder(r->node, spool_folder(uid), e);
}

static int
look_for_orphans(struct retain *r, struct err *e)
{
	char spool[SPOOL_PATH];

	if (clock_ms() < r->orphans_ms || r->node->settings->retention_days == 0)
		return 0;
	snprintf(spool, sizeof spool, "%s/spool", r->node->settings->data_dir);
	if (file_walk(spool, look_at_file, r, e) < 0)
		return err_note(e, "looking for files without rows");
	r->orphans_ms = clock_ms() + DAY_MS;
	return 0;
}

/* ---- the thread ---- */

int
retain_look(struct retain *r, int64_t *wait_ms, struct err *e)
{
	enum why pressed;
	int64_t now_ms;

	*wait_ms = AGAIN_MS;
	if (work_all_off(r, e) != 0 || measure(r->node, e) != 0 || press(r->node, &pressed, e) != 0)
		return -1;
	if ((clock_ms() >= r->next_ms || pressed != WHY_NOT) && go_through(r, &pressed, e) != 0)
		return -1;
	if (look_for_orphans(r, e) != 0)
		return -1;
	now_ms = clock_ms();
	if (r->node->settings->retention_max_mb == 0 || r->next_ms < now_ms + AGAIN_MS) /* else the disk is watched, which others fill too */
		*wait_ms = r->next_ms > now_ms ? r->next_ms - now_ms : 0;
	return 0;
}

static void *
retain_thread(void *arg)
{
	struct retain *r = arg;
	unsigned long seen = 0;
	int64_t wait_ms;
	struct err e;

	do {
		if (retain_look(r, &wait_ms, &e) != 0)
			log_event(LOG_ERROR, "retention_failed", "retry_ms=%" PRId64 " text=\"%s\"", wait_ms, e.text);
	} while (bell_rest(&r->node->retain, PACE_MS) && bell_wait(&r->node->retain, &seen, wait_ms));
	return NULL;
}

struct retain *
retain_new(struct node *n, struct err *e)
{
	struct retain *r = calloc(1, sizeof *r);

	if (r == NULL)
		err_set(e, ERR_LIMIT, "no memory for retention");
	else
		r->node = n;
	return r;
}

struct retain *
retain_start(struct node *n, struct err *e)
{
	struct retain *r = retain_new(n, e);
	int code;

	if (r == NULL)
		return NULL;
	code = pthread_create(&r->thread, NULL, retain_thread, r);
	if (code == 0)
		return r;
	err_set(e, ERR_LIMIT, "starting the retention thread: error %d", code);
	free(r);
	return NULL;
}

void
retain_stop(struct retain *r)
{
	bell_stop(&r->node->retain);
	pthread_join(r->thread, NULL);
	free(r);
}
