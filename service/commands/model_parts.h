/* What the files of segan model share. */
#pragma once
#include "service/commands/common.h"

struct model_options {
	const char *models, *config, *evaluation, *reason, *data;
	bool json, force;
};
extern const char model_usage[];

/* The verbs that change what is installed: an exit status. words: what follows the verb. */
int model_add(char *const *words, const struct model_options *o);
int model_export(char *const *words, const struct model_options *o);
int model_promote(char *const *words, const struct model_options *o);
int model_rollback(char *const *words, const struct model_options *o);
int model_statistics(char *const *words, const struct model_options *o);
