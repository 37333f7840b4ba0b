/* Who may have made a browser send this: Host against names of this machine (DNS rebinding), Origin against Host (a page of another site). */
#pragma once
#include <stdbool.h>

bool origin_host_is_plain(const char *host);                               /* a name or address and perhaps a port, of harmless characters */
bool origin_host_is_local(const char *host, const char *bound);            /* localhost, a loopback address, or the text we were told to bind */
bool origin_is_secure(const char *origin);                                   /* https */
bool origin_matches(const char *origin, const char *host);                 /* same host and port (80 and 443 may be left out) */
