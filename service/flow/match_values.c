/* Computed values of rules, from one file of the series:
 *   NumberOfSlices         instances of the series, times the frames of a multi-frame one
 *   Plane                  axial, coronal or sagittal: the one that the slices are nearest to (ImageOrientationPatient, PS3.3 C.7.6.2.1.1)
 *   SecondsAfterContrast   from ContrastBolusStartTime to AcquisitionTime; negative before. Scanners copy agent and start time to the series before contrast,
 *                          too, so it is the order that tells, not the agent. */
#include "service/flow/match_values.h"

#include "dicom/attributes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 64 };

struct match_values {
	struct attributes *attributes;
	size_t n_instances, frame, n_slots;
	struct slot {
		const char *name;
		bool is_absent;
		char text[MATCH_TEXT];
	} slots[SLOTS];
};

const char match_computed_names[] = "NumberOfSlices, Plane, SecondsAfterContrast";

/* The first n numbers of a multi-valued text; -1: not that many, or not finite. */
static int
numbers(const char *text, double *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *end;
		if (text == NULL)
			return -1;
		out[i] = strtod(text, &end);
		if (end == text || !isfinite(out[i]))
			return -1;
		text = *end == '\\' ? end + 1 : NULL;
	}
	return 0;
}

static const char *
number_of_slices(const struct match_values *v, char buffer[MATCH_TEXT])
{
	double frames = 1;

	if (numbers(attributes_text(v->attributes, "NumberOfFrames"), &frames, 1) != 0 || !(frames >= 1 && frames <= 1e9))
		frames = 1;
	snprintf(buffer, MATCH_TEXT, "%.0f", (double)v->n_instances * frames);
	return buffer;
}

static const char *
plane_of(struct attributes *a)
{
	static const char *const names[] = { "sagittal", "coronal", "axial" };
	double d[6], normal[3];
	size_t nearest = 0;

	if (numbers(attributes_text(a, "ImageOrientationPatient"), d, 6) != 0)
		return NULL;
	for (size_t i = 0; i < 3; i++)
		normal[i] = fabs(d[(i + 1) % 3] * d[3 + (i + 2) % 3] - d[(i + 2) % 3] * d[3 + (i + 1) % 3]);
	for (size_t i = 1; i < 3; i++)
		if (normal[i] > normal[nearest])
			nearest = i;
	return normal[nearest] > 0 ? names[nearest] : NULL;
}

/* Of several stacks each plane once, as the values of an attribute. */
static const char *
plane(const struct match_values *v, char buffer[MATCH_TEXT])
{
	size_t n = v->frame == 0 ? attributes_n_frames(v->attributes) : 0, length = 0;
	const char *name = n == 0 ? plane_of(v->attributes) : NULL;

	snprintf(buffer, MATCH_TEXT, "%s", name != NULL ? name : "");
	for (size_t i = 1; i <= n; i++) {
		attributes_set_frame(v->attributes, i);
		name = plane_of(v->attributes);
		if (name != NULL && strstr(buffer, name) == NULL)
			length += (size_t)snprintf(buffer + length, MATCH_TEXT - length, "%s%s", length > 0 ? "\\" : "", name);
	}
	if (n > 0)
		attributes_set_frame(v->attributes, 0);
	return buffer[0] != '\0' ? buffer : NULL;
}

/* DICOM TM, "HHMMSS.FFFFFF" or shorter (PS3.5 6.2). */
static int
seconds_of_day(const char *text, double *out)
{
	double second = 0;
	int hour, minute = 0;

	if (text == NULL || strspn(text, "0123456789") < 4 || sscanf(text, "%2d%2d%lf", &hour, &minute, &second) < 2 || hour > 23 || minute > 59 || !(second >= 0 && second < 61))
		return -1;
	*out = hour * 3600 + minute * 60 + second;
	return 0;
}

static const char *
seconds_after_contrast(const struct match_values *v, char buffer[MATCH_TEXT])
{
	double start, acquired;

	if (seconds_of_day(attributes_text(v->attributes, "ContrastBolusStartTime"), &start) != 0 ||
	    seconds_of_day(attributes_text(v->attributes, "AcquisitionTime"), &acquired) != 0)
		return NULL;
	if (acquired - start < -43200) /* past midnight */
		acquired += 86400;
	snprintf(buffer, MATCH_TEXT, "%.0f", acquired - start);
	return buffer;
}

