/* What goes, and when. A study whose series are settled and whose jobs and deliveries have ended goes when its last instance and its last job's end are
 * retention.days ago (retention.unused_days when no rule accepts any of it); earlier, the oldest first, while spool and results take more than retention.max_mb, or,
 * where that is set, while the disk has hardly more than disk_reserve_mb. What is left of it in the database: db/retention.h.
 * DESIGN: one thread does all of this. A crash between rows and files leaves notes, which the first look after a start works off; a file under the name of an instance
 * that has come again meanwhile stays (intake_remove). A look that fails is repeated; a file that cannot be removed is tried again with each, and holds nothing else up.
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
	int64_t next_ms;                     /* when to look at the studies again, if nothing presses; within LONGEST_MS */
	int64_t orphans_ms;                  /* when to look for files without rows; within DAY_MS */
	struct clock_watch clock;            /* of the thread */
	bool is_clock_doubtful;
	int64_t stuck_id;                    /* the last note of this look whose file stays */
	struct err stuck;                    /* why the first of them does */
};

static bool
goes_on(const struct retain *r)
{
	return bell_rest(&r->node->retain, 0);
}

/* Also when the wall clock was set back since then. */
static bool
is_time(int64_t at_ms, int64_t longest_ms)
{
	int64_t now_ms = clock_ms();

	return now_ms >= at_ms || now_ms < at_ms - longest_ms;
}

/* ---- files ---- */

enum { RESULTS = SPOOL_FOLDERS, PLACES };  /* the folders that are synced: those of the spool, and the one of results */
enum place { PLACE_UNTOUCHED, PLACE_TOUCHED, PLACE_FAILED };

static unsigned
place_of(const struct leftover *l)
{
	return l->job != 0 ? RESULTS : spool_folder(l->sop_uid);
}

static int
remove_file(struct retain *r, const struct leftover *l, struct err *e)
{
	char path[SPOOL_PATH];
	bool is_gone;

	if (l->job == 0)
		return intake_remove(r->node, l->sop_uid, &is_gone, e);
	spool_result(r->node, l->job, "", path);
	path[strlen(path) - 1] = 0; /* the folder itself */
	return file_remove_tree(path, e);
}

static int
sync_place(const struct retain *r, unsigned place, struct err *e)
{
	char path[SPOOL_PATH];

	if (place != RESULTS)
		return spool_sync_folder(r->node, place, e);
	snprintf(path, sizeof path, "%s/results", r->node->settings->data_dir);
	return file_sync_dir(path, e);
}

static void
note_stuck(struct retain *r, int64_t id, const struct err *why)
{
	if (r->stuck.code == ERR_NONE)
		r->stuck = *why;
	if (id > r->stuck_id)
		r->stuck_id = id;
}

/* The files of the list go; what is left in it, *n, the disk has forgotten. */
static void
remove_files(struct retain *r, struct leftover *list, size_t *n)
{
	enum place places[PLACES] = { PLACE_UNTOUCHED };
	struct err e;
	size_t removed = 0, synced = 0;

	for (size_t i = 0; i < *n; i++)
		if (remove_file(r, &list[i], &e) == 0) {
			list[removed++] = list[i];
			places[place_of(&list[i])] = PLACE_TOUCHED;
		} else {
			note_stuck(r, list[i].id, &e);
		}
	for (unsigned p = 0; p < PLACES; p++)
		if (places[p] == PLACE_TOUCHED && sync_place(r, p, &e) != 0)
			places[p] = PLACE_FAILED;
	for (size_t i = 0; i < removed; i++)
		if (places[place_of(&list[i])] == PLACE_TOUCHED)
			list[synced++] = list[i];
		else
			note_stuck(r, list[i].id, &e);
	*n = synced;
}

