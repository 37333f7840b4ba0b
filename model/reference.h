/* A file of reference numbers in memory (the form of tests/golden/NAME.json + NAME.bin, SEGAN.md "Reference numbers"). */
#pragma once
#include "config/json.h"
#include "model/game.h"
#include "model/weights.h"

struct reference {
	struct json_doc *doc;          /* owns the names */
	float *values;                 /* NAME.bin */
	size_t n_values;
	struct tensor *tensors;
	size_t n;
	struct network network;
	const struct tensor *x;        /* (n, channels, h, w) */
	const struct tensor *truth;    /* (n, labels, h, w); NULL: nothing of training in it */
	struct game_settings game;     /* set when truth is */
};

/* Reads and checks. Call reference_close whatever comes back. */
int reference_open(struct reference *r, const char *json_path, struct err *e);
void reference_close(struct reference *r);
const struct tensor *reference_find(const void *reference, const char *name); /* a tensor_find_fn; NULL when absent; borrowed */
