/* segan model add, export, promote, rollback: what changes, or leaves, the folder of models. The rules are model/registry.c's and model/gate.c's. */
#include "config/file.h"
#include "model/gate.h"
#include "model/registry.h"
#include "service/commands/model_parts.h"
#include "service/commands/trail.h"

#include <libgen.h>
#include <stdio.h>
#include <string.h>

static int
open_registry(const struct model_options *o, struct command_roots *roots, struct registry *r, struct err *e)
{
	if (command_roots(o->models, o->config, roots, e) != 0)
		return -1;
	*r = (struct registry){ roots->roots, roots->n };
	return 0;
}

static struct json *
named(const char *name, const char *version, const char *folder)
{
	struct json *v = json_new_object();

	json_set_string(v, "name", name);
	json_set_string(v, "version", version);
	json_set_string(v, "folder", folder);
	return v;
}

/* ---- the audit trail ----
 * A folder of models beside a segand.db is a node's. *t: NULL where it is not. */

static int
record(const struct registry *r, const struct audit_entry *a, struct trail **t, struct err *e)
{
	char root[COMMAND_PATH], database[COMMAND_PATH + 16];
	const char *data_dir;

	*t = NULL;
	snprintf(root, sizeof root, "%s", r->roots[0]);
	data_dir = dirname(root);
	snprintf(database, sizeof database, "%s/segand.db", data_dir);
	if (!file_exists(database))
		return 0;
	return (*t = trail_open(data_dir, e)) != NULL && trail_record(*t, a, e) == 0 ? 0 : err_note(e, "nothing was done");
}

static int
add_recorded(const struct registry *r, const char *dir, struct manifest *added, struct err *e)
{
	char text[512];
	const struct audit_entry a = { .event = AUDIT_SECURITY_ALERT, .type = AUDIT_SOFTWARE, .action = 'E', .text = text };
	struct trail *t;
	int rc;

	if (manifest_load(dir, added, e) != 0)
		return -1;
	snprintf(text, sizeof text, "model %.64s@%.64s added from %.300s", added->name, added->version, dir);
	if ((rc = record(r, &a, &t, e)) == 0 && (rc = registry_add(r, dir, added, e)) != 0)
		trail_failed(t, &a, e);
	trail_close(t);
	return rc;
}

int
model_add(char *const *words, const struct model_options *o)
{
	struct command_roots roots;
	struct registry r;
	struct manifest m;
	struct err e;

	if (open_registry(o, &roots, &r, &e) != 0)
		return command_config(&e);
	if (add_recorded(&r, words[0], &m, &e) != 0)
		return command_fail(&e);
	if (o->json)
		return command_print_json(named(m.name, m.version, m.dir));
	printf("%s@%s is installed in %s; what is in service did not change (segan model promote)\n", m.name, m.version, m.dir);
	return EXIT_GOOD;
}

/* words: RUN, a folder with a model.json, or an installed model's name. */
static int
find_exported(const char *words, const struct model_options *o, struct manifest *out, struct err *e)
{
	const struct catalog_entry *found;
	struct catalog *c;

	if (file_exists(words))
		return command_run_model(words, out, e);
	if ((c = command_catalog(o->models, o->config, e)) == NULL)
		return -1;
	if ((found = catalog_find(c, words, e)) != NULL)
		*out = found->manifest;
	catalog_free(c);
	return found != NULL ? 0 : err_note(e, "there is no folder %s", words);
}

int
model_export(char *const *words, const struct model_options *o)
{
	struct manifest from, to;
	struct err e;

	if (find_exported(words[0], o, &from, &e) != 0 || registry_copy(from.dir, words[1], &to, &e) != 0)
		return command_fail(&e);
	if (o->json)
		return command_print_json(named(to.name, to.version, to.dir));
	printf("%s@%s: %s/weights.safetensors (float32, PyTorch's names) and model.json\n", to.name, to.version, to.dir);
	return EXIT_GOOD;
}

static int
promote_recorded(const struct registry *r, const char *name_version, const struct promotion *why, struct err *e)
{
	char text[512];
	const struct audit_entry a = { .event = AUDIT_SECURITY_ALERT, .type = AUDIT_SOFTWARE, .action = 'E', .text = text };
	struct trail *t;
	int rc;

	snprintf(text, sizeof text, "model %.150s promoted%s%.200s", name_version, why->evaluation_sha256 != NULL ? ", by an evaluation" : ": ", why->evaluation_sha256 != NULL ? "" : why->reason);
	if ((rc = record(r, &a, &t, e)) == 0 && (rc = registry_promote(r, name_version, why, e)) != 0)
		trail_failed(t, &a, e);
	trail_close(t);
	return rc;
}

