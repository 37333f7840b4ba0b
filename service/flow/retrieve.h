/* Studies out of an archive: what a query finds, and series of a study into a folder. A DIMSE peer is asked by C-FIND and C-GET, a DICOMweb service by
 * QIDO-RS and WADO-RS (PS3.18 10.6, 10.4). Only the configured address is contacted. What arrives is not looked into: it is a folder of files then. */
#pragma once
#include "config/settings.h"
#include "dicom/scu.h"

struct retrieve_archive {
	const struct archive_setting *setting;        /* not a folder; borrows */
	const struct settings *settings;              /* of a DIMSE archive: what it leaves out; borrows */
	int64_t max_instance_bytes;
};

struct retrieve_uid { char text[DICOM_UID]; };
struct retrieve_series { char uid[DICOM_UID], modality[17]; };

int retrieve_start(struct err *e);                    /* once a process, before the others */
/* The studies that match all keys, each once, in the order of their UIDs. ERR_INPUT: a key that is not known; ERR_PEER: away, or refuses. caller: free(*out). */
int retrieve_studies(const struct retrieve_archive *a, const struct scu_key *keys, size_t n_keys, struct retrieve_uid **out, size_t *n, struct err *e);
/* The series of a study, in the order of their UIDs. caller: free(*out). */
int retrieve_list(const struct retrieve_archive *a, const char *study_uid, struct retrieve_series **out, size_t *n, struct err *e);
/* All instances of these series as dir/000001.dcm ...: *n_got files, and how many the archive says it could not send. */
int retrieve_instances(const struct retrieve_archive *a, const struct scu_wanted *wanted, size_t *n_got, size_t *n_missing, struct err *e);
