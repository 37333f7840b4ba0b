/* Probabilities in one byte, as SEG FRACTIONAL has them: 255 is 1. A byte never stands on the other side of the segment's threshold than the probability
 * that it came from, so that the finding can be had from the bytes. Slice by slice or all at once: values only. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* n probabilities of a segment with this threshold. */
void fraction_of(const float *probability, size_t n, double threshold, uint8_t *fraction);
/* What clean-up took from the finding is 0 here too: voxels from the threshold on that the mask (0/1) does not have, and all where the mask is empty. What
 * lies below the threshold stays: it is what the network thought of the surroundings. Over the whole volume at once. */
void fraction_clean(const uint8_t *mask, size_t n, double threshold, uint8_t *fraction);
