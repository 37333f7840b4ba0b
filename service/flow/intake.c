/* The one place where something becomes ours. Order of the promise (RELIABILITY rule 1): fsync of the temporary file, rename into the spool, fsync of its
 * folder, row committed, success. A crash between rename and row leaves a file without a row: nothing was acknowledged, and the next instance of that UID,
 * the same or another, takes its place. Not here: what a series is worth (settle.c), how it is answered (scp.cc, stow.c).
 * DESIGN: runs on the doors' threads. node.intake[] is held from the look-up to the commit, so two associations with one SOP Instance UID cannot race:
 * whoever commits first is the first copy, and its file is never overwritten by other content. Compressed copies are compared without it (compare.h). */
#include "service/flow/intake.h"

#include "config/clock.h"
#include "config/file.h"
#include "config/log.h"
#include "db/instances.h"
#include "dicom/attributes.h"
#include "dicom/syntax.h"
#include "service/flow/compare.h"
#include "service/flow/node.h"
#include "service/flow/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DISAGREES = 0xA900, SYNTAX_NOT_SUPPORTED = 0xC122 }; /* PS3.4 B.2.3: data set does not match SOP class; PS3.18 10.5.3: FailureReason of STOW */

static int
disagrees(struct intake_answer *a, const char *what, const char *here, const char *said, struct err *e)
{
	a->dimse_status = DISAGREES;
	return err_set(e, ERR_INPUT, "the data set's %s is %s, the request says %s", what, here, said);
}

static int
check_request(const struct intake_file *f, struct intake_answer *a, struct err *e)
{
	if (f->sop_class != NULL && strcmp(f->sop_class, a->sop_class) != 0)
		return disagrees(a, "SOPClassUID (0008,0016)", a->sop_class, f->sop_class, e);
	if (f->sop_uid != NULL && strcmp(f->sop_uid, a->sop_uid) != 0)
		return disagrees(a, "SOPInstanceUID (0008,0018)", a->sop_uid, f->sop_uid, e);
	if (f->study_uid != NULL && strcmp(f->study_uid, a->study_uid) != 0)
		return disagrees(a, "StudyInstanceUID (0020,000D)", a->study_uid, f->study_uid, e);
	return 0;
}

/* What is not read is not negotiated, and not taken by STOW either. */
static int
check_syntax(const struct instance_header *h, struct intake_answer *a, struct err *e)
{
	if (!h->has_pixels || syntax_find(h->transfer_syntax) != NULL)
		return 0;
	a->dimse_status = SYNTAX_NOT_SUPPORTED;
	return err_set(e, ERR_INPUT, "its transfer syntax %s is not read here: send it uncompressed, as Explicit VR Little Endian", h->transfer_syntax);
}

static void
fill_answer(const struct intake_file *f, const struct instance_header *h, struct intake_answer *a)
{
	const char *sop_class = h != NULL ? h->sop_class : f->sop_class, *sop_uid = h != NULL ? h->sop_uid : f->sop_uid;

	snprintf(a->sop_class, sizeof a->sop_class, "%s", sop_class != NULL ? sop_class : "");
	snprintf(a->sop_uid, sizeof a->sop_uid, "%s", sop_uid != NULL ? sop_uid : "");
	snprintf(a->study_uid, sizeof a->study_uid, "%s", h != NULL ? h->study_uid : "");
	snprintf(a->series_uid, sizeof a->series_uid, "%s", h != NULL ? h->series_uid : "");
}

