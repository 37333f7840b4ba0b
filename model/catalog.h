/* The folders of installed models: NAME/VERSION/model.json below each root, roots searched in order. The version in service of a name is what
 * NAME/in-service names (one line), else the highest version (numbers compared as numbers). */
#pragma once
#include "model/manifest.h"

struct catalog;
struct catalog_entry { struct manifest manifest; bool in_service; };

/* Reads every manifest once. A folder that cannot be read is left out and told by catalog_problem. caller: catalog_free. */
struct catalog *catalog_open(const char *const *roots, size_t n_roots, struct err *e);
void catalog_free(struct catalog *c);
size_t catalog_size(const struct catalog *c);                               /* sorted by name, then version, newest first */
const struct catalog_entry *catalog_at(const struct catalog *c, size_t i);  /* borrowed */
/* "NAME" (the one in service) or "NAME@VERSION". NULL: ERR_NOT_FOUND names what is installed. borrowed. */
const struct catalog_entry *catalog_find(const struct catalog *c, const char *name, struct err *e);
const char *catalog_problem(const struct catalog *c, size_t i);             /* NULL behind the last; borrowed */
/* Weights present, digest right, every tensor of the network there with the right shape and finite. */
int catalog_check(const struct manifest *m, struct err *e);
