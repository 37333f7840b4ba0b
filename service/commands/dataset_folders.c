/* Folders of NIfTI files -> cases. A case is a folder that holds NIfTI files; folders that hold none are looked into. What does not fit is left out by
 * name: a missing or ambiguous file, different grids, mask values that the layout does not know, an empty mask. */
#include "config/digest.h"
#include "service/commands/dataset_nifti.h"
#include "service/commands/dataset_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_SIZE = 2048, MAX_DEPTH = 8, MAX_FOLDERS = 100000 };

struct folders { char **paths; size_t n; };

/* ---- which folders are cases ---- */

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
is_visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static bool
is_nifti_name(const char *name)
{
	return fnmatch("*.nii.gz", name, 0) == 0 || fnmatch("*.nii", name, 0) == 0;
}

static int
add_folder(struct folders *f, const char *path, struct err *e)
{
	char **larger;

	if (f->n == MAX_FOLDERS)
		return err_set(e, ERR_LIMIT, "more than %d folders", MAX_FOLDERS);
	if ((larger = realloc(f->paths, (f->n + 1) * sizeof *larger)) == NULL || (f->paths = larger, larger[f->n] = strdup(path)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the folders");
	f->n++;
	return 0;
}

static int
find_folders(struct folders *f, const char *dir, int depth, struct err *e)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, is_visible, by_name), rc = 0;
	bool is_case = false;

	if (n < 0)
		return err_errno(e, "reading the folder %s", dir);
	for (int i = 0; i < n; i++)
		is_case = is_case || is_nifti_name(entries[i]->d_name);
	if (is_case)
		rc = add_folder(f, dir, e);
	for (int i = 0; i < n; i++) {
		char path[PATH_SIZE];
		struct stat st;
		if (rc == 0 && !is_case && depth < MAX_DEPTH && snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name) < (int)sizeof path &&
		    stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			rc = find_folders(f, path, depth + 1, e);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

/* ---- one case ---- */

/* The one file of the folder that fits. */
static int
find_file(const char *folder, const struct layout_files *files, char path[PATH_SIZE], struct err *e)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, is_visible, by_name), found = 0;

	if (n < 0)
		return err_errno(e, "reading the folder %s", folder);
	path[0] = '\0';
	for (size_t k = 0; k < files->n_patterns && found == 0; k++)
		for (int i = 0; i < n; i++)
			if (fnmatch(files->patterns[k], entries[i]->d_name, 0) == 0 && found++ == 0 &&
			    snprintf(path, PATH_SIZE, "%s/%s", folder, entries[i]->d_name) >= PATH_SIZE)
				path[0] = '\0';
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
	if (found == 0)
		return err_set(e, ERR_INPUT, "no file for %s (%s)", files->name, files->patterns[0]);
	if (found > 1)
		return err_set(e, ERR_INPUT, "%d files fit %s", found, files->name);
	return path[0] != '\0' ? 0 : err_set(e, ERR_INPUT, "the path of the file for %s is too long", files->name);
}

static int
find_patient(const char *name, const struct layout *l, struct dataset_case *c, struct err *e)
{
	regmatch_t found[2];
	regex_t compiled;
	int rc;

	if (regcomp(&compiled, l->patient, REG_EXTENDED) != 0)
		return err_set(e, ERR_LIMIT, "no memory for a regular expression");
	rc = regexec(&compiled, name, 2, found, 0);
	regfree(&compiled);
	if (rc == 0 && found[1].rm_so >= 0)
		found[0] = found[1];
	if (rc != 0 || found[0].rm_eo <= found[0].rm_so)
		return err_set(e, ERR_INPUT, "the folder's name tells no patient: it does not match %s", l->patient);
	digest_of(name + found[0].rm_so, (size_t)(found[0].rm_eo - found[0].rm_so), c->patient);
	return 0;
}

static int
same_grid(const char *name, const struct grid *g, const char *first_name, const struct grid *first, struct err *e)
{
	if (grid_same(g, first))
		return 0;
	if (g->slices != first->slices || g->rows != first->rows || g->cols != first->cols)
		return err_set(e, ERR_INPUT, "%s has %zu x %zu x %zu voxels, %s has %zu x %zu x %zu", name, g->cols, g->rows, g->slices, first_name, first->cols,
		    first->rows, first->slices);
	return err_set(e, ERR_INPUT, "%s and %s have as many voxels but lie in different places", name, first_name);
}

