/* Sums over slices in a fixed order: the slices of a batch are dealt to a number of parts that depends on their count alone; each part sums its own
 * slices, one after the other, into memory of its own; then the parts are summed in order. So the bits do not depend on the threads. */
#pragma once
#include "model/nn/graph.h"

enum { MAX_PARTS = 8 };

static inline size_t
parts_of(size_t slices)
{
	return slices < MAX_PARTS ? slices : MAX_PARTS;
}

static inline size_t
part_begin(size_t slices, size_t part)
{
	return part * slices / parts_of(slices);
}

/* gradient[i] += partial[i] + partial[stride + i] + ..., n values. */
static inline void
parts_add(const float *partial, size_t n_parts, size_t stride, size_t n, float *gradient)
{
	for (size_t i = 0; i < n; i++) {
		float sum = partial[i];
		for (size_t part = 1; part < n_parts; part++)
			sum += partial[part * stride + i];
		gradient[i] += sum;
	}
}

/* sums[m] += the sum of map m, for the maps of one slice. */
static inline void
parts_add_maps(const float *y, size_t maps, size_t plane, float *sums)
{
	for (size_t m = 0; m < maps; m++, y += plane) {
		double sum = 0;
		for (size_t i = 0; i < plane; i++)
			sum += y[i];
		sums[m] += (float)sum;
	}
}
