/* Files: whole or not at all, walks and removals that follow no link, a disk that is full (RLIMIT_FSIZE stands in for it). */
#include "config/file.h"

#include "tests/unit/syncs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char root[64];

static int
set_up(void **state)
{
	(void)state;
	snprintf(root, sizeof root, "/tmp/test_file.XXXXXX");
	return mkdtemp(root) == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	struct err e;

	(void)state;
	return file_remove_tree(root, &e);
}

/* A path under root; the result is overwritten four calls later. */
static const char *
in_root(const char *name)
{
	static char paths[4][300];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof paths[0], "%s/%s", root, name);
	return path;
}

static void
expect_content(const char *path, const char *wanted)
{
	struct err e;
	size_t n;
	char *text = file_read(path, 1000, &n, &e);

	assert_non_null(text);
	assert_int_equal(n, strlen(wanted));
	assert_string_equal(text, wanted);
	free(text);
}

struct list {
	char text[1000];
	int stop_after;
};

static int
note_path(void *arg, const char *path, struct err *e)
{
	struct list *l = arg;
	size_t n = strlen(l->text);

	snprintf(l->text + n, sizeof l->text - n, "%s ", path + strlen(root));
	if (l->stop_after > 0 && --l->stop_after == 0)
		return err_set(e, ERR_STATE, "enough");
	return 0;
}

static void
expect_files(const char *dir, const char *wanted)
{
	struct list l = { .text = "" };
	struct err e;

	assert_int_equal(file_walk(dir, note_path, &l, &e), 0);
	assert_string_equal(l.text, wanted);
}