/* Mask values -> one 0/1 map a segment. */
static int
split_mask(const struct layout *l, const float *mask, size_t n, uint8_t *truth, struct err *e)
{
	bool is_empty = true;

	for (size_t i = 0; i < n; i++) {
		float v = roundf(mask[i]);
		if (!(fabsf(mask[i] - v) < 1e-3f) || v < 0 || v > LAYOUT_MAX_VALUE || !l->is_known[(size_t)v])
			return err_set(e, ERR_INPUT, "the mask holds the value %g, which is not in the layout's table (another one: --layout)", (double)mask[i]);
		for (size_t k = 0; k < l->n_segments; k++)
			truth[k * n + i] = (uint8_t)(l->segments_of[(size_t)v] >> k & 1);
		is_empty = is_empty && l->segments_of[(size_t)v] == 0;
	}
	return is_empty && !l->may_be_empty ? err_set(e, ERR_INPUT, "the mask is empty") : 0;
}

static int
read_truth(const char *folder, const struct layout *l, const char *first_channel, struct dataset_case *c, uint8_t **truth, struct err *e)
{
	struct nifti_volume mask = { 0 };
	char path[PATH_SIZE];
	size_t n = grid_voxels(&c->grid);
	int rc;

	if (find_file(folder, &l->mask, path, e) != 0 || nifti_volume_read(path, &mask, e) != 0)
		return -1;
	if ((rc = same_grid("the mask", &mask.grid, first_channel, &c->grid, e)) == 0) {
		*truth = calloc(n, l->n_segments);
		rc = *truth == NULL ? err_set(e, ERR_LIMIT, "no memory for the mask") : split_mask(l, mask.voxels, n, *truth, e);
	}
	free(mask.voxels);
	return rc;
}

static int
read_channels(const struct making *m, const char *folder, const struct layout *l, struct dataset_case *c, struct nifti_volume *volumes, struct err *e)
{
	for (size_t i = 0; i < m->n_channels; i++) {
		char path[PATH_SIZE];
		if (find_file(folder, layout_channel(l, m->channels[i]), path, e) != 0 || nifti_volume_read(path, &volumes[i], e) != 0 ||
		    same_grid(m->channels[i], &volumes[i].grid, m->channels[0], &volumes[0].grid, e) != 0)
			return -1;
		c->channel[i] = volumes[i].voxels;
	}
	c->grid = volumes[0].grid;
	return 0;
}

static int
add_case(struct making *m, const char *folder, const struct layout *l, struct err *e)
{
	struct nifti_volume volumes[MODEL_MAX_CHANNELS] = { 0 };
	const char *slash = strrchr(folder, '/'), *name = slash == NULL ? folder : slash + 1;
	struct dataset_case c = { 0 };
	uint8_t *truth = NULL;
	int rc = -1;

	if (strlen(name) >= sizeof c.name)
		return err_set(e, ERR_INPUT, "the folder's name is longer than %zu bytes", sizeof c.name - 1);
	snprintf(c.name, sizeof c.name, "%s", name);
	if (find_patient(name, l, &c, e) == 0 && read_channels(m, folder, l, &c, volumes, e) == 0 && read_truth(folder, l, m->channels[0], &c, &truth, e) == 0) {
		c.truth = truth;
		rc = making_add(m, &c, e);
	}
	free(truth);
	for (size_t i = 0; i < m->n_channels; i++)
		free(volumes[i].voxels);
	return rc;
}

int
making_from_nifti(struct making *m, const char *dir, const struct layout *l, struct err *e)
{
	struct folders f = { 0 };
	struct err why;
	int rc = find_folders(&f, dir, 0, e);

	if (rc == 0 && f.n == 0)
		rc = err_set(e, ERR_NOT_FOUND, "there is no NIfTI file (.nii, .nii.gz) below %s", dir);
	for (size_t i = 0; i < f.n && rc == 0; i++) {
		if (add_case(m, f.paths[i], l, &why) != 0)
			rc = making_refuse(m, f.paths[i], &why, e);
		if (rc == 0)
			rc = making_progress(m, i + 1, f.n, e);
	}
	for (size_t i = 0; i < f.n; i++)
		free(f.paths[i]);
	free(f.paths);
	return rc;
}
