/* Packed cases for training and evaluation: channel volumes and truth masks on their own grids, as they would reach the service, so that the one
 * preprocessing (prep.h) does the rest. A data set is a folder: dataset.json (what went in, what was left out and why, split, digests) and one file a
 * case, CASE.bin, mapped into memory when it is read: memory does not grow with the set. Written whole or not at all. */
#pragma once
#include "config/grid.h"
#include "model/manifest.h"

#include <stdint.h>

enum dataset_split { SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST };
const char *dataset_split_name(enum dataset_split s);        /* "train", "validation", "test"; static */

struct dataset_case {
	char name[129];                /* of the folder, or the Study Instance UID */
	char study_uid[65];            /* "" for NIfTI */
	char patient[65];              /* digest of the patient's ID: a split is by patient */
	char label_sop_uid[65], algorithm_type[17], creator[65]; /* of the truth SEG; "" for NIfTI */
	char digest[65];               /* of the case's file */
	enum dataset_split split;
	struct grid grid;              /* all channels and the truth lie on it */
	const float *channel[MODEL_MAX_CHANNELS]; /* (slices, rows, cols); NULL until dataset_map */
	const uint8_t *truth;          /* (segments, slices, rows, cols), 0/1; NULL until dataset_map */
};

struct dataset;
struct dataset *dataset_open(const char *dir, struct err *e); /* ERR_INPUT names a file that is cut, altered or of another version. caller: dataset_close */
void dataset_close(struct dataset *d);
size_t dataset_channels(const struct dataset *d);
const char *dataset_channel(const struct dataset *d, size_t i);           /* borrowed */
size_t dataset_segments(const struct dataset *d);                          /* truth masks a case */
const char *dataset_digest(const struct dataset *d);                       /* borrowed */
size_t dataset_size(const struct dataset *d);
const struct dataset_case *dataset_at(const struct dataset *d, size_t i); /* borrowed */
size_t dataset_left_out_size(const struct dataset *d);
const char *dataset_left_out(const struct dataset *d, size_t i, const char **reason); /* what; both borrowed */
/* Maps a case's file; its channel and truth pointers are valid until dataset_unmap or dataset_close. Checked once against its digest. */
int dataset_map(struct dataset *d, size_t i, struct err *e);
void dataset_unmap(struct dataset *d, size_t i);              /* who is done with a case: what is mapped counts as memory of the process */
/* Its pages go back to the system, the pointers stay and read them again: what was looked at is no longer memory of the process. Any thread, any time. */
void dataset_rest(const struct dataset *d, size_t i);

/* ---- making one ---- */
struct dataset_writer;
struct dataset_writer *dataset_begin(const char *dir, const char *const *channels, size_t n_channels, size_t n_segments, struct err *e); /* ERR_STATE: dir exists */
/* Pointers filled by the caller, not kept; digest and split are the writer's. ERR_INPUT, and nothing added: a voxel that is no number, a constant image, a
 * name twice, the same images and truth twice. */
int dataset_add(struct dataset_writer *w, const struct dataset_case *c, struct err *e);
/* What is wrong with the case by itself, for who looks further before it is added: same errors, nothing written. */
int dataset_check(const struct dataset_writer *w, const struct dataset_case *c, struct err *e);
size_t dataset_added(const struct dataset_writer *w);
const char *dataset_part(const struct dataset_writer *w);                  /* the folder it is written in, for what its making needs meanwhile; borrowed */
int dataset_leave_out(struct dataset_writer *w, const char *what, const char *reason, struct err *e);
struct dataset_shares { double validation, test; };                        /* of the patients, 0..1 each; training has the rest */
/* Splits by patient (deterministic from the patients' digests; a share over 0 gets at least one patient; a set too small to split keeps all in train and says
 * so in a warning), writes dataset.json, renames the folder (with nothing else in it by then) to its name. ERR_INPUT: no case was added. Frees w, whatever comes back. */
int dataset_end(struct dataset_writer *w, struct dataset_shares held_back, char *warning, size_t n_warning, struct err *e);
void dataset_abandon(struct dataset_writer *w);                            /* removes what was written; frees w */
