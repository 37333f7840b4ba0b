/* Nodes, and the memory they live in. Knows no operation: shapes and arithmetic are the op's (conv.c, norm.c, pointwise.c, resize.c, pool.c,
 * packed.c). One graph belongs to one thread; graphs over the same parameters may run at the same time. */
#include "model/nn/graph.h"
#include "model/nn/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct graph {
	struct parameters *parameters;
	struct node *nodes[GRAPH_MAX_NODES];
	size_t n;
	bool failed, exact, trains;
	struct err error;              /* the first one met while building */
	struct team *team;             /* borrowed; NULL: the caller alone */
	float *values, *gradients, *states, *scratch, *shared; /* the arenas; NULL until planned */
	size_t lane_stride;            /* floats of one lane's scratch */
};

size_t
shape_plane(struct shape s)
{
	return arena_product(s.h, s.w);
}

size_t
shape_size(struct shape s)
{
	return arena_product(arena_product(s.n, s.c), shape_plane(s));
}

struct graph *
graph_new(struct parameters *p, struct err *e)
{
	struct graph *g = calloc(1, sizeof *g);

	if (!g) {
		err_set(e, ERR_LIMIT, "no memory for a network");
		return NULL;
	}
	g->parameters = p;
	return g;
}

void
graph_free(struct graph *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n; i++) {
		free(g->nodes[i]->settings);
		free(g->nodes[i]);
	}
	free(g->values);
	free(g->gradients);
	free(g->states);
	free(g->scratch);
	free(g->shared);
	free(g);
}

/* Takes node, also when there is no room for it. */
static struct node *
append(struct graph *g, struct node *node)
{
	if (node && g->n < GRAPH_MAX_NODES && !g->failed) {
		g->nodes[g->n++] = node;
		return node;
	}
	if (!g->failed)
		err_set(&g->error, ERR_LIMIT, "no room for another node of the network");
	g->failed = true;
	if (node)
		free(node->settings);
	free(node);
	return NULL;
}

struct node *
graph_input(struct graph *g, struct shape s)
{
	struct node *node = calloc(1, sizeof *node);

	assert(g->n == 0 || !g->nodes[g->n - 1]->op);
	if (node)
		node->shape = s;
	return append(g, node);
}

struct node *
graph_add(struct graph *g, const struct op *op, size_t n_in, struct node *const *in, const void *settings, size_t settings_size)
{
	struct node *node;

	assert(n_in >= 1 && n_in <= NODE_MAX_INPUTS && !g->values);
	for (size_t i = 0; i < n_in; i++)
		if (!in[i])
			return NULL;
	node = calloc(1, sizeof *node);
	if (!node)
		return append(g, NULL);
	node->op = op;
	node->n_in = n_in;
	memcpy(node->in, in, n_in * sizeof *in);
	if (settings_size) {
		node->settings = malloc(settings_size);
		if (!node->settings) {
			free(node);
			return append(g, NULL);
		}
		memcpy(node->settings, settings, settings_size);
	}
	if (!g->failed && op->shape(node, &g->error) != 0) {
		err_note(&g->error, "%s", op->name);
		g->failed = true;
	}
	return append(g, node);
}

void
graph_use(struct graph *g, struct node *node, enum parameter_kind kind, const char *name, const char *suffix, size_t n_dims, const size_t *dims)
{
	char full[PARAMETER_NAME];
	struct parameter *p;

	if (!node || g->failed)
		return;
	assert(node->n_parameters < NODE_MAX_PARAMETERS);
	if (snprintf(full, sizeof full, "%s.%s", name, suffix) >= (int)sizeof full) {
		err_set(&g->error, ERR_INPUT, "the parameter name %s.%s is too long", name, suffix);
		g->failed = true;
		return;
	}
	p = parameters_get(g->parameters, full, kind, n_dims, dims, &g->error);
	g->failed = !p;
	node->parameter[node->n_parameters++] = p;
}

