/* A tiny network on the two real cases of tests/data/lgg: it learns; same seed, same bits, for any number of threads; stopped, killed and out of disk in
 * the middle, it goes on to the bits of an uninterrupted run; losses that are not finite stop it. */
#include "config/file.h"
#include "config/json.h"
#include "model/run_folder.h"
#include "model/trainer.h"
#include "model/validate.h"
#include "model/weights.h"
#include "service/commands/dataset_nifti.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { STEPS = 24, MAX_BYTES = 1 << 24, KEPT = 8 };

static char top[256];
static struct dataset *data;
static char reference[300];                     /* a run of STEPS steps that nothing disturbed */

static const char *
below(const char *leaf, char path[400])
{
	snprintf(path, 400, "%s/%s", top, leaf);
	return path;
}

/* The KEPT slices in the middle, where the tumour is: sanitizers run this, too. */
static void
add_case(struct dataset_writer *w, const char *name)
{
	size_t first;
	struct dataset_case c = { 0 };
	struct nifti_volume image, mask;
	struct err e = { 0 };
	char path[300];
	uint8_t *truth;

	snprintf(path, sizeof path, "tests/data/lgg/%s/flair.nii.gz", name);
	assert_int_equal(nifti_volume_read(path, &image, &e), 0);
	snprintf(path, sizeof path, "tests/data/lgg/%s/mask.nii.gz", name);
	assert_int_equal(nifti_volume_read(path, &mask, &e), 0);
	truth = calloc(grid_voxels(&mask.grid), 1);
	assert_non_null(truth);
	for (size_t i = 0; i < grid_voxels(&mask.grid); i++)
		truth[i] = mask.voxels[i] > 0;
	snprintf(c.name, sizeof c.name, "%s", name);
	snprintf(c.patient, sizeof c.patient, "%s", name);
	c.grid = image.grid;
	first = (c.grid.slices - KEPT) / 2 * c.grid.rows * c.grid.cols;
	c.grid.slices = KEPT;
	c.channel[0] = image.voxels + first;
	c.truth = truth + first;
	if (dataset_add(w, &c, &e) != 0)
		fail_msg("%s", e.text);
	free(image.voxels);
	free(mask.voxels);
	free(truth);
}

static struct dataset *
pack(const char *leaf, size_t n)
{
	static const char *const channels[] = { "flair" }, *const names[] = { "TCGA_HT_7602_19951103", "TCGA_CS_4942_19970222" };
	char path[400], warning[300];
	struct err e = { 0 };
	struct dataset_writer *w = dataset_begin(below(leaf, path), channels, 1, 1, &e);
	struct dataset *d = NULL;

	if (!w)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < n; i++)
		add_case(w, names[i]);
	if (dataset_end(w, (struct dataset_shares){ 0.15, 0.15 }, warning, sizeof warning, &e) != 0 || !(d = dataset_open(path, &e)))
		fail_msg("%s", e.text);
	return d;
}

/* Small enough to be quick. */
static struct recipe
tiny(void)
{
	static const char *const channels[] = { "flair" };
	struct recipe r;
	struct err e;

	assert_int_equal(recipe_default(&r, channels, 1, 1, &e), 0);
	r.model.neighbours = 0;                  /* the cheapest network: sanitizers run this, too */
	r.model.mirror = false;
	r.model.network.kind = NETWORK_SEGAN;
	r.model.network.channels = 1;
	r.model.network.width = 2;
	r.game.network = r.model.network;
	r.batch = 4;
	r.crop = 96;
	r.steps = STEPS;
	r.validate_every = 10;
	r.checkpoint_minutes = 100;
	return r;
}

static void
create(const char *run, const struct recipe *r, const char *start)
{
	struct err e = { 0 };

	if (trainer_create(run, data, r, start, NULL, &e) != 0)
		fail_msg("%s", e.text);
}

