/* A packed data set: dataset.json, then the files of its first two cases. */
#include "tests/fuzz/fuzz.h"

#include "model/dataset.h"

#include <math.h>

static const char *folder;

static void
start(void)
{
	folder = fuzz_folder((const char *const[]){ "dataset.json", "0000.bin", "0001.bin" }, 3);
}

static void
read_case(struct dataset *d, size_t i)
{
	struct err e;
	double sum = 0;

	if (dataset_map(d, i, &e) != 0)
		return;
	const struct dataset_case *c = dataset_at(d, i);
	size_t n = grid_voxels(&c->grid);
	for (size_t k = 0; k < dataset_channels(d); k++)
		for (size_t v = 0; v < n; v++)
			sum += (double)c->channel[k][v];
	for (size_t v = 0; v < n * dataset_segments(d); v++)
		sum += c->truth[v];
	fuzz_must(isfinite(sum) || !isfinite(sum)); /* every byte was read */
	dataset_unmap(d, i);
}

static void
one(const uint8_t *bytes, size_t n)
{
	struct fuzz_part parts[3] = { { bytes, 0 }, { bytes, 0 }, { bytes, 0 } };
	struct dataset *d;
	struct err e;

	fuzz_parts(bytes, n, parts, 3);
	for (size_t i = 0; i < 3; i++)
		fuzz_file(i, parts[i].bytes, parts[i].n);
	if ((d = dataset_open(folder, &e)) == NULL)
		return;
	for (size_t i = 0; i < dataset_size(d) && i < 2; i++)
		read_case(d, i);
	dataset_close(d);
}

const struct fuzz_target fuzz_dataset = { "dataset", start, one };