void
graph_set_team(struct graph *g, struct team *t)
{
	assert(!g->values);
	g->team = t;
}

void
graph_set_exact(struct graph *g)
{
	assert(!g->values);
	g->exact = true;
}

/* A piece of an arena from moment `begin` to moment `last`, both included. size 0: nothing is needed. */
struct block { size_t offset, size, begin, last; };

static bool
meet(const struct block *a, const struct block *b)
{
	return a->size > 0 && b->size > 0 && a->begin <= b->last && b->begin <= a->last;
}

/* First gap of `size` floats between the blocks, which are sorted by offset and may overlap. */
static size_t
first_gap(const struct block *const *blocks, size_t n, size_t size)
{
	size_t offset = 0;

	for (size_t i = 0; i < n; i++) {
		size_t end = arena_sum(blocks[i]->offset, blocks[i]->size);
		if (blocks[i]->offset >= offset && blocks[i]->offset - offset >= size)
			break;
		if (end > offset)
			offset = end;
	}
	return offset;
}

/* Offsets of all blocks, so that no two that live at one moment overlap; returns the size of the arena in floats. */
static size_t
place(struct block blocks[GRAPH_MAX_NODES], size_t n)
{
	const struct block *neighbours[GRAPH_MAX_NODES];
	size_t total = 0;

	for (size_t i = 0; i < n; i++) {
		size_t n_neighbours = 0;

		for (size_t j = 0; j < i; j++) {
			size_t at = n_neighbours;
			if (!meet(&blocks[i], &blocks[j]))
				continue;
			for (; at > 0 && neighbours[at - 1]->offset > blocks[j].offset; at--)
				neighbours[at] = neighbours[at - 1];
			neighbours[at] = &blocks[j];
			n_neighbours++;
		}
		blocks[i].offset = first_gap(neighbours, n_neighbours, blocks[i].size);
		if (arena_sum(blocks[i].offset, blocks[i].size) > total)
			total = arena_sum(blocks[i].offset, blocks[i].size);
	}
	return total;
}

static bool
reads(const struct node *reader, const struct node *x)
{
	for (size_t k = 0; k < reader->n_in; k++)
		if (reader->in[k] == x)
			return true;
	return false;
}

/* Index of the last node that reads node i; SIZE_MAX when it is read after the run. */
static size_t
last_use(const struct graph *g, size_t i, enum plan plan)
{
	size_t last = i;

	if (plan != PLAN_REUSE || g->nodes[i]->keep)
		return SIZE_MAX;
	for (size_t j = i + 1; j < g->n; j++)
		if (reads(g->nodes[j], g->nodes[i]))
			last = j;
	return last;
}

static int
plan_values(struct graph *g, enum plan plan, struct err *e)
{
	struct block blocks[GRAPH_MAX_NODES];
	size_t total;

	for (size_t i = 0; i < g->n; i++)
		blocks[i] = (struct block){ 0, arena_rounded(shape_size(g->nodes[i]->shape)), i, last_use(g, i, plan) };
	total = place(blocks, g->n);
	g->values = arena_new(total);
	if (!g->values)
		return err_set(e, ERR_LIMIT, "no memory for a network of %zu values", total);
	for (size_t i = 0; i < g->n; i++)
		g->nodes[i]->value = g->values + blocks[i].offset;
	return 0;
}

/* When the gradient of node i comes to be and when it is done with, in moments of the backward pass: node j runs at moment n - j. size 0: it never
 * comes to be. blocks[j] of the later nodes are known. Marks who writes it first. */
static struct block
gradient_life(struct graph *g, size_t i, const struct block *blocks)
{
	struct node *node = g->nodes[i];
	struct block b = { 0, arena_rounded(shape_size(node->shape)), 0, node->op ? g->n - i : SIZE_MAX };

	if (!node->op && !node->wanted)
		b.size = 0;
	if (node->seeded || b.size == 0)
		return b;
	for (size_t j = g->n; j-- > i + 1;)
		for (size_t k = 0; k < g->nodes[j]->n_in; k++)
			if (g->nodes[j]->in[k] == node && blocks[j].size > 0) {
				g->nodes[j]->first[k] = true;
				b.begin = g->n - j;
				return b;
			}
	b.size = 0;
	return b;
}