static struct trainer_result
go(const char *run, unsigned threads, trainer_progress_fn progress)
{
	struct trainer_result result;
	struct err e = { 0 };

	if (trainer_run(run, data, threads, progress, NULL, &result, &e) != 0)
		fail_msg("%s", e.text);
	return result;
}

static int
set_up(void **state)
{
	struct recipe r = tiny();
	char path[400];

	(void)state;
	snprintf(top, sizeof top, "%s/trainer.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(top));
	data = pack("set", 2);
	snprintf(reference, sizeof reference, "%.200s", below("reference", path));
	create(reference, &r, NULL);
	go(reference, 1, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	struct err e;

	(void)state;
	dataset_close(data);
	return file_remove_tree(top, &e);
}

/* A file of a run, whole. caller: free */
static char *
read_file(const char *run, const char *leaf, size_t *n)
{
	struct err e = { 0 };
	char *bytes = file_read(run_path(run, leaf).text, MAX_BYTES, n, &e);

	if (!bytes)
		fail_msg("%s", e.text);
	return bytes;
}

static void
assert_same_file(const char *a, const char *b, const char *leaf)
{
	size_t n, m;
	char *x = read_file(a, leaf, &n), *y = read_file(b, leaf, &m);

	assert_int_equal(n, m);
	assert_memory_equal(x, y, n);
	free(x);
	free(y);
}

/* log.csv without the columns of the clock, the last two. caller: free */
static char *
read_curve(const char *run)
{
	size_t n;
	char *text = read_file(run, "log.csv", &n), *to = text;

	for (char *line = text, *end; *line && (end = strchr(line, '\n')); line = end + 1) {
		char *stop = end;

		for (int comma = 0; comma < 2; comma += *stop == ',')
			stop--;
		memmove(to, line, (size_t)(stop - line));
		to += stop - line;
		*to++ = '\n';
	}
	*to = '\0';
	return text;
}

static void
assert_same_run(const char *a, const char *b)
{
	char *x = read_curve(a), *y = read_curve(b);

	assert_string_equal(x, y);
	free(x);
	free(y);
	assert_same_file(a, b, "best/weights.safetensors");
	assert_same_file(a, b, "checkpoints/step-00000024/game.safetensors");
	assert_same_file(a, b, "checkpoints/step-00000024/average.safetensors");
}

static void
a_run_leaves_what_it_promises(void **state)
{
	static const char *const files[] = { "recipe.json", "log.csv", "curves.svg", "best/model.json", "best/weights.safetensors", "best/CARD.md" };
	struct manifest m;
	struct err e = { 0 };
	char *text;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		free(read_file(reference, files[i], &n));
	assert_false(file_exists(run_path(reference, "candidate").text));
	assert_false(file_exists(run_path(reference, "checkpoints/new").text));
	if (manifest_load(run_path(reference, "best").text, &m, &e) != 0)
		fail_msg("%s", e.text);
	assert_string_equal(m.name, "glioma-flair");
	assert_int_equal(m.network.width, 2);
	assert_int_equal(m.statistics[0].n_cases, 2);           /* CS_4942 has the larger head */
	assert_float_equal(m.statistics[0].low[LIKENESS_HEAD_ML], 841, 0.5);
	assert_float_equal(m.statistics[0].high[LIKENESS_HEAD_ML], 903, 0.5);
	text = read_file(reference, "recipe.json", &n);
	assert_null(strstr(text, "statistics"));       /* they are the data's, not the recipe's */
	free(text);
	text = read_file(reference, "log.csv", &n);
	assert_non_null(strstr(text, "\n10,"));
	assert_non_null(strstr(text, "\n20,"));
	assert_non_null(strstr(text, "\n24,"));
	free(text);
}

static void
threads_change_no_bit(void **state)
{
	struct recipe r = tiny();
	char run[400];

	(void)state;
	create(below("threads", run), &r, NULL);
	go(run, 2, NULL);
	assert_same_run(run, reference);
}

static void
another_seed_is_another_run(void **state)
{
	struct recipe r = tiny();
	char run[400], *x, *y;

	(void)state;
	r.seed = 2;
	create(below("seed", run), &r, NULL);
	go(run, 2, NULL);
	x = read_curve(run);
	y = read_curve(reference);
	assert_string_not_equal(x, y);
	free(x);
	free(y);
}

static int
stop_at_7(void *arg, const struct trainer_progress *p)
{
	(void)arg;
	return p->step == 7;
}

static void
a_stopped_run_goes_on_to_the_same_bits(void **state)
{
	struct recipe r = tiny();
	struct trainer_result result;
	char run[400];

	(void)state;
	create(below("stopped", run), &r, NULL);
	result = go(run, 1, stop_at_7);
	assert_true(result.is_stopped);
	assert_int_equal(result.step, 7);
	assert_true(file_exists(run_path(run, "checkpoints/step-00000007/state.json").text));
	result = go(run, 2, NULL);
	assert_false(result.is_stopped);
	assert_same_run(run, reference);
	result = go(run, 1, NULL);                       /* nothing is left to do */
	assert_int_equal(result.step, STEPS);
	assert_same_run(run, reference);
}

static int
die_at_13(void *arg, const struct trainer_progress *p)
{
	(void)arg;
	if (p->step == 13)
		raise(SIGKILL);
	return 0;
}

static void
a_killed_run_goes_on_to_the_same_bits(void **state)
{
	struct recipe r = tiny();
	char run[400];
	int status;
	pid_t child;

	(void)state;
	r.checkpoint_minutes = 0;                        /* after every step */
	create(below("killed", run), &r, NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		go(run, 1, die_at_13);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(file_exists(run_path(run, "checkpoints/step-00000012").text));
	assert_true(file_exists(run_path(run, "checkpoints/step-00000011").text));
	assert_false(file_exists(run_path(run, "checkpoints/step-00000010").text));
	go(run, 1, NULL);
	assert_same_run(run, reference);
}

/* No file may grow beyond a few bytes from step 5 on: as a full disk. */
static int
fill_at_5(void *arg, const struct trainer_progress *p)
{
	struct rlimit limit;

	(void)arg;
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = 1000;
	if (p->step == 5)
		setrlimit(RLIMIT_FSIZE, &limit);
	return 0;
}

static void
a_full_disk_leaves_the_earlier_checkpoints(void **state)
{
	struct recipe r = tiny();
	struct trainer_result result;
	struct err e = { 0 };
	struct rlimit limit;
	char run[400];

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	r.checkpoint_minutes = 0;
	create(below("full", run), &r, NULL);
	assert_int_equal(trainer_run(run, data, 1, fill_at_5, NULL, &result, &e), -1);
	setrlimit(RLIMIT_FSIZE, &limit);
	assert_non_null(strstr(e.text, "step 5"));
	assert_non_null(strstr(e.text, "step-00000004"));
	assert_false(file_exists(run_path(run, "checkpoints/new").text));
	assert_false(file_exists(run_path(run, "checkpoints/step-00000005").text));
	go(run, 1, NULL);
	assert_same_run(run, reference);
}

static void
losses_that_are_not_finite_stop_it(void **state)
{
	struct recipe r = tiny();
	struct trainer_result result;
	struct weights *w;
	struct tensor *huge;
	struct err e = { 0 };
	char run[400], start[400];
	float *values;
	size_t n;

	(void)state;
	w = weights_load(run_path(reference, "best/weights.safetensors").text, "", &e);
	assert_non_null(w);
	n = weights_size(w);
	huge = calloc(n, sizeof *huge);
	values = malloc(100000 * sizeof *values);
	assert_non_null(huge);
	assert_non_null(values);
	for (size_t i = 0; i < 100000; i++)
		values[i] = 3e38F;
	for (size_t i = 0; i < n; i++) {
		huge[i] = *weights_at(w, i);
		assert_true(huge[i].size <= 100000);
		huge[i].values = values;
	}
	assert_int_equal(weights_write(below("huge.safetensors", start), huge, n, &e), 0);
	weights_free(w);
	free(huge);
	free(values);
	create(below("huge", run), &r, start);
	assert_int_equal(trainer_run(run, data, 1, NULL, NULL, &result, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_non_null(strstr(e.text, "step 1:"));
	assert_non_null(strstr(e.text, "none yet"));
}

static void
minutes_become_steps(void **state)
{
	struct recipe r = tiny(), written;
	char run[400], again[400];
	struct trainer_result result;
	struct err e = { 0 };

	(void)state;
	r.steps = 0;
	r.batch = 1;
	r.crop = 64;
	r.validate_every = 100;
	r.minutes = 0.001;
	create(below("minutes", run), &r, NULL);
	result = go(run, 2, NULL);
	assert_int_equal(result.n_steps, 100);           /* the least */
	written = tiny();
	assert_int_equal(recipe_read(&written, run_path(run, "recipe.json").text, &e), 0);
	assert_int_equal(written.steps, 100);
	assert_true(written.minutes == 0);
	create(below("again", again), &written, NULL);
	go(again, 1, NULL);
	assert_same_file(run, again, "best/weights.safetensors");
}

static void
a_run_belongs_to_its_data(void **state)
{
	struct dataset *other = pack("other", 1);
	struct trainer_result result;
	int lock;
	struct recipe r = tiny();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(trainer_run(reference, other, 1, NULL, NULL, &result, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_non_null(strstr(e.text, "another data set"));
	assert_int_equal(trainer_create(reference, data, &r, NULL, NULL, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(run_lock(reference, &lock, &e), 0);
	assert_int_equal(trainer_run(reference, data, 1, NULL, NULL, &result, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_non_null(strstr(e.text, "another segan train"));
	close(lock);
	assert_int_equal(trainer_run("/nowhere/at/all", data, 1, NULL, NULL, &result, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	dataset_close(other);
}

/* The game on two heads for some seconds: it finds their tumours again. */
static void
it_learns(void **state)
{
	struct recipe r = tiny();
	struct manifest m;
	struct prepared *cases;
	struct err e = { 0 };
	char run[400];
	double dice = 0;
	size_t n;

	(void)state;
	r.model.network.width = r.game.network.width = 4;
	r.crop = 128;
	r.batch = 4;
	r.steps = 80;
	r.validate_every = 1000;
	r.game.lr = 2e-3;
	r.ema = 0.98;
	r.augmentation = (struct augmentation){ .scale = { 1, 1 }, .intensity_scale = { 1, 1 }, .gamma = { 1, 1 } };
	create(below("learns", run), &r, NULL);
	go(run, 2, NULL);
	assert_int_equal(manifest_load(run_path(run, "best").text, &m, &e), 0);
	if (prepared_open(data, &m, SPLIT_TRAIN, &cases, &n, &e) != 0 || validate(&m, cases, n, 2, &dice, &e) != 0)
		fail_msg("%s", e.text);
	prepared_free(cases, n);
	assert_int_equal(n, 2);
	print_message("Dice on the two cases it saw: %.3f\n", dice);
	assert_true(dice > 0.5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_leaves_what_it_promises), cmocka_unit_test(threads_change_no_bit), cmocka_unit_test(another_seed_is_another_run),
		cmocka_unit_test(a_stopped_run_goes_on_to_the_same_bits), cmocka_unit_test(a_killed_run_goes_on_to_the_same_bits),
		cmocka_unit_test(a_full_disk_leaves_the_earlier_checkpoints), cmocka_unit_test(losses_that_are_not_finite_stop_it),
		cmocka_unit_test(minutes_become_steps), cmocka_unit_test(a_run_belongs_to_its_data), cmocka_unit_test(it_learns),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
