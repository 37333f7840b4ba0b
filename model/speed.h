/* How fast a model is on this machine, and against the same machine's matrix product: what `segan bench` prints. */
#pragma once
#include "model/manifest.h"

struct speed {
	unsigned threads;
	size_t side, slices;           /* of the study that is measured: slices of side x side */
	double ms;                     /* a slice, median of the rounds */
	double gflop;                  /* a slice: products and sums of the layers as they are written, however they are computed */
	double sgemm_gflops;           /* of OpenBLAS on all threads, 512 x 512 x 512 each, median of the same rounds */
};

/* threads 0: as many as cores. Takes about two seconds, more for a large network. */
int speed_measure(const struct manifest *m, unsigned threads, struct speed *out, struct err *e);
