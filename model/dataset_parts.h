/* Between the two files of data sets: dataset.c reads, dataset_write.c writes. Not for others. */
#pragma once
#include "config/digest.h"
#include "config/json.h"
#include "model/dataset.h"

enum { DATASET_VERSION = 1, DATASET_PATH = 1100, DATASET_N_SPLITS = 3 };

struct left_out { char *what, *reason; };

/* What dataset.json says; both sides hold one. */
struct dataset_index {
	char channels[MODEL_MAX_CHANNELS][33];
	size_t n_channels, n_segments;
	struct dataset_case *cases;            /* (n_cases) */
	size_t n_cases;
	struct left_out *left_out;             /* (n_left_out) */
	size_t n_left_out;
};

void dataset_index_release(struct dataset_index *x);
/* '?' for control characters and what is not UTF-8: what dataset.json holds reads back as it was. */
void dataset_clean_text(char *text);
/* Adds a copy, cleaned. ERR_LIMIT. */
int dataset_index_leave_out(struct dataset_index *x, const char *what, const char *reason, struct err *e);
/* SHA-256 over all that the index says, the cases' digests among it: a digit altered in dataset.json is noticed. */
int dataset_index_digest(const struct dataset_index *x, char hex[DIGEST_HEX], struct err *e);
/* A case's file: the channels, float32 little endian, then the truth, one byte a voxel. 0 when sizes overflow. */
size_t dataset_case_bytes(const struct dataset_index *x, const struct grid *g);
/* DIR/0007.bin: by its place in the index, for a name may be anything. */
void dataset_case_path(const char *dir, size_t i, char path[DATASET_PATH]);

extern const struct json_field dataset_case_fields[];
enum { DATASET_N_CASE_FIELDS = 7 };
