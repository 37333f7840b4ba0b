/* See audit.h.
 * DESIGN: whoever has an event writes its row on its own thread; one thread here reads rows and writes to the syslog, never waiting for it: it sleeps until the
 * trail bell rings, or a minute. The lock covers the counts of alarms, no disk. */
#include "service/flow/audit.h"

#include "config/clock.h"
#include "config/log.h"
#include "dicom/dicom.h"
#include "service/flow/audit_syslog.h"
#include "service/flow/audit_xml.h"
#include "service/flow/node.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MINUTE_MS = 60000, AWAY_MS = 1000, BATCH = 100, ROUNDS = 50 /* batches at once: the thread may be asked to stop */, HOUR_MS = 3600000, SLOTS = 256 /* addresses by a hash; two in one share its number */ };
#define DAY_MS INT64_C(86400000)

struct audit {
	struct node *node;
	pthread_t thread;
	struct audit_syslog syslog;          /* of the thread, as the next four */
	bool is_away;
	int64_t told;                        /* the last row that the syslog has, should the database not take that */
	int64_t removed_ms;                  /* when it looked for old rows last, monotonic */
	struct clock_watch clock;
	pthread_mutex_t lock;                /* around the rest */
	int64_t minute;                      /* of the counts */
	unsigned n_alarms, n_left_out, of_one[SLOTS];
};

/* ---- rows ---- */

void
audit_tell(struct node *n)
{
	bell_ring(&n->trail);
}

void
audit_record(struct node *n, const struct audit_entry *a)
{
	struct err e;

	if (audit_add(n->db, a, &e) == 0)
		audit_tell(n);
	else
		log_event(LOG_ERROR, "audit_not_recorded", "event=%d type=%d address=%s aet=\"%s\" token=%s study=%s text=\"%s\"", (int)a->event, (int)a->type,
		          a->address ? a->address : "", a->aet ? a->aet : "", a->token ? a->token : "", a->study_uid ? a->study_uid : "", e.text);
}

struct audit_entry
audit_study_deleted(const char *study_uid, const char *objects, const char *why)
{
	return (struct audit_entry){ .event = AUDIT_STUDY_DELETED, .action = 'D', .study_uid = study_uid, .objects = objects, .text = why };
}

/* ---- alarms ---- */

static unsigned
slot_of(const char *address)
{
	unsigned sum = 5381;

	for (; address != NULL && *address != '\0'; address++)
		sum = sum * 33 + (unsigned char)*address;
	return sum % SLOTS;
}

static void
record_left_out(struct node *n, unsigned left_out)
{
	char text[128];

	if (left_out == 0)
		return;
	snprintf(text, sizeof text, "%u more refusals within a minute, which were not recorded one by one", left_out);
	audit_record(n, &(const struct audit_entry){ .event = AUDIT_SECURITY_ALERT, .type = AUDIT_NODE, .action = 'E', .outcome = AUDIT_SERIOUS, .text = text });
}

/* Under the lock. What the minute before left out; -1 for a minute ends the present one. */
static unsigned
turn_minute(struct audit *a, int64_t minute)
{
	unsigned left_out = a->n_left_out;

	if (minute == a->minute)
		return 0;
	a->minute = minute;
	a->n_alarms = a->n_left_out = 0;
	memset(a->of_one, 0, sizeof a->of_one);
	return left_out;
}

static void
count_minute(struct audit *a, int64_t minute)
{
	unsigned left_out;

	pthread_mutex_lock(&a->lock);
	left_out = turn_minute(a, minute);
	pthread_mutex_unlock(&a->lock);
	record_left_out(a->node, left_out);
}

void
audit_alarm(struct node *n, const struct audit_entry *entry)
{
	struct audit *a = n->audit;
	unsigned *of_one, left_out;
	bool is_one_more;

	if (a == NULL) {
		audit_record(n, entry);
		return;
	}
	of_one = &a->of_one[slot_of(entry->address)];
	pthread_mutex_lock(&a->lock);
	left_out = turn_minute(a, clock_monotonic_ms() / MINUTE_MS);
	is_one_more = a->n_alarms >= AUDIT_ALARMS || *of_one >= AUDIT_ALARMS_OF_ONE;
	a->n_left_out += is_one_more;
	a->n_alarms += !is_one_more;
	*of_one += !is_one_more;
	pthread_mutex_unlock(&a->lock);
	record_left_out(n, left_out);
	if (!is_one_more)
		audit_record(n, entry);
}

/* ---- telling ---- */

/* False: not now. One that no syslog can take is passed by: it stands in the table. */
static bool
tell_one(struct audit *a, const struct audit_row *r)
{
	const struct settings *s = a->node->settings;
	const struct audit_source us = { db_node_id(a->node->db), s->dicom.aet };
	struct err e;
	char *xml;
	int rc;
	bool is_over;

	if (r->id <= a->told)
		return true;
	xml = audit_xml(r, &us, &e);
	rc = xml == NULL ? -1 : audit_syslog_send(&a->syslog, s->audit_syslog, r, xml, &e);
	is_over = rc == 0 || (xml == NULL ? e.code != ERR_LIMIT : e.code == ERR_LIMIT);
	free(xml);
	if (rc != 0 && is_over)
		log_event(LOG_ERROR, "audit_not_told", "row=%" PRId64 " text=\"%s\"", r->id, e.text);
	else if (rc != 0 && !a->is_away)
		log_event(LOG_WARN, "audit_syslog_away", "text=\"%s: the audit trail is kept in the database and told when it listens; audit.syslog null asks for none\"", e.text);
	else if (rc == 0 && a->is_away)
		log_event(LOG_INFO, "audit_syslog_back", "path=%s", s->audit_syslog);
	a->is_away = !is_over;
	a->told = is_over ? r->id : a->told;
	return is_over;
}

