/* A network as a graph of operations: nodes in the order of building, each with one value of shape (n, c, h, w), parameters by name, one memory
 * plan. Builders (ops.h) read like expressions: an error sticks to the graph, every later builder answers NULL, graph_plan tells it.
 * An operation is a `const struct op`; what has no backward pass says so by a visible NULL. */
#pragma once
#include "model/nn/parameters.h"

#include <stdbool.h>

enum { NODE_MAX_INPUTS = 4, NODE_MAX_PARAMETERS = 4, GRAPH_MAX_NODES = 256 };

struct shape { size_t n, c, h, w; };          /* slices, maps, rows, columns; columns fastest */

struct node;
struct op {
	const char *name;
	/* Sets self->shape and self->scratch from the inputs and settings. -1: they do not fit together. */
	int (*shape)(struct node *self, struct err *e);
	/* Fills self->value from the inputs' values. scratch: self->scratch floats, aligned, content undefined. */
	void (*forward)(const struct node *self, float *scratch);
	/* Adds to the inputs' and parameters' gradients; NULL: this operation serves, it cannot be trained through. */
	void (*backward)(const struct node *self, float *scratch);
};

struct node {
	const struct op *op;           /* NULL: an input */
	struct node *in[NODE_MAX_INPUTS];
	struct parameter *parameter[NODE_MAX_PARAMETERS];
	size_t n_in, n_parameters;
	void *settings;                /* the operation's own values; owned by the node */
	struct shape shape;
	size_t scratch;                /* floats needed while the operation runs */
	bool keep;                     /* the value is read after the run: its memory is not used again */
	float *value;                  /* shape; set by graph_plan */
};

enum plan {
	PLAN_EACH,                     /* every value has its own memory: all can be read after the run */
	PLAN_REUSE                     /* memory of a value that nobody needs any more is used again; only kept nodes can be read */
};

struct graph;
struct graph *graph_new(struct parameters *p, struct err *e);                /* borrows p. caller: graph_free */
void graph_free(struct graph *g);
struct node *graph_input(struct graph *g, struct shape s);                   /* before the first operation; the caller fills ->value before each run */
/* A new node; settings are copied. NULL when an input is NULL or the shapes do not fit. borrowed. */
struct node *graph_add(struct graph *g, const struct op *op, size_t n_in, struct node *const *in, const void *settings, size_t settings_size);
/* Gives node the parameter "NAME.SUFFIX" as its next one. node may be NULL. */
void graph_use(struct graph *g, struct node *node, enum parameter_kind kind, const char *name, const char *suffix, size_t n_dims, const size_t *dims);
/* Plans the memory (and that of the parameters, if it is the first graph over them). Nothing is allocated after it. ERR_INPUT: what building ran into. */
int graph_plan(struct graph *g, enum plan plan, struct err *e);
void graph_forward(struct graph *g);
size_t graph_size(const struct graph *g);
struct node *graph_at(const struct graph *g, size_t i);                      /* in the order of building; borrowed */

size_t shape_size(struct shape s);                                           /* n*c*h*w, SIZE_MAX when that overflows */
size_t shape_plane(struct shape s);                                          /* h*w */