static int
rollback_recorded(const struct registry *r, const char *name, char version[65], struct err *e)
{
	char text[512];
	const struct audit_entry a = { .event = AUDIT_SECURITY_ALERT, .type = AUDIT_SOFTWARE, .action = 'E', .text = text };
	struct trail *t;
	int rc;

	snprintf(text, sizeof text, "model %.150s rolled back", name);
	if ((rc = record(r, &a, &t, e)) == 0 && (rc = registry_rollback(r, name, version, e)) != 0)
		trail_failed(t, &a, e);
	trail_close(t);
	return rc;
}

/* ---- promote ---- */

static int
by_evaluation(const char *file, const struct registry *r, const char *name_version, struct gate *gate, char *beaten, size_t size, struct err *e)
{
	struct catalog *c = catalog_open(r->roots, r->n_roots, e);
	const struct catalog_entry *candidate, *serving;
	int rc = -1;

	if (c == NULL)
		return -1;
	if ((candidate = catalog_find(c, name_version, e)) != NULL && (serving = catalog_find(c, candidate->manifest.name, e)) != NULL) {
		snprintf(beaten, size, "%s", serving->manifest.version);
		rc = serving == candidate ? err_set(e, ERR_STATE, "%s is in service already", name_version)
		                          : gate_check(file, &candidate->manifest, &serving->manifest, gate, e);
	}
	catalog_free(c);
	return rc;
}

static int
promoted(const char *name_version, const struct promotion *why, const struct model_options *o)
{
	if (o->json) {
		struct json *v = json_new_object();
		json_set_string(v, "in_service", name_version);
		json_set_string(v, "reason", why->reason);
		if (why->evaluation_sha256 != NULL) {
			json_set_int(v, "cases", (int64_t)why->cases);
			json_set_number(v, "dice_difference", why->difference);
		}
		return command_print_json(v);
	}
	if (why->evaluation_sha256 != NULL)
		printf("better than %s on %zu held-back cases: mean Dice %+.4f (95 %% interval %+.4f to %+.4f, Wilcoxon p %.3g)\n", why->beaten, why->cases, why->difference, why->low,
		    why->high, why->p);
	printf("%s is in service; a node that runs takes it up when it is started again\n", name_version);
	return EXIT_GOOD;
}

int
model_promote(char *const *words, const struct model_options *o)
{
	struct promotion why = { .reason = o->reason };
	struct command_roots roots;
	struct registry r;
	struct gate gate;
	struct err e;
	char beaten[65];

	if (strchr(words[0], '@') == NULL)
		return command_usage(model_usage, "promote: which version? NAME@VERSION");
	if ((o->evaluation != NULL) == o->force)
		return command_usage(model_usage, "promote: --evaluation FILE (of segan evaluate --json --against the model in service), or --force --reason TEXT");
	if (o->force && (o->reason == NULL || o->reason[0] == '\0'))
		return command_usage(model_usage, "promote --force: why? --reason TEXT is kept in the history");
	if (open_registry(o, &roots, &r, &e) != 0)
		return command_config(&e);
	if (o->evaluation != NULL) {
		if (by_evaluation(o->evaluation, &r, words[0], &gate, beaten, sizeof beaten, &e) != 0)
			return command_fail(&e);
		why = (struct promotion){ .reason = o->reason, .evaluation_sha256 = gate.sha256, .beaten = beaten, .cases = gate.cases, .difference = gate.difference,
			.low = gate.low, .high = gate.high, .p = gate.p };
	}
	if (promote_recorded(&r, words[0], &why, &e) != 0)
		return command_fail(&e);
	return promoted(words[0], &why, o);
}

int
model_rollback(char *const *words, const struct model_options *o)
{
	struct command_roots roots;
	struct registry r;
	char version[65];
	struct err e;

	if (open_registry(o, &roots, &r, &e) != 0)
		return command_config(&e);
	if (rollback_recorded(&r, words[0], version, &e) != 0)
		return command_fail(&e);
	if (o->json)
		return command_print_json(named(words[0], version, NULL));
	printf("%s@%s is in service again; a node that runs takes it up when it is started again\n", words[0], version);
	return EXIT_GOOD;
}
