/* segan token: who may ask a node over HTTP. Works on the tokens_file, which a running node follows, and on the node's audit trail; it can be done before the
 * first start. What cannot be recorded gives nobody a right; what takes one away is done all the same. */
#include "service/commands/commands.h"
#include "service/commands/common.h"
#include "service/commands/trail.h"
#include "service/http/auth.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: segan token add NAME --role viewer|operator|admin\n"
    "       segan token list | revoke NAME\n"
    "  --config FILE       the node's configuration, whose http.tokens_file is changed (default /etc/segand/segand.json)\n"
    "  --tokens-file FILE  that file itself; where it is the configuration's, too, the node's audit trail records it as without this option\n"
    "  --json              what was made or is there as JSON\n"
    "add prints the token once, on stdout: only its SHA-256 is kept. viewer: reads. operator: also sends (STOW-RS), retries, cancels. admin: everything.\n"
    "A running node takes a change up at its next request. The node's audit trail has each change and who made it, so it is for root or the node's own user.\n";

struct options { const char *config, *tokens_file, *role; bool json; };

static const struct command_option options[] = {
	{ "config", required_argument, offsetof(struct options, config), 0 }, { "tokens-file", required_argument, offsetof(struct options, tokens_file), 0 },
	{ "role", required_argument, offsetof(struct options, role), 0 }, { "json", no_argument, offsetof(struct options, json), 0 },
};

struct place { char path[SETTINGS_PATH], data_dir[SETTINGS_PATH]; }; /* data_dir "": not known */

static int
find_place(const struct options *o, struct place *p, struct err *e)
{
	struct settings *s = command_settings(o->config, e);
	int rc = 0;

	*p = (struct place){ .path = "" };
	if (s == NULL && (o->tokens_file == NULL || o->config != NULL))
		return -1;
	snprintf(p->path, sizeof p->path, "%s", o->tokens_file != NULL ? o->tokens_file : s->http.tokens_file);
	if (s != NULL && strcmp(p->path, s->http.tokens_file) == 0)
		memcpy(p->data_dir, s->data_dir, sizeof p->data_dir);
	if (p->path[0] == '\0')
		rc = err_set(e, ERR_INPUT, "http.tokens_file is not set%s%s: set it, e.g. to /etc/segand/tokens.json, or give --tokens-file FILE", s->file[0] != '\0' ? " in " : "", s->file);
	settings_free(s);
	return rc;
}

/* *t: NULL where the file is no node's that we know of, and as trail_record says. */
static int
record(const struct place *p, const struct audit_entry *a, struct trail **t, struct err *e)
{
	*t = NULL;
	if (p->data_dir[0] != '\0')
		return (*t = trail_open(p->data_dir, e)) == NULL ? -1 : trail_record(*t, a, e);
	fprintf(stderr, "segan: in no audit trail: %s is not the tokens_file of the configuration (--config FILE)\n", p->path);
	return 0;
}

static int
add_recorded(const struct place *p, const char *name, enum auth_role role, char token[AUTH_TOKEN], struct err *e)
{
	char text[AUTH_NAME + 64];
	const struct audit_entry a = { .event = AUDIT_SECURITY_ALERT, .type = AUDIT_RIGHTS, .action = 'E', .text = text };
	struct trail *t;
	int rc;

	snprintf(text, sizeof text, "token %.64s added, %s", name, auth_role_name(role));
	if ((rc = record(p, &a, &t, e)) != 0)
		err_note(e, "nothing was done");
	else if ((rc = auth_add(p->path, p->data_dir[0] != '\0' ? p->data_dir : NULL, name, role, token, e)) != 0)
		trail_failed(t, &a, e);
	trail_close(t);
	return rc;
}