int
intake_describe(const struct node *n, const struct intake_file *f, const struct instance_header *h, struct instance_row *row, struct err *e)
{
	struct stat st;

	if (stat(f->path, &st) != 0)
		return err_errno(e, "looking at %s", f->path);
	memset(row, 0, sizeof *row);
	snprintf(row->sop_uid, sizeof row->sop_uid, "%s", h->sop_uid);
	snprintf(row->sop_class, sizeof row->sop_class, "%s", h->sop_class);
	snprintf(row->study_uid, sizeof row->study_uid, "%s", h->study_uid);
	snprintf(row->series_uid, sizeof row->series_uid, "%s", h->series_uid);
	snprintf(row->transfer_syntax, sizeof row->transfer_syntax, "%s", h->transfer_syntax);
	snprintf(row->modality, sizeof row->modality, "%s", h->modality);
	snprintf(row->digest, sizeof row->digest, "%s", h->digest);
	snprintf(row->content_digest, sizeof row->content_digest, "%s", h->content_digest);
	row->size = st.st_size;
	row->association = f->association;
	row->ours = h->is_ours && strcmp(h->device_serial, db_node_id(n->db)) == 0;
	return 0;
}

static int
conflict(struct err *e)
{
	return err_set(e, ERR_STATE, "already here with other content: the first copy is kept");
}

static bool
is_same(const struct instance_row *a, const struct instance_row *b)
{
	return strcmp(a->digest, b->digest) == 0 || (a->content_digest[0] != 0 && strcmp(a->content_digest, b->content_digest) == 0);
}

static bool
is_compressed(const struct instance_row *row)
{
	const struct syntax *syntax = syntax_find(row->transfer_syntax);

	return syntax != NULL && syntax->coding != CODING_NATIVE;
}

/* What a job has read and retention has removed may come again, but no other content under its UID. Where one of the two is compressed nobody can tell any more. */
static int
check_removed(const struct node *n, const struct instance_row *row, struct err *e)
{
	struct instance_row was;

	if (instances_get_removed(n->db, row->sop_uid, &was, e) != 0)
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (is_same(&was, row) || is_compressed(&was) || is_compressed(row))
		return 0;
	return err_set(e, ERR_STATE, "was here with other content, which a job has read: that was removed by retention, but one UID has one content");
}

/* A first copy. When the row cannot be written the file goes again, but only if the database says that the row is not there: a row without its file
 * would be worse than a file without its row. */
static int
add_new(struct node *n, const struct intake_file *f, const struct instance_row *row, struct err *e)
{
	char path[SPOOL_PATH];
	struct instance_row there;
	struct err ignored;
	enum instance_fate fate;

	spool_path(n, row->sop_uid, path);
	if (check_removed(n, row, e) != 0 || file_commit(f->path, path, e) != 0)
		return -1;
	if (instances_add(n->db, row, &fate, e) != 0) {
		if (instances_get(n->db, row->sop_uid, &there, &ignored) != 0 && ignored.code == ERR_NOT_FOUND)
			unlink(path);
		return -1;
	}
	return fate == INSTANCE_CONFLICT ? conflict(e) : 0;
}

static bool
is_intact(const char *path, const struct instance_row *row)
{
	char digest[DIGEST_HEX];
	struct stat st;
	struct err e;

	return stat(path, &st) == 0 && st.st_size == row->size && attributes_digest(path, digest, &e) == 0 && strcmp(digest, row->digest) == 0;
}

/* Known: nothing moves but the series' association. A spool file that went missing or is damaged comes back with these bytes, and whoever was told so need only send
 * it again; it comes back, too, when retention has just removed the row, and this is the first copy. */
static int
add_again(struct node *n, const struct intake_file *f, const struct instance_row *row, const struct instance_row *there, bool *known, struct err *e)
{
	char path[SPOOL_PATH];
	enum instance_fate fate;

	if (!is_same(row, there))
		return conflict(e);
	if (instances_add(n->db, row, &fate, e) != 0)
		return -1;
	*known = fate != INSTANCE_NEW;
	spool_path(n, row->sop_uid, path);
	if (*known && is_intact(path, there))
		return 0;
	if (*known)
		log_event(LOG_WARN, "spool_file_replaced", "instance=%s", row->sop_uid);
	if (*known && instances_mend(n->db, row, e) != 0)
		return -1;
	if (*known)
		bell_ring(&n->dispatch);
	return file_commit(f->path, path, e);
}

