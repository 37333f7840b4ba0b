/* The worker protocol: JSON, one line a message. In: an order. Out: {"progress": 0.5} lines, then one {"result": {...}} or {"error": {...}}. */
#pragma once
#include "config/json.h"
#include "service/flow/segment.h"

struct order {
	int64_t job, attempt, created_ms, threads, cpu_seconds;
	char model_dir[1024], out_dir[1200], identity[2048], node_id[129];
	struct segment_channel channels[MODEL_MAX_CHANNELS]; /* paths owned by the order */
	size_t n_channels;
	unsigned results;                                                             /* what to make: RESULT_SETs */
	bool empty_report, rejects_strangers;
};

void  order_release(struct order *o);
char *order_print(const struct order *o, struct err *e);                          /* one line without its end; caller: free */
int   order_parse(const char *line, size_t n, struct order *out, struct err *e);  /* caller: order_release, whatever comes back */

/* What came out. kind PROGRESS: progress; RESULT: texts and flags; ERROR: error. */
enum answer_kind { ANSWER_PROGRESS, ANSWER_RESULT, ANSWER_ERROR };
struct answer {
	enum answer_kind kind;
	double progress;
	bool present;
	char *flags, *segments, *results, *timings;                                   /* JSON texts; owned. flags: of an error too, NULL: none */
	struct err error;
};
void  answer_release(struct answer *a);
char *answer_progress(double progress, struct err *e);                            /* caller: free */
char *answer_result(const struct segment_result *r, struct err *e);
char *answer_error(const struct err *error, const struct segment_result *r /* its flags */, struct err *e);
/* ERR_PEER for what is no answer: the process is broken, another may do better. caller: answer_release, whatever comes back. */
int   answer_parse(const char *line, size_t n, struct answer *out, struct err *e);
