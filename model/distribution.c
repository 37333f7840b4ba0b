/* The figures are likeness.c's; here is which cases and channels they are of. */
#include "model/distribution.h"

#include <stdio.h>
#include <string.h>

void
distribution_measure(const struct prep *p, const struct volume *channels, size_t n_channels, struct likeness *out)
{
	for (size_t i = 0; i < n_channels; i++)
		likeness_measure(channels[i].grid, &channels[i].voxels, prep_scale(p, i), &out[i]);
}

void
distribution_learn(struct manifest *m, const struct prepared *cases, size_t n_cases)
{
	for (size_t i = 0; i < m->n_channels; i++) {
		m->statistics[i] = likeness_nothing();
		for (size_t k = 0; k < n_cases; k++)
			likeness_add(&m->statistics[i], &cases[k].likeness[i]);
	}
}

size_t
distribution_judge(const struct manifest *m, const struct likeness *l, char *text, size_t size)
{
	const struct likeness_range by_skull = likeness_by_skull(m->skull_present);
	size_t total = 0;

	if (m->statistics[0].n_cases == 0)
		return likeness_judge(&by_skull, &l[0], text, size);
	text[0] = '\0';
	for (size_t i = 0; i < m->n_channels; i++) {
		char part[512];
		size_t n = likeness_judge(&m->statistics[i], &l[i], part, sizeof part), used = strlen(text);

		if (n > 0 && m->n_channels > 1)
			snprintf(text + used, size - used, "%schannel %s: %s", used > 0 ? "; " : "", m->channels[i], part);
		else if (n > 0)
			snprintf(text, size, "%s", part);
		total += n;
	}
	return total;
}
