/* A model's description, model.json. */
#include "tests/fuzz/fuzz.h"

#include "model/manifest.h"

static const char *folder;

static void
start(void)
{
	folder = fuzz_folder((const char *const[]){ "model.json" }, 1);
}

static void
one(const uint8_t *bytes, size_t n)
{
	struct manifest m;
	struct err e;

	fuzz_file(0, bytes, n);
	if (manifest_load(folder, &m, &e) != 0)
		return;
	fuzz_must(m.n_channels >= 1 && m.n_channels <= MODEL_MAX_CHANNELS && m.n_segments >= 1 && m.n_segments <= MODEL_MAX_SEGMENTS);
	fuzz_must(m.pad_multiple > 0 && m.spacing_mm > 0);
	for (size_t i = 0; i < m.n_segments; i++)
		fuzz_must(m.segments[i].map < m.network.labels && m.segments[i].number > 0);
}

const struct fuzz_target fuzz_manifest = { "manifest", start, one };
