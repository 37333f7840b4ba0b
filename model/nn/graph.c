/* Nodes, and the memory they live in. Knows no operation: shapes and arithmetic are the op's (conv.c, norm.c, pointwise.c, resize.c, pool.c,
 * fused.c). One graph belongs to one thread; graphs over the same parameters may run at the same time. */
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
	bool failed;
	struct err error;              /* the first one met while building */
	float *values, *scratch;       /* the arenas; NULL until planned */
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
	free(g->scratch);
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

/* A piece of the value arena while node `node` and up to node `last` run. */
struct block { size_t offset, size, last; };

/* First gap of `size` floats between the blocks, which are sorted by offset; *at is where the new block goes in the list. */
static size_t
first_gap(const struct block *blocks, size_t n, size_t size, size_t *at)
{
	size_t offset = 0;

	for (*at = 0; *at < n; ++*at) {
		if (blocks[*at].offset - offset >= size)
			break;
		offset = arena_sum(blocks[*at].offset, blocks[*at].size);
	}
	return offset;
}

/* Index of the last node that reads node i; SIZE_MAX when it is read after the run. */
static size_t
last_use(const struct graph *g, size_t i, enum plan plan)
{
	size_t last = i;

	if (plan == PLAN_EACH || g->nodes[i]->keep)
		return SIZE_MAX;
	for (size_t j = i + 1; j < g->n; j++)
		for (size_t k = 0; k < g->nodes[j]->n_in; k++)
			if (g->nodes[j]->in[k] == g->nodes[i])
				last = j;
	return last;
}

/* Offsets of all values; returns the size of the arena in floats. */
static size_t
place(const struct graph *g, enum plan plan, size_t offset[GRAPH_MAX_NODES])
{
	struct block blocks[GRAPH_MAX_NODES];
	size_t n = 0, total = 0;

	for (size_t i = 0; i < g->n; i++) {
		size_t size = arena_rounded(shape_size(g->nodes[i]->shape)), at, live = 0;

		for (size_t b = 0; b < n; b++)
			if (blocks[b].last >= i)
				blocks[live++] = blocks[b];
		n = live;
		offset[i] = first_gap(blocks, n, size, &at);
		memmove(blocks + at + 1, blocks + at, (n - at) * sizeof *blocks);
		blocks[at] = (struct block){ offset[i], size, last_use(g, i, plan) };
		n++;
		if (arena_sum(offset[i], size) > total)
			total = arena_sum(offset[i], size);
	}
	return total;
}

int
graph_plan(struct graph *g, enum plan plan, struct err *e)
{
	size_t offset[GRAPH_MAX_NODES], total, scratch = 0;

	assert(!g->values);
	if (g->failed) {
		*e = g->error;
		return -1;
	}
	if (parameters_plan(g->parameters, e) != 0)
		return -1;
	for (size_t i = 0; i < g->n; i++)
		if (g->nodes[i]->scratch > scratch)
			scratch = g->nodes[i]->scratch;
	total = place(g, plan, offset);
	g->values = arena_new(total);
	g->scratch = arena_new(scratch);
	if (!g->values || !g->scratch)
		return err_set(e, ERR_LIMIT, "no memory for a network of %zu values", total);
	for (size_t i = 0; i < g->n; i++)
		g->nodes[i]->value = g->values + offset[i];
	return 0;
}

void
graph_forward(struct graph *g)
{
	assert(g->values);
	for (size_t i = 0; i < g->n; i++)
		if (g->nodes[i]->op)
			g->nodes[i]->op->forward(g->nodes[i], g->scratch);
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