static const struct {
	const char *name;
	const char *(*value)(const struct match_values *v, char buffer[MATCH_TEXT]);
} computed[] = { { "NumberOfSlices", number_of_slices }, { "Plane", plane }, { "SecondsAfterContrast", seconds_after_contrast } };

bool
match_attribute_is_known(const char *name)
{
	for (size_t i = 0; i < sizeof computed / sizeof computed[0]; i++)
		if (strcmp(computed[i].name, name) == 0)
			return true;
	return dicom_keyword_is_known(name);
}

struct match_values *
match_values_load(const char *path, size_t n_instances, struct err *e)
{
	struct match_values *v = malloc(sizeof *v);

	if (v == NULL) {
		err_set(e, ERR_LIMIT, "no memory for the values of a series");
		return NULL;
	}
	v->n_instances = n_instances;
	v->frame = v->n_slots = 0;
	v->attributes = attributes_load_values(path, e);
	if (v->attributes != NULL)
		return v;
	free(v);
	return NULL;
}

void
match_values_free(struct match_values *v)
{
	if (v == NULL)
		return;
	attributes_free(v->attributes);
	free(v);
}

size_t
match_values_frames(const struct match_values *v)
{
	return attributes_n_frames(v->attributes);
}

void
match_values_ask(struct match_values *v, size_t frame)
{
	v->frame = frame;
	v->n_slots = 0;
	attributes_set_frame(v->attributes, frame);
}

static void
fill(const struct match_values *v, struct slot *s)
{
	const char *text;

	for (size_t i = 0; i < sizeof computed / sizeof computed[0]; i++)
		if (strcmp(computed[i].name, s->name) == 0) {
			s->is_absent = computed[i].value(v, s->text) == NULL;
			return;
		}
	text = attributes_text(v->attributes, s->name);
	s->is_absent = text == NULL;
	snprintf(s->text, sizeof s->text, "%s", text != NULL ? text : "");
}

const char *
match_value(struct match_values *v, const char *name)
{
	struct slot *s = NULL;

	for (size_t i = 0; s == NULL && i < v->n_slots; i++)
		if (strcmp(v->slots[i].name, name) == 0)
			s = &v->slots[i];
	if (s == NULL) {
		s = &v->slots[v->n_slots < SLOTS ? v->n_slots++ : SLOTS - 1]; /* more names than that: the last one is asked again each time */
		s->name = name;
		fill(v, s);
	}
	return s->is_absent ? NULL : s->text;
}

void
match_place(const struct match_values *v, double place[9])
{
	if (numbers(attributes_text(v->attributes, "ImagePositionPatient"), place, 3) != 0)
		place[0] = NAN;
	if (numbers(attributes_text(v->attributes, "ImageOrientationPatient"), place + 3, 6) != 0)
		place[3] = NAN;
}

double
match_pixel_mm2(const struct match_values *v)
{
	double spacing[2];

	if (numbers(attributes_text(v->attributes, "PixelSpacing"), spacing, 2) != 0 || !(spacing[0] > 0 && spacing[1] > 0))
		return 0;
	return spacing[0] * spacing[1];
}

/* Appends the first of the attributes that is there and begins with a digit. */
static void
append_first(const struct match_values *v, const char *const names[3], char text[32], size_t most)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < 3; i++) {
		const char *value = attributes_text(v->attributes, names[i]);
		if (value != NULL && value[0] >= '0' && value[0] <= '9') {
			snprintf(text + n, 32 - n < most + 1 ? 32 - n : most + 1, "%s", value);
			return;
		}
	}
}

void
match_time(const struct match_values *v, char text[32])
{
	static const char *const dates[3] = { "AcquisitionDate", "SeriesDate", "StudyDate" }, *const times[3] = { "AcquisitionTime", "SeriesTime", "ContentTime" };

	text[0] = 0;
	append_first(v, dates, text, 8);
	append_first(v, times, text, 16);
}
