/* One NIfTI-1 file -> a volume on a grid. Part of `segan dataset create`. */
#pragma once
#include "config/err.h"
#include "config/grid.h"

struct nifti_volume {
	struct grid grid;              /* LPS, slices ascending along the normal: as series_load gives it for a DICOM series made from the file */
	float *voxels;                 /* (slices, rows, cols), scaled by scl_slope and scl_inter; caller: free */
};

/* ERR_INPUT: no NIfTI-1 in one file, truncated, more than three dimensions, colour or complex values, no or a sheared orientation; path and reason. */
int nifti_volume_read(const char *path, struct nifti_volume *out, struct err *e);