static void
written_files_are_read_back(void **state)
{
	struct err e;
	size_t n;
	struct stat st;

	(void)state;
	umask(022);
	assert_int_equal(file_write(in_root("a"), "one", 3, &e), 0);
	expect_content(in_root("a"), "one");
	assert_int_equal(file_write(in_root("a"), "two!", 4, &e), 0);
	expect_content(in_root("a"), "two!");
	assert_int_equal(stat(in_root("a"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(file_write(in_root("empty"), "", 0, &e), 0);
	expect_content(in_root("empty"), "");
	expect_files(root, "/a /empty ");
	assert_null(file_read(in_root("a"), 3, &n, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	assert_null(file_read(in_root("absent"), 3, &n, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_null(file_read(root, 3, &n, &e));
	assert_int_equal(e.code, ERR_IO);
}

static void
a_part_of_a_file_is_read_whole_or_refused(void **state)
{
	struct err e;
	char part[4] = "";
	int fd;

	(void)state;
	assert_int_equal(file_write(in_root("part"), "0123456789", 10, &e), 0);
	fd = open(in_root("part"), O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(file_read_at(fd, 3, part, 3, &e), 0);
	assert_string_equal(part, "345");
	assert_int_equal(file_read_at(fd, 10, part, 0, &e), 0);
	errno = ENOSPC; /* of an earlier call: not the reason */
	assert_int_equal(file_read_at(fd, 8, part, 3, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_non_null(strstr(e.text, "shorter"));
	close(fd);
	assert_int_equal(file_read_at(fd, 0, part, 3, &e), -1);
	assert_int_equal(e.code, ERR_IO);
}

static void
files_without_a_size_are_read_within_the_bound(void **state)
{
	struct err e;
	size_t n;
	char *text = file_read("/proc/self/maps", 1 << 20, &n, &e);

	(void)state;
	assert_non_null(text);
	assert_true(n > 1000 && strlen(text) == n);
	free(text);
	assert_null(file_read("/proc/self/maps", 10, &n, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	assert_null(file_read("/dev/zero", 100000, &n, &e));
	assert_int_equal(e.code, ERR_LIMIT);
}

static void
writing_replaces_only_files(void **state)
{
	struct err e = { 0 };
	struct stat st;
	char written[1024];

	(void)state;
	assert_int_equal(mkfifo(in_root("pipe"), 0600), 0); /* as a device would be, were it replaced the machine would suffer */
	assert_int_equal(file_write(in_root("pipe"), "x", 1, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_int_equal(file_write(in_root("written"), "x", 1, &e), 0);
	snprintf(written, sizeof written, "%s", in_root("written"));
	assert_int_equal(file_commit(written, in_root("pipe"), &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_int_equal(stat(in_root("pipe"), &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_int_equal(file_write(root, "x", 1, &e), -1);
	assert_int_equal(file_write(in_root("no/such/folder"), "x", 1, &e), -1);
	assert_int_equal(file_write("", "x", 1, &e), -1);
}

static void
a_full_disk_leaves_no_half_file(void **state)
{
	struct rlimit old, small;
	char block[5000];
	struct err e = { 0 };
	int result;

	(void)state;
	memset(block, 'x', sizeof block);
	assert_int_equal(file_write(in_root("keep"), "old", 3, &e), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 4096; /* the second part of the write fails */
	setrlimit(RLIMIT_FSIZE, &small);
	result = file_write(in_root("keep"), block, sizeof block, &e);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(result, -1);
	assert_non_null(strstr(e.text, "writing "));
	expect_content(in_root("keep"), "old");
	expect_files(root, "/keep ");
}

static void
commit_moves_a_file(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(file_make_dirs(in_root("x/y"), 0700, &e), 0);
	assert_int_equal(file_write(in_root("from"), "new", 3, &e), 0);
	assert_int_equal(file_write(in_root("x/y/to"), "old", 3, &e), 0);
	assert_int_equal(file_commit(in_root("from"), in_root("x/y/to"), &e), 0);
	expect_content(in_root("x/y/to"), "new");
	expect_files(root, "/x/y/to ");
	assert_int_equal(file_commit(in_root("from"), in_root("x/y/to"), &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(file_sync_dir(in_root("x/y"), &e), 0);
	assert_int_equal(file_sync_dir(in_root("x/y/to"), &e), -1);
}

/* Content before the name, the name before success: what is there after a power cut is whole. */
static void
what_is_said_to_be_there_is_synced(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(file_make_dirs(in_root("s"), 0700, &e), 0);
	assert_true(synced(root, NULL));
	assert_int_equal(file_write(in_root("s/a"), "new", 3, &e), 0);
	assert_true(synced(in_root("s/a.tmp-"), in_root("s")));
	assert_int_equal(file_commit(in_root("s/a"), in_root("s/b"), &e), 0);
	assert_true(synced(in_root("s/a"), in_root("s")));
}

static void
folders_are_made(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(file_make_dirs(in_root("a//b/c/"), 0700, &e), 0);
	assert_true(file_exists(in_root("a/b/c")));
	assert_int_equal(file_make_dirs(in_root("a/b/c"), 0700, &e), 0);
	assert_int_equal(file_write(in_root("a/f"), "", 0, &e), 0);
	assert_int_equal(file_make_dirs(in_root("a/f"), 0700, &e), -1);
	assert_int_equal(file_make_dirs(in_root("a/f/g"), 0700, &e), -1);
	assert_int_equal(file_make_dirs("", 0700, &e), -1);
	assert_int_equal(file_make_dirs("/", 0700, &e), 0);
}

static void
links_are_not_followed(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(file_make_dirs(in_root("tree/sub"), 0700, &e), 0);
	assert_int_equal(file_make_dirs(in_root("precious"), 0700, &e), 0);
	assert_int_equal(file_write(in_root("precious/p"), "", 0, &e), 0);
	assert_int_equal(symlink(in_root("precious"), in_root("tree/link")), 0);
	assert_int_equal(symlink(in_root("precious/p"), in_root("tree/sub/link")), 0);
	assert_int_equal(symlink("..", in_root("tree/sub/loop")), 0);
	expect_files(in_root("tree"), "");
	assert_int_equal(symlink(in_root("precious"), in_root("door")), 0);
	expect_files(in_root("door"), "/door/p "); /* a link that is named itself is followed */
	assert_int_equal(file_remove_tree(in_root("tree"), &e), 0);
	assert_false(file_exists(in_root("tree")));
	assert_true(file_exists(in_root("precious/p")));
	assert_int_equal(file_remove_tree(in_root("door"), &e), 0);
	assert_true(file_exists(in_root("precious/p")));
	assert_int_equal(file_remove_tree(in_root("absent"), &e), 0);
	assert_int_equal(file_remove_tree(in_root("precious/p"), &e), 0);
	assert_false(file_exists(in_root("precious/p")));
}

static void
walks_are_sorted_and_can_stop(void **state)
{
	struct list l = { .text = "", .stop_after = 2 };
	struct err e;

	(void)state;
	assert_int_equal(file_make_dirs(in_root("b"), 0700, &e), 0);
	assert_int_equal(file_write(in_root("c"), "", 0, &e), 0);
	assert_int_equal(file_write(in_root("b/2"), "", 0, &e), 0);
	assert_int_equal(file_write(in_root("b/1"), "", 0, &e), 0);
	assert_int_equal(file_write(in_root("a"), "", 0, &e), 0);
	expect_files(root, "/a /b/1 /b/2 /c ");
	expect_files(in_root("c"), "/c ");
	assert_int_equal(file_walk(root, note_path, &l, &e), -1);
	assert_string_equal(l.text, "/a /b/1 ");
	assert_string_equal(e.text, "enough");
	assert_int_equal(file_walk(in_root("absent"), note_path, &l, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void
free_space_is_known(void **state)
{
	struct err e;

	(void)state;
	assert_true(file_free_mb(root, &e) >= 0);
	assert_int_equal(file_free_mb(in_root("absent"), &e), -1);
}

static void
copies_have_bytes_and_time_and_replace_nothing(void **state)
{
	static char big[300000];
	struct stat from, to;
	struct err e;
	size_t n;
	char *read;

	(void)state;
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)(i * 31 >> 3);
	assert_int_equal(file_write(in_root("a"), big, sizeof big, &e), 0);
	assert_int_equal(utimensat(AT_FDCWD, in_root("a"), (const struct timespec[2]) { { 5, 0 }, { 1000, 7 } }, 0), 0);
	assert_int_equal(file_copy(in_root("a"), in_root("b"), &e), 0);
	read = file_read(in_root("b"), sizeof big, &n, &e);
	assert_int_equal(n, sizeof big);
	assert_memory_equal(read, big, n);
	free(read);
	assert_int_equal(stat(in_root("a"), &from), 0);
	assert_int_equal(stat(in_root("b"), &to), 0);
	assert_int_equal(to.st_mtim.tv_sec, 1000);
	assert_int_equal(to.st_mode & 0777, 0600);
	assert_int_equal(file_copy(in_root("a"), in_root("b"), &e), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_int_equal(file_copy(in_root("none"), in_root("c"), &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	expect_files(root, "/a /b ");
	assert_int_equal(file_sync_all(root, &e), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(written_files_are_read_back), TEST(a_part_of_a_file_is_read_whole_or_refused),
		TEST(files_without_a_size_are_read_within_the_bound), TEST(writing_replaces_only_files),
		TEST(a_full_disk_leaves_no_half_file), TEST(commit_moves_a_file), TEST(what_is_said_to_be_there_is_synced), TEST(folders_are_made), TEST(links_are_not_followed),
		TEST(walks_are_sorted_and_can_stop), TEST(free_space_is_known), TEST(copies_have_bytes_and_time_and_replace_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
