/* What the conditions of a rule are held against: the attributes of one file of a series, and values that are computed from them. */
#pragma once
#include "config/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { MATCH_TEXT = 4096 };

/* A DICOM keyword, "GGGG,EEEE" or one of match_computed_names. */
bool match_attribute_is_known(const char *name);
extern const char match_computed_names[]; /* for error texts */

struct match_values;
/* n_instances: of the series. ERR_INPUT: as attributes_load. caller: match_values_free. */
struct match_values *match_values_load(const char *path, size_t n_instances, struct err *e);
void match_values_free(struct match_values *v);
/* The text, cut to MATCH_TEXT - 1 bytes; NULL: absent. Asked once, then remembered: DCMTK looks a keyword up by walking its dictionary. borrows name;
 * borrowed until the next call. */
const char *match_value(struct match_values *v, const char *name);
/* Of a multi-frame file: how many frames (0: single-frame); which one match_value speaks of from now on (1..; 0: all, as at first). */
size_t match_values_frames(const struct match_values *v);
void match_values_ask(struct match_values *v, size_t frame);
/* Where several series fill one channel: what tells them apart but counts and rules (precedence.h). */
double match_pixel_mm2(const struct match_values *v);                       /* the area of a pixel; 0: not said */
/* Position (mm) and directions of row and column of a single-frame file; NaN where they are not said. */
void match_place(const struct match_values *v, double place[9]);
void match_time(const struct match_values *v, char text[32]);               /* "20240131" "101500.25", comparable as text; "": not said */
