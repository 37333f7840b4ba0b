/* Pictures of a preview series: what is burned in, to the pixel; a secondary capture that pydicom and dciodvfy take, of an odd number of bytes too. */
#include "dicom/capture.h"
#include "service/flow/burn.h"
#include "tests/unit/result_stage.h"

enum { R = 20, C = 17 };
static float voxels[2 * R * C];
static uint8_t mask[2 * R * C];
static unsigned char rgb[R * C * 3];
static const struct grid grid = { .slices = 2, .rows = R, .cols = C, .spacing_mm = { 1, 1, 1 }, .row_dir = { 1, 0, 0 }, .col_dir = { 0, 1, 0 } };

/* The picture as letters: o outline, w the legend's white, . black, x other. */
static void
picture_is(const struct burn_line *legend, size_t n_legend, const char *wanted)
{
	struct preview_request p = { .grid = &grid, .voxels = { .real = voxels }, .segments = { { .mask = mask, .rgb = { 200, 10, 20 } } }, .n_segments = 1 };
	struct burn_request r = { .picture = &p, .range = { 0, 1 }, .legend = legend, .n_legend = n_legend };
	char got[R * (C + 1) + 1], *to = got;

	burn_slice(&r, 1, rgb);
	for (size_t i = 0; i < R * C; i++) {
		const unsigned char *q = rgb + i * 3;
		*to++ = q[0] == 200 && q[1] == 10 && q[2] == 20 ? 'o' : q[0] == 255 && q[1] == 255 && q[2] == 255 ? 'w' : q[0] + q[1] + q[2] == 0 ? '.' : 'x';
		if (i % C == C - 1)
			*to++ = '\n';
	}
	*to = '\0';
	assert_string_equal(got, wanted);
}

static void
test_outline_and_legend(void **state)
{
	static const struct burn_line legend[] = { { "l\xc3\x89m cut here", { 255, 255, 255 } }, { "second line", { 255, 255, 255 } },
		{ "third", { 255, 255, 255 } } };

	(void)state;
	for (size_t y = 0; y < R; y++)
		for (size_t x = 0; x < C; x++)
			mask[(R + y) * C + x] = (y > 12 && y < 16 && x > 2 && x < 9) /* the legend lies over it */ || (y >= 17 && x >= 14);
	voxels[(R + 19) * C] = 0.5f;
	picture_is(legend, 3,                      /* two letters of six columns fit from (2, 2) on, two lines of nine rows; the third not at all */
	    ".................\n"
	    ".................\n"
	    ".................\n"
	    "...ww....www.....\n"
	    "....w...w...w....\n"
	    "....w.......w....\n"
	    "....w.....ww.....\n"
	    "....w.....w......\n"
	    "....w............\n"
	    "...www....w......\n"
	    ".................\n"
	    ".................\n"
	    "...wwww.wwwww....\n"
	    "..w.....w........\n"
	    "..w.....w........\n"
	    "...www..wwww.....\n"
	    "......w.w........\n"
	    "......w.w.....ooo\n"
	    "..wwww..wwwww.o.o\n"
	    "x.............ooo\n");
}

static void
test_the_image(void **state)
{
	static const char check[] =
	    "import sys, pydicom, numpy as np\n"
	    "d, s = pydicom.dcmread(sys.argv[1]), [pydicom.dcmread(f, stop_before_pixels=True) for f in sys.argv[3:]]\n"
	    "raw = np.fromfile(sys.argv[2], np.uint8).reshape(d.Rows, d.Columns, 3)\n"
	    "at = [x for x in s if x.ImagePositionPatient == d.ImagePositionPatient]\n"
	    "assert (d.pixel_array == raw).all() and len(d.PixelData) % 2 == 0 and d.PixelData[-1] == 0\n"
	    "assert len(at) == 1 and at[0].SOPInstanceUID == d.SourceImageSequence[0].ReferencedSOPInstanceUID\n"
	    "assert at[0].PixelSpacing == d.PixelSpacing and at[0].PatientName == d.PatientName and len(d.PatientOrientation) == 2\n";
	const char *argv[SERIES_FILES + 8] = { "/usr/bin/python3", "-c", check };
	char raw_path[TEXT + 64];
	struct paths p = { .n = 0 };
	struct seg_result first, second;
	struct capture_request r = { .slice = 3, .number = 1 };
	unsigned char *pixels;
	struct study t;
	struct err e;
	size_t n, i = 5;

	(void)state;
	open_result(&t, "capture", (const char *const[]) { NULL }, (const double[]) { 7 }, 1);
	n = series_grid(t.series)->rows * series_grid(t.series)->cols * 3;
	assert_true(n % 2 == 1);
	assert_non_null(pixels = malloc(n));
	for (size_t k = 0; k < n; k++)
		pixels[k] = (unsigned char)(k * 7 % 251 + 1);
	r.run = &t.request;
	r.seg = &t.seg;
	r.rgb = pixels;
	if (capture_write(&r, t.result_path, &first, &e) != 0)
		fail_msg("%s", e.text);
	must_be_valid(t.result_path);
	snprintf(raw_path, sizeof raw_path, "%s.raw", t.dir);
	assert_int_equal(file_write(raw_path, pixels, n, &e), 0);
	argv[3] = t.result_path;
	argv[4] = raw_path;
	assert_int_equal(file_walk(t.dir, note_path, &p, &e), 0);
	for (size_t k = 0; k < p.n; k++)
		argv[i++] = p.path[k];
	must_run(argv);
	r.number = 2;
	assert_int_equal(capture_write(&r, t.result_path, &second, &e), 0);
	assert_string_equal(first.series_uid, second.series_uid);
	assert_string_not_equal(first.sop_uid, second.sop_uid);
	while (p.n > 0)
		free(p.path[--p.n]);
	free(pixels);
	close_study(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_outline_and_legend), cmocka_unit_test(test_the_image) };

	alarm(120);
	return cmocka_run_group_tests(tests, set_up, folder_tear_down);
}
