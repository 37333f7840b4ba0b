/* Feeding workers: what comes of a job whose worker works, dies, babbles, hangs, is cancelled. The worker is this very program, started with --worker as segand
 * starts itself; what it does at attempt N of a job is the N-th letter of the environment variable PLAN. */
#include "tests/unit/flow_test.h"
#include "tests/unit/sanitizer.h"

#include "service/flow/worker.h"
#include "service/flow/worker_order.h"

#include <poll.h>
#include <signal.h>

/* ---- the fake ---- */

static void
succeed(const struct order *o)
{
	struct segment_result r = { .present = true, .n_segments = 1, .segments = { { 1, "Whole tumour", 1 } }, .n_outputs = 1, .outputs = { { RESULT_SEG, "2.25.1", "2.25.2", 3, 1 } } };
	char path[2 * SPOOL_PATH];
	struct err e;
	char *line = answer_progress(0.5, &e);

	snprintf(path, sizeof path, "%s/seg.dcm", o->out_dir);
	if (file_write(path, "SEG", 3, &e) != 0)
		exit(4);
	puts(line);
	free(line);
	line = answer_result(&r, &e);
	puts(line);
	free(line);
}

static void
fail_with(enum err_code code)
{
	struct err e, why;
	char *line;

	err_set(&why, code, "this is %s", err_name(code));
	line = answer_error(&why, &(struct segment_result) { 0 }, &e);
	puts(line);
	free(line);
}

/* For one and a half times the shortest job_timeout: what comes on may take longer than it, what repeats itself not. */
static void
take_long(bool comes_on)
{
	int64_t began = clock_monotonic_ms(), now;
	struct err e;

	while ((now = clock_monotonic_ms()) - began < 1500 || !comes_on) {
		char *line = answer_progress(comes_on ? (double)(now - began) / 2000 : 0.5, &e);
		puts(line);
		free(line);
		if (fflush(stdout) != 0)
			exit(8);
		poll(NULL, 0, 20);
	}
}

static void
note_pid(void)
{
	struct err e;
	char text[24];

	snprintf(text, sizeof text, "%ld", (long)getpid());
	if (file_write(getenv("PID_FILE"), text, strlen(text), &e) != 0)
		exit(5);
}

static int
fake(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	struct order o;
	struct err e;

	while ((n = getline(&line, &room, stdin)) > 0) {
		if (order_parse(line, (size_t)n, &o, &e) != 0)
			exit(6);
		note_pid();
		switch (getenv("PLAN")[o.attempt - 1]) {
		case 'g': succeed(&o); break;
		case 'k': raise(SIGKILL); break;
		case 'x': puts("terminate called after throwing an instance of"); break;
		case 'i': fail_with(ERR_INPUT); break;
		case 'l': fail_with(ERR_LIMIT); break;
		case 'b': fail_with(ERR_BUG); break;
		case 's': break; /* silence */
		case 'p': take_long(true); succeed(&o); break;
		case 'r': take_long(false); break;
		default: exit(7);
		}
		fflush(stdout);
		order_release(&o);
	}
	free(line);
	return 0;
}

/* ---- helpers ---- */

static struct settings *settings;
static struct node node;
static struct workers *workers;
static char pid_file[400];

static void
begin(const char *plan, const char *more)
{
	struct err e = { 0 };

	snprintf(pid_file, sizeof pid_file, "%s/pid", folder);
	unlink(pid_file);
	setenv("PLAN", plan, 1);
	setenv("PID_FILE", pid_file, 1);
	settings = make_settings(more);
	if (node_open(&node, settings, &e) != 0 || (workers = workers_start(&node, &e)) == NULL)
		fail_msg("%s", e.text);
}

static void
end(void)
{
	workers_stop(workers);
	node_close(&node);
	settings_free(settings);
}

/* A queued job of one input. */
static int64_t
add_job_of(const char *study_uid, const char *sop_uid)
{
	struct err e = { 0 };
	const struct catalog_entry *model = catalog_find(node.catalog, "glioma-flair", &e);
	struct job j = { .state = JOB_RECEIVING, .case_version = 1, .run = 1, .created_ms = clock_ms(), .channels = "{\"flair\":\"1.2.3\"}" };
	struct job_input input = { .channel = "flair" };
	int64_t id;

	snprintf(input.sop_uid, sizeof input.sop_uid, "%s", sop_uid);
	snprintf(j.study_uid, sizeof j.study_uid, "%s", study_uid);
	snprintf(j.model_name, sizeof j.model_name, "%s", model->manifest.name);
	snprintf(j.model_version, sizeof j.model_version, "%s", model->manifest.version);
	snprintf(j.model_digest, sizeof j.model_digest, "%s", model->manifest.weights_sha256);
	if (jobs_create(node.db, &j, &id, &e) != 0 || jobs_queue(node.db, id, j.channels, "fingerprint", &input, 1, "test", &e) != 0)
		fail_msg("%s", e.text);
	bell_ring(&node.work);
	return id;
}

