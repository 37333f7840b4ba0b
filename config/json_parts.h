/* Between the three files of JSON: json.c (the tree), json_scan.c (what a text may be), json_print.c (text out). Not for other rooms. */
#pragma once
#include "config/json.h"

enum { JSON_NUMBER_TEXT = 64 };

/* Checks text[0..n) against RFC 8259 and the limits of json.h, turns allowed comments into spaces, and gives the line of every value in the order
 * of the text (a member's line is that of its key). caller: free(*lines). ERR_INPUT "line N: what". */
int json_scan(char *text, size_t n, unsigned flags, unsigned **lines, size_t *n_lines, struct err *e);

void json_number_text(const struct json *v, char text[JSON_NUMBER_TEXT]); /* shortest text that reads back as the same number */
bool json_is_broken(const struct json *v);                                /* a child of v got lost for want of memory */
