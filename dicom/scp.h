/* Associations in: C-ECHO and C-STORE, and the reports of storage commitment that we asked for (PS3.4 Annex A, B, J; PS3.7), plain or, with tls, over TLS only. A thread an association; a silent peer holds up nobody;
 * TCP_NODELAY and TCP_QUICKACK on every accepted socket (PERFORMANCE.md 3). The callbacks run on the association's own thread. Who refuses, logs:
 * the handler what it refuses, the SCP what never came to the handler. */
#pragma once
#include "dicom/commitment.h"
#include "dicom/dicom.h"
#include "dicom/tls.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct scp_peer { char calling_aet[DICOM_AET], called_aet[DICOM_AET], address[64]; }; /* address: numeric IP, IPv4 as such also on an IPv6 socket */

struct scp_instance {
	const char *path;                         /* a closed Part 10 file in tmp_dir, bytes as sent; the callee renames or removes it */
	char sop_class[DICOM_UID], sop_uid[DICOM_UID], transfer_syntax[DICOM_UID]; /* as the command said */
	unsigned *refusal;                        /* out: the status of a refusal, where the code's own is too coarse (0xA900: not what the command said) */
};

/* What the handler lets an association do. C-ECHO it may always. */
struct scp_admission {
	int64_t id;                               /* names it from then on */
	bool may_store;
	bool may_report;                          /* storage commitment, with the peer as its provider and no other way: nobody can ask us for it */
};

struct scp_handler {
	void *arg;
	/* Who may: -1 rejects the association (ERR_INPUT calling AE title not recognised, ERR_NOT_FOUND called AE title not recognised, ERR_LIMIT local limit, transient). */
	int (*opened)(void *arg, const struct scp_peer *peer, struct scp_admission *a, struct err *e);
	int (*may_store)(void *arg, struct err *e);                                     /* before the data set is read: -1 refuses with the code's status, data set drained */
	int (*received)(void *arg, int64_t id, const struct scp_instance *i, struct err *e); /* 0: Success is answered, it must be durable; -1: the code's status */
	int (*reported)(void *arg, int64_t id, const struct commitment_report *r, struct err *e); /* as commitment_reported_fn */
	void (*closed)(void *arg, int64_t id, bool released);                           /* released: A-RELEASE in good order between messages */
	void (*stranger)(void *arg, const char *address, const char *why);              /* who never came to opened: TLS failed, its certificate is not trusted. NULL: nobody asks */
};

struct scp_config {
	const char *aet, *bind, *tmp_dir;         /* borrowed until scp_stop */
	unsigned port;                            /* 0 = any free one */
	unsigned max_associations, max_per_peer;  /* all, and of one address; max_per_peer 0: no bound of its own */
	unsigned max_pdu, idle_timeout_s;
	unsigned request_timeout_s;               /* TLS and the A-ASSOCIATE-RQ must be here by then, whatever trickles in; 0: only idle_timeout_s */
	unsigned association_timeout_s;           /* the longest association, which is aborted then; 0: no bound */
	int64_t max_instance_bytes;
	bool check_called_aet;
	struct dicom_tls tls;                     /* its paths are borrowed: the files are read by scp_start, and again when they have changed */
};

struct scp;
struct scp *scp_start(const struct scp_config *c, const struct scp_handler *h, struct err *e); /* borrows h; caller: scp_stop */
unsigned scp_port(const struct scp *s);
void scp_stop(struct scp *s);                 /* no new association; open ones are aborted within 2 s; joins its threads */

#ifdef __cplusplus
}
#endif
