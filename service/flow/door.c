/* Joins dicom/scp to intake and commit: the SCP knows DICOM and nobody here, they know nobody outside. Who may send is AE title and address together
 * (settings dicom.peers); who may report storage commitment is that, or a destination that is asked for it; who may not gets "calling AE title not recognised" and one line in the log.
 * DESIGN: everything but start and stop runs on the associations' own threads and shares nothing but the node. A peer whose host is a name is looked up when
 * it calls, so a slow name server holds up that association alone. */
#include "service/flow/door.h"

#include "config/log.h"
#include "dicom/scp.h"
#include "service/flow/audit.h"
#include "service/flow/commit.h"
#include "service/flow/intake.h"
#include "service/flow/node.h"
#include "service/flow/spool.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct door {
	struct node *node;
	struct scp_handler handler;
	char tmp_dir[SPOOL_PATH];
	struct scp *scp;
};

/* ---- who ---- */

static bool
name_has_address(const char *host, const char *address)
{
	static const char mapped[] = "::ffff:"; /* IPv4 as an IPv6 address: the caller's never looks so (scp.h) */
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *found = NULL;
	char text[64];
	bool has = false;

	if (getaddrinfo(host, NULL, &hints, &found) != 0)
		return false;
	for (const struct addrinfo *a = found; a != NULL && !has; a = a->ai_next)
		has = getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0 &&
		      strcmp(strncmp(text, mapped, sizeof mapped - 1) == 0 ? text + sizeof mapped - 1 : text, address) == 0;
	freeaddrinfo(found);
	return has;
}

/* Is the caller this one? *is_aet_known: it has its AE title, perhaps at another address. */
static bool
is_peer(const char *aet, const char *host, const struct scp_peer *peer, bool *is_aet_known)
{
	if (strcmp(aet, peer->calling_aet) != 0)
		return false;
	*is_aet_known = true;
	return host[0] == 0 || strcmp(host, peer->address) == 0 || name_has_address(host, peer->address);
}

/* Whether the caller is configured. Only such a one may report storage commitment, whatever accept_unknown_peers says. */
static void
find_rights(const struct settings *s, const struct scp_peer *peer, struct scp_admission *a, bool *is_aet_known)
{
	*is_aet_known = false;
	for (size_t i = 0; i < s->dicom.n_peers && !a->may_store; i++)
		a->may_store = is_peer(s->dicom.peers[i].aet, s->dicom.peers[i].host, peer, is_aet_known);
	a->may_report = a->may_store;
	for (size_t i = 0; i < s->n_destinations && !a->may_report; i++)
		a->may_report = s->destinations[i].commitment && is_peer(s->destinations[i].aet, s->destinations[i].host, peer, is_aet_known);
	a->may_store = a->may_store || s->dicom.accept_unknown_peers;
}

static int
opened(void *arg, const struct scp_peer *peer, struct scp_admission *a, struct err *e)
{
	struct node *n = ((struct door *)arg)->node;
	bool is_aet_known;

	find_rights(n->settings, peer, a, &is_aet_known);
	if (!a->may_store && !a->may_report) {
		log_event(LOG_WARN, "association_rejected", "address=%s aet=\"%s\" text=\"%s; dicom.accept_unknown_peers would let anybody send\"", peer->address,
		    peer->calling_aet, is_aet_known ? "dicom.peers has this AE title with another host" : "dicom.peers has no such AE title");
		audit_alarm(n, &(const struct audit_entry) { .event = AUDIT_SECURITY_ALERT, .type = AUDIT_NODE, .action = 'E', .outcome = AUDIT_MINOR, .aet = peer->calling_aet,
			.address = peer->address, .text = is_aet_known ? "association rejected: this AE title may not send from there" : "association rejected: unknown AE title" });
		return err_set(e, ERR_INPUT, "AE title %s at %s may not send here", peer->calling_aet, peer->address);
	}
	if (intake_open(n, peer->calling_aet, peer->address, &a->id, e) != 0) {
		log_event(LOG_ERROR, "association_rejected", "address=%s aet=\"%s\" text=\"%s\"", peer->address, peer->calling_aet, e->text);
		return -1;
	}
	log_event(LOG_DEBUG, "association_opened", "association=%lld address=%s aet=\"%s\"", (long long)a->id, peer->address, peer->calling_aet);
	return 0;
}

