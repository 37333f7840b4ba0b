/* Bells, the lock, what a start finds and cleans, models by name. */
#include "tests/unit/flow_test.h"

#include "service/flow/data_dir.h"

#include <sys/stat.h>

static struct node node;

static void
open_and_close(void **state)
{
	struct settings *s = make_settings("");
	char path[SPOOL_PATH];
	struct stat st;
	struct err e = { 0 };

	(void)state;
	if (node_open(&node, s, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(stat(s->data_dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	spool_path(&node, "1.2.840.1", path);
	assert_true(strncmp(path, s->data_dir, strlen(s->data_dir)) == 0);
	assert_null(strstr(path + strlen(s->data_dir), "1.2.840.1")); /* no received text in a name */
	strrchr(path, '/')[0] = 0;
	assert_int_equal(stat(path, &st), 0); /* its folder is there already */
	node_close(&node);
	settings_free(s);
}

static void
one_node_a_data_dir(void **state)
{
	struct settings *s = make_settings("");
	struct node second;
	char pid[24];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(node_open(&node, s, &e), 0);
	assert_int_equal(node_open(&second, s, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	assert_non_null(strstr(e.text, pid));
	assert_non_null(strstr(e.text, s->data_dir));
	node_close(&node);
	assert_int_equal(node_open(&node, s, &e), 0); /* released */
	node_close(&node);
	settings_free(s);
}

static void
a_start_empties_tmp_and_keeps_the_rest(void **state)
{
	struct settings *s = make_settings("");
	char tmp[SPOOL_PATH], kept[SPOOL_PATH], work[SPOOL_PATH];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(node_open(&node, s, &e), 0);
	assert_int_equal(spool_tmp(&node, tmp, &e), 0);
	spool_path(&node, "1.2.3", kept);
	assert_int_equal(file_write(kept, "x", 1, &e), 0);
	spool_work_dir(&node, 7, 1, work);
	assert_int_equal(file_make_dirs(work, 0700, &e), 0);
	node_close(&node);
	assert_int_equal(node_open(&node, s, &e), 0);
	assert_false(file_exists(tmp));
	assert_false(file_exists(work));
	assert_true(file_exists(kept));
	node_close(&node);
	settings_free(s);
}

static void
room_is_what_the_reserve_leaves(void **state)
{
	struct settings *s = make_settings("");
	struct err e = { 0 };

	(void)state;
	assert_int_equal(node_open(&node, s, &e), 0);
	assert_int_equal(spool_has_room(&node, &e), 0);
	assert_true(spool_can_write(&node));
	s->disk_reserve_mb = INT64_MAX;
	assert_int_equal(spool_has_room(&node, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_non_null(strstr(e.text, "disk_reserve_mb"));
	node_close(&node);
	settings_free(s);
}

static void
models_are_checked_by_name(void **state)
{
	struct settings *s = make_settings("\"models\": [{\"name\": \"glioma-flair\"}],");
	struct err e = { 0 };

	(void)state;
	if (node_check_models(s, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(node_open(&node, s, &e), 0);
	assert_string_equal(node_find_model(node.catalog, &s->models[0], &e)->manifest.name, "glioma-flair");
	node_close(&node);
	settings_free(s);
	s = make_settings("\"models\": [{\"name\": \"glioma-flair@9.9.9\"}],");
	assert_int_equal(node_check_models(s, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_non_null(strstr(e.text, "glioma-flair"));
	settings_free(s);
	s = make_settings("\"models\": [{\"name\": \"no-such-model\"}],");
	assert_int_equal(node_check_models(s, &e), -1);
	assert_non_null(strstr(e.text, "no-such-model"));
	settings_free(s);
}

/* ---- the node's id lives beside its database ---- */

static void
the_id_is_a_file_and_of_one_node(void **state)
{
	struct settings *s = make_settings("");
	char id[DATA_DIR_ID], again[DATA_DIR_ID];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(node_open(&node, s, &e), 0);
	assert_int_equal(data_dir_node_id(s->data_dir, id, &e), 0);
	assert_string_equal(id, db_node_id(node.db));
	node_close(&node);
	assert_int_equal(unlink(data_file(s, "node-id")), 0); /* as of an older version */
	assert_int_equal(node_open(&node, s, &e), 0);
	assert_int_equal(data_dir_node_id(s->data_dir, again, &e), 0);
	assert_string_equal(again, id);
	node_close(&node);
	assert_int_equal(data_dir_set_node_id(s->data_dir, "ffffffffffffffffffffffffffffffff", &e), 0);
	assert_int_equal(node_open(&node, s, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_non_null(strstr(e.text, "of node"));
	assert_int_equal(file_write(data_file(s, "node-id"), "", 0, &e), 0);
	assert_int_equal(node_open(&node, s, &e), -1);
	assert_non_null(strstr(e.text, "node-id"));
	settings_free(s);
}

/* A data_dir that was in use gets no silent empty database. */
static void
a_database_that_is_gone_is_missed(void **state)
{
	struct settings *s = make_settings("");
	struct err e = { 0 };

	(void)state;
	assert_int_equal(node_open(&node, s, &e), 0);
	node_close(&node);
	assert_int_equal(unlink(data_file(s, "segand.db")), 0);
	assert_int_equal(node_open(&node, s, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_non_null(strstr(e.text, "segand.db"));
	assert_non_null(strstr(e.text, "segan spool reindex"));
	assert_false(file_exists(data_file(s, "segand.db")));
	settings_free(s);
}

static void
the_lock_says_how_the_last_one_ended(void **state)
{
	struct settings *s = make_settings("");
	struct err e = { 0 };
	enum data_dir_end before;
	int lock;

	(void)state;
	assert_int_equal(node_open(&node, s, &e), 0);
	node_close(&node);
	lock = data_dir_lock(s->data_dir, &before, &e);
	assert_true(lock >= 0 && before == DATA_DIR_CLOSED);
	assert_int_equal(data_dir_lock(s->data_dir, &before, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	data_dir_unlock(lock, false);
	lock = data_dir_lock(s->data_dir, &before, &e);
	assert_true(lock >= 0 && before == DATA_DIR_KILLED);
	assert_int_equal(data_dir_search(lock, true, &e), 0);
	data_dir_unlock(lock, false);
	for (int i = 0; i < 2; i++) {
		lock = data_dir_lock(s->data_dir, &before, &e);
		assert_true(lock >= 0 && before == DATA_DIR_SEARCHING);
		if (i == 1)
			assert_int_equal(data_dir_search(lock, false, &e), 0);
		data_dir_unlock(lock, false);
	}
	lock = data_dir_lock(s->data_dir, &before, &e);
	assert_true(lock >= 0 && before == DATA_DIR_KILLED);
	data_dir_unlock(lock, true);
	settings_free(s);
}

/* ---- bells ---- */

static void *
ring(void *arg)
{
	bell_ring(arg);
	return NULL;
}

static void *
halt(void *arg)
{
	bell_stop(arg);
	return NULL;
}

static void
bells_ring_and_stop(void **state)
{
	struct settings *s = make_settings("");
	unsigned long seen = 0;
	pthread_t thread;
	struct err e = { 0 };
	int64_t begin;

	(void)state;
	assert_int_equal(node_open(&node, s, &e), 0);
	assert_true(bell_wait(&node.work, &seen, 0)); /* not rung: time is up */
	bell_ring(&node.work);
	bell_ring(&node.work);
	assert_true(bell_wait(&node.work, &seen, -1)); /* rung before: at once */
	assert_int_equal(seen, 2);
	assert_int_equal(pthread_create(&thread, NULL, ring, &node.work), 0);
	assert_true(bell_wait(&node.work, &seen, -1));
	assert_int_equal(seen, 3);
	pthread_join(thread, NULL);
	bell_ring(&node.work);
	begin = clock_monotonic_ms();
	assert_true(bell_rest(&node.work, 20)); /* whatever rings */
	assert_true(clock_monotonic_ms() - begin >= 19);
	assert_int_equal(pthread_create(&thread, NULL, halt, &node.work), 0);
	seen = 4;
	assert_false(bell_wait(&node.work, &seen, -1));
	assert_false(bell_rest(&node.work, 60000));
	pthread_join(thread, NULL);
	node_close(&node);
	settings_free(s);
}

int
main(void)
{
	static const char *const none[] = { NULL };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_and_close),
		cmocka_unit_test(one_node_a_data_dir),
		cmocka_unit_test(a_start_empties_tmp_and_keeps_the_rest),
		cmocka_unit_test(room_is_what_the_reserve_leaves),
		cmocka_unit_test(models_are_checked_by_name),
		cmocka_unit_test(the_id_is_a_file_and_of_one_node),
		cmocka_unit_test(a_database_that_is_gone_is_missed),
		cmocka_unit_test(the_lock_says_how_the_last_one_ended),
		cmocka_unit_test(bells_ring_and_stop),
	};
	int result;

	log_set_level(LOG_ERROR);
	make_studies(none);
	result = cmocka_run_group_tests(tests, NULL, NULL);
	remove_studies();
	return result;
}
