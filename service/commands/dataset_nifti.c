/* Reads NIfTI-1 (nifti1.h of the NIfTI-1.1 standard) with libnifti's own small parts: znzlib for (compressed) bytes, its header struct, byte order and
 * quaternions. Not with nifti_image_read: that follows file names, reads ASCII headers and extensions, allocates what a header says and prints to stderr.
 * Every number of the header is checked here before it is used. */
#include "service/commands/dataset_nifti.h"

#include <math.h>
#include <nifti1_io.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_SIDE = 4096, MAX_VOXELS = 1 << 28, MAX_OFFSET = 16 << 20, NIFTI_2 = 540, SKIP_BLOCK = 4096 };
enum { GZIP_RATIO = 1032, GZIP_SLACK = 1 << 16 };  /* deflate cannot shrink more than that (RFC 1951: 258 bytes in two bits) */

/* ---- values ---- */

#define CONVERT(name, type) \
	static void \
	name(const void *raw, size_t n, double slope, double inter, float *out) \
	{ \
		const type *v = raw; \
		for (size_t i = 0; i < n; i++) \
			out[i] = (float)((double)v[i] * slope + inter); \
	}
CONVERT(from_u8, uint8_t)
CONVERT(from_i8, int8_t)
CONVERT(from_u16, uint16_t)
CONVERT(from_i16, int16_t)
CONVERT(from_u32, uint32_t)
CONVERT(from_i32, int32_t)
CONVERT(from_u64, uint64_t)
CONVERT(from_i64, int64_t)
CONVERT(from_f32, float)
CONVERT(from_f64, double)

static const struct kind {
	int16_t datatype;
	int bytes;
	void (*convert)(const void *raw, size_t n, double slope, double inter, float *out);
} kinds[] = {
	{ DT_UINT8, 1, from_u8 }, { DT_INT8, 1, from_i8 }, { DT_UINT16, 2, from_u16 }, { DT_INT16, 2, from_i16 }, { DT_UINT32, 4, from_u32 },
	{ DT_INT32, 4, from_i32 }, { DT_UINT64, 8, from_u64 }, { DT_INT64, 8, from_i64 }, { DT_FLOAT32, 4, from_f32 }, { DT_FLOAT64, 8, from_f64 },
};

static const struct kind *
kind_of(int16_t datatype)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].datatype == datatype)
			return &kinds[i];
	return NULL;
}

/* ---- header ---- */

struct reader {
	znzFile file;
	size_t file_bytes;
	bool is_swapped;
	struct nifti_1_header h;       /* in this machine's byte order */
	const struct kind *kind;
};

static int
read_header(struct reader *r, struct err *e)
{
	int32_t size;

	if (znzread(&r->h, 1, sizeof r->h, r->file) != sizeof r->h)
		return err_set(e, ERR_INPUT, "truncated: shorter than a NIfTI header, or no gzip");
	memcpy(&size, &r->h, sizeof size);
	if (size == NIFTI_2 || (int32_t)__builtin_bswap32((uint32_t)size) == NIFTI_2)
		return err_set(e, ERR_INPUT, "NIfTI-2: only NIfTI-1 is read");
	r->is_swapped = (int32_t)__builtin_bswap32((uint32_t)size) == (int32_t)sizeof r->h;
	if (size != (int32_t)sizeof r->h && !r->is_swapped)
		return err_set(e, ERR_INPUT, "not NIfTI: the header does not say 348 bytes");
	if (memcmp(r->h.magic, "n+1", 4) != 0)
		return err_set(e, ERR_INPUT, "not NIfTI-1 in one file (magic \"n+1\")");
	if (r->is_swapped)
		swap_nifti_header(&r->h, 1);
	return 0;
}

