/* The DICOMweb half of retrieve.h. For retrieve.c only. */
#pragma once
#include "config/settings.h"
#include "dicom/scu.h"

/* QIDO-RS: GET url/path?keys..., page by page. As scu_find. */
int retrieve_web_find(const struct destination_setting *d, const char *path, const struct scu_key *keys, size_t n, scu_found_fn found, void *arg, struct err *e);
/* WADO-RS: every series of w. As scu_get. */
int retrieve_web_get(const struct destination_setting *d, const struct scu_wanted *w, size_t *n_got, struct err *e);
