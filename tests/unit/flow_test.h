/* What the tests of service/flow share: a temporary folder, tiny studies made by tests/tools/mkstudy.py, a node with settings. Each test program includes it once. */
#pragma once
#include "config/clock.h"
#include "config/file.h"
#include "config/log.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "config/digest.h"
#include "dicom/attributes.h"
#include "dicom/dicom.h"
#include "service/flow/intake.h"
#include "service/flow/node.h"
#include "service/flow/spool.h"

#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern char **environ;

static char folder[256];                      /* of this program */
static int folders;                           /* data_dirs handed out below it */

/* Makes folder/NAME/NNN.dcm for every "NAME:key=value,..." */
static inline void
make_studies(const char *const *specs)
{
	char out[300];
	const char *argv[40] = { "/usr/bin/python3", "tests/tools/mkstudy.py", out };
	size_t n = 3;
	int status;
	pid_t pid;

	snprintf(folder, sizeof folder, "%s/segan-test-XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(folder));
	snprintf(out, sizeof out, "%s", folder);
	while (*specs != NULL && n < 39)
		argv[n++] = *specs++;
	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static inline void
remove_studies(void)
{
	struct err e;

	assert_int_equal(file_remove_tree(folder, &e), 0);
}

/* Settings with a data_dir of their own; more: further members, each followed by a comma. caller: settings_free. */
static inline struct settings *
make_settings(const char *more)
{
	char *text;
	struct err e = { 0 };
	struct settings *s;

	assert_true(asprintf(&text, "{%s \"models_dir\": \"model/shipped\", \"disk_reserve_mb\": 0, \"data_dir\": \"%s/data%d\"}", more, folder, ++folders) > 0);
	s = settings_parse(text, strlen(text), "test settings", &e);
	free(text);
	if (s == NULL)
		fail_msg("%s", e.text);
	return s;
}

static inline void
sample(const char *name, int i, char path[SPOOL_PATH])
{
	snprintf(path, SPOOL_PATH, "%s/%s/%03d.dcm", folder, name, i);
}

static inline void
copy_file(const char *from, const char *to)
{
	struct err e = { 0 };
	size_t n;
	char *bytes = file_read(from, 1 << 20, &n, &e);
	FILE *f = fopen(to, "wb");

	assert_non_null(bytes);
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	free(bytes);
}

/* One file through the intake, as a door would. */
static inline int
take_file(struct node *n, const char *path, int64_t association, struct intake_answer *a, struct err *e)
{
	char tmp[SPOOL_PATH];
	struct intake_file f = { .path = tmp, .association = association };
	int result;

	assert_int_equal(spool_tmp(n, tmp, e), 0);
	copy_file(path, tmp);
	result = intake_add(n, &f, a, e);
	assert_false(file_exists(tmp));
	return result;
}

/* Every file folder/NAME/000.dcm .. that exists, over one association of its own (0 = left open, 1 = released, -1 = aborted). Gives its id. */
static inline int64_t
take_series(struct node *n, const char *name, int how)
{
	char path[SPOOL_PATH];
	struct intake_answer a;
	struct err e = { 0 };
	int64_t association;

	assert_int_equal(intake_open(n, "MR1", "10.0.0.7", &association, &e), 0);
	for (int i = 0; sample(name, i, path), file_exists(path); i++)
		if (take_file(n, path, association, &a, &e) != 0)
			fail_msg("%s: %s", path, e.text);
	if (how != 0)
		intake_close(n, association, how > 0);
	return association;
}

/* Studies, tests, and the studies away again. Gives main's status. */
#define RUN_WITH_STUDIES(specs, tests) (begin_studies(specs) != 0 ? 1 : end_studies(cmocka_run_group_tests(tests, NULL, NULL)))

static inline int
begin_studies(const char *const *specs)
{
	struct err e = { 0 };

	log_set_level(LOG_ERROR);
	if (dicom_start(&e) != 0)
		return -1;
	make_studies(specs);
	return 0;
}

static inline int
end_studies(int result)
{
	remove_studies();
	return result;
}

/* A file of the data_dir; the last four are kept apart. */
static inline const char *
data_file(const struct settings *s, const char *name)
{
	static char all[4][SPOOL_PATH];
	static unsigned next;
	char *path = all[next++ % 4];

	snprintf(path, SPOOL_PATH, "%s/%s", s->data_dir, name);
	return path;
}
