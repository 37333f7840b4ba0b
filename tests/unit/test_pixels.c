/* Pixels in every transfer syntax that is read, coded by other people's programs (tests/tools/mksyntaxes.py): the same voxels as uncompressed where nothing is
 * lost, near ones and a SEG that says so where something is; codestreams that are cut short or damaged. */
#include "dicom/attributes.h"
#include "dicom/seg.h"
#include "dicom/series.h"
#include "tests/unit/made_folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 3, MOST_BYTES = 1 << 20 };

static int
make_files(void **state)
{
	return folder_made_by(state, "tests/tools/mksyntaxes.py");
}

static struct series *
load(const char *kind, const char *syntax, struct err *e)
{
	char names[MOST][512];
	const char *paths[MOST];
	struct series_input in = { .paths = paths };

	for (; in.n < MOST; in.n++) {
		snprintf(names[in.n], sizeof names[in.n], "%s/%s/%s/%zu.dcm", folder, kind, syntax, in.n);
		if (!file_exists(names[in.n]))
			break;
		paths[in.n] = names[in.n];
	}
	return series_load(&in, e);
}

static float
value(const struct series *s, size_t i)
{
	const struct voxels v = series_voxels(s);

	return voxels_any(&v, i);
}

static struct series *
load_good(const char *kind, const char *syntax)
{
	struct err e;
	struct series *s = load(kind, syntax, &e);

	if (s == NULL)
		fail_msg("%s %s: %s", kind, syntax, e.text);
	assert_int_equal(series_grid(s)->slices, MOST);
	return s;
}

static void
test_lossless(void **state)
{
	static const char *const kinds[] = { "twelve", "eight", "signed", "signed12", "overlay", "frames" };
	static const char *const syntaxes[] = { "implicit", "big", "deflated", "rle", "lossless14", "sv1", "ls", "j2k" };

	(void)state;
	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		struct series *native = load_good(kinds[k], "native");
		size_t n = grid_voxels(series_grid(native));
		for (size_t i = 0; i < sizeof syntaxes / sizeof syntaxes[0]; i++) {
			struct series *s = load_good(kinds[k], syntaxes[i]);
			for (size_t v = 0; v < n; v++)
				if (value(native, v) != value(s, v))
					fail_msg("%s %s: voxel %zu is %g instead of %g", kinds[k], syntaxes[i], v, value(s, v), value(native, v));
			series_free(s);
		}
		series_free(native);
	}
}

/* The numbers themselves, against numpy's: the sum of a slice is enough, since the encoders above never saw our decoder. */
static void
test_kinds_agree(void **state)
{
	struct series *twelve = load_good("twelve", "native"), *overlay = load_good("overlay", "native"), *signed12 = load_good("signed12", "native"),
	              *signed16 = load_good("signed", "native"), *frames = load_good("frames", "native");
	size_t n = grid_voxels(series_grid(twelve)), n_bright = 0;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		const float v = value(twelve, i);
		n_bright += v > 1000;
		assert_true(v >= 0 && v <= 3835);
		assert_true(value(overlay, i) == v && value(frames, i) == v);
		assert_true(value(signed12, i) == v - 1900 && value(signed16, i) == 8 * v - 16000);
	}
	assert_true(n_bright > 100);
	struct series *all[] = { twelve, overlay, signed12, signed16, frames };
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		series_free(all[i]);
}

static void
assert_text(struct attributes *a, const char *keyword, const char *wanted, const char *name)
{
	const char *text = attributes_text(a, keyword);

	if (text == NULL || strcmp(text, wanted) != 0)
		fail_msg("%s: %s is \"%s\" instead of \"%s\"", name, keyword, text != NULL ? text : "(absent)", wanted);
}

/* A SEG of one voxel. */
static void
assert_seg_says(const struct series *s, const char *lossy, const char *method, const char *name)
{
	uint8_t *mask = calloc(grid_voxels(series_grid(s)), 1);
	struct seg_segment segment = { .number = 1, .label = "X", .category = { "49755003", "SCT", "Morphologically Abnormal Structure" },
		.type = { "108369006", "SCT", "Neoplasm" }, .anatomy = { "12738006", "SCT", "Brain" }, .mask = mask };
	struct seg_request r = { .source = s, .segments = &segment, .n_segments = 1, .identity = "test", .node_id = "1", .model_name = "m", .model_version = "1",
		.weights_sha256 = "0000", .core_type = "c", .series_number = 1, .created_ms = 1700000000000 };
	struct seg_result out;
	char path[512];
	struct err e;

	assert_non_null(mask);
	mask[0] = 1;
	snprintf(path, sizeof path, "%s/seg.dcm", folder);
	if (seg_write(&r, path, &out, &e) != 0)
		fail_msg("%s: %s", name, e.text);
	struct attributes *a = attributes_load(path, &e);
	assert_non_null(a);
	assert_text(a, "LossyImageCompression", lossy, name);
	if (method == NULL) {
		assert_null(attributes_text(a, "LossyImageCompressionRatio"));
	} else {
		assert_text(a, "LossyImageCompressionMethod", method, name);
		assert_true(strtod(attributes_text(a, "LossyImageCompressionRatio"), NULL) > 1.5);
	}
	attributes_free(a);
	free(mask);
}

