/* A network as a graph of operations: nodes in the order of building, each with one value of shape (n, c, h, w), parameters by name, one memory
 * plan. Builders (ops.h) read like expressions: an error sticks to the graph, every later builder answers NULL, graph_plan tells it.
 * An operation is a `const struct op`; what has no backward pass says so by a visible NULL. */
#pragma once
#include "model/nn/parameters.h"
#include "model/nn/team.h"

#include <stdbool.h>

enum { NODE_MAX_INPUTS = 4, NODE_MAX_PARAMETERS = 4, GRAPH_MAX_NODES = 256 };

struct shape { size_t n, c, h, w; };          /* slices, maps, rows, columns; columns fastest */

/* What an operation gets for one pass. */
struct run {
	struct team *team;             /* NULL: the caller alone */
	float *scratch;                /* of lane 0: node->scratch floats, aligned, content undefined */
	size_t lane_stride;            /* from one lane's scratch to the next one's */
	float *shared;                 /* node->shared floats for all lanes, content undefined */
	bool exact;                    /* see graph_set_exact */
	bool fast;                     /* in training: ways whose rounding is another (Winograd) will do; never with exact */
	/* backward only */
	size_t slices;                 /* only the first so many slices have a gradient */
	bool parameters, inputs;       /* whose gradients are wanted; inputs: of the graph's input nodes */
};

struct node;
struct op {
	const char *name;
	/* Sets self->shape, scratch, shared and n_state from the inputs and settings. -1: they do not fit together. */
	int (*shape)(struct node *self, struct err *e);
	/* Fills self->value from the inputs' values. */
	void (*forward)(const struct node *self, const struct run *r);
	/* From self->gradient: node_gradient of every input, and adds to the parameters' gradients. NULL: this operation serves, it cannot be trained
	 * through. The inputs' values are still those of the last forward pass. */
	void (*backward)(const struct node *self, const struct run *r);
};

struct node {
	const struct op *op;           /* NULL: an input */
	struct node *in[NODE_MAX_INPUTS];
	struct parameter *parameter[NODE_MAX_PARAMETERS];
	size_t n_in, n_parameters;
	void *settings;                /* the operation's own values; owned by the node */
	struct shape shape;
	size_t scratch, shared;        /* floats needed while the operation runs: by every lane, by all together */
	size_t n_state;                /* floats kept from the forward to the backward pass */
	bool keep;                     /* the value is read after the run: its memory is not used again */
	bool seeded;                   /* the caller writes ->gradient before the backward pass; set before the plan */
	bool wanted;                   /* an input whose gradient the caller reads; set before the plan */
	bool first[NODE_MAX_INPUTS];   /* this node is the first to write that input's gradient: it writes, the others add; set by graph_plan */
	float *value, *gradient;       /* shape; set by graph_plan; gradient NULL: nobody needs it */
	float *state;                  /* n_state; set by graph_plan */
};

enum plan {
	PLAN_EACH,                     /* every value has its own memory: all can be read after the run */
	PLAN_TRAIN,                    /* the same, and gradients; those live until they are passed on, but for wanted inputs */
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
void graph_set_team(struct graph *g, struct team *t);                       /* borrows t; before the plan */
/* Every product of matrices is summed in double: slow, and what rounding there is comes from the values alone. For reference numbers. Before the plan. */
void graph_set_exact(struct graph *g);
/* Plans the memory (and that of the parameters, if it is the first graph over them). Nothing is allocated after it. ERR_INPUT: what building ran into. */
int graph_plan(struct graph *g, enum plan plan, struct err *e);
void graph_forward(struct graph *g);
/* After graph_forward of a PLAN_TRAIN and the seeded nodes' gradients: the gradients of the parameters are added to theirs (parameters_clear_gradients),
 * those of wanted inputs are written. slices: the gradient of the slices behind the first so many is taken to be zero. */
struct backward { size_t slices; bool parameters, inputs; };
void graph_backward(struct graph *g, struct backward what);
size_t graph_size(const struct graph *g);
struct node *graph_at(const struct graph *g, size_t i);                      /* in the order of building; borrowed */

size_t shape_size(struct shape s);                                           /* n*c*h*w, SIZE_MAX when that overflows */
size_t shape_plane(struct shape s);                                          /* h*w */
/* For operations. */
float *node_gradient(const struct node *self, size_t k, const struct run *r); /* of input k; NULL: not wanted */
float *run_scratch(const struct run *r, unsigned lane);
