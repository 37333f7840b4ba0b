/* Coded terms and colours. One table; no term of a model is known here. */
#include "dicom/codes.h"

#include <assert.h>
#include <math.h>

static const struct seg_code terms[CODE_N_TERMS] = {
	[CODE_SEGMENTATION] = { "DCM", "113076", "Segmentation" },
	[CODE_SOURCE_IMAGE] = { "DCM", "121322", "Source image for image processing operation" },
	[CODE_ARTIFICIAL_INTELLIGENCE] = { "DCM", "123110", "Artificial Intelligence" },
	[CODE_PROCESSING_EQUIPMENT] = { "DCM", "109102", "Processing Equipment" },
};

const struct seg_code *
code_of(enum code_term term)
{
	assert(term < CODE_N_TERMS);
	return &terms[term];
}

/* IEC 61966-2-1: the light that a stored sRGB value stands for, 0..1 */
static double
srgb_light(unsigned char stored)
{
	double v = stored / 255.0;

	return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}

/* CIE 1976: the lightness curve of one tristimulus value, relative to white */
static double
lab_curve(double t)
{
	return t > 216.0 / 24389 ? cbrt(t) : (24389.0 / 27 * t + 16) / 116;
}

static uint16_t
scaled(double v, double low, double high)
{
	double s = (v - low) / (high - low);

	return (uint16_t)lround((s < 0 ? 0 : s > 1 ? 1 : s) * 65535);
}

void
code_cielab(const unsigned char rgb[3], uint16_t lab[3])
{
	/* linear sRGB (D65) to XYZ adapted to D50 by Bradford's method; each row is divided by the white point it adds up to below */
	static const double to_xyz[3][3] = {
		{ 0.4360747, 0.3850649, 0.1430804 },
		{ 0.2225045, 0.7168786, 0.0606169 },
		{ 0.0139322, 0.0971045, 0.7141733 },
	};
	double f[3];

	for (int i = 0; i < 3; i++) {
		double sum = 0, white = 0;

		for (int k = 0; k < 3; k++) {
			sum += to_xyz[i][k] * srgb_light(rgb[k]);
			white += to_xyz[i][k];
		}
		f[i] = lab_curve(sum / white);
	}
	lab[0] = scaled(116 * f[1] - 16, 0, 100);
	lab[1] = scaled(500 * (f[0] - f[1]), -128, 127);
	lab[2] = scaled(200 * (f[1] - f[2]), -128, 127);
}
