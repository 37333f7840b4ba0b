/* The job table is the queue. Every move is a compare-and-set: WHERE id AND state AND attempt. Every move leaves a line in the job's history. */
#pragma once
#include "db/db.h"

#include <stdbool.h>
#include <stddef.h>

enum job_state { JOB_RECEIVING, JOB_QUEUED, JOB_RUNNING, JOB_DELIVERING, JOB_DONE, JOB_FAILED, JOB_REJECTED, JOB_CANCELLED, JOB_N_STATES };
const char *job_state_name(enum job_state s);                      /* static */
bool job_state_parse(const char *name, enum job_state *out);
bool job_state_is_final(enum job_state s);

struct job {                                                       /* texts are owned by the job; NULL = null */
	int64_t id;
	enum job_state state;
	char study_uid[65], model_name[65], model_version[65], model_digest[65], priority[9] /* high|normal|low */;
	char epoch[17];                                                /* of the database when the job was made (db_begin_epoch); "" = the first */
	int64_t case_version, run, attempt, created_ms, started_ms /* 0 = not yet */, finished_ms, replaces /* job id, 0 = none */;
	int64_t removed_ms;                                            /* when retention removed its results and its study's images; 0 = not. Such a job moves no more */
	double progress;
	char *channels;                                                /* JSON object: channel -> series UID */
	char *fingerprint;                                             /* of the instances that fill the channels; NULL while receiving */
	char *reason, *finding;
	char *flags, *segments, *results, *timings;                    /* JSON, as in DESIGN "HTTP"; but flags: {FLAG: why} ([] in old rows) */
};
void job_release(struct job *j);                                   /* frees the texts */
void jobs_free(struct job *jobs, size_t n);

/* ---- making ---- */
/* In j->state (receiving or queued), attempt 0; priority "" = normal; run 0 = the next run of this study, model and case version. A queued job that replaces
 * another takes its inputs over, and its channels and fingerprint where j has none. ERR_STATE when such a job is there already, or when retention has removed what
 * it would read. */
int jobs_create(struct db *d, const struct job *j, int64_t *id, struct err *e);
int jobs_get(struct db *d, int64_t id, struct job *out, struct err *e);          /* ERR_NOT_FOUND; caller: job_release */
/* The newest job of a study and model name (highest case_version, then run). ERR_NOT_FOUND. caller: job_release. */
int jobs_latest(struct db *d, const char *study_uid, const char *model_name, struct job *out, struct err *e);

struct job_filter { bool has_state; enum job_state state; const char *study_uid, *model /* NAME or NAME@VERSION */; int64_t since_ms, before_id /* cursor, 0 = from the newest */; size_t limit; };
int jobs_list(struct db *d, const struct job_filter *f, struct job **jobs, size_t *n, struct err *e); /* newest first; caller: jobs_free */
int jobs_count(struct db *d, int64_t by_state[JOB_N_STATES], struct err *e);

/* ---- moving ---- */
/* inputs: the SOP Instance UIDs that the job will read, per channel; fixed from here on. receiving -> queued. */
struct job_input { char channel[33], sop_uid[65]; };
int jobs_queue(struct db *d, int64_t id, const char *channels, const char *fingerprint, const struct job_input *inputs, size_t n, const char *cause, struct err *e);
int jobs_inputs(struct db *d, int64_t id, struct job_input **inputs, size_t *n, struct err *e);      /* in the order given; caller: free */
/* A queued job whose inputs changed before it ran: queued -> receiving, without inputs and fingerprint. ERR_STATE when it no longer is queued. */
int jobs_unqueue(struct db *d, int64_t id, const char *cause, struct err *e);
int jobs_channels(struct db *d, int64_t id, const char *channels, struct err *e);                    /* of a receiving job */
/* The next queued job that may be tried now (priority, then age): queued -> running, attempt + 1. ERR_NOT_FOUND when there is none. caller: job_release. */
int jobs_claim(struct db *d, struct job *out, struct err *e);
/* running -> queued (another attempt), or failed when attempt >= max_attempts or !may_pass. */
int jobs_attempt_failed(struct db *d, int64_t id, int64_t attempt, bool may_pass, int64_t max_attempts, const char *reason, struct err *e);
enum { JOB_REST_MAX_MS = 300000 }; /* one that is to rest for longer was told so before the clock was set back: it may be claimed */
/* Of a running attempt that will fail: not claimed again before that time. */
int jobs_rest(struct db *d, int64_t id, int64_t attempt, int64_t until_ms, struct err *e);
/* An attempt that failed through no fault of the job, by the node's own end or its disk: running -> queued, and it does not count. */
int jobs_interrupted(struct db *d, int64_t id, int64_t attempt, const char *reason /* NULL: the node was stopped */, struct err *e);
/* When the next queued job may be claimed (0: now), INT64_MAX: none is queued. */
int jobs_next_ms(struct db *d, int64_t *next_ms, struct err *e);
struct job_outcome { const char *finding, *flags, *segments, *results, *timings; };                  /* JSON texts */
/* running -> delivering with one delivery a destination, or -> done when there are none. */
int jobs_computed(struct db *d, int64_t id, int64_t attempt, const struct job_outcome *o, const char *const *destinations, size_t n, struct err *e);
int jobs_progress(struct db *d, int64_t id, int64_t attempt, double progress, struct err *e);
int jobs_flags(struct db *d, int64_t id, int64_t attempt, const char *flags, struct err *e);        /* of an attempt that will have no outcome */
/* Deliveries that wait are given up. */
int jobs_end(struct db *d, int64_t id, enum job_state from, enum job_state to /* rejected, failed, cancelled */, const char *reason, struct err *e);
/* A failed job that was not computed: failed -> queued, for one attempt more. ERR_STATE otherwise (computed: deliveries_retry). */
int jobs_retry(struct db *d, int64_t id, const char *cause, struct err *e);
int jobs_timing(struct db *d, int64_t id, const char *timings, struct err *e);
/* A computed job that this database does not know, as it was: done where it had no destination, else failed with deliveries that are given up, because nobody knows
 * whether they arrived (deliveries_retry sends the same objects again). The reason says both. ERR_STATE: its number or its run is another job's here. */
int jobs_restore(struct db *d, const struct job *j, const struct job_input *inputs, size_t n_inputs, const char *const *destinations, size_t n_destinations, struct err *e);
/* At start: running -> queued, or failed when attempt >= max_attempts. */
int jobs_recover(struct db *d, int64_t max_attempts, struct err *e);

struct job_event { int64_t time_ms; char state[17], cause[256]; };
int jobs_history(struct db *d, int64_t id, struct job_event **events, size_t *n, struct err *e);     /* oldest first; caller: free */
