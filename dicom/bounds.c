/* The bounds of data sets: see bounds.h. The defaults are those of config/segand.json; tests/unit/test_settings.c compares. */
#include "dicom/bounds.h"

#include <assert.h>

const struct dicom_bounds dicom_bounds_widest = { .depth = BOUNDS_MOST_DEPTH, .elements = BOUNDS_MOST_ELEMENTS, .data_set_bytes = UINT64_C(1) << 40, .decoded_bytes = UINT64_C(1) << 40 };

static struct dicom_bounds bounds = { .depth = 64, .elements = 400000, .data_set_bytes = UINT64_C(1024) << 20, .decoded_bytes = UINT64_C(4096) << 20 };

void
dicom_bounds_set(const struct dicom_bounds *b)
{
	assert(b->depth >= 1 && b->depth <= BOUNDS_MOST_DEPTH && b->elements <= BOUNDS_MOST_ELEMENTS);
	bounds = *b;
}

const struct dicom_bounds *
dicom_bounds_now(void)
{
	return &bounds;
}
