/* /metrics: Prometheus text format 0.0.4. Numbers only: no UID, no text from outside. */
#include "config/clock.h"
#include "config/file.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "db/retention.h"
#include "service/flow/node.h"
#include "service/http/handlers.h"
#include "service/http/problem.h"

#include <stdio.h>
#include <stdlib.h>

struct figures {
	int64_t jobs[JOB_N_STATES], deliveries[DELIVERY_N_STATES], oldest_delivery_ms /* 0: none is on its way */, instances, studies, bytes, free_mb;
};

static int
collect(struct node *n, struct figures *f, struct err *e)
{
	if (jobs_count(n->db, f->jobs, e) < 0 || deliveries_count(n->db, f->deliveries, &f->oldest_delivery_ms, e) < 0 || instances_count(n->db, &f->instances, &f->studies, e) < 0 ||
	    retention_bytes(n->db, &f->bytes, e) < 0)
		return -1;
	f->free_mb = file_free_mb(n->settings->data_dir, e);
	return f->free_mb < 0 ? -1 : 0;
}

static void
metric(FILE *out, const char *name, const char *type, const char *help, double value)
{
	fprintf(out, "# HELP segand_%s %s\n# TYPE segand_%s %s\nsegand_%s %.17g\n", name, help, name, type, name, value);
}

static void
print(FILE *out, const struct request *q, const struct figures *f)
{
	struct node *n = q->node;

	fprintf(out, "# HELP segand_build_info The program's version.\n# TYPE segand_build_info gauge\nsegand_build_info{version=\"%s\"} 1\n", SEGAN_VERSION);
	metric(out, "ready", "gauge", "1 when all doors are open.", q->is_ready ? 1 : 0);
	metric(out, "uptime_seconds", "gauge", "Seconds since the start.", (double)(clock_ms() - n->started_ms) / 1000.0);
	fprintf(out, "# HELP segand_jobs Jobs in each state.\n# TYPE segand_jobs gauge\n");
	for (int i = 0; i < JOB_N_STATES; i++)
		fprintf(out, "segand_jobs{state=\"%s\"} %lld\n", job_state_name((enum job_state)i), (long long)f->jobs[i]);
	fprintf(out, "# HELP segand_deliveries Deliveries in each state.\n# TYPE segand_deliveries gauge\n");
	for (int i = 0; i < DELIVERY_N_STATES; i++)
		fprintf(out, "segand_deliveries{state=\"%s\"} %lld\n", delivery_state_name((enum delivery_state)i), (long long)f->deliveries[i]);
	metric(out, "delivery_oldest_seconds", "gauge", "How long the oldest delivery that has not ended is being tried; 0 when none is.",
		f->oldest_delivery_ms == 0 ? 0 : (double)(clock_ms() - f->oldest_delivery_ms) / 1000.0);
	metric(out, "instances_received_total", "counter", "Instances taken in since the start, by any door.", (double)atomic_load(&n->n_received));
	metric(out, "instances_refused_total", "counter", "Instances refused since the start.", (double)atomic_load(&n->n_refused));
	metric(out, "instances_duplicate_total", "counter", "Instances received since the start that were here before.", (double)atomic_load(&n->n_duplicates));
	metric(out, "jobs_out_of_distribution_total", "counter", "Jobs since the start whose images are unlike those that the model was trained on: flagged or rejected.",
		(double)atomic_load(&n->n_strangers));
	metric(out, "instances", "gauge", "Instances known.", (double)f->instances);
	metric(out, "studies", "gauge", "Studies known.", (double)f->studies);
	metric(out, "spool_bytes", "gauge", "What the instances and the results of ended jobs take.", (double)f->bytes);
	metric(out, "instances_removed_total", "counter", "Instances that retention has removed since the start.", (double)atomic_load(&n->n_removed));
	metric(out, "disk_free_bytes", "gauge", "Free space where data_dir is.", (double)f->free_mb * 1048576.0);
	metric(out, "disk_reserve_bytes", "gauge", "Free space below which new instances are refused.", (double)n->settings->disk_reserve_mb * 1048576.0);
}

void
metrics_answer(struct request *q, struct reply *r)
{
	struct figures f;
	struct err e;
	char *text = NULL;
	size_t n = 0;
	FILE *out;

	if (collect(q->node, &f, &e) < 0) {
		problem_set(r, 503, "%s", e.text);
		return;
	}
	out = open_memstream(&text, &n);
	if (out)
		print(out, q, &f);
	if (!out || fclose(out) != 0) { /* tells of every failure before it, too */
		err_errno(&e, "metrics");
		free(text);
		problem_error(r, &e);
		return;
	}
	reply_text(r, 200, "text/plain; version=0.0.4; charset=utf-8", text);
}
