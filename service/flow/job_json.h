/* A job as people and scripts see it (DESIGN "HTTP"): REST and the command line print the same. */
#pragma once
#include "config/json.h"
#include "db/jobs.h"

/* caller: json_free. NULL: the database failed, or holds JSON that cannot be read. */
struct json *job_json(struct db *d, const struct job *j, struct err *e);
/* Sets "reason" and "flags". flags: {FLAG: why} (NULL: none); reason NULL: there is no other, so why the first flag is there. */
void job_json_flags(struct json *o, const char *reason, const struct json *flags);
struct json *job_json_by_id(struct db *d, int64_t id, struct err *e);        /* ERR_NOT_FOUND */
