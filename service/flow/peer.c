/* See peer.h. What a destination leaves out is that of "dicom": our AE title, and the certificate that shows who we are. */
#include "service/flow/peer.h"

struct scu_peer
peer_of_destination(const struct settings *s, const struct destination_setting *d)
{
	bool is_own = d->tls_certificate[0] != '\0';

	return (struct scu_peer) { .host = d->host, .called_aet = d->aet, .calling_aet = d->calling_aet[0] != '\0' ? d->calling_aet : s->dicom.aet,
		.port = (unsigned)d->port, .timeout_s = (unsigned)d->timeout,
		.tls = { .is_on = d->tls, .authorities = d->tls_ca, .name = d->tls_name, .certificate = is_own ? d->tls_certificate : s->dicom.tls_certificate,
			.key = is_own ? d->tls_key : s->dicom.tls_key } };
}
