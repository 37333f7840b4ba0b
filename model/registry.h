/* What changes below a folder of models, beside catalog.h, which only reads: a model is added, promoted, rolled back. Each change is whole or not at all,
 * and one line of NAME/history.jsonl: {"time", "action": "add"|"promote"|"rollback", "version", "from", "weights_sha256", why...}. NAME/in-service decides. */
#pragma once
#include "config/json.h"
#include "model/catalog.h"

struct registry { const char *const *roots; size_t n_roots; }; /* as for catalog_open; only the first is written to. Opened anew for every change, under a lock */

/* Copies the regular files of a model folder, checks the copy as catalog_check does, installs it. What is in service stays in service: where only its
 * height made a version so, NAME/in-service is written first. ERR_STATE: that version is installed. */
int registry_add(const struct registry *r, const char *dir, struct manifest *added, struct err *e);
/* Copies and checks in the same way, to a folder that must not be there. */
int registry_copy(const char *dir, const char *to, struct manifest *copied, struct err *e);

/* Why a version is promoted. One of the two: a reason that a person gave, or the figures of an evaluation against the version `beaten`. */
struct promotion { const char *reason; const char *evaluation_sha256, *beaten; size_t cases; double difference, low, high, p; };
/* name_version: "NAME@VERSION". ERR_STATE: in service already, or what is in service is not what was beaten. ERR_NOT_FOUND, ERR_INPUT: not installed, not whole. */
int registry_promote(const struct registry *r, const char *name_version, const struct promotion *why, struct err *e);
/* Back to what was in service before the last promotion that holds; once more: before the one before. ERR_STATE: there is none. */
int registry_rollback(const struct registry *r, const char *name, char version[65], struct err *e);
/* The lines of a name's history, oldest first; an empty list when there are none. caller: json_free. */
struct json *registry_history(const struct registry *r, const char *name, struct err *e);
