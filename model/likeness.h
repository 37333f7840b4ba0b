/* Is this the kind of image that the model was trained on? A volume in a few figures, each measured in the patient's frame whatever the plane; the range
 * of those of the training's cases; and which of one lie far outside the other, in words. Only values, no memory. */
#pragma once
#include "config/grid.h"
#include "config/voxels.h"

enum likeness_figure {
	LIKENESS_HEAD_ML,              /* voxels of the head, with scalp and neck */
	LIKENESS_WIDTH_MM,             /* of the ellipse with the head's spread: left to right */
	LIKENESS_LENGTH_MM,            /* front to back */
	LIKENESS_SKULL_SHARE,          /* of the directions from the middle: those with something dark between the surface and 20 mm below it */
	LIKENESS_QUARTER_1,            /* shares of the head's voxels by brightness, from the head's low to its high percentile: the darkest quarter, */
	LIKENESS_QUARTER_2,
	LIKENESS_QUARTER_3,
	LIKENESS_QUARTER_4,            /* ... the brightest */
	LIKENESS_ROUGHNESS,            /* mean difference of neighbours 2 mm apart, as a share of that range of brightness */
	LIKENESS_N_FIGURES
};
const char *likeness_key(enum likeness_figure f);                            /* as in model.json; static */

struct likeness { double figure[LIKENESS_N_FIGURES]; };                      /* nan: this volume is too small to say */
/* What an image is measured against: voxels over `over` are head; low and high are the ends of the head's brightness. */
struct likeness_scale { double over, low, high; };
void likeness_measure(const struct grid *g, const struct voxels *voxels, struct likeness_scale s, struct likeness *out);

struct likeness_range {                         /* of the training's cases */
	double low[LIKENESS_N_FIGURES], high[LIKENESS_N_FIGURES]; /* nan: not known */
	size_t n_cases;                          /* how many they are; few know less, and the margins are wider */
	const char *whose;                       /* "the model's training heads had"; static */
};
struct likeness_range likeness_nothing(void);                                /* nothing known: judges nothing */
struct likeness_range likeness_by_skull(bool is_present);                    /* what may be expected of any head with its skull, or of any stripped one */
void likeness_add(struct likeness_range *r, const struct likeness *l);       /* so that l lies within it */
/* How many figures lie far outside, by the margins of likeness.c; text: which, how far, what the training had: "head of 310 ml; the model's training
 * heads had 900 to 1900 ml". "" when none does. */
size_t likeness_judge(const struct likeness_range *r, const struct likeness *l, char *text, size_t size);
