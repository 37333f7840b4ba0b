/* Lock and name of a data_dir. The lock is flock's on a file that holds the process's number while it works, or the word "search": what is in the file when the lock
 * is free says how the last one ended. A worker never inherits it. */
#include "service/flow/data_dir.h"

#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH = 1200, PID = 24 };

static const char search[] = "search\n";

/* In this order: at no moment is the file empty, as one that was closed in good order is. */
static int
say(int fd, const char *text, struct err *e)
{
	size_t n = strlen(text);

	if (pwrite(fd, text, n, 0) != (ssize_t)n || ftruncate(fd, (off_t)n) != 0 || fsync(fd) != 0)
		return err_errno(e, "writing the lock of the data_dir");
	return 0;
}

static int
say_pid(int fd, struct err *e)
{
	char text[PID];

	snprintf(text, sizeof text, "%ld\n", (long)getpid());
	return say(fd, text, e);
}

static int
take(int fd, const char *dir, enum data_dir_end *before, struct err *e)
{
	char text[PID] = "";

	bool is_held = flock(fd, LOCK_EX | LOCK_NB) != 0;

	if (is_held && errno != EWOULDBLOCK)
		return err_errno(e, "locking %s/lock", dir);
	if (pread(fd, text, sizeof text - 1, 0) < 0)
		return err_errno(e, "reading %s/lock", dir);
	if (is_held)
		return err_set(e, ERR_STATE, "another process of segand or segan (%.*s) works in %s: stop it, or use a data_dir of its own for each",
		    (int)strspn(text, "0123456789"), text, dir);
	*before = text[0] == 0 ? DATA_DIR_CLOSED : text[0] == search[0] ? DATA_DIR_SEARCHING : DATA_DIR_KILLED;
	return *before == DATA_DIR_SEARCHING ? 0 : say_pid(fd, e);
}

int
data_dir_lock(const char *dir, enum data_dir_end *before, struct err *e)
{
	char path[PATH];
	int fd;

	snprintf(path, sizeof path, "%s/lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, "opening %s", path);
	if (take(fd, dir, before, e) == 0)
		return fd;
	close(fd);
	return -1;
}

int
data_dir_search(int lock, bool begins, struct err *e)
{
	return begins ? say(lock, search, e) : say_pid(lock, e);
}

bool
data_dir_is_closed(const char *dir)
{
	char path[PATH];
	struct stat st;

	snprintf(path, sizeof path, "%s/lock", dir);
	return stat(path, &st) != 0 || st.st_size == 0;
}

void
data_dir_unlock(int lock, bool is_closed)
{
	if (is_closed && ftruncate(lock, 0) != 0)
		is_closed = false; /* the next start looks closer than it would have to */
	close(lock);
}

static void
node_id_path(const char *dir, char path[PATH])
{
	snprintf(path, PATH, "%s/node-id", dir);
}

int
data_dir_node_id(const char *dir, char id[DATA_DIR_ID], struct err *e)
{
	char path[PATH], *text;
	size_t n = 0, length;

	node_id_path(dir, path);
	text = file_read(path, 4096, &n, e);
	if (text == NULL)
		return -1;
	length = strspn(text, "0123456789abcdef");
	if (length != DATA_DIR_ID - 1 || (text[length] != '\n' && text[length] != 0)) {
		free(text);
		return err_set(e, ERR_STATE, "%s holds no node id (32 hexadecimal digits): put it back from a backup; without it `segan spool reindex` takes that of the database", path);
	}
	snprintf(id, DATA_DIR_ID, "%.32s", text);
	free(text);
	return 0;
}

int
data_dir_set_node_id(const char *dir, const char *id, struct err *e)
{
	char path[PATH], text[DATA_DIR_ID + 1];

	node_id_path(dir, path);
	snprintf(text, sizeof text, "%s\n", id);
	return file_write(path, text, strlen(text), e);
}