static int
plan_gradients(struct graph *g, struct err *e)
{
	struct block blocks[GRAPH_MAX_NODES];
	size_t total;

	for (size_t i = g->n; i-- > 0;)
		blocks[i] = gradient_life(g, i, blocks);
	total = place(blocks, g->n);
	g->gradients = arena_new(total);
	if (!g->gradients)
		return err_set(e, ERR_LIMIT, "no memory for %zu gradients", total);
	for (size_t i = 0; i < g->n; i++)
		if (blocks[i].size > 0)
			g->nodes[i]->gradient = g->gradients + blocks[i].offset;
	return parameters_plan_gradients(g->parameters, e);
}

/* States, scratch, shared: what the operations asked for. */
static int
plan_rest(struct graph *g, struct err *e)
{
	size_t state = 0, shared = 0;

	for (size_t i = 0; i < g->n; i++) {
		const struct node *node = g->nodes[i];
		g->lane_stride = node->scratch > g->lane_stride ? node->scratch : g->lane_stride;
		shared = node->shared > shared ? node->shared : shared;
		state = arena_sum(state, arena_rounded(node->n_state));
	}
	g->lane_stride = arena_rounded(g->lane_stride);
	g->scratch = arena_new(arena_product(g->lane_stride, team_lanes(g->team)));
	g->shared = arena_new(shared);
	g->states = arena_new(state);
	if (!g->scratch || !g->shared || !g->states)
		return err_set(e, ERR_LIMIT, "no memory for a network to work in");
	for (size_t i = 0, at = 0; i < g->n; at += arena_rounded(g->nodes[i++]->n_state))
		g->nodes[i]->state = g->states + at;
	return 0;
}

int
graph_plan(struct graph *g, enum plan plan, struct err *e)
{
	assert(!g->values);
	if (g->failed) {
		*e = g->error;
		return -1;
	}
	if (parameters_plan(g->parameters, e) != 0 || plan_values(g, plan, e) != 0)
		return -1;
	g->trains = plan == PLAN_TRAIN;
	if (g->trains && plan_gradients(g, e) != 0)
		return -1;
	return plan_rest(g, e);
}

void
graph_forward(struct graph *g)
{
	const struct run run = { .team = g->team, .scratch = g->scratch, .lane_stride = g->lane_stride, .shared = g->shared,
		.exact = g->exact, .fast = g->trains && !g->exact };

	assert(g->scratch);
	for (size_t i = 0; i < g->n; i++)
		if (g->nodes[i]->op)
			g->nodes[i]->op->forward(g->nodes[i], &run);
}

void
graph_backward(struct graph *g, struct backward what)
{
	const struct run run = { g->team, g->scratch, g->lane_stride, g->shared, g->exact, !g->exact, what.slices, what.parameters, what.inputs };

	assert(g->gradients);
	for (size_t i = g->n; i-- > 0;) {
		const struct node *node = g->nodes[i];
		if (!node->op || !node->gradient)
			continue;
		assert(node->op->backward && what.slices <= node->shape.n);
		node->op->backward(node, &run);
	}
}

float *
node_gradient(const struct node *self, size_t k, const struct run *r)
{
	return self->in[k]->op || r->inputs ? self->in[k]->gradient : NULL;
}

float *
run_scratch(const struct run *r, unsigned lane)
{
	return r->scratch + lane * r->lane_stride;
}

size_t
graph_size(const struct graph *g)
{
	return g->n;
}

struct node *
graph_at(const struct graph *g, size_t i)
{
	assert(i < g->n);
	return g->nodes[i];
}
