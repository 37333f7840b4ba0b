/* Folders of models: order, what is in service, what is left out and told, what a check of the weights finds. */
#include "model/catalog.h"
#include "config/file.h"
#include "tests/unit/own_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define SHIPPED "model/shipped/glioma-flair/0.1.0"

static char roots[2][300];
static const char *const both[2] = { roots[0], roots[1] };

static int
set_up(void **state)
{
	assert_int_equal(folder_set_up(state), 0);
	for (int i = 0; i < 2; i++)
		snprintf(roots[i], sizeof roots[i], "%s/%d", folder, i);
	return 0;
}

static void
write_file(const char *dir, const char *leaf, const void *bytes, size_t n)
{
	struct err e;
	char path[500];

	assert_int_equal(file_make_dirs(dir, 0755, &e), 0);
	snprintf(path, sizeof path, "%s/%s", dir, leaf);
	assert_int_equal(file_write(path, bytes, n, &e), 0);
}

/* A manifest of that name and version in ROOT/name/as. */
static void
install(int root, const char *name, const char *version, const char *as)
{
	struct err e;
	char dir[400], *text = file_read(SHIPPED "/model.json", 1 << 20, &(size_t){ 0 }, &e), *changed = malloc(8192);
	const char *rest = strstr(text, "\"description\"");

	assert_non_null(changed);
	snprintf(changed, 8192, "{\"name\": \"%s\", \"version\": \"%s\", %s", name, version, rest);
	snprintf(dir, sizeof dir, "%s/%s/%s", roots[root], name, as);
	write_file(dir, "model.json", changed, strlen(changed));
	free(text);
	free(changed);
}

static void
put_in_service(int root, const char *name, const char *line)
{
	char dir[400];

	snprintf(dir, sizeof dir, "%s/%s", roots[root], name);
	write_file(dir, "in-service", line, strlen(line));
}

static const char *
found(const struct catalog *c, const char *name)
{
	struct err e = { 0 };
	const struct catalog_entry *entry = catalog_find(c, name, &e);

	return entry ? entry->manifest.version : NULL;
}

static void
numbers_are_compared_as_numbers(void **state)
{
	static const char *const order[] = { "2.0.0", "0.10.0", "0.9.12", "0.9.2" };
	struct err e = { 0 };
	struct catalog *c;

	(void)state;
	for (size_t i = 4; i-- > 0;)
		install(0, "b", order[(i * 3) % 4], order[(i * 3) % 4]);
	install(0, "a", "1.0", "1.0");
	c = catalog_open(both, 2, &e);           /* the second root is not there: no problem */
	assert_non_null(c);
	assert_int_equal(catalog_size(c), 5);
	assert_string_equal(catalog_at(c, 0)->manifest.name, "a");
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(catalog_at(c, i + 1)->manifest.version, order[i]);
		assert_int_equal(catalog_at(c, i + 1)->in_service, i == 0);
	}
	assert_null(catalog_problem(c, 0));
	assert_string_equal(found(c, "b"), "2.0.0");
	assert_string_equal(found(c, "b@0.9.2"), "0.9.2");
	assert_null(found(c, "b@"));
	assert_null(found(c, "b@0.9"));
	assert_null(found(c, ""));
	catalog_free(c);
}

static void
in_service_decides(void **state)
{
	struct err e = { 0 };
	struct catalog *c;

	(void)state;
	put_in_service(1, "b", "0.9.12\n");
	put_in_service(0, "a", "7.7\n");
	c = catalog_open(both, 2, &e);
	assert_non_null(c);
	assert_string_equal(found(c, "b"), "0.9.12");
	assert_string_equal(found(c, "a"), "1.0");     /* not installed: the highest, and it is told */
	assert_non_null(strstr(catalog_problem(c, 0), "7.7"));
	put_in_service(0, "b", "0.10.0");              /* the earlier root wins */
	catalog_free(c);
	c = catalog_open(both, 2, &e);
	assert_string_equal(found(c, "b"), "0.10.0");
	catalog_free(c);
}

static void
bad_folders_are_told(void **state)
{
	struct err e = { 0 };
	struct catalog *c;
	char dir[400];

	(void)state;
	install(1, "c", "1.0", "2.0");                 /* folder and manifest disagree */
	install(1, "a", "1.0", "1.0");                 /* hidden by the first root's: no problem */
	snprintf(dir, sizeof dir, "%s/d/1.0", roots[1]);
	write_file(dir, "model.json", "{", 1);
	snprintf(dir, sizeof dir, "%s/empty/1.0", roots[1]);
	write_file(dir, "README", "", 0);
	c = catalog_open(both, 2, &e);
	assert_non_null(c);
	assert_int_equal(catalog_size(c), 5);
	assert_non_null(strstr(catalog_find(c, "a", &e)->manifest.dir, roots[0]));
	assert_non_null(catalog_problem(c, 0));
	assert_non_null(catalog_problem(c, 1));
	assert_non_null(catalog_problem(c, 2));        /* and a's in-service of before */
	assert_null(catalog_problem(c, 3));
	assert_null(catalog_find(c, "zebra", &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "zebra"));
	assert_non_null(strstr(e.text, "b@2.0.0"));
	catalog_free(c);
}

static void
check_reads_the_weights(void **state)
{
	struct manifest m;
	struct err e = { 0 };
	size_t n;
	char *bytes = file_read(SHIPPED "/weights.safetensors", 1 << 24, &n, &e);

	(void)state;
	assert_non_null(bytes);
	assert_int_equal(manifest_load(SHIPPED, &m, &e), 0);
	assert_int_equal(catalog_check(&m, &e), 0);

	m.network.width = 8;                           /* the same file, another network */
	assert_int_equal(catalog_check(&m, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_non_null(strstr(e.text, "segmentor.enc1.conv.weight has another shape"));
	m.network.kind = NETWORK_UNET;
	assert_int_equal(catalog_check(&m, &e), -1);
	assert_non_null(strstr(e.text, "is not part of this network"));

	assert_int_equal(manifest_load(SHIPPED, &m, &e), 0);
	snprintf(m.dir, sizeof m.dir, "%s/copy", folder);
	assert_int_equal(catalog_check(&m, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	bytes[n - 1] ^= 1;
	write_file(m.dir, "weights.safetensors", bytes, n);
	assert_int_equal(catalog_check(&m, &e), -1);
	assert_non_null(strstr(e.text, "SHA-256"));
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_compared_as_numbers), cmocka_unit_test(in_service_decides),
		cmocka_unit_test(bad_folders_are_told), cmocka_unit_test(check_reads_the_weights),
	};

	return cmocka_run_group_tests(tests, set_up, folder_tear_down);
}
