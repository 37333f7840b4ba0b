/* /health: the process answers. /ready: all doors are open, and what comes in can be kept. */
#include "db/jobs.h"
#include "service/flow/node.h"
#include "service/flow/spool.h"
#include "service/http/handlers.h"
#include "service/http/problem.h"

void
health_answer(struct request *q, struct reply *r)
{
	struct json *o = json_new_object();

	(void)q;                                                    /* alive is alive, whatever else is wrong */
	json_set_string(o, "status", "ok");
	json_set_string(o, "version", SEGAN_VERSION);
	reply_json(r, 200, o);
}

void
ready_answer(struct request *q, struct reply *r)
{
	int64_t by_state[JOB_N_STATES];
	struct json *o;
	struct err e;

	if (!q->is_ready) {
		problem_set(r, 503, "starting: not all doors are open yet");
		return;
	}
	if (db_in_place(q->node->db, &e) < 0 || jobs_count(q->node->db, by_state, &e) < 0 || spool_is_open(q->node, &e) < 0 || spool_has_room(q->node, &e) < 0) {
		problem_set(r, 503, "%s", e.text);
		return;
	}
	o = json_new_object();
	json_set_string(o, "status", "ready");
	reply_json(r, 200, o);
}
