/* The promise at the door: what is acknowledged is a file and a row, once, the first copy. */
#include "tests/unit/flow_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct settings *settings;
static struct node node;

static int
open_node(void **state)
{
	struct err e = { 0 };

	(void)state;
	settings = make_settings("");
	return node_open(&node, settings, &e);
}

static int
close_node(void **state)
{
	(void)state;
	node_close(&node);
	settings_free(settings);
	return 0;
}

static int
take(const char *name, int i, struct intake_answer *a, struct err *e)
{
	char path[SPOOL_PATH];

	sample(name, i, path);
	return take_file(&node, path, 0, a, e);
}

static void
assert_same_file(const char *name, int i, const char *sop_uid)
{
	char path[SPOOL_PATH], there[SPOOL_PATH], a[DIGEST_HEX], b[DIGEST_HEX];
	struct err e = { 0 };

	sample(name, i, path);
	spool_path(&node, sop_uid, there);
	assert_int_equal(digest_of_file(path, 0, a, &e), 0);
	assert_int_equal(digest_of_file(there, 0, b, &e), 0);
	assert_string_equal(a, b);
}

static int64_t
count(void)
{
	int64_t instances, studies;
	struct err e = { 0 };

	assert_int_equal(instances_count(node.db, &instances, &studies, &e), 0);
	return instances;
}

static size_t
spool_files(void)
{
	char path[SPOOL_PATH];
	size_t n = 0;

	for (unsigned i = 0; i < 256; i++) {
		DIR *d;
		snprintf(path, sizeof path, "%s/spool/%02x", settings->data_dir, i);
		d = opendir(path);
		assert_non_null(d);
		for (const struct dirent *f; (f = readdir(d)) != NULL;)
			n += f->d_name[0] != '.';
		closedir(d);
	}
	return n;
}

static void
a_new_instance_is_file_and_row(void **state)
{
	struct intake_answer a;
	struct instance_row row;
	struct series_row series;
	struct err e = { 0 };
	unsigned long rings = node.dispatch.rings;

	(void)state;
	if (take("flair", 0, &a, &e) != 0)
		fail_msg("%s", e.text);
	assert_false(a.known);
	assert_int_equal(a.dimse_status, 0);
	assert_string_equal(a.sop_uid, "2.25.1000");
	assert_string_equal(a.sop_class, "1.2.840.10008.5.1.4.1.1.4");
	assert_string_equal(a.study_uid, "2.25.1");
	assert_string_equal(a.series_uid, "2.25.10");
	assert_same_file("flair", 0, "2.25.1000");
	assert_int_equal(instances_get(node.db, "2.25.1000", &row, &e), 0);
	assert_false(row.ours);
	assert_int_equal(series_get(node.db, "2.25.10", &series, &e), 0);
	assert_int_equal(series.n_instances, 1);
	assert_true(node.dispatch.rings > rings);
	assert_int_equal(atomic_load(&node.n_received), 1);
}

static void
the_same_again_changes_nothing(void **state)
{
	struct intake_answer a;
	struct series_row before, after;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(take("flair", 0, &a, &e), 0);
	assert_int_equal(series_get(node.db, "2.25.10", &before, &e), 0);
	assert_int_equal(take("flair", 0, &a, &e), 0);
	assert_true(a.known);
	assert_int_equal(take("implicit", 0, &a, &e), 0); /* the same in another transfer syntax */
	assert_true(a.known);
	assert_int_equal(series_get(node.db, "2.25.10", &after, &e), 0);
	assert_int_equal(before.revision, after.revision);
	assert_int_equal(count(), 1);
	assert_same_file("flair", 0, "2.25.1000");
	assert_int_equal(atomic_load(&node.n_duplicates), 2);
}

