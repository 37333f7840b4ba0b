/* Stored numbers -> values. The arithmetic is the inline function's of the header, so that a value has the same bits whichever way it is read. */
#include "config/voxels.h"

#include <stdlib.h>

size_t
voxels_run(const struct voxels *v, size_t n, size_t first, float room[VOXELS_RUN], const float **run)
{
	size_t slice, more = n - first;

	*run = v->real ? v->real + first : room;
	if (v->real)
		return more;
	slice = first / v->plane;
	more = (slice + 1) * v->plane - first < more ? (slice + 1) * v->plane - first : more;
	more = more < VOXELS_RUN ? more : VOXELS_RUN;
	for (size_t i = 0; i < more; i++)
		room[i] = voxels_at(v, slice, first + i);
	return more;
}

float *
voxels_floats(const struct voxels *v, size_t n, struct err *e)
{
	float *all = n > SIZE_MAX / sizeof *all ? NULL : malloc(n * sizeof *all);

	if (!all)
		err_set(e, ERR_LIMIT, "no memory for %zu voxels", n);
	for (size_t i = 0; all && i < n; i++)
		all[i] = voxels_any(v, i);
	return all;
}
