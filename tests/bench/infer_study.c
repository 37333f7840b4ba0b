/* Our side of infer_onnx.sh: for every line read from stdin the study DIR/x.f32 (slices, channels, SIDE, SIDE) goes through DIR/model in one call;
 * prints "wall CPU" seconds. The first time the probabilities are written to DIR/ours.f32. usage: infer_study DIR SLICES THREADS */
#include "model/segan.h"
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { SIDE = 240 };

static double
user_time(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec * 1e-6;
}

/* The whole file DIR/NAME, read or written. -1: not so many floats. */
static int
transfer(const char *dir, const char *name, bool write_it, float *values, size_t n)
{
	char path[1200];
	FILE *f;
	size_t done;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, write_it ? "wb" : "rb");
	if (!f)
		return -1;
	done = write_it ? fwrite(values, sizeof *values, n, f) : fread(values, sizeof *values, n, f);
	return fclose(f) == 0 && done == n ? 0 : -1;
}

static int
serve(struct segmentor *s, const char *dir, const float *x, size_t n, float *y, size_t n_out, struct err *e)
{
	bool written = false;
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getchar()) != EOF) {
		double began = now(), used = user_time();
		if (c != '\n')
			continue;
		if (segmentor_run(s, x, n, SIDE, SIDE, y, e) != 0)
			return -1;
		printf("%.6f %.6f\n", now() - began, user_time() - used);
		if (!written && transfer(dir, "ours.f32", true, y, n_out) != 0)
			return err_set(e, ERR_IO, "writing %s/ours.f32", dir);
		written = true;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	static struct manifest m;
	struct segmentor *s = NULL;
	struct err e = { 0 };
	char path[1000];
	size_t n, in, out;
	float *x, *y;
	int rc;

	if (argc != 4)
		return 2;
	choose_core(argv);
	snprintf(path, sizeof path, "%s/model", argv[1]);
	n = strtoul(argv[2], NULL, 10);
	if (manifest_load(path, &m, &e) == 0)
		s = segmentor_load(&m, (unsigned)strtoul(argv[3], NULL, 10), &e);
	if (!s) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	in = n * m.network.channels * SIDE * SIDE;
	out = n * m.network.labels * SIDE * SIDE;
	x = malloc(in * sizeof *x);
	y = malloc(out * sizeof *y);
	if (!x || !y || transfer(argv[1], "x.f32", false, x, in) != 0) {
		fprintf(stderr, "%s/x.f32 cannot be read\n", argv[1]);
		return 1;
	}
	rc = serve(s, argv[1], x, n, y, out, &e);
	if (rc != 0)
		fprintf(stderr, "%s\n", e.text);
	segmentor_free(s);
	free(x);
	free(y);
	return rc != 0;
}
