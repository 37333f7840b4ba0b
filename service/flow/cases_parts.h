/* Between cases.c (who fills a channel) and cases_jobs.c (what becomes of the jobs); nobody else's. */
#pragma once
#include "db/instances.h"
#include "model/manifest.h"
#include "service/flow/match.h"
#include "service/flow/precedence.h"

struct node;

struct member {                               /* a series of the study */
	struct series_row row;                /* as the database has it */
	enum series_state state;              /* the same, or what is about to be recorded */
	struct decision decision;             /* of the rules alone; reason: one line */
	char verdict[512];
	int place;                            /* of its rule; -1: fills nothing */
	struct candidate candidate;           /* of one that fills something; its texts are the member's */
};

struct study {
	struct node *node;
	const struct rules *rules;
	const char *study_uid;
	bool is_prospect;                     /* jobs are made but not yet moved */
	struct member *members;
	size_t n;
};

bool member_fits(const struct member *m, const char *channel);
const struct member *study_filler(const struct study *s, const char *channel); /* NULL = no series fits; borrowed */
bool model_takes(const struct manifest *m, const char *channel);
int  study_follow(struct study *s, const struct model_setting *setting, struct err *e); /* the job of this study for one model */
