/* Between the files of `segan dataset`. */
#pragma once
#include "model/dataset.h"
#include "service/commands/dataset_layout.h"

struct rules;

/* A data set being made. */
struct making {
	struct dataset_writer *writer;
	const char *channels[MODEL_MAX_CHANNELS];
	size_t n_channels;
	const struct manifest *input;  /* how segan train prepares a case unless its recipe says otherwise */
	const char *set;               /* where it goes, for the audit trail */
	const char *hidden;            /* a folder that is gone when the set is there: what is left out is told without it; NULL: none */
	bool is_part;                  /* one of several folders: who goes through them tells how far it is */
};

/* A case that does not fit (ERR_INPUT, ERR_NOT_FOUND): recorded and told on stderr, 0. Anything else ends the making: -1, e = why. */
int making_refuse(struct making *m, const char *what, const struct err *why, struct err *e);
/* Adds a case that a training can use. ERR_INPUT also when it cannot be prepared: another plane than the models', no head in it. */
int making_add(struct making *m, const struct dataset_case *c, struct err *e);
/* Shows how far it is. -1 (ERR_STATE) when the user wants to stop. */
int making_progress(const struct making *m, size_t done, size_t total, struct err *e);

/* One folder a case below dir -> cases. */
int making_from_nifti(struct making *m, const char *dir, const struct layout *l, struct err *e);

/* Every study below dir: the rules fill the channels, its SEG is the truth; truth map i is what the model's segment of map i is. */
int making_from_dicom(struct making *m, char *dir, const struct rules *r, const struct manifest *model, struct err *e);

/* Every study of the archive that matches the keys and has a SEG: written into the node's audit trail, fetched into a folder of its own below the set's, taken as by making_from_dicom, removed. */
struct retrieve_archive;
struct scu_key;
int making_from_archive(struct making *m, const struct retrieve_archive *a, const struct scu_key *keys, size_t n_keys, const struct rules *r,
	const struct manifest *model, struct err *e);

int dataset_show(const char *set, bool as_json);      /* prints; returns the exit status */
