/* STOW-RS (PS3.18 10.5): what became of each part of one request, and the answer made of it. */
#pragma once
#include "config/err.h"
#include "service/http/request.h"

#include <stdbool.h>
#include <stddef.h>

struct stow_item {
	char sop_class[65], sop_uid[65], study_uid[65], series_uid[65]; /* "" = not known */
	unsigned reason;                 /* FailureReason (0008,1197); 0 = stored */
	unsigned status;                 /* HTTP's word for it, if all were so */
};

/* A part that could not be named is a failure of the request's syntax, one that could be is a conflict. */
unsigned stow_item_status(const struct stow_item *item, enum err_code code);
/* 200 all stored, 202 some, else what all failures have in common: 409, 400, 413, 415, 503, 500. Body: the Store Instances Response Module as DICOM JSON
 * (PS3.18 I.2, F.2). why: the first failure in words, for the Warning header; "" = none. */
void stow_report(const struct request *q, const struct stow_item *items, size_t n, const char *why, struct reply *r);