static int64_t
add_job(const char *study_uid)
{
	return add_job_of(study_uid, "1.2.3.4");
}

/* The job in a state that fits; *reason (256) its reason. Looks again every few ms: no bell rings for every end. */
static enum job_state
wait_until(int64_t id, bool (*fits)(enum job_state), char *reason, int64_t *attempt)
{
	for (int i = 0; i < 6000; i++) {
		struct job j;
		struct err e;
		enum job_state state;

		assert_int_equal(jobs_get(node.db, id, &j, &e), 0);
		state = j.state;
		*attempt = j.attempt;
		snprintf(reason, 256, "%s", j.reason == NULL ? "" : j.reason);
		job_release(&j);
		if (fits(state))
			return state;
		assert_true(bell_rest(&node.dispatch, 10));
	}
	fail_msg("job %lld does not end", (long long)id);
	return JOB_FAILED;
}

static bool
is_running(enum job_state s)
{
	return s == JOB_RUNNING;
}

static void
ends(int64_t id, enum job_state state, int64_t attempts, const char *words)
{
	char reason[256];
	int64_t attempt;

	assert_int_equal(wait_until(id, job_state_is_final, reason, &attempt), state);
	assert_int_equal(attempt, attempts);
	if (strstr(reason, words) == NULL)
		fail_msg("\"%s\" does not hold \"%s\"", reason, words);
}

static pid_t
worker_pid(void)
{
	for (int i = 0; i < 6000; i++) {
		struct err e;
		size_t n;
		char *text = file_read(pid_file, 24, &n, &e);
		pid_t pid = text == NULL ? 0 : (pid_t)strtol(text, NULL, 10);

		free(text);
		if (pid > 0)
			return pid;
		assert_true(bell_rest(&node.dispatch, 10));
	}
	fail_msg("no worker came");
	return 0;
}

/* kill() comes back before the process is dead. */
static void
kill_and_wait(pid_t pid)
{
	char path[64], state = 'R';

	kill(pid, SIGKILL);
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	while (state != 'Z') {
		FILE *f = fopen(path, "r");
		if (f == NULL)
			return;
		if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 'Z';
		fclose(f);
	}
}

/* ---- tests ---- */

static void
a_job_that_works(void **state)
{
	char path[SPOOL_PATH];
	struct err e = { 0 };
	int64_t id;

	(void)state;
	begin("g", "");
	id = add_job("1.2.1");
	ends(id, JOB_DONE, 1, "");
	spool_result(&node, id, "seg.dcm", path);
	assert_true(file_exists(path));
	workers_stop(workers);
	spool_work_dir(&node, id, 1, path);
	assert_false(file_exists(path)); /* nothing is left */
	workers = workers_start(&node, &e);
	assert_non_null(workers);
	end();
}

