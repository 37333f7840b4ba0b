/* When a series is quiet, and what it then is worth (DESIGN small print "Verdicts"). Called on the dispatch thread only. */
#pragma once
#include "db/instances.h"
#include "service/flow/match.h"

struct node;
/* When there is something to decide about an unsettled series if nothing more arrives; INT64_MAX: not before an association ends. */
int64_t settle_due_ms(const struct node *n, const struct series_row *row, int64_t now_ms);
/* Decides when it is due: verdict, job, row (compare-and-set on the revision), job again. *next_ms: when to look again; 0 = settled. -1: what may pass. */
int settle_series(struct node *n, const struct rules *r, const struct series_row *row, int64_t now_ms, int64_t *next_ms, struct err *e);