static void
test_lossy(void **state)
{
	static const struct { const char *kind, *syntax, *method; double most, mean; } cases[] = {
		{ "eight", "baseline", "ISO_10918_1", 40, 2 }, { "twelve", "extended", "ISO_10918_1", 100, 40 /* dcmcjpeg stretches the values first */ }, { "eight", "near", "ISO_14495_1", 3, 3 },
		{ "twelve", "near", "ISO_14495_1", 3, 3 }, { "eight", "j2klossy", "ISO_15444_1", 40, 2 }, { "twelve", "j2klossy", "ISO_15444_1", 400, 30 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct series *native = load_good(cases[i].kind, "native"), *s = load_good(cases[i].kind, cases[i].syntax);
		size_t n = grid_voxels(series_grid(s));
		double sum = 0, most = 0;
		for (size_t v = 0; v < n; v++) {
			double d = fabs(value(s, v) - value(native, v));
			sum += d;
			most = d > most ? d : most;
		}
		if (sum == 0 || sum / (double)n > cases[i].mean || most > cases[i].most)
			fail_msg("%s %s: differs by %g at most, %g in the mean", cases[i].kind, cases[i].syntax, most, sum / (double)n);
		assert_seg_says(s, "01", cases[i].method, cases[i].syntax);
		series_free(native);
		series_free(s);
	}
	struct series *s = load_good("twelve", "j2k");
	assert_seg_says(s, "00", NULL, "j2k");
	series_free(s);
}

/* ---- damage ---- */

struct coded { unsigned char *file; size_t n, fragment, n_fragment; }; /* a single-frame file of one fragment; offsets of the fragment's value */

static struct coded
read_coded(const char *kind, const char *syntax)
{
	static const unsigned char pixels[] = { 0xE0, 0x7F, 0x10, 0x00, 'O', 'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF };
	struct coded c = { 0 };
	char path[512];
	struct err e;

	snprintf(path, sizeof path, "%s/%s/%s/0.dcm", folder, kind, syntax);
	c.file = (unsigned char *)file_read(path, MOST_BYTES, &c.n, &e);
	assert_non_null(c.file);
	unsigned char *p = memmem(c.file, c.n, pixels, sizeof pixels);
	assert_non_null(p);
	p += sizeof pixels;
	p += 8 + p[4];                               /* the offset table */
	c.fragment = (size_t)(p + 8 - c.file);
	c.n_fragment = p[4] | (size_t)p[5] << 8 | (size_t)p[6] << 16;
	assert_true(c.fragment + c.n_fragment + 8 <= c.n);
	return c;
}

/* The file again with these bytes as its fragments, n_each in each (0: one fragment) -> the series of it, or NULL. */
static struct series *
load_with(const struct coded *c, const unsigned char *bytes, size_t n, size_t n_each, struct err *e)
{
	static const unsigned char end[] = { 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0 };
	unsigned char *file = malloc(c->n + 2 * n + 16);
	size_t at = c->fragment - 8;
	char path[512];
	const char *paths[] = { path };
	struct series_input in = { .paths = paths, .n = 1 };

	assert_non_null(file);
	memcpy(file, c->file, at);
	if (n_each == 0)
		n_each = n;
	for (size_t done = 0; done < n || done == 0; done += n_each) {
		size_t k = n - done < n_each ? n - done : n_each;
		memcpy(file + at, (unsigned char[]){ 0xFE, 0xFF, 0x00, 0xE0, k & 0xFF, k >> 8 & 0xFF, k >> 16 & 0xFF, 0 }, 8);
		memcpy(file + at + 8, bytes + done, k);
		at += 8 + k;
		if (n == 0)
			break;
	}
	memcpy(file + at, end, sizeof end);
	snprintf(path, sizeof path, "%s/damaged.dcm", folder);
	assert_int_equal(file_write(path, file, at + sizeof end, e), 0);
	free(file);
	return series_load(&in, e);
}

static const struct { const char *kind, *syntax; } coded_ones[] = {
	{ "twelve", "rle" }, { "twelve", "sv1" }, { "twelve", "lossless14" }, { "eight", "baseline" }, { "twelve", "extended" }, { "twelve", "ls" }, { "twelve", "near" },
	{ "twelve", "j2k" }, { "twelve", "j2klossy" },
};
enum { N_CODED = sizeof coded_ones / sizeof coded_ones[0], CUTS = 40 };

static void
test_fragments_are_joined(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CODED; i++) {
		struct coded c = read_coded(coded_ones[i].kind, coded_ones[i].syntax);
		struct err e;
		struct series *whole = load_with(&c, c.file + c.fragment, c.n_fragment, 0, &e), *parts = load_with(&c, c.file + c.fragment, c.n_fragment, 998, &e);
		if (whole == NULL || parts == NULL)
			fail_msg("%s: %s", coded_ones[i].syntax, e.text);
		for (size_t v = 0; v < grid_voxels(series_grid(whole)); v++)
			assert_true(value(whole, v) == value(parts, v));
		series_free(whole);
		series_free(parts);
		free(c.file);
	}
}

/* Refused, naming instance, syntax and what is wrong. */
static void
test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CODED; i++) {
		struct coded c = read_coded(coded_ones[i].kind, coded_ones[i].syntax);
		for (size_t cut = 0; cut <= CUTS; cut++) {
			struct err e = { 0 };
			size_t n = cut == CUTS ? c.n_fragment - 8 : c.n_fragment * cut / CUTS & ~(size_t)1;
			struct series *s = load_with(&c, c.file + c.fragment, n, 0, &e);
			if (s != NULL)
				fail_msg("%s: %zu of %zu bytes were decoded", coded_ones[i].syntax, n, c.n_fragment);
			assert_int_equal(e.code, ERR_INPUT);
			if (strstr(e.text, "2.25.7100") == NULL || (strstr(e.text, "RLE") == NULL && strstr(e.text, "JPEG") == NULL))
				fail_msg("%s: %s", coded_ones[i].syntax, e.text);
		}
		free(c.file);
	}
}