static int
check_header(struct reader *r, struct err *e)
{
	const int16_t *dim = r->h.dim;
	size_t bytes = 1;

	if (dim[0] < 2 || dim[0] > 7)
		return err_set(e, ERR_INPUT, "dim[0] is %d: 3 dimensions are read", dim[0]);
	if (dim[0] == 2)
		r->h.dim[3] = 1;
	for (int i = 1; i <= 3; i++) {
		if (dim[i] < 1 || dim[i] > MAX_SIDE)
			return err_set(e, ERR_INPUT, "dim[%d] is %d: must be from 1 to %d", i, dim[i], MAX_SIDE);
		bytes *= (size_t)dim[i];
	}
	for (int i = 4; i <= dim[0]; i++)
		if (dim[i] != 1)
			return err_set(e, ERR_INPUT, "dim[%d] is %d: more than one volume in the file", i, dim[i]);
	if ((r->kind = kind_of(r->h.datatype)) == NULL)
		return err_set(e, ERR_INPUT, "datatype %d: only whole and real numbers are read", r->h.datatype);
	if (!(r->h.vox_offset >= (float)sizeof r->h && r->h.vox_offset <= MAX_OFFSET))
		return err_set(e, ERR_INPUT, "vox_offset is %g: must be from 348 to %d", (double)r->h.vox_offset, MAX_OFFSET);
	if (bytes > MAX_VOXELS)
		return err_set(e, ERR_INPUT, "%zu voxels: at most %d", bytes, MAX_VOXELS);
	bytes *= (size_t)r->kind->bytes;
	if (bytes / GZIP_RATIO > r->file_bytes + GZIP_SLACK)
		return err_set(e, ERR_INPUT, "truncated: %zu bytes cannot hold %d x %d x %d voxels", r->file_bytes, dim[1], dim[2], dim[3]);
	return 0;
}

/* ---- where it lies ---- */

static const double mm_of_unit[8] = { 1, 1000, 1, 0.001, 1, 1, 1, 1 }; /* by the low bits of xyzt_units: unknown, metre, mm, micrometre */

/* Columns i, j, k and the origin in RAS. */
static int
affine_of(const struct nifti_1_header *h, double ras[3][4], struct err *e)
{
	if (h->sform_code > 0) {
		for (int k = 0; k < 4; k++) {
			ras[0][k] = (double)h->srow_x[k];
			ras[1][k] = (double)h->srow_y[k];
			ras[2][k] = (double)h->srow_z[k];
		}
	} else if (h->qform_code > 0) {
		mat44 m = nifti_quatern_to_mat44(h->quatern_b, h->quatern_c, h->quatern_d, h->qoffset_x, h->qoffset_y, h->qoffset_z, h->pixdim[1], h->pixdim[2],
		    h->pixdim[3], h->pixdim[0] < 0 ? -1 : 1);
		for (int i = 0; i < 3; i++)
			for (int k = 0; k < 4; k++)
				ras[i][k] = (double)m.m[i][k];
	} else {
		return err_set(e, ERR_INPUT, "neither sform nor qform: how the patient lies is unknown");
	}
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 4; k++)
			if (!isfinite(ras[i][k] *= mm_of_unit[h->xyzt_units & 7]) || fabs(ras[i][k]) > 1e5)
				return err_set(e, ERR_INPUT, "the orientation (sform, qform) holds %g", ras[i][k]);
	return 0;
}

/* Single precision carries no more, and a DICOM series made from the file writes as much: both give the same grid, to the bit. */
static double
six_digits(double v)
{
	return round(v * 1e6) / 1e6;
}

