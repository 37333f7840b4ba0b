/* Files that survive: atomic replace, fsync in the right order, walk, free space. */
#pragma once
#include "config/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whole file into memory with a terminating 0 behind n bytes. ERR_NOT_FOUND, ERR_LIMIT over max_bytes, ERR_IO. caller: free. */
char *file_read(const char *path, size_t max_bytes, size_t *n, struct err *e);
/* n bytes of an open file of known size. ERR_INPUT: it has become shorter. The caller says which file. */
int file_read_at(int fd, uint64_t at, void *bytes, size_t n, struct err *e);
/* path appears whole or not at all: temporary name beside it, fsync, rename, fsync of the folder. ERR_INPUT when path is a device, a pipe or a folder. */
int file_write(const char *path, const void *bytes, size_t n, struct err *e);
/* fsync of a written file, rename to its place, fsync of the folder it comes to. from and to in one file system. ERR_INPUT as file_write. */
int file_commit(const char *from, const char *to, struct err *e);
/* A new file with the bytes and the time of another. Not synced: file_sync_all, once for all of them. ERR_IO when to is there. */
int file_copy(const char *from, const char *to, struct err *e);
int file_sync_all(const char *dir, struct err *e);                           /* everything of the file system that dir is on */
int file_sync_dir(const char *dir, struct err *e);                           /* fsync of a folder */
int file_make_dirs(const char *dir, unsigned mode, struct err *e);           /* mkdir -p; a new folder's parent is synced */
bool file_exists(const char *path);
int file_remove_tree(const char *dir, struct err *e);                        /* removes a folder and all below; absent is fine; follows no link */
/* Calls fn for every regular file below dir (dir may also be one file), sorted by path, no links below it followed; fn returning nonzero ends the walk with that value. */
int file_walk(const char *dir, int (*fn)(void *arg, const char *path, struct err *e), void *arg, struct err *e);
int64_t file_free_mb(const char *dir, struct err *e);                        /* what a user without privilege may still write, MiB; -1 */

#ifdef __cplusplus
}
#endif
