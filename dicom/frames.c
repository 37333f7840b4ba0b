/* Lists of frames: see frames.h. */
#include "dicom/frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The range at *list, and behind it; false: none, or the end. */
static bool
next_range(const char **list, size_t *first, size_t *last)
{
	char *end;

	if (**list < '0' || **list > '9')
		return false;
	*first = *last = strtoull(*list, &end, 10);
	if (*end == '-') {
		if (end[1] < '0' || end[1] > '9')
			return false;
		*last = strtoull(end + 1, &end, 10);
	}
	*list = *end == ',' ? end + 1 : end;
	return *first > 0 && *last >= *first && (*end == ',' || *end == '\0');
}

bool
frames_are_valid(const char *list)
{
	size_t first, last, before = 0;

	if (list == NULL || *list == '\0' || strcmp(list, "0") == 0)
		return true;
	do {
		if (!next_range(&list, &first, &last) || first <= before)
			return false;
		before = last;
	} while (*list != '\0');
	return list[-1] != ',';
}

bool
frames_hold(const char *list, size_t frame)
{
	size_t first, last;

	if (list == NULL || *list == '\0')
		return true;
	while (next_range(&list, &first, &last))
		if (frame >= first && frame <= last)
			return true;
	return false;
}

char *
frames_print(const bool *is_in, size_t n, struct err *e)
{
	size_t size = 0, n_in = 0;
	char *text = NULL;
	FILE *to = open_memstream(&text, &size);

	for (size_t i = 0; to != NULL && i < n; i++) {
		size_t first = i;
		if (!is_in[i])
			continue;
		while (i + 1 < n && is_in[i + 1])
			i++;
		n_in += i + 1 - first;
		fprintf(to, "%s%zu", first > 0 && n_in > i + 1 - first ? "," : "", first + 1);
		if (i > first)
			fprintf(to, "-%zu", i + 1);
	}
	if (to != NULL && n_in == 0)
		fputs("0", to);
	if (to == NULL || fclose(to) != 0) {
		err_set(e, ERR_LIMIT, "no memory for a list of %zu frames", n);
	} else {
		if (n_in == n)
			text[0] = '\0';
		return text;
	}
	free(text);
	return NULL;
}