/* The notes go when the disk has forgotten the files. */
static int
work_off(struct retain *r, size_t *n, struct err *e)
{
	struct leftover *list = NULL;
	size_t n_gone;
	int result = retention_leftovers(r->node->db, r->stuck_id, LEFTOVERS, &list, n, e);

	n_gone = *n;
	if (result == 0)
		remove_files(r, list, &n_gone);
	if (result == 0 && n_gone > 0)
		result = retention_forget(r->node->db, list, n_gone, e);
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
		if (file_exists(path) && file_walk(path, add_size, &bytes, e) != 0)
			log_event(LOG_WARN, "results_not_measured", "job=%" PRId64 " bytes=%" PRId64 " text=\"%s\"", jobs[i], bytes, e->text);
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

/* Whether even what is not old must go. An eighth above the reserve, so that no instance need be refused, and more than the ballast that may just have been dropped.
 * Whoever sets no max_mb has not asked for that. */
static int
press(const struct node *n, enum why *why, struct err *e)
{
	const struct settings *s = n->settings;
	int64_t bytes, free_mb, margin_mb = s->disk_reserve_mb / 8 > 2 * SPOOL_BALLAST_MB ? s->disk_reserve_mb / 8 : 2 * SPOOL_BALLAST_MB;

	*why = WHY_NOT;
	if (s->retention_max_mb == 0)
		return 0;
	if (retention_bytes(n->db, &bytes, e) != 0 || (free_mb = file_free_mb(s->data_dir, e)) < 0)
		return -1;
	if (bytes > s->retention_max_mb * MIB)
		*why = WHY_SIZE;
	else if (free_mb < s->disk_reserve_mb + margin_mb)
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
	if (k->use == STUDY_UNUSED && s->retention_unused_days > 0 && s->retention_unused_days < days)
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

/* Its other series may still be on their way: pressure takes it only when no job of it would wait for them any more. */
static bool
is_growing(const struct settings *s, const struct kept_study *k)
{
	return k->use == STUDY_WAITS && !is_time(k->since_ms + s->study_forcecomplete_trigger * 1000, s->study_forcecomplete_trigger * 1000);
}

static int
consider(struct retain *r, const struct kept_study *k, enum why *pressed, struct err *e)
{
	const struct settings *s = r->node->settings;
	int64_t due = due_ms(s, k);
	enum why why = *pressed;

	if (clock_ms() >= due && !r->is_clock_doubtful)
		why = due < k->since_ms + s->retention_days * DAY_MS ? WHY_UNUSED : WHY_AGE;
	else if (why == WHY_NOT && due < r->next_ms && !r->is_clock_doubtful)
		r->next_ms = due;
	if (why == WHY_NOT || ((why == WHY_SIZE || why == WHY_DISK) && is_growing(s, k)))
		return 0;
	return remove_study(r, k, why, e) == 0 ? press(r->node, pressed, e) : -1;
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

	if (!is_time(r->orphans_ms, DAY_MS) || r->is_clock_doubtful || r->node->settings->retention_days == 0)
		return 0;
	r->orphans_ms = clock_ms() + DAY_MS;
	snprintf(spool, sizeof spool, "%s/spool", r->node->settings->data_dir);
	if (file_walk(spool, look_at_file, r, e) < 0)
		return err_note(e, "looking for files without rows");
	return 0;
}

/* ---- the thread ---- */

int
retain_look(struct retain *r, int64_t *wait_ms, struct err *e)
{
	enum why pressed;
	int64_t now_ms;

	*wait_ms = AGAIN_MS;
	r->stuck_id = 0;
	r->stuck.code = ERR_NONE;
	if (work_all_off(r, e) != 0 || measure(r->node, e) != 0 || press(r->node, &pressed, e) != 0)
		return -1;
	if ((is_time(r->next_ms, LONGEST_MS) || pressed != WHY_NOT) && go_through(r, &pressed, e) != 0)
		return -1;
	if (look_for_orphans(r, e) != 0)
		return -1;
	if (r->stuck.code != ERR_NONE) {
		*e = r->stuck;
		return err_note(e, "removing what retention has marked");
	}
	now_ms = clock_ms();
	if (r->node->settings->retention_max_mb == 0 || r->next_ms < now_ms + AGAIN_MS) /* else the disk is watched, which others fill too */
		*wait_ms = r->next_ms > now_ms ? r->next_ms - now_ms : 0;
	return 0;
}

static void
watch_clock(struct retain *r)
{
	bool was_doubtful = r->is_clock_doubtful;

	r->is_clock_doubtful = clock_is_doubtful(&r->clock, clock_monotonic_ms());
	if (r->is_clock_doubtful && !was_doubtful)
		log_event(LOG_INFO, "retention_waits", "text=\"for a day nothing is removed for its age: the clock has leapt ahead, or nothing is known of the week before the day of this start\"");
}

static int
look_even_when_full(struct retain *r, int64_t *wait_ms, struct err *e)
{
	int result = retain_look(r, wait_ms, e);

	if (result != 0 && e->code == ERR_LIMIT) {
		spool_drop_ballast(r->node);
		result = retain_look(r, wait_ms, e);
	}
	if (result == 0)
		spool_take_ballast(r->node);
	return result;
}

static void *
retain_thread(void *arg)
{
	struct retain *r = arg;
	unsigned long seen = 0;
	int64_t wait_ms;
	struct err e;

	do {
		watch_clock(r);
		if (look_even_when_full(r, &wait_ms, &e) != 0)
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
	int64_t known_ms;
	int code;

	if (r == NULL)
		return NULL;
	if (audit_last_before(n->db, n->started_ms - CLOCK_DOUBT_MS, &known_ms, e) != 0) {
		free(r);
		return NULL;
	}
	clock_watch_begin(&r->clock, known_ms);
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
