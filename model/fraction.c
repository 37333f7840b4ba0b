/* Probabilities in one byte: see fraction.h. */
#include "model/fraction.h"

#include <string.h>

/* The first byte of what is found; 1 at least. */
static int
first_found(double threshold)
{
	int value = (int)(255 * threshold + 0.5);

	return value < 1 ? 1 : value > 255 ? 255 : value;
}

void
fraction_of(const float *probability, size_t n, double threshold, uint8_t *fraction)
{
	int first = first_found(threshold);

	for (size_t i = 0; i < n; i++) {
		double p = (double)probability[i];
		int value = p >= 1 ? 255 : p > 0 ? (int)(255 * p + 0.5) : 0;

		if (p >= threshold)
			value = value < first ? first : value;
		else if (value >= first)
			value = first - 1;
		fraction[i] = (uint8_t)value;
	}
}

void
fraction_clean(const uint8_t *mask, size_t n, double threshold, uint8_t *fraction)
{
	int first = first_found(threshold);

	if (memchr(mask, 1, n) == NULL) {
		memset(fraction, 0, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (mask[i] == 0 && fraction[i] >= first)
			fraction[i] = 0;
}
