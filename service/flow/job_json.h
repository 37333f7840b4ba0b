/* A job as people and scripts see it (DESIGN "HTTP"): REST and the command line print the same. */
#pragma once
#include "config/json.h"
#include "db/jobs.h"

/* caller: json_free. NULL: the database failed, or holds JSON that cannot be read. */
struct json *job_json(struct db *d, const struct job *j, struct err *e);
struct json *job_json_by_id(struct db *d, int64_t id, struct err *e);        /* ERR_NOT_FOUND */
