/* What the table of routes points to, one line a file. Each answers one request from its parts and fills the reply. */
#pragma once
#include "service/http/route.h"

void jobs_list_answer(struct request *q, struct reply *r);                  /* jobs.c */
void job_answer(struct request *q, struct reply *r);
void job_seg_answer(struct request *q, struct reply *r);
void job_report_answer(struct request *q, struct reply *r);
void job_preview_answer(struct request *q, struct reply *r);
void job_retry_answer(struct request *q, struct reply *r);
void job_cancel_answer(struct request *q, struct reply *r);
void job_give_up_answer(struct request *q, struct reply *r);
void series_decision_answer(struct request *q, struct reply *r);            /* series.c */
void session_answer(struct request *q, struct reply *r);                    /* sessions.c */
void session_open_answer(struct request *q, struct reply *r);
void session_end_answer(struct request *q, struct reply *r);
extern const struct upload_kind session_upload;
void audit_answer(struct request *q, struct reply *r);                      /* audit.c */
void models_answer(struct request *q, struct reply *r);                     /* models.c */
void metrics_answer(struct request *q, struct reply *r);                    /* metrics.c */
void health_answer(struct request *q, struct reply *r);                     /* health.c */
void ready_answer(struct request *q, struct reply *r);
void stow_answer(struct request *q, struct reply *r);                       /* stow.c */
extern const struct upload_kind stow_upload;
void rules_test_answer(struct request *q, struct reply *r);                 /* rules.c */
extern const struct upload_kind rules_test_upload;