static void
other_content_is_refused_and_the_first_stays(void **state)
{
	struct intake_answer a;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(take("flair", 0, &a, &e), 0);
	assert_int_equal(take("other", 0, &a, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(a.dimse_status, 0x0110);
	assert_string_equal(a.sop_uid, "2.25.1000");
	assert_same_file("flair", 0, "2.25.1000");
	assert_int_equal(count(), 1);
	assert_int_equal(atomic_load(&node.n_refused), 1);
}

/* The same pixels in the same place, but of somebody else, or meaning other values. */
static void
another_patient_or_scale_is_other_content(void **state)
{
	struct intake_answer a;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(take("flair", 0, &a, &e), 0);
	assert_int_equal(take("patient", 0, &a, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(take("scaled", 0, &a, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_same_file("flair", 0, "2.25.1000");
}

static void
alter(const char *path, long at)
{
	FILE *f = fopen(path, "r+b");
	int c;

	assert_non_null(f);
	assert_int_equal(fseek(f, at, SEEK_END), 0);
	c = fgetc(f);
	assert_int_equal(fseek(f, at, SEEK_END), 0);
	assert_int_equal(fputc(c ^ 1, f), c ^ 1);
	assert_int_equal(fclose(f), 0);
}

static void
a_lost_spool_file_comes_back(void **state)
{
	struct intake_answer a;
	char path[SPOOL_PATH];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(take("flair", 0, &a, &e), 0);
	spool_path(&node, "2.25.1000", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(take("other", 0, &a, &e), -1); /* other content does not take its place */
	assert_false(file_exists(path));
	assert_int_equal(take("flair", 0, &a, &e), 0);
	assert_true(a.known);
	assert_same_file("flair", 0, "2.25.1000");
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(take("flair", 0, &a, &e), 0);
	assert_same_file("flair", 0, "2.25.1000");
	alter(path, -10);
	assert_int_equal(take("flair", 0, &a, &e), 0);
	assert_same_file("flair", 0, "2.25.1000");
}

/* What a crash between rename and row leaves. */
static void
an_orphan_is_healed_or_replaced(void **state)
{
	struct intake_answer a;
	char from[SPOOL_PATH], path[SPOOL_PATH];
	struct err e = { 0 };

	(void)state;
	sample("flair", 0, from);
	spool_path(&node, "2.25.1000", path);
	copy_file(from, path);
	assert_int_equal(take("flair", 0, &a, &e), 0);
	assert_false(a.known);
	sample("flair", 1, from);
	spool_path(&node, "2.25.1001", path);
	copy_file(from, path);
	assert_int_equal(take("other", 1, &a, &e), 0);
	assert_false(a.known);
	assert_same_file("other", 1, "2.25.1001");
	assert_int_equal(count(), 2);
}

static void
requests_are_compared(void **state)
{
	static const struct { const char *sop_class, *sop_uid, *study_uid; unsigned status; } cases[] = {
		{ "1.2.840.10008.5.1.4.1.1.2", "2.25.1000", NULL, 0xA900 },
		{ "1.2.840.10008.5.1.4.1.1.4", "2.25.1001", NULL, 0xA900 },
		{ NULL, NULL, "2.25.2", 0xA900 },
		{ "1.2.840.10008.5.1.4.1.1.4", "2.25.1000", "2.25.1", 0 },
	};
	char from[SPOOL_PATH], tmp[SPOOL_PATH];
	struct intake_answer a;
	struct err e = { 0 };

	(void)state;
	sample("flair", 0, from);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct intake_file f = { .path = tmp, .sop_class = cases[i].sop_class, .sop_uid = cases[i].sop_uid, .study_uid = cases[i].study_uid };
		assert_int_equal(spool_tmp(&node, tmp, &e), 0);
		copy_file(from, tmp);
		assert_int_equal(intake_add(&node, &f, &a, &e), cases[i].status == 0 ? 0 : -1);
		assert_int_equal(a.dimse_status, cases[i].status);
		assert_false(file_exists(tmp));
		assert_string_equal(a.sop_uid, "2.25.1000");
		if (cases[i].status != 0) {
			assert_int_equal(e.code, ERR_INPUT);
			assert_int_equal(count(), 0);
		}
	}
	assert_int_equal(spool_files(), 1);
}

static void
what_is_no_dicom_is_refused(void **state)
{
	char tmp[SPOOL_PATH], from[SPOOL_PATH];
	struct intake_file f = { .path = tmp, .sop_class = "1.2.3", .sop_uid = "1.2.4" };
	struct intake_answer a;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(take_file(&node, "tests/unit/test_intake.c", 0, &a, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_int_equal(a.dimse_status, 0xC000);
	sample("flair", 0, from);
	for (off_t n = 0; n < 900; n += 100) {
		assert_int_equal(spool_tmp(&node, tmp, &e), 0);
		copy_file(from, tmp);
		assert_int_equal(truncate(tmp, n), 0);
		assert_int_equal(intake_add(&node, &f, &a, &e), -1);
		assert_int_equal(e.code, ERR_INPUT);
		assert_false(file_exists(tmp));
		assert_string_equal(a.sop_uid, "1.2.4"); /* what the command said is what the answer names */
	}
	assert_int_equal(count(), 0);
	assert_int_equal(spool_files(), 0);
}

static void
our_own_results_are_known_by_the_node_id(void **state)
{
	struct instance_row row;
	struct intake_answer a;
	char spec[120];
	const char *specs[2] = { spec, NULL };
	char studies[sizeof folder], path[SPOOL_PATH];
	struct err e = { 0 };

	(void)state;
	snprintf(spec, sizeof spec, "ours:n=1,base=5000,series=50,serial=%s", db_node_id(node.db));
	memcpy(studies, folder, sizeof folder);
	make_studies(specs); /* into a folder of its own */
	sample("ours", 0, path);
	assert_int_equal(take_file(&node, path, 0, &a, &e), 0);
	remove_studies();
	memcpy(folder, studies, sizeof folder);
	assert_int_equal(instances_get(node.db, "2.25.5000", &row, &e), 0);
	assert_true(row.ours);
	assert_int_equal(take("foreign", 0, &a, &e), 0); /* another node of this program */
	assert_int_equal(instances_get(node.db, a.sop_uid, &row, &e), 0);
	assert_false(row.ours);
}

/* Without a row nothing stays behind. */
static void
no_row_no_file(void **state)
{
	char tmp[SPOOL_PATH], from[SPOOL_PATH];
	struct intake_file f = { .path = tmp, .association = 4711 }; /* no such association: the row breaks a foreign key */
	struct intake_answer a;
	struct err e = { 0 };

	(void)state;
	sample("flair", 0, from);
	assert_int_equal(spool_tmp(&node, tmp, &e), 0);
	copy_file(from, tmp);
	assert_int_equal(intake_add(&node, &f, &a, &e), -1);
	assert_true(a.dimse_status != 0);
	assert_int_equal(count(), 0);
	assert_int_equal(spool_files(), 0);
}

/* ---- a full disk ---- */

/* The database's next writes fail, as on a full disk, or work again. */
static void
let_it_write(bool may)
{
	struct rlimit limit = { may ? RLIM_INFINITY : 1, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* An end that could not be recorded would hold the series open until the next start. */
static void
the_end_of_an_association_is_recorded_later(void **state)
{
	static const enum association_state expected[] = { ASSOCIATION_RELEASED, ASSOCIATION_ABORTED };
	struct series_row row;
	int64_t association;
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		unsigned long rings;
		association = take_series(&node, "flair", 0);
		rings = node.dispatch.rings;
		let_it_write(false);
		intake_close(&node, association, i == 0);
		assert_int_equal(intake_close_again(&node, &e), -1);
		assert_true(err_may_pass(e.code));
		let_it_write(true);
		assert_true(node.dispatch.rings > rings); /* who looks, tries again */
		assert_int_equal(series_get(node.db, "2.25.10", &row, &e), 0);
		assert_int_equal(row.association_state, ASSOCIATION_OPEN);
		assert_int_equal(intake_close_again(&node, &e), 0);
		assert_int_equal(series_get(node.db, "2.25.10", &row, &e), 0);
		assert_int_equal(row.association_state, expected[i]);
		assert_int_equal(intake_close_again(&node, &e), 0);
	}
	association = take_series(&node, "flair", 0);
	let_it_write(false);
	intake_close(&node, association, true);
	let_it_write(true); /* what is left at the end is let go with the node */
}

/* ---- races ---- */

enum { ROUNDS = 12 };

struct racer { const char *name; size_t won, known, refused; };

static void *
race(void *arg)
{
	struct racer *r = arg;
	struct intake_answer a;
	struct err e;

	for (int i = 0; i < ROUNDS; i++) {
		char path[SPOOL_PATH], tmp[SPOOL_PATH];
		struct intake_file f = { .path = tmp };
		sample(r->name, i, path);
		if (spool_tmp(&node, tmp, &e) != 0)
			return NULL;
		copy_file(path, tmp);
		if (intake_add(&node, &f, &a, &e) == 0)
			r->won += !a.known, r->known += a.known;
		else
			r->refused += e.code == ERR_STATE;
	}
	return NULL;
}

static void
whoever_is_first_wins_whole(void **state)
{
	struct racer racers[4] = { { .name = "many" }, { .name = "many" }, { .name = "many-other" }, { .name = "many-other" } };
	pthread_t threads[4];
	size_t won = 0, all = 0;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		won += racers[i].won;
		all += racers[i].won + racers[i].known + racers[i].refused;
	}
	assert_int_equal(won, ROUNDS);
	assert_int_equal(all, 4 * ROUNDS);
	assert_int_equal(count(), ROUNDS);
	for (int i = 0; i < ROUNDS; i++) { /* each file is the one that its row describes */
		char uid[DB_UID], path[SPOOL_PATH];
		struct instance_row row;
		struct attributes *a;
		struct err e = { 0 };
		snprintf(uid, sizeof uid, "2.25.%d", 3000 + i);
		assert_int_equal(instances_get(node.db, uid, &row, &e), 0);
		spool_path(&node, uid, path);
		a = attributes_load(path, &e);
		assert_non_null(a);
		assert_string_equal(attributes_header(a)->digest, row.digest);
		attributes_free(a);
	}
}

int
main(void)
{
	static const char *const specs[] = { "flair:n=4", "implicit:n=1,syntax=implicit", "other:n=2,add=5", "patient:n=1,patient=OTHER", "scaled:n=1,slope=2", "foreign:n=1,base=6000,series=60,serial=another-node",
		"many:n=12,base=3000,series=30", "many-other:n=12,base=3000,series=30,add=9", NULL };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_new_instance_is_file_and_row, open_node, close_node),
		cmocka_unit_test_setup_teardown(the_same_again_changes_nothing, open_node, close_node),
		cmocka_unit_test_setup_teardown(other_content_is_refused_and_the_first_stays, open_node, close_node),
		cmocka_unit_test_setup_teardown(another_patient_or_scale_is_other_content, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_lost_spool_file_comes_back, open_node, close_node),
		cmocka_unit_test_setup_teardown(an_orphan_is_healed_or_replaced, open_node, close_node),
		cmocka_unit_test_setup_teardown(requests_are_compared, open_node, close_node),
		cmocka_unit_test_setup_teardown(what_is_no_dicom_is_refused, open_node, close_node),
		cmocka_unit_test_setup_teardown(our_own_results_are_known_by_the_node_id, open_node, close_node),
		cmocka_unit_test_setup_teardown(no_row_no_file, open_node, close_node),
		cmocka_unit_test_setup_teardown(the_end_of_an_association_is_recorded_later, open_node, close_node),
		cmocka_unit_test_setup_teardown(whoever_is_first_wins_whole, open_node, close_node),
	};

	return RUN_WITH_STUDIES(specs, tests);
}
