/* One attempt at one delivery: what the destination gets of a job and does not have yet, asked for first where there is doubt, sent, judged object by object.
 *
 * A SOP Instance UID never has two contents at one destination. The patient module of what goes to a destination follows that destination's own answer (ask_study):
 * an object joins its study as it is there, so two archives that know the patient differently each get their own, as they do with the images. The file that the job
 * made stays as it is; the copy for a destination is kept beside it, and every later try sends that copy again. It is made anew only while the destination surely
 * has none: never sent, refused, or asked for and not there. */
#pragma once
#include "db/deliveries.h"
#include "db/jobs.h"
#include "service/flow/node.h"

struct attempt {                       /* borrows all */
	struct node *node;
	const struct destination_setting *to;
	const atomic_bool *stopping;
	const struct job *job;
	const struct delivery *delivery;   /* sending */
};
struct verdict {
	enum delivery_state state;         /* DELIVERED, REFUSED, or WAITING for another try */
	int64_t retry_after_s;             /* the peer's wish; 0 = none */
	char text[512];                    /* the peer's words; of a warning, when DELIVERED */
};
void deliver_send(const struct attempt *a, struct verdict *v);