/* Until the syslog takes no more. 1: there may be more rows. */
static int
tell_rows(struct audit *a, struct err *e)
{
	struct audit_row *rows;
	size_t n = BATCH, told = BATCH;

	for (int i = 0; i < ROUNDS; i++) {
		if (audit_untold(a->node->db, BATCH, &rows, &n, e) != 0)
			return -1;
		for (told = 0; told < n && tell_one(a, &rows[told]); told++)
			;
		if (told > 0 && audit_told(a->node->db, rows[told - 1].id, e) != 0)
			a->is_away = true;
		audit_rows_free(rows, n);
		if (n < BATCH || told < n || a->is_away)
			return 0;
	}
	return 1;
}

static int
remove_old(struct audit *a, struct err *e)
{
	int64_t now = clock_monotonic_ms(), days = a->node->settings->audit_days;
	size_t n = BATCH;

	if (clock_is_doubtful(&a->clock, now) || days == 0 || (a->removed_ms != 0 && now - a->removed_ms < HOUR_MS))
		return 0;
	for (int i = 0; i < ROUNDS && n == BATCH; i++)
		if (audit_remove(a->node->db, clock_ms() - days * DAY_MS, BATCH, &n, e) != 0)
			return -1;
	if (n < BATCH)
		a->removed_ms = now;
	return 0;
}

/* Gives how long to sleep. */
static int64_t
look(struct audit *a)
{
	struct err e;
	int rc;

	count_minute(a, clock_monotonic_ms() / MINUTE_MS);
	rc = a->node->settings->audit_syslog[0] != '\0' ? tell_rows(a, &e) : audit_told_all(a->node->db, &e);
	if (rc < 0 || remove_old(a, &e) != 0)
		log_event(LOG_ERROR, "audit_trouble", "text=\"%s\"", e.text);
	return rc > 0 ? 0 : a->is_away ? AWAY_MS : MINUTE_MS;
}

static void *
run(void *arg)
{
	struct audit *a = arg;
	unsigned long seen = 0;
	int64_t wait_ms = 0;

	while (bell_wait(&a->node->trail, &seen, wait_ms))
		wait_ms = look(a);
	look(a);
	audit_syslog_close(&a->syslog);
	return NULL;
}

/* ---- start and stop ---- */

void
audit_user_name(char name[AUDIT_USER_NAME])
{
	struct passwd p, *found = NULL;
	char room[4096];
	const char *by = getuid() == 0 ? getenv("SUDO_USER") : NULL;

	if (getpwuid_r(getuid(), &p, room, sizeof room, &found) == 0 && found != NULL)
		snprintf(name, AUDIT_USER_NAME, by != NULL && by[0] != '\0' ? "%s (sudo by %s)" : "%s", found->pw_name, by);
	else
		snprintf(name, AUDIT_USER_NAME, "%lu", (unsigned long)getuid());
}

/* With the models in service: the trail says which it was when. */
static void
record_life(struct node *n, enum audit_type type)
{
	char user[AUDIT_USER_NAME], text[512];
	struct err e; /* the models were checked before */

	audit_user_name(user);
	snprintf(text, sizeof text, "segand %.64s", dicom_software_version());
	for (size_t i = 0; i < n->settings->n_models; i++) {
		const struct catalog_entry *m = node_find_model(n->catalog, &n->settings->models[i], &e);
		size_t at = strlen(text);
		if (m != NULL)
			snprintf(text + at, sizeof text - at, "%s%s@%s", i == 0 ? "; models " : " ", m->manifest.name, m->manifest.version);
	}
	audit_record(n, &(const struct audit_entry){ .event = AUDIT_APPLICATION, .type = type, .action = 'E', .user = user, .text = text });
}

struct audit *
audit_start(struct node *n, struct err *e)
{
	struct audit *a = calloc(1, sizeof *a);
	int64_t known_ms;
	int rc;

	if (a == NULL) {
		err_errno(e, "audit trail");
		return NULL;
	}
	if (audit_last_before(n->db, n->started_ms - CLOCK_DOUBT_MS, &known_ms, e) != 0) {
		free(a);
		return NULL;
	}
	clock_watch_begin(&a->clock, known_ms);
	a->node = n;
	a->syslog.fd = -1;
	pthread_mutex_init(&a->lock, NULL);
	record_life(n, AUDIT_START);
	if ((rc = pthread_create(&a->thread, NULL, run, a)) != 0) {
		err_set(e, ERR_LIMIT, "audit trail: starting a thread: %s", strerror(rc));
		audit_free(a);
		return NULL;
	}
	n->audit = a;
	return a;
}

void
audit_stop(struct audit *a)
{
	if (a == NULL)
		return;
	count_minute(a, -1);
	record_life(a->node, AUDIT_STOP);
	bell_stop(&a->node->trail);
	pthread_join(a->thread, NULL);
}

void
audit_free(struct audit *a)
{
	if (a == NULL)
		return;
	a->node->audit = NULL;
	pthread_mutex_destroy(&a->lock);
	free(a);
}
