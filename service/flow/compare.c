/* The same instance in another transfer syntax, as the daemon asks it and as the process answers: see compare.h. One process a question: it may die of it, and
 * it is asked rarely. It is started by the thread that waits for it (PR_SET_PDEATHSIG). Not here: what is compared (dicom/same.cc). */
#include "service/flow/compare.h"

#include "config/clock.h"
#include "config/json.h"
#include "dicom/same.h"
#include "service/flow/node.h"
#include "service/flow/sandbox.h"
#include "service/flow/worker_process.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* ---- the daemon's side ---- */

static char *
print_question(const char *path, const char *first, struct err *e)
{
	struct json *v = json_new_object();
	char *line;

	json_set_string(v, "path", path);
	json_set_string(v, "first", first);
	line = json_print(v, false, e);
	json_free(v);
	return line;
}

static int
read_answer(const char *line, size_t n, struct err *e)
{
	struct json_doc *d = json_parse(line, n, 0, e);
	bool is_same = d != NULL && json_bool(json_get(json_root(d), "same"), false);
	const char *why = d == NULL ? NULL : json_text(json_get(json_root(d), "why"));

	if (!is_same && d != NULL)
		err_set(e, ERR_STATE, "%s", why != NULL ? why : "no answer");
	json_doc_free(d);
	return is_same ? 0 : -1;
}

static int
ask(struct worker_process *p, const char *question, struct err *e)
{
	int64_t deadline_ms = clock_monotonic_ms() + COMPARE_S * 1000;
	size_t n = 0;
	const char *answer = worker_process_tell(p, question, deadline_ms, e) == 0 ? worker_process_hear(p, deadline_ms, &n, e) : NULL;

	return answer != NULL ? read_answer(answer, n, e) : -1;
}

static int
compare(const struct node *n, const char *path, const char *first, struct err *e)
{
	struct worker_limits limits = { .memory_mb = n->settings->worker_memory_mb, .mode = "--compare", .data_dir = n->settings->data_dir };
	struct worker_process p = { 0 };
	char *question = print_question(path, first, e), how[128] = "";
	int rc = -1;

	if (question != NULL && worker_process_start(&p, &limits, e) == 0)
		rc = ask(&p, question, e);
	worker_process_end(&p, how, sizeof how);
	if (rc != 0 && how[0] != '\0')
		err_set(e, ERR_STATE, "their pixels cannot be compared: %s", how);
	else if (rc != 0 && e->code == ERR_LIMIT)
		err_set(e, ERR_STATE, "comparing their pixels took more than %d s", COMPARE_S);
	e->code = rc == 0 ? ERR_NONE : ERR_STATE;
	free(question);
	return rc;
}

/* One of COMPARE_AT_ONCE turns. */
static int
wait_for_turn(struct node *n, struct err *e)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += COMPARE_S;
	while (sem_clockwait(&n->compares, CLOCK_MONOTONIC, &until) != 0)
		if (errno != EINTR)
			return err_set(e, ERR_LIMIT, "too many instances that came again compressed are being compared: send it again later");
	return 0;
}

int
compare_again(struct node *n, const char *path, const char *first, struct err *e)
{
	int rc;

	if (wait_for_turn(n, e) != 0)
		return -1;
	rc = compare(n, path, first, e);
	sem_post(&n->compares);
	return rc;
}

/* ---- the process ---- */

static char *
print_answer(bool is_same, const struct err *why)
{
	struct json *v = json_new_object();
	struct err e;
	char *line;

	json_set_bool(v, "same", is_same);
	if (!is_same)
		json_set_string(v, "why", why->text);
	line = json_print(v, false, &e);
	json_free(v);
	return line;
}

static int
answer(FILE *answers, const char *line, size_t n)
{
	struct err why = { 0 }, e = { 0 };
	struct json_doc *d = json_parse(line, n, 0, &e);
	const char *path = d == NULL ? NULL : json_text(json_get(json_root(d), "path")), *first = d == NULL ? NULL : json_text(json_get(json_root(d), "first"));
	bool is_same = false;

	if (path == NULL || first == NULL)
		err_set(&why, ERR_BUG, "two paths are wanted");
	else if (sandbox_files((struct landlock_path[]) { { path, false }, { first, false } }, 2, &why) != 0)
		why.code = ERR_STATE;
	else if (same_instance(path, first, &is_same, &why, &e) != 0) {
		is_same = false;
		err_set(&why, ERR_STATE, "their pixels cannot be compared: %s", e.text);
	}
	json_doc_free(d);
	return sandbox_say(answers, print_answer(is_same, &why));
}

int
compare_main(int argc, char **argv)
{
	FILE *answers = NULL;
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int status = sandbox_enter(argc, argv, &answers);

	if (status != 0)
		return status;
	sandbox_cpu(COMPARE_S);
	n = getline(&line, &room, stdin);
	status = n > 0 && answer(answers, line, (size_t)n) == 0 ? 0 : 1;
	free(line);
	return status;
}
