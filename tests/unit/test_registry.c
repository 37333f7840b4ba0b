/* Models are added, promoted, rolled back: what is in service, what the history says, what a refused or broken change leaves behind. */
#include "config/file.h"
#include "model/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define SHIPPED "model/shipped/glioma-flair/0.1.0"

static char top[256], own[300], shipped[300];
static const char *const roots[] = { own, shipped };
static const struct registry registry = { roots, 2 };
static const struct promotion by_hand = { .reason = "because" };

static void
write_text(const char *path, const char *text)
{
	struct err e;

	assert_int_equal(file_write(path, text, strlen(text), &e), 0);
}

/* The shipped model as DIR, with another version. */
static void
make_model(const char *dir, const char *version)
{
	char path[500], *text, *changed = malloc(8192), *at;
	size_t n;
	struct err e;

	assert_non_null(changed);
	assert_int_equal(file_make_dirs(dir, 0755, &e), 0);
	text = file_read(SHIPPED "/model.json", 1 << 20, &n, &e);
	at = strstr(text, "0.1.0");
	snprintf(changed, 8192, "%.*s%s%s", (int)(at - text), text, version, at + 5);
	snprintf(path, sizeof path, "%s/model.json", dir);
	write_text(path, changed);
	free(text);
	free(changed);
	text = file_read(SHIPPED "/weights.safetensors", 1 << 24, &n, &e);
	snprintf(path, sizeof path, "%s/weights.safetensors", dir);
	assert_int_equal(file_write(path, text, n, &e), 0);
	free(text);
}

