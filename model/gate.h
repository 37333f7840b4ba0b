/* Whether an evaluation (the JSON of segan evaluate) allows a promotion: these two models, cases that are held back, and a better mean Dice over them. */
#pragma once
#include "config/digest.h"
#include "model/manifest.h"

struct gate {
	char sha256[DIGEST_HEX];               /* of the file */
	size_t cases;                          /* that both models segmented */
	double difference, low, high, p;       /* Dice of the candidate minus that of the model in service, mean over segments, then over cases; its 95 % interval; Wilcoxon */
};

/* 0: better. ERR_STATE: not better, or not on held-back cases; out is filled. ERR_INPUT: no such file of ours, or of other models or weights. */
int gate_check(const char *path, const struct manifest *candidate, const struct manifest *in_service, struct gate *out, struct err *e);
