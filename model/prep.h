/* The one preprocessing of service, training and evaluation (SEGAN.md, last section): channel volumes -> network slices, probabilities -> masks on
 * the source grid. Slices go one at a time, so memory does not grow with the network's side of a study. Shapes: slices, rows, columns.
 * A series whose slices lie within 45 degrees of the model's plane goes through slice by slice as acquired. Any other is resampled: its network slices lie
 * in the model's plane, each cuts all slices of the source, and so probabilities come back when all of them are there (prep_gather). */
#pragma once
#include "config/grid.h"
#include "config/voxels.h"
#include "model/manifest.h"

#include <stdint.h>

struct volume { const struct grid *grid; struct voxels voxels; };            /* what both hold is borrowed */

struct prep;
/* channels: one volume a channel of the manifest, in its order, all on one grid. Turns the axes to LPS, takes the statistics, plans the in-plane
 * size (model spacing, padded). ERR_INPUT: constant image, no head, more slices, rows or columns than a model takes. borrows m and the volumes.
 * caller: prep_free. */
struct prep *prep_new(const struct manifest *m, const struct volume *channels, size_t n_channels, struct err *e);
void prep_free(struct prep *p);
/* The network slices that a series on that grid will have, before anything of it is read: rows and cols of one, padded. ERR_INPUT, as prep_new. */
struct prep_size { size_t slices, rows, cols; bool is_resampled; };
int prep_size(const struct manifest *m, const struct grid *g, struct prep_size *out, struct err *e);
bool   prep_is_resampled(const struct prep *p);                              /* into the model's plane; false: slices as acquired */
size_t prep_slices(const struct prep *p);                                    /* network slices, bottom to top */
size_t prep_rows(const struct prep *p);                                      /* of one padded network slice */
size_t prep_cols(const struct prep *p);
/* Network input of slice k: x is (channels, 1 + 2 x the model's neighbours from below to above, prep_rows, prep_cols). Thread-safe for different x. */
void prep_slice(const struct prep *p, size_t k, float *x);
/* What air is in channel i, where a network slice is padded or moved beyond its edge. */
float prep_air(const struct prep *p, size_t i);
/* How bright what is in channel i, as it was given. */
struct likeness_scale prep_scale(const struct prep *p, size_t i);
/* The truth of network slice k, in the frame of its input: mask is (slices, rows, cols) of the source, 0/1; out (prep_rows, prep_cols) is 0 or 1,
 * between source voxels as 1 where half or more of the neighbours are, 0 in the padding. Only of slices as acquired. Thread-safe for different out. */
void prep_truth(const struct prep *p, size_t k, const uint8_t *mask, float *out);
/* Probabilities of network slice k, (labels, prep_rows, prep_cols), resampled to the source: out is (labels, grid rows, grid cols) of source slice
 * prep_source_slice(p, k). Only of slices as acquired. Thread-safe for different out. */
void prep_back(const struct prep *p, size_t k, const float *probability, float *out);
size_t prep_source_slice(const struct prep *p, size_t k);
/* The same of a resampled series: maps, (prep_slices, labels, prep_rows, prep_cols), to out, (labels, grid rows, grid cols) of source slice `slice`. */
void prep_gather(const struct prep *p, const float *maps, size_t slice, float *out);

/* probability (slices, rows, cols) of one map on the source grid -> mask 0/1 of the same shape: >= threshold, then 26-connected pieces smaller than
 * minimum_ml are removed, and those whose highest probability is below peak. mask: zero before (what stays so is not written, and takes no memory), or an
 * earlier mask. Returns the voxels that stay, in *n. */
int prep_mask(const struct grid *g, const float *probability, const struct segment_kind *s, uint8_t *mask, size_t *n, struct err *e);
/* The same in two steps that need no volume of probabilities: those of n voxels at a time into as many bytes of the mask; when all are in, they become 0/1. */
void prep_mask_slice(const struct segment_kind *s, const float *probability, size_t n, uint8_t *mask);
int prep_mask_finish(const struct grid *g, const struct segment_kind *s, uint8_t *mask, size_t *n, struct err *e);
