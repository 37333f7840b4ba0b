/* See trail.h. */
#include "service/commands/trail.h"

#include "service/flow/audit.h"

#include <stdio.h>
#include <stdlib.h>

enum { PATH_SIZE = 4096 };

struct trail { struct db *db; /* NULL: none yet */ char path[PATH_SIZE]; };

static int
cannot(const struct trail *t, struct err *e)
{
	e->code = ERR_IO;
	return err_note(e, "the node's audit trail cannot record it (do it as root or as the user whose %s is)", t->path);
}

struct trail *
trail_open(const char *data_dir, struct err *e)
{
	struct trail *t = calloc(1, sizeof *t);

	if (t == NULL) {
		err_errno(e, "audit trail");
		return NULL;
	}
	snprintf(t->path, sizeof t->path, "%s/segand.db", data_dir);
	t->db = db_join(t->path, e);
	if (t->db == NULL && e->code == ERR_NOT_FOUND) {
		fprintf(stderr, "segan: in no audit trail: there is no database %s yet\n", t->path);
	} else if (t->db == NULL) {
		cannot(t, e);
		trail_close(t);
		return NULL;
	}
	return t;
}

void
trail_close(struct trail *t)
{
	if (t == NULL)
		return;
	db_close(t->db);
	free(t);
}

int
trail_record_in(struct db *d, const struct audit_entry *a, struct err *e)
{
	char user[AUDIT_USER_NAME];
	struct audit_entry ours = *a;

	audit_user_name(user);
	ours.user = user;
	return audit_add(d, &ours, e);
}

int
trail_record(struct trail *t, const struct audit_entry *a, struct err *e)
{
	return t->db == NULL || trail_record_in(t->db, a, e) == 0 ? 0 : cannot(t, e);
}

void
trail_failed(struct trail *t, const struct audit_entry *a, const struct err *why)
{
	struct audit_entry failed = *a;
	char text[512];
	struct err e;

	if (t == NULL)
		return;
	snprintf(text, sizeof text, "%.200s; it failed: %.280s", a->text, why->text);
	failed.text = text;
	failed.outcome = AUDIT_SERIOUS;
	if (trail_record(t, &failed, &e) != 0)
		fprintf(stderr, "segan: warning: that it failed is not recorded: %s\n", e.text);
}
