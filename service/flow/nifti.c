/* Writes NIfTI-1 with zlib: the one thing that libnifti cannot do is tell whether its write succeeded. Fields as nifti1.h of the NIfTI-1.1 standard
 * names them; everything little endian, as every machine that this program runs on. */
#include "service/flow/nifti.h"

#include "config/file.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct nifti_header {                       /* 348 bytes */
	int32_t sizeof_hdr;
	char unused1[36];
	int16_t dim[8];
	float intent_p[3];
	int16_t intent_code, datatype, bitpix, slice_start;
	float pixdim[8], vox_offset, scl_slope, scl_inter;
	int16_t slice_end;
	char slice_code, xyzt_units;
	float cal_max, cal_min, slice_duration, toffset;
	int32_t unused2[2];
	char descrip[80], aux_file[24];
	int16_t qform_code, sform_code;
	float quatern[3], qoffset[3], srow[3][4];
	char intent_name[16], magic[4];
};
_Static_assert(sizeof(struct nifti_header) == 348, "NIfTI-1 header");

enum { DT_FLOAT32 = 16, UNITS_MM = 2, XFORM_SCANNER = 1, DATA_AT = 352 };

static int
fill_header(struct nifti_header *h, const struct grid *g, size_t n, struct err *e)
{
	double normal[3];

	if (g->slices > INT16_MAX || g->rows > INT16_MAX || g->cols > INT16_MAX || n > INT16_MAX)
		return err_set(e, ERR_INPUT, "NIfTI-1 holds at most %d voxels along an axis", INT16_MAX);
	*h = (struct nifti_header) { .sizeof_hdr = 348, .datatype = DT_FLOAT32, .bitpix = 32, .vox_offset = DATA_AT, .scl_slope = 1, .xyzt_units = UNITS_MM,
		.sform_code = XFORM_SCANNER, .magic = "n+1", .descrip = "segan probabilities",
		.dim = { n > 1 ? 4 : 3, (int16_t)g->cols, (int16_t)g->rows, (int16_t)g->slices, (int16_t)n, 1, 1, 1 },
		.pixdim = { 1, (float)g->spacing_mm[2], (float)g->spacing_mm[1], (float)g->spacing_mm[0], 1, 1, 1, 1 } };
	grid_normal(g, normal);
	for (size_t i = 0; i < 3; i++) {        /* LPS -> RAS turns x and y round */
		double sign = i < 2 ? -1 : 1;
		h->srow[i][0] = (float)(sign * g->row_dir[i] * g->spacing_mm[2]);
		h->srow[i][1] = (float)(sign * g->col_dir[i] * g->spacing_mm[1]);
		h->srow[i][2] = (float)(sign * normal[i] * g->spacing_mm[0]);
		h->srow[i][3] = (float)(sign * g->origin_mm[i]);
	}
	return 0;
}

static int
put(gzFile f, const void *bytes, size_t n)
{
	for (const char *p = bytes; n > 0;) {
		unsigned piece = n > 1 << 20 ? 1 << 20 : (unsigned)n;
		if (gzwrite(f, p, piece) != (int)piece)
			return -1;
		p += piece;
		n -= piece;
	}
	return 0;
}

int
nifti_write(const char *path, const struct grid *g, const float *const *maps, size_t n, struct err *e)
{
	struct nifti_header h;
	char tmp[1100];
	gzFile f;
	int bad;

	if (fill_header(&h, g, n, e) != 0)
		return err_note(e, "writing %s", path);
	if ((size_t)snprintf(tmp, sizeof tmp, "%s.part", path) >= sizeof tmp)
		return err_set(e, ERR_INPUT, "the path %.60s... is too long", path);
	if ((f = gzopen(tmp, "wb6")) == NULL)
		return err_errno(e, "writing %s", tmp);
	bad = put(f, &h, sizeof h) != 0 || put(f, "\0\0\0", DATA_AT - sizeof h) != 0;
	for (size_t i = 0; i < n && !bad; i++)
		bad = put(f, maps[i], grid_voxels(g) * sizeof(float)) != 0;
	bad = gzclose(f) != Z_OK || bad;
	if (bad) {
		unlink(tmp);
		return err_set(e, ERR_IO, "writing %s failed: is the disk full?", path);
	}
	if (file_commit(tmp, path, e) == 0)
		return 0;
	unlink(tmp);
	return -1;
}