/* ---- the same in another transfer syntax ---- */

/* Other bytes under a known UID. Uncompressed the digest has told; else their pixels are compared, while nothing is locked: a first copy never changes.
 * *first: its row. */
static int
compare_recoded(struct node *n, const struct intake_file *f, const struct instance_row *row, struct instance_row *first, struct err *e)
{
	char path[SPOOL_PATH];
	struct err why;

	if (instances_get(n->db, row->sop_uid, first, &why) != 0 || !(is_compressed(row) || is_compressed(first)))
		return -1;
	spool_path(n, row->sop_uid, path);
	if (compare_again(n, f->path, path, &why) == 0)
		return 0;
	if (why.code == ERR_STATE)
		return err_set(e, ERR_STATE, "already here with other content (%s): the first copy is kept", why.text);
	*e = why;
	return -1;
}

static pthread_mutex_t *
stripe(struct node *n, const char *sop_uid)
{
	size_t sum = 5381;

	for (const char *p = sop_uid; *p != 0; p++)
		sum = sum * 33 + (unsigned char)*p;
	return &n->intake[sum % NODE_STRIPES];
}

static int
add_locked(struct node *n, const struct intake_file *f, struct instance_row *row, bool *known, struct err *e)
{
	struct instance_row there;

	row->received_ms = clock_ms();
	*known = instances_get(n->db, row->sop_uid, &there, e) == 0;
	if (!*known && e->code != ERR_NOT_FOUND)
		return -1;
	return *known ? add_again(n, f, row, &there, known, e) : add_new(n, f, row, e);
}

/* As the first copy says it, which this one is equal to: only its association is noted. Where the first has gone meanwhile this one is it. */
static int
add_recoded_locked(struct node *n, const struct intake_file *f, struct instance_row *row, const struct instance_row *first, bool *known, struct err *e)
{
	struct instance_row there;
	enum instance_fate fate;

	if (instances_get(n->db, row->sop_uid, &there, e) != 0 || strcmp(there.digest, first->digest) != 0)
		return add_locked(n, f, row, known, e);
	memcpy(row->digest, there.digest, sizeof row->digest);
	memcpy(row->transfer_syntax, there.transfer_syntax, sizeof row->transfer_syntax); /* should its row go at this moment, its file is there still */
	row->size = there.size;
	return instances_add(n->db, row, &fate, e);
}

static int
add(struct node *n, const struct intake_file *f, struct intake_answer *a, struct err *e)
{
	struct attributes *attributes = attributes_load(f->path, e);
	struct instance_row row, first;
	pthread_mutex_t *lock;
	int result;

	fill_answer(f, attributes != NULL ? attributes_header(attributes) : NULL, a);
	if (attributes == NULL)
		return -1;
	result = check_request(f, a, e);
	if (result == 0)
		result = check_syntax(attributes_header(attributes), a, e);
	if (result == 0)
		result = intake_describe(n, f, attributes_header(attributes), &row, e);
	attributes_free(attributes);
	if (result != 0)
		return -1;
	lock = stripe(n, row.sop_uid);
	pthread_mutex_lock(lock);
	result = add_locked(n, f, &row, &a->known, e);
	pthread_mutex_unlock(lock);
	if (result == 0 || e->code != ERR_STATE || compare_recoded(n, f, &row, &first, e) != 0)
		return result;
	pthread_mutex_lock(lock);
	result = add_recoded_locked(n, f, &row, &first, &a->known, e);
	pthread_mutex_unlock(lock);
	return result;
}

