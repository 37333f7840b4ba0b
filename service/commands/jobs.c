/* segan jobs: asks a node for its jobs over REST, so that it works from any machine. */
#include "service/commands/commands.h"
#include "service/commands/common.h"
#include "service/commands/node_address.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: segan jobs list [--state STATE] [--study UID] [--model NAME] [--limit N]\n"
    "       segan jobs show ID | retry ID | cancel ID | give-up ID DESTINATION\n"
    NODE_USAGE
    "  --json         the answer as JSON\n"
    "retry: a failed delivery is sent again, a failed computation is tried again, any other finished job runs again as a new job.\n"
    "give-up: a delivery that waits for its destination is tried no more; the job fails when no other is on its way, and retry takes it up again.\n";

struct options { struct node_options node; const char *state, *study, *model, *limit; bool json; };

static const struct command_option options[] = {
	NODE_OPTIONS(struct options, node),
	{ "state", required_argument, offsetof(struct options, state), 0 }, { "study", required_argument, offsetof(struct options, study), 0 },
	{ "model", required_argument, offsetof(struct options, model), 0 }, { "limit", required_argument, offsetof(struct options, limit), 0 },
	{ "json", no_argument, offsetof(struct options, json), 0 },
};

static const char *
text_or(const struct json *object, const char *key, const char *otherwise)
{
	const char *text = json_text(json_get(object, key));

	return text == NULL ? otherwise : text;
}

static void
print_column(const char *text, size_t width)
{
	command_print_plain(stdout, text);
	printf("%*s  ", strlen(text) < width ? (int)(width - strlen(text)) : 0, "");
}

static void
print_volumes(const struct json *job)
{
	for (const struct json *s = json_first(json_get(job, "segments")); s != NULL; s = json_next(s)) {
		fputs("  ", stdout);
		command_print_plain(stdout, text_or(s, "label", "?"));
		printf(" %.1f ml", json_number(json_get(s, "volume_ml"), 0));
	}
}

static void
print_row(const struct json *job)
{
	char delivered[64] = "-";
	size_t n = json_size(json_get(job, "deliveries")), done = 0;

	for (const struct json *d = json_first(json_get(job, "deliveries")); d != NULL; d = json_next(d))
		done += strcmp(text_or(d, "state", ""), "delivered") == 0 || strcmp(text_or(d, "state", ""), "committed") == 0;
	if (n > 0)
		snprintf(delivered, sizeof delivered, "%zu/%zu", done, n);
	printf("%5.0f  ", json_number(json_get(job, "id"), 0));
	print_column(text_or(job, "state", "?"), 10);
	print_column(text_or(job, "model", "?"), 20);
	print_column(text_or(job, "created", "?"), 24);
	printf("%-9s", delivered);
	print_volumes(job);
	if (json_text(json_get(job, "reason")) != NULL) {
		fputs("  ", stdout);
		command_print_plain(stdout, text_or(job, "reason", ""));
	}
	putchar('\n');
}

static int
print_job(const struct json *job)
{
	struct err e;
	char *text = json_print(job, true, &e);

	if (text == NULL)
		return command_fail(&e);
	puts(text);
	free(text);
	return EXIT_GOOD;
}

static void
add_query(char *url, size_t size, const char *key, const char *value)
{
	size_t n = strlen(url);

	if (value == NULL)
		return;
	n += (size_t)snprintf(url + n, size - n, "%c%s=", strchr(url, '?') == NULL ? '?' : '&', key);
	for (; *value != '\0' && n + 4 < size; value++)
		n += (size_t)snprintf(url + n, size - n, (*value >= '0' && *value <= '9') || (*value >= 'a' && *value <= 'z') || (*value >= 'A' && *value <= 'Z') ||
		    strchr("-._~", *value) != NULL ? "%c" : "%%%02X", (unsigned char)*value);
}

static int
list(const struct options *o, const struct node_address *node)
{
	char url[2048];
	struct err e;
	struct json_doc *d;

	snprintf(url, sizeof url, "%.1000s/api/v1/jobs", node->url);
	add_query(url, sizeof url, "state", o->state);
	add_query(url, sizeof url, "study", o->study);
	add_query(url, sizeof url, "model", o->model);
	add_query(url, sizeof url, "limit", o->limit);
	if ((d = client_request("GET", url, &node->access, &e)) == NULL)
		return command_fail(&e);
	if (o->json) {
		int rc = print_job(json_root(d));
		json_doc_free(d);
		return rc;
	}
	printf("%5s  %-10s  %-20s  %-24s  %-9s  %s\n", "ID", "STATE", "MODEL", "CREATED", "DELIVERED", "RESULT");
	for (const struct json *j = json_first(json_get(json_root(d), "jobs")); j != NULL; j = json_next(j))
		print_row(j);
	if (json_type(json_get(json_root(d), "next")) != JSON_NULL)
		fprintf(stderr, "segan: there are more; --limit N shows up to 1000\n");
	json_doc_free(d);
	return EXIT_GOOD;
}

/* what: behind the job's address; "" shows it. */
static int
one(const char *id, const char *what, const struct node_address *node)
{
	char url[2048];
	struct err e;
	struct json_doc *d;
	int rc;

	if (id[0] == '\0' || id[strspn(id, "0123456789")] != '\0' || strlen(id) > 18)
		return command_usage(usage, "\"%s\" is not a job's number", id);
	snprintf(url, sizeof url, "%.1000s/api/v1/jobs/%.20s%s", node->url, id, what);
	if ((d = client_request(what[0] == '\0' ? "GET" : "POST", url, &node->access, &e)) == NULL)
		return command_fail(&e);
	rc = print_job(json_root(d));
	json_doc_free(d);
	return rc;
}

static int
give_up(const char *id, const char *destination, const struct node_address *node)
{
	char what[160];

	if (destination[0] == '\0' || strlen(destination) > 64 || destination[strspn(destination, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] != '\0')
		return command_usage(usage, "\"%s\" is not a destination's name", destination);
	snprintf(what, sizeof what, "/deliveries/%s/give-up", destination);
	return one(id, what, node);
}

int
command_jobs(int argc, char **argv)
{
	static const struct { const char *word, *what; } verbs[] = { { "show", "" }, { "retry", "/retry" }, { "cancel", "/cancel" } };
	struct options o = { 0 };
	struct node_address node;
	const char *verb;
	struct err e;
	int rc = command_options(argc, argv, options, sizeof options / sizeof *options, usage, &o);

	if (rc != 0)
		return rc < 0 ? EXIT_GOOD : rc;
	if (optind >= argc)
		return command_usage(usage, "what about the jobs? list, show, retry, cancel or give-up");
	verb = argv[optind];
	if (node_find(&o.node, &node, &e) != 0)
		return command_config(&e);
	if (strcmp(verb, "list") == 0 && optind + 1 == argc)
		return list(&o, &node);
	if (strcmp(verb, "give-up") == 0 && optind + 3 == argc)
		return give_up(argv[optind + 1], argv[optind + 2], &node);
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(verb, verbs[i].word) == 0 && optind + 2 == argc)
			return one(argv[optind + 1], verbs[i].what, &node);
	return command_usage(usage, "jobs %s: not understood", verb);
}