static int
revoke_recorded(const struct place *p, const char *name, struct err *e)
{
	char text[AUTH_NAME + 64];
	const struct audit_entry a = { .event = AUDIT_SECURITY_ALERT, .type = AUDIT_RIGHTS, .action = 'E', .text = text };
	struct trail *t;
	int rc;

	snprintf(text, sizeof text, "token %.64s revoked", name);
	if (record(p, &a, &t, e) != 0)
		fprintf(stderr, "segan: warning: revoked all the same: %s\n", e->text);
	if ((rc = auth_revoke(p->path, name, e)) != 0)
		trail_failed(t, &a, e);
	trail_close(t);
	return rc;
}

static int
add(const struct options *o, const struct place *p, const char *name)
{
	char token[AUTH_TOKEN];
	enum auth_role role;
	struct err e;

	if (o->role == NULL || auth_role_parse(o->role, &role) != 0)
		return command_usage(usage, "token add needs --role viewer, --role operator or --role admin");
	if (add_recorded(p, name, role, token, &e) != 0)
		return command_fail(&e);
	if (o->json) {
		struct json *v = json_new_object();
		json_set_string(v, "name", name);
		json_set_string(v, "role", o->role);
		json_set_string(v, "token", token);
		return command_print_json(v);
	}
	fprintf(stderr, "segan: the token of %s (%s), shown this once; %s keeps its digest\n", name, o->role, p->path);
	return puts(token) < 0 || fflush(stdout) != 0 ? EXIT_FAILED : EXIT_GOOD;
}

static struct json *
as_json(const struct auth_list *l)
{
	struct json *root = json_new_object(), *list = json_new_array();

	json_set(root, "tokens", list);
	for (size_t i = 0; i < l->n; i++) {
		struct json *v = json_new_object();
		json_set_string(v, "name", l->tokens[i].name);
		json_set_string(v, "role", auth_role_name(l->tokens[i].role));
		json_set_string(v, "created", l->tokens[i].created);
		json_add(list, v);
	}
	return root;
}

static int
list_all(const struct options *o, const struct place *p)
{
	struct auth_list l;
	struct err e;
	int rc = EXIT_GOOD;

	if (auth_list_load(p->path, &l, &e) != 0)
		return command_fail(&e);
	if (o->json) {
		rc = command_print_json(as_json(&l));
	} else {
		printf("%-24s  %-8s  %s\n", "NAME", "ROLE", "CREATED");
		for (size_t i = 0; i < l.n; i++) {
			printf("%-24s  %-8s  ", l.tokens[i].name, auth_role_name(l.tokens[i].role));
			command_print_plain(stdout, l.tokens[i].created);
			putchar('\n');
		}
	}
	auth_list_free(&l);
	return rc;
}

static int
revoke(const struct options *o, const struct place *p, const char *name)
{
	struct err e;

	if (revoke_recorded(p, name, &e) != 0)
		return command_fail(&e);
	if (o->json) {
		struct json *v = json_new_object();
		json_set_string(v, "revoked", name);
		return command_print_json(v);
	}
	fprintf(stderr, "segan: %s may do nothing any more\n", name);
	return EXIT_GOOD;
}

int
command_token(int argc, char **argv)
{
	struct options o = { 0 };
	struct place p;
	const char *verb;
	struct err e;
	int rc = command_options(argc, argv, options, sizeof options / sizeof *options, usage, &o);

	if (rc != 0)
		return rc < 0 ? EXIT_GOOD : rc;
	if (optind >= argc)
		return command_usage(usage, "what about the tokens? add, list or revoke");
	verb = argv[optind];
	if (find_place(&o, &p, &e) != 0)
		return command_config(&e);
	if (strcmp(verb, "add") == 0 && optind + 2 == argc)
		return add(&o, &p, argv[optind + 1]);
	if (strcmp(verb, "list") == 0 && optind + 1 == argc)
		return list_all(&o, &p);
	if (strcmp(verb, "revoke") == 0 && optind + 2 == argc)
		return revoke(&o, &p, argv[optind + 1]);
	return command_usage(usage, "token %s: not understood", verb);
}