/* Cut, with an end marker again: refused by the decoder. With bytes changed: whatever comes of it, the process lives and the next file is read. */
static void
test_damaged(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CODED; i++) {
		struct coded c = read_coded(coded_ones[i].kind, coded_ones[i].syntax);
		unsigned char *bytes = malloc(c.n_fragment);
		unsigned random = 12345;
		struct err e;
		assert_non_null(bytes);
		for (size_t cut = 1; cut <= CUTS; cut++) {
			size_t n = cut == 1 ? 2 : c.n_fragment * cut / CUTS & ~(size_t)1;
			memcpy(bytes, c.file + c.fragment, n);
			bytes[n - 2] = 0xFF;
			bytes[n - 1] = 0xD9;
			struct series *cut_off = load_with(&c, bytes, n, 0, &e);
			if (cut_off != NULL && cut < CUTS - 1)
				fail_msg("%s: %zu of %zu bytes and an end marker were decoded", coded_ones[i].syntax, n, c.n_fragment);
			series_free(cut_off);
			memcpy(bytes, c.file + c.fragment, c.n_fragment);
			for (unsigned k = 0; k < 8; k++) {
				random = random * 1103515245u + 12345u;
				bytes[(random >> 8) % (k < 4 ? 200 : c.n_fragment)] ^= (unsigned char)(1u << (random >> 28 & 7));
			}
			series_free(load_with(&c, bytes, c.n_fragment, 0, &e));
		}
		struct series *s = load_with(&c, c.file + c.fragment, c.n_fragment, 0, &e);
		assert_non_null(s);
		series_free(s);
		free(bytes);
		free(c.file);
	}
}

/* A codestream of another size than the data set says: refused before a pixel is decoded. */
static void
test_size_disagrees(void **state)
{
	static const unsigned char rows[] = { 0x28, 0, 0x10, 0, 'U', 'S', 2, 0 };

	(void)state;
	for (size_t i = 0; i < N_CODED; i++) {
		struct coded c = read_coded(coded_ones[i].kind, coded_ones[i].syntax);
		unsigned char *p = memmem(c.file, c.n, rows, sizeof rows);
		struct err e;
		assert_non_null(p);
		for (unsigned k = 0; k < 2; k++) {
			p[8] = k == 0 ? 0xFF : 60;
			p[9] = k == 0 ? 0xFF : 0;
			assert_null(load_with(&c, c.file + c.fragment, c.n_fragment, 0, &e));
			assert_int_equal(e.code, ERR_INPUT);
		}
		free(c.file);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lossless), cmocka_unit_test(test_kinds_agree), cmocka_unit_test(test_lossy), cmocka_unit_test(test_fragments_are_joined),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_damaged), cmocka_unit_test(test_size_disagrees),
	};

	return cmocka_run_group_tests(tests, make_files, folder_tear_down);
}
