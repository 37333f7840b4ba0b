/* TLS of an association (PS3.15 B.9, the BCP 195 profile, as DCMTK 3.6.7's TSP_Profile_BCP195_ND has it: TLS 1.2 and 1.3). Paths of PEM files; NULL or "": none. */
#pragma once
#include <stdbool.h>

struct dicom_tls {
	bool is_on;
	const char *certificate, *key;                /* ours: a chain, our own certificate first. As requestor: shown when it is asked for */
	const char *authorities;                      /* whom we trust. As requestor, without: the system's */
	const char *name;                             /* requestor: the name or address that the peer's certificate must carry; without: the host's */
	bool require_peer;                            /* acceptor: who shows no certificate is not served. A requestor always asks */
};