static double
length(const double v[3])
{
	return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

/* Tolerances of DESIGN.md, small print "Verdicts". */
static int
check_shear(const struct grid *g, const double step[3], double *along, struct err *e)
{
	double normal[3], drift[3], turn = 0;

	grid_normal(g, normal);
	*along = 0;
	for (int i = 0; i < 3; i++) {
		turn += g->row_dir[i] * g->col_dir[i];
		*along += step[i] * normal[i];
	}
	for (int i = 0; i < 3; i++)
		drift[i] = step[i] - *along * normal[i];
	if (fabs(turn) > 1e-3)
		return err_set(e, ERR_INPUT, "rows and columns are not at a right angle");
	if (fabs(*along) < 1e-3 || length(drift) > fmax(0.01 * fabs(*along), 0.05))
		return err_set(e, ERR_INPUT, "the slices are sheared: they drift by %.3g mm each", length(drift));
	return 0;
}

/* RAS -> LPS turns x and y round. Files whose slices run against the normal are turned end to end: *is_reversed. */
static int
grid_of(const struct nifti_1_header *h, struct grid *g, bool *is_reversed, struct err *e)
{
	double ras[3][4], column[3][3], origin[3], along;

	if (affine_of(h, ras, e) != 0)
		return -1;
	for (int i = 0; i < 3; i++) {
		double sign = i < 2 ? -1 : 1;
		for (int k = 0; k < 3; k++)
			column[k][i] = sign * ras[i][k];
		origin[i] = sign * ras[i][3];
	}
	*g = (struct grid) { .cols = (size_t)h->dim[1], .rows = (size_t)h->dim[2], .slices = (size_t)h->dim[3] };
	if (length(column[0]) < 1e-3 || length(column[1]) < 1e-3)
		return err_set(e, ERR_INPUT, "the orientation (sform, qform) has a pixel of no size");
	for (int i = 0; i < 3; i++) {
		g->row_dir[i] = six_digits(column[0][i] / length(column[0]));
		g->col_dir[i] = six_digits(column[1][i] / length(column[1]));
	}
	if (check_shear(g, column[2], &along, e) != 0)
		return -1;
	*is_reversed = along < 0;
	for (int i = 0; i < 3; i++)
		g->origin_mm[i] = six_digits(origin[i] + (*is_reversed ? (double)(g->slices - 1) * column[2][i] : 0));
	g->spacing_mm[0] = six_digits(fabs(along));
	g->spacing_mm[1] = six_digits(length(column[1]));
	g->spacing_mm[2] = six_digits(length(column[0]));
	return 0;
}

/* ---- voxels ---- */

static int
skip(znzFile f, size_t n, struct err *e)
{
	char block[SKIP_BLOCK];

	while (n > 0) {
		size_t piece = n < sizeof block ? n : sizeof block;
		if (znzread(block, 1, piece, f) != piece)
			return err_set(e, ERR_INPUT, "truncated before its voxels");
		n -= piece;
	}
	return 0;
}

static int
read_slices(struct reader *r, bool is_reversed, struct nifti_volume *out, void *raw, struct err *e)
{
	size_t n = out->grid.rows * out->grid.cols, bytes = (size_t)r->kind->bytes;
	bool is_scaled = isfinite(r->h.scl_slope) && r->h.scl_slope != 0;
	double slope = is_scaled ? (double)r->h.scl_slope : 1, inter = is_scaled && isfinite(r->h.scl_inter) ? (double)r->h.scl_inter : 0;

	for (size_t k = 0; k < out->grid.slices; k++) {
		size_t wanted = n * bytes + (k + 1 == out->grid.slices); /* one more than there is: else zlib does not look at the checksum behind */
		if (znzread(raw, 1, wanted, r->file) < n * bytes) /* of items longer than a byte it counts one that is cut, and prints */
			return err_set(e, ERR_INPUT, "truncated or damaged in slice %zu of %zu", k + 1, out->grid.slices);
		if (r->is_swapped && bytes > 1)
			nifti_swap_Nbytes(n, (int)bytes, raw);
		r->kind->convert(raw, n, slope, inter, out->voxels + (is_reversed ? out->grid.slices - 1 - k : k) * n);
	}
	return 0;
}

static int
read_volume(struct reader *r, struct nifti_volume *out, struct err *e)
{
	bool is_reversed = false;
	void *raw;
	int rc;

	if (read_header(r, e) != 0 || check_header(r, e) != 0 || grid_of(&r->h, &out->grid, &is_reversed, e) != 0 ||
	    skip(r->file, (size_t)r->h.vox_offset - sizeof r->h, e) != 0)
		return -1;
	raw = malloc(out->grid.rows * out->grid.cols * (size_t)r->kind->bytes + 1);
	out->voxels = malloc(grid_voxels(&out->grid) * sizeof *out->voxels);
	rc = raw == NULL || out->voxels == NULL ? err_set(e, ERR_LIMIT, "no memory for its voxels") : read_slices(r, is_reversed, out, raw, e);
	free(raw);
	return rc;
}

int
nifti_volume_read(const char *path, struct nifti_volume *out, struct err *e)
{
	struct reader r = { 0 };
	struct stat st;
	int rc;

	*out = (struct nifti_volume) { 0 };
	if (stat(path, &st) != 0 || (r.file = znzopen(path, "rb", 1)) == NULL)
		return err_errno(e, "opening %s", path);
	r.file_bytes = (size_t)st.st_size;
	rc = S_ISREG(st.st_mode) ? read_volume(&r, out, e) : err_set(e, ERR_INPUT, "not a regular file");
	if (Xznzclose(&r.file) != 0 && rc == 0)
		rc = err_set(e, ERR_INPUT, "truncated or damaged: its checksum does not match");
	if (rc != 0) {
		free(out->voxels);
		out->voxels = NULL;
		return err_note(e, "%s", path);
	}
	return 0;
}