static void
stranger(void *arg, const char *address, const char *why)
{
	audit_alarm(((struct door *)arg)->node, &(const struct audit_entry) { .event = AUDIT_SECURITY_ALERT, .type = AUDIT_NODE, .action = 'E', .outcome = AUDIT_MINOR,
		.address = address, .text = why });
}

/* ---- what ---- */

static int
may_store(void *arg, struct err *e)
{
	struct node *n = ((struct door *)arg)->node;

	if (spool_has_room(n, e) == 0)
		return 0;
	bell_ring(&n->retain);
	atomic_fetch_add(&n->n_refused, 1);
	log_event(LOG_WARN, "instance_refused", "text=\"%s\"", e->text);
	return -1;
}

static int
received(void *arg, int64_t id, const struct scp_instance *i, struct err *e)
{
	struct intake_file f = { .path = i->path, .sop_class = i->sop_class, .sop_uid = i->sop_uid, .association = id };
	struct intake_answer a;

	if (intake_add(((struct door *)arg)->node, &f, &a, e) == 0)
		return 0;
	*i->refusal = a.dimse_status;
	log_event(LOG_WARN, "instance_refused", "association=%lld text=\"%s\"", (long long)id, e->text);
	return -1;
}

static int
reported(void *arg, int64_t id, const struct commitment_report *r, struct err *e)
{
	(void)id; /* the transaction says whose it is */
	return commit_report(((struct door *)arg)->node, r, e);
}

static void
closed(void *arg, int64_t id, bool released)
{
	struct node *n = ((struct door *)arg)->node;

	intake_close(n, id, released);
	log_event(released ? LOG_DEBUG : LOG_WARN, released ? "association_released" : "association_aborted", "association=%lld", (long long)id);
}

/* ---- the door ---- */

struct door *
door_start(struct node *n, struct err *e)
{
	const struct settings *s = n->settings;
	struct door *d = calloc(1, sizeof *d);
	struct scp_config c = { .aet = s->dicom.aet, .bind = s->dicom.bind, .port = (unsigned)s->dicom.port, .max_associations = (unsigned)s->dicom.max_associations,
		.max_pdu = (unsigned)s->dicom.max_pdu, .max_per_peer = (unsigned)s->dicom.max_associations_per_peer, .request_timeout_s = (unsigned)s->dicom.request_timeout,
		.idle_timeout_s = (unsigned)s->dicom.idle_timeout, .association_timeout_s = (unsigned)s->dicom.association_timeout, .max_instance_bytes = s->dicom.max_instance_mb << 20,
		.check_called_aet = s->dicom.check_called_aet,
		.tls = { .is_on = s->dicom.tls_certificate[0] != '\0', .certificate = s->dicom.tls_certificate, .key = s->dicom.tls_key, .authorities = s->dicom.tls_ca,
			.require_peer = s->dicom.tls_require_client } };

	if (d == NULL) {
		err_set(e, ERR_LIMIT, "no memory for the DICOM door");
		return NULL;
	}
	d->node = n;
	d->handler = (struct scp_handler) { .arg = d, .opened = opened, .may_store = may_store, .received = received, .reported = reported, .closed = closed, .stranger = stranger };
	spool_tmp_dir(n, d->tmp_dir);
	c.tmp_dir = d->tmp_dir;
	d->scp = scp_start(&c, &d->handler, e);
	if (d->scp == NULL) {
		err_note(e, c.tls.is_on && e->code != ERR_INPUT ? "dicom.bind, dicom.port, dicom.tls_*" : "dicom.bind, dicom.port");
		free(d);
		return NULL;
	}
	if (s->dicom.accept_unknown_peers)
		log_event(LOG_WARN, "anybody_may_send", "text=\"dicom.accept_unknown_peers is true: every AE title from every address is accepted\"");
	return d;
}

unsigned
door_port(const struct door *d)
{
	return scp_port(d->scp);
}

void
door_stop(struct door *d)
{
	scp_stop(d->scp);
	free(d);
}
