/* The kinds of results a job can have: their words in settings and JSON, the names of their files. What each holds is decided where it is made. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* In the order in which they are made, listed and sent: what refers to another comes behind it. */
enum result_kind { RESULT_SEG /* BINARY */, RESULT_LABELMAP, RESULT_FRACTIONAL, RESULT_REPORT, RESULT_RTSTRUCT, RESULT_PREVIEW, RESULT_N_KINDS };
#define RESULT_SET(kind) (1u << (kind))                            /* sets of kinds are ORs of these */

enum { RESULT_FILE = 32, RESULT_INSTANCES_MAX = 65536 /* of one kind */ };

const char *result_kind_name(enum result_kind k);                  /* static */
bool result_kind_parse(const char *name, enum result_kind *out);
bool result_kind_is_seg(enum result_kind k);                       /* a form of the SEG */
bool result_kind_is_series(enum result_kind k);                    /* has several instances */
/* Name of the file of its i-th instance (from 1), below the folder of a job's results: "seg.dcm", "preview-00001.dcm". */
void result_file_name(enum result_kind k, size_t i, char name[RESULT_FILE]);
