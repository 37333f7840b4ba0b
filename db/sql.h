/* Inside db/ only: connections, cached statements, transactions, how SQLite's failures are said. A public function of this room reads
 *     s = sql_write(d, e) ... sql_run(s, "...", SQL_ARGS(...), e) ... return sql_write_end(s, result, e);
 * and so is one transaction. Statements are cached by text and reset by the end of the transaction: nobody finalizes. */
#pragma once
#include "db/db.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { SQL_CACHE = 256 /* slots, a power of two */, SQL_BUSY_MS = 10000, SQL_READERS = 16 };

struct sql {                             /* one connection, used by one thread at a time */
	struct db *db;
	sqlite3 *handle;
	sqlite3_stmt *cache[SQL_CACHE];      /* open addressing by a hash of the text */
	size_t n_cached;
	bool lazy;                           /* COMMIT does not wait for the disk now */
	struct sql *next;                    /* in the pool of idle readers */
};

struct instances_add;                    /* instances.c: one row that waits for its group's commit */
enum { DB_FILES = 3 };                   /* the file, its log, the log's index */
struct db {
	struct { char *path; dev_t device; ino_t inode; } place[DB_FILES]; /* what was opened */
	const char *path;                    /* place[0].path */
	char node_id[DB_NODE_ID];
	pthread_mutex_t write_lock;          /* held by whoever writes, from BEGIN to the end of COMMIT; guards writer */
	struct sql *writer;
	pthread_mutex_t pool_lock;           /* guards idle, n_readers */
	pthread_cond_t returned;
	struct sql *idle;
	size_t n_readers;
	pthread_mutex_t add_lock;            /* guards adds, adding, and the results in the list's members */
	pthread_cond_t added;
	struct instances_add *adds, **adds_end;
	bool adding;                         /* a thread is committing a group */
};

/* ---- schema.c ---- */
enum { SCHEMA_APPLICATION = 0x5345474E /* "SEGN" in the file's header: this is a database of ours */ };
extern const char *const schema_versions[];                 /* SQL text that leads from version i to i + 1; append only */
extern const int schema_newest;
int schema_apply(sqlite3 *h, const char *const *versions, int n, struct err *e); /* from the file's user_version to n, in one transaction */

/* ---- db_file.c ---- */
int db_prepare(const char *path, struct err *e);            /* the file is there, or is made */
int db_judge(sqlite3 *h, const char *path, enum db_health *health, struct err *e); /* -1 with DB_GOOD: it could not be read this time */

/* ---- connections ---- */
struct sql *sql_open(struct db *d, const char *path, int flags, struct err *e); /* borrows d; caller: sql_close */
void sql_close(struct sql *s);                              /* NULL is fine */
int sql_fail(sqlite3 *h, int rc, struct err *e);            /* says rc in words; -1 */
int sql_exec(sqlite3 *h, const char *text, struct err *e);  /* constant text without values */
int sql_exec_int(sqlite3 *h, const char *text, int64_t *value, struct err *e);

/* ---- transactions ---- */
struct sql *sql_read(struct db *d, struct err *e);          /* one snapshot; never waits for the writer. NULL on failure */
void sql_read_end(struct sql *s);
struct sql *sql_write(struct db *d, struct err *e);         /* takes the writer's turn, BEGIN IMMEDIATE. NULL on failure */
struct sql *sql_write_lazy(struct db *d, struct err *e);    /* the same for what may be lost when the power goes: COMMIT does not wait for the disk */
/* result 0: COMMIT, durable when this returns 0. Otherwise ROLLBACK, and e stays as the caller set it. Returns result, or -1 when COMMIT failed. */
int sql_write_end(struct sql *s, int result, struct err *e);
/* For sql_write_end: the row that this thread has attached (audit.h) goes into the transaction; and it was committed. */
int sql_audit(struct sql *s, struct err *e);
void sql_audited(const struct sql *s);

/* ---- statements ---- */
struct sql_value { enum { SQL_INT, SQL_TEXT, SQL_REAL } kind; int64_t integer; double real; const char *text; };
static inline struct sql_value sql_int(int64_t v) { return (struct sql_value){ .kind = SQL_INT, .integer = v }; }
static inline struct sql_value sql_real(double v) { return (struct sql_value){ .kind = SQL_REAL, .real = v }; }
static inline struct sql_value sql_text(const char *v /* NULL: null */) { return (struct sql_value){ .kind = SQL_TEXT, .text = v }; }
#define SQL_ARGS(...) (const struct sql_value[]){ __VA_ARGS__ }, sizeof((const struct sql_value[]){ __VA_ARGS__ }) / sizeof(struct sql_value)
#define SQL_NONE NULL, 0

/* Runs a statement that answers no rows. Texts are borrowed until it returns. Returns 0 or -1; how many rows it changed: sql_changes. */
int sql_run(struct sql *s, const char *text, const struct sql_value *values, size_t n, struct err *e);
int64_t sql_changes(const struct sql *s);
/* A statement with its values bound (texts borrowed until the last step); borrowed, valid until the transaction ends. NULL on failure. */
sqlite3_stmt *sql_query(struct sql *s, const char *text, const struct sql_value *values, size_t n, struct err *e);
int sql_step(sqlite3_stmt *q, struct err *e);               /* 1 a row, 0 the end (and reset), -1 */
typedef int sql_fill(sqlite3_stmt *q, void *element, struct err *e);
/* Every row through fill into a grown array of elements of `size` bytes; *rows and *n are right after a failure too. caller: free. */
int sql_collect(sqlite3_stmt *q, sql_fill *fill, size_t size, void **rows, size_t *n, struct err *e);
int sql_fill_int(sqlite3_stmt *q, void *element, struct err *e); /* a column of int64_t */

/* ---- a question as a whole: one read transaction ---- */
struct sql_ask { sql_fill *fill; size_t size; const char *text; const struct sql_value *values; size_t n; };
/* SQL_ASK(fill_series, struct series_row, "SELECT ...", SQL_ARGS(sql_text(uid))) */
#define SQL_ASK(fill, type, ...) (&(const struct sql_ask){ fill, sizeof(type), __VA_ARGS__ })
/* The first row into *out: 1, 0 there is none, -1. */
int sql_one(struct db *d, const struct sql_ask *ask, void *out, struct err *e);
/* All rows; rows is the address of a pointer to their type, NULL with *n 0 where there are none or it failed. Elements own nothing. caller: free. */
int sql_list(struct db *d, const struct sql_ask *ask, void *rows, size_t *n, struct err *e);
/* As sql_list, of elements that own something: caller frees those that there are, even when it failed. */
int sql_gather(struct db *d, const struct sql_ask *ask, void **rows, size_t *n, struct err *e);

/* ---- columns ---- */
/* At most size - 1 bytes and a terminator; a UTF-8 character that does not fit whole is left out. null gives "". */
void sql_copy(sqlite3_stmt *q, int column, char *out, size_t size);
#define SQL_COPY(q, column, array) sql_copy(q, column, array, sizeof(array))
int sql_dup(sqlite3_stmt *q, int column, char **out, struct err *e); /* null gives NULL; caller: free */