static int
set_up(void **state)
{
	char dir[400];

	(void)state;
	snprintf(top, sizeof top, "%s/registry.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(top) == NULL)
		return -1;
	snprintf(own, sizeof own, "%s/own", top);
	snprintf(shipped, sizeof shipped, "%s/shipped", top);
	snprintf(dir, sizeof dir, "%s/glioma-flair/1.0.0", shipped);
	make_model(dir, "1.0.0");
	return 0;
}

static int
tear_down(void **state)
{
	struct err e;

	(void)state;
	return file_remove_tree(top, &e);
}

static const char *
in_service(void)
{
	static char version[65];
	struct err e;
	struct catalog *c = catalog_open(roots, 2, &e);

	assert_non_null(c);
	snprintf(version, sizeof version, "%s", catalog_find(c, "glioma-flair", &e)->manifest.version);
	catalog_free(c);
	return version;
}

static int
add(const char *version, struct err *e)
{
	char dir[400];
	struct manifest m;

	snprintf(dir, sizeof dir, "%s/new-%s", top, version);
	make_model(dir, version);
	*e = (struct err){ 0 };
	return registry_add(&registry, dir, &m, e);
}

static void
must_add(const char *version)
{
	struct err e;

	if (add(version, &e) != 0)
		fail_msg("%s", e.text);
}

static void
must_promote(const char *name_version)
{
	struct err e;

	if (registry_promote(&registry, name_version, &by_hand, &e) != 0)
		fail_msg("%s", e.text);
}

static const char *
rolled_back(void)
{
	static char version[65];
	struct err e;

	return registry_rollback(&registry, "glioma-flair", version, &e) == 0 ? version : err_name(e.code);
}

/* "add 1.1.0, promote 1.1.0, ..." */
static const char *
history(void)
{
	static char text[1000];
	struct err e;
	struct json *lines = registry_history(&registry, "glioma-flair", &e);

	assert_non_null(lines);
	text[0] = '\0';
	for (const struct json *l = json_first(lines); l; l = json_next(l)) {
		size_t n = strlen(text);
		assert_non_null(json_text(json_get(l, "time")));
		snprintf(text + n, sizeof text - n, "%s%s %s", n ? ", " : "", json_text(json_get(l, "action")), json_text(json_get(l, "version")));
	}
	json_free(lines);
	return text;
}

static void
adding_changes_nothing_in_service(void **state)
{
	char path[400];

	(void)state;
	assert_string_equal(in_service(), "1.0.0");
	must_add("1.1.0");
	assert_string_equal(in_service(), "1.0.0");
	must_add("0.9.0");
	assert_string_equal(in_service(), "1.0.0");
	assert_string_equal(history(), "add 1.1.0, add 0.9.0");
	snprintf(path, sizeof path, "%s/glioma-flair/in-service", shipped);
	assert_false(file_exists(path));                    /* the other root is never written */
}

static void
first_of_its_name_serves(void **state)
{
	const char *const alone[] = { own };
	const struct registry one = { alone, 1 };
	char dir[400];
	struct manifest m;
	struct err e;

	(void)state;
	snprintf(dir, sizeof dir, "%s/new", top);
	make_model(dir, "3.0.0");
	assert_int_equal(registry_add(&one, dir, &m, &e), 0);
	assert_string_equal(m.version, "3.0.0");
	assert_string_equal(in_service(), "3.0.0");
}

static void
promote_and_roll_back(void **state)
{
	struct err e;

	(void)state;
	must_add("1.1.0");
	must_add("1.2.0");
	assert_string_equal(rolled_back(), "state");
	must_promote("glioma-flair@1.1.0");
	assert_string_equal(in_service(), "1.1.0");
	must_promote("glioma-flair@1.2.0");
	assert_string_equal(in_service(), "1.2.0");
	assert_int_equal(registry_promote(&registry, "glioma-flair@1.2.0", &by_hand, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_string_equal(rolled_back(), "1.1.0");
	assert_string_equal(in_service(), "1.1.0");
	must_promote("glioma-flair@1.2.0");
	assert_string_equal(rolled_back(), "1.1.0");
	assert_string_equal(rolled_back(), "1.0.0");
	assert_string_equal(in_service(), "1.0.0");
	assert_string_equal(rolled_back(), "state");
	assert_string_equal(history(), "add 1.1.0, add 1.2.0, promote 1.1.0, promote 1.2.0, rollback 1.1.0, promote 1.2.0, rollback 1.1.0, rollback 1.0.0");
}

/* A version that was in service twice: every rollback undoes one promotion, none goes in circles. */
static void
twice_in_service(void **state)
{
	(void)state;
	must_add("1.1.0");
	must_add("1.2.0");
	must_promote("glioma-flair@1.1.0");
	must_promote("glioma-flair@1.2.0");
	must_promote("glioma-flair@1.1.0");
	assert_string_equal(rolled_back(), "1.2.0");
	assert_string_equal(rolled_back(), "1.1.0");
	assert_string_equal(rolled_back(), "1.0.0");
	assert_string_equal(rolled_back(), "state");
}

/* A crash between line and pointer: the pointer decides. */
static void
a_line_without_effect(void **state)
{
	char path[400];

	(void)state;
	must_add("1.1.0");
	must_add("1.2.0");
	must_promote("glioma-flair@1.1.0");
	must_promote("glioma-flair@1.2.0");
	snprintf(path, sizeof path, "%s/glioma-flair/in-service", own);
	write_text(path, "1.1.0\n");                        /* the last promotion's pointer was not written; or a rollback's line was not */
	assert_string_equal(rolled_back(), "1.0.0");
}

static void
what_is_refused(void **state)
{
	struct promotion beaten = { .evaluation_sha256 = "0", .beaten = "0.5.0" };
	char dir[400], path[500], version[65];
	struct manifest m;
	struct err e;
	size_t n;
	char *bytes;

	(void)state;
	assert_int_equal(add("1.0.0", &e), -1);             /* installed in the other root */
	assert_int_equal(e.code, ERR_STATE);
	must_add("1.1.0");
	assert_int_equal(add("1.1.0", &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(registry_promote(&registry, "glioma-flair@9.9.9", &by_hand, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(registry_promote(&registry, "glioma-flair", &by_hand, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_int_equal(registry_promote(&registry, "glioma-flair@1.1.0", &beaten, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(registry_rollback(&registry, "glioma-flair@1.1.0", version, &e), -1);
	assert_int_equal(registry_rollback(&registry, "unknown", version, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	snprintf(path, sizeof path, "%s/unknown", own);
	assert_false(file_exists(path));
	assert_string_equal(in_service(), "1.0.0");

	snprintf(dir, sizeof dir, "%s/cut", top);           /* weights that are cut: nothing of it is installed */
	make_model(dir, "1.3.0");
	snprintf(path, sizeof path, "%s/weights.safetensors", dir);
	bytes = file_read(path, 1 << 24, &n, &e);
	assert_int_equal(file_write(path, bytes, n - 4, &e), 0);
	free(bytes);
	assert_int_equal(registry_add(&registry, dir, &m, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	snprintf(path, sizeof path, "%s/glioma-flair/1.3.0", own);
	assert_false(file_exists(path));
	assert_int_equal(registry_add(&registry, top, &m, &e), -1);
	assert_string_equal(history(), "add 1.1.0");
}

static void
a_promoted_model_that_broke(void **state)
{
	char path[500];
	struct err e;

	(void)state;
	must_add("1.1.0");
	snprintf(path, sizeof path, "%s/glioma-flair/1.1.0/weights.safetensors", own);
	write_text(path, "short");
	assert_int_equal(registry_promote(&registry, "glioma-flair@1.1.0", &by_hand, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_string_equal(in_service(), "1.0.0");
}

static void
copies_are_whole(void **state)
{
	char to[400], path[500];
	struct manifest m;
	struct err e;

	(void)state;
	snprintf(path, sizeof path, "%s/copy/", top);
	assert_int_equal(registry_copy(SHIPPED, path, &m, &e), 0);
	snprintf(to, sizeof to, "%s/copy", top);
	assert_string_equal(m.dir, to);
	snprintf(path, sizeof path, "%s/CARD.md", to);
	assert_true(file_exists(path));
	assert_int_equal(registry_copy(SHIPPED, to, &m, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	snprintf(path, sizeof path, "%s/nothing", top);
	assert_int_equal(registry_copy(top, path, &m, &e), -1);
	assert_false(file_exists(path));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(adding_changes_nothing_in_service, set_up, tear_down), cmocka_unit_test_setup_teardown(first_of_its_name_serves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(promote_and_roll_back, set_up, tear_down), cmocka_unit_test_setup_teardown(a_line_without_effect, set_up, tear_down),
		cmocka_unit_test_setup_teardown(twice_in_service, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_refused, set_up, tear_down), cmocka_unit_test_setup_teardown(a_promoted_model_that_broke, set_up, tear_down),
		cmocka_unit_test_setup_teardown(copies_are_whole, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