int
intake_add(struct node *n, const struct intake_file *f, struct intake_answer *a, struct err *e)
{
	int result;

	memset(a, 0, sizeof *a);
	result = add(n, f, a, e);
	unlink(f->path); /* gone already when it became the spool file */
	if (result != 0) {
		if (a->dimse_status == 0)
			a->dimse_status = err_dimse_status(e->code);
		atomic_fetch_add(&n->n_refused, 1);
		return err_note(e, "instance %s", a->sop_uid[0] != 0 ? a->sop_uid : "(no UID)");
	}
	atomic_fetch_add(a->known ? &n->n_duplicates : &n->n_received, 1);
	log_event(LOG_DEBUG, a->known ? "instance_known" : "instance_received", "instance=%s series=%s association=%lld", a->sop_uid, a->series_uid,
	    (long long)f->association);
	if (!a->known)
		bell_ring(&n->dispatch);
	return 0;
}

int
intake_open_by(struct node *n, const struct association_peer *p, int64_t *association, struct err *e)
{
	if (associations_open_by(n->db, p, clock_ms(), association, e) == 0)
		return 0;
	if (e->code == ERR_LIMIT)
		bell_ring(&n->retain);
	return -1;
}

int
intake_remove(struct node *n, const char *sop_uid, bool *is_gone, struct err *e)
{
	pthread_mutex_t *lock = stripe(n, sop_uid);
	struct instance_row there;
	char path[SPOOL_PATH];
	int result = 0;

	spool_path(n, sop_uid, path);
	pthread_mutex_lock(lock);
	*is_gone = instances_get(n->db, sop_uid, &there, e) != 0;
	if (*is_gone && e->code != ERR_NOT_FOUND)
		result = -1;
	else if (*is_gone && unlink(path) != 0 && errno != ENOENT)
		result = err_errno(e, "removing %s", path);
	pthread_mutex_unlock(lock);
	return result;
}

int
intake_open(struct node *n, const char *peer_aet, const char *address, int64_t *association, struct err *e)
{
	return intake_open_by(n, &(const struct association_peer) { .aet = peer_aet, .address = address }, association, e);
}

/* ---- the end of an association ----
 * Where the database cannot record it (a full disk) its series would be held open until the next start: it is kept here and tried again. */

struct unclosed { int64_t association, closed_ms; bool released; struct unclosed *next; };

static void
keep(struct node *n, struct unclosed *u)
{
	pthread_mutex_lock(&n->unclosed_lock);
	u->next = n->unclosed;
	n->unclosed = u;
	pthread_mutex_unlock(&n->unclosed_lock);
}

static struct unclosed *
take_one(struct node *n)
{
	struct unclosed *u;

	pthread_mutex_lock(&n->unclosed_lock);
	u = n->unclosed;
	if (u != NULL)
		n->unclosed = u->next;
	pthread_mutex_unlock(&n->unclosed_lock);
	return u;
}

void
intake_close(struct node *n, int64_t association, bool released)
{
	struct unclosed now = { .association = association, .closed_ms = clock_ms(), .released = released }, *later;
	struct err e;

	if (associations_close(n->db, association, released, now.closed_ms, &e) != 0) {
		log_event(LOG_ERROR, "association_not_closed", "association=%lld text=\"%s\"", (long long)association, e.text);
		if (err_may_pass(e.code) && (later = malloc(sizeof *later)) != NULL) { /* without memory: the next start takes it for aborted */
			*later = now;
			keep(n, later);
		}
	}
	bell_ring(&n->dispatch);
	bell_ring(&n->trail);
}

int
intake_close_again(struct node *n, struct err *e)
{
	struct unclosed *u;

	while ((u = take_one(n)) != NULL) {
		if (associations_close(n->db, u->association, u->released, u->closed_ms, e) != 0 && err_may_pass(e->code)) {
			keep(n, u);
			return err_note(e, "recording the end of association %lld", (long long)u->association);
		}
		free(u);
	}
	return 0;
}

void
intake_forget(struct node *n)
{
	struct unclosed *u;

	while ((u = take_one(n)) != NULL)
		free(u);
}
