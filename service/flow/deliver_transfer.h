/* One HTTP transfer of ours by libcurl, what sending (STOW-RS) and fetching (QIDO-RS, WADO-RS) have in common: only configured addresses, no redirect, no
 * proxy, bounded waiting, the bearer token of token_file. For flow/deliver_stow.c and flow/retrieve_web.c. */
#pragma once
#include "config/err.h"
#include "config/settings.h"

#include <curl/curl.h>

/* What a status means for the request that it answers, and what would help ("" = nothing known); static. One table, see deliver_transfer.c. */
enum transfer_meaning { TRANSFER_DONE, TRANSFER_REFUSED /* for good */, TRANSFER_PASSING, TRANSFER_IN_DOUBT /* an answer got lost on its way */ };
enum transfer_meaning transfer_meaning(long status, const char **help);

struct transfer { CURL *curl; struct curl_slist *headers; char reason[CURL_ERROR_SIZE]; };

/* Zeroes *t. transfer_end, whatever comes back. Give t->headers to libcurl (CURLOPT_HTTPHEADER) when all are added. */
int transfer_begin(struct transfer *t, const struct destination_setting *d, const char *url, struct err *e);
int transfer_header(struct transfer *t, const char *text, struct err *e);
void transfer_end(struct transfer *t);