static void
what_comes_of_failures(void **state)
{
	static const struct { const char *plan; enum job_state state; int64_t attempts; const char *words; } rows[] = {
		{ "kkk", JOB_FAILED, 3, "signal 9 (Killed)" },  /* an input that kills the worker cannot kill it for ever */
		{ "kg", JOB_DONE, 2, "" },
		{ "xg", JOB_DONE, 2, "" },                      /* babble is the process's fault, not the images' */
		{ "xxx", JOB_FAILED, 3, "worker answer" },
		{ "lll", JOB_FAILED, 3, "this is limit" },
		{ "i", JOB_REJECTED, 1, "this is input" },
		{ "b", JOB_FAILED, 1, "this is bug" },          /* the same again would fail the same */
		{ "sg", JOB_DONE, 2, "" },
		{ "sss", JOB_FAILED, 3, "job_timeout" },
		{ "p", JOB_DONE, 1, "" },
		{ "rg", JOB_DONE, 2, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t id;
		begin(rows[i].plan, "\"job_timeout\": 1,");
		id = add_job("1.2.1");
		ends(id, rows[i].state, rows[i].attempts, rows[i].words);
		end();
	}
}

/* Each job has its own attempts, and the one after a bad one finds a worker. */
static void
the_next_job_works(void **state)
{
	(void)state;
	begin("kkk", "");
	ends(add_job("1.2.1"), JOB_FAILED, 3, "signal 9");
	setenv("PLAN", "g", 1); /* the next process has it */
	ends(add_job("1.2.2"), JOB_DONE, 1, "");
	end();
}

static void
a_worker_that_dies_between_jobs_costs_no_attempt(void **state)
{
	pid_t pid;

	(void)state;
	begin("gggg", "");
	ends(add_job("1.2.1"), JOB_DONE, 1, "");
	pid = worker_pid();
	kill_and_wait(pid);
	ends(add_job("1.2.2"), JOB_DONE, 1, "");
	assert_int_not_equal(worker_pid(), pid);
	end();
}

static void
cancel_ends_the_attempt(void **state)
{
	char reason[256];
	int64_t id, attempt;
	struct err e = { 0 };

	(void)state;
	begin("s", "");
	id = add_job("1.2.1");
	worker_pid();
	assert_int_equal(wait_until(id, is_running, reason, &attempt), JOB_RUNNING);
	assert_int_equal(jobs_end(node.db, id, JOB_RUNNING, JOB_CANCELLED, "cancelled by request", &e), 0);
	workers_cancel(workers, id);
	setenv("PLAN", "g", 1);
	ends(add_job("1.2.2"), JOB_DONE, 1, "");
	ends(id, JOB_CANCELLED, 1, "cancelled by request");
	end();
}

/* Stopping queues it again, and the attempt does not count: it was never at fault. */
static void
stop_forgets_no_job(void **state)
{
	struct err e = { 0 };
	struct job j;
	int64_t id;

	(void)state;
	begin("sg", "");
	id = add_job("1.2.1");
	worker_pid();
	workers_stop(workers);
	assert_int_equal(jobs_get(node.db, id, &j, &e), 0);
	assert_int_equal(j.state, JOB_QUEUED);
	assert_int_equal(j.attempt, 0);
	job_release(&j);
	setenv("PLAN", "g", 1);
	node_close(&node);
	if (node_open(&node, settings, &e) != 0 || (workers = workers_start(&node, &e)) == NULL)
		fail_msg("%s", e.text);
	ends(id, JOB_DONE, 1, "");
	end();
}

static void
a_model_that_is_not_the_one_of_the_job(void **state)
{
	struct err e = { 0 };
	struct job j = { .state = JOB_RECEIVING, .case_version = 1, .run = 1, .created_ms = clock_ms(), .channels = "{\"flair\":\"1.2.3\"}" };
	struct job_input input = { "flair", "1.2.3.4" };
	int64_t id;

	(void)state;
	begin("g", "");
	snprintf(j.study_uid, sizeof j.study_uid, "1.2.1");
	snprintf(j.model_name, sizeof j.model_name, "glioma-flair");
	snprintf(j.model_version, sizeof j.model_version, "%s", catalog_find(node.catalog, "glioma-flair", &e)->manifest.version);
	memset(j.model_digest, 'a', 64);
	assert_int_equal(jobs_create(node.db, &j, &id, &e), 0);
	assert_int_equal(jobs_queue(node.db, id, j.channels, "fingerprint", &input, 1, "test", &e), 0);
	bell_ring(&node.work);
	ends(id, JOB_FAILED, 1, "other weights");
	end();
}

/* No worker gets other bytes than those that were acknowledged; sent again, they are there again. */
static void
an_image_that_was_altered_on_the_disk(void **state)
{
	char path[SPOOL_PATH], *bytes;
	struct err e = { 0 };
	size_t n;

	(void)state;
	begin("gg", "");
	take_series(&node, "flair", 1);
	ends(add_job_of("1.2.1", "2.25.1000"), JOB_DONE, 1, "");
	spool_path(&node, "2.25.1001", path);
	bytes = file_read(path, 1 << 20, &n, &e);
	assert_non_null(bytes);
	bytes[n - 3] ^= 1;
	assert_int_equal(file_write(path, bytes, n, &e), 0);
	free(bytes);
	ends(add_job_of("1.2.2", "2.25.1001"), JOB_REJECTED, 1, "instance 2.25.1001 was altered on the node's disk since it came: send it again");
	take_series(&node, "flair", 1);
	ends(add_job_of("1.2.3", "2.25.1001"), JOB_DONE, 1, "");
	end();
}

static int
set_up(void **state)
{
	static const char *const some[] = { "flair:", NULL };

	(void)state;
	make_studies(some);
	log_set_level(LOG_ERROR);
	return dicom_start(&(struct err) { 0 });
}

static int
tear_down(void **state)
{
	(void)state;
	remove_studies();
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_that_works), cmocka_unit_test(what_comes_of_failures), cmocka_unit_test(the_next_job_works),
		cmocka_unit_test(a_worker_that_dies_between_jobs_costs_no_attempt), cmocka_unit_test(cancel_ends_the_attempt), cmocka_unit_test(stop_forgets_no_job),
		cmocka_unit_test(a_model_that_is_not_the_one_of_the_job), cmocka_unit_test(an_image_that_was_altered_on_the_disk),
	};

	if (argc > 1 && strcmp(argv[1], "--worker") == 0)
		return fake();
	if (is_under_valgrind()) {
		puts("skipped: under valgrind a process cannot start itself");
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
