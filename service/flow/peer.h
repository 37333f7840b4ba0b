/* Where a destination or archive of the settings is, as dicom/scu wants it. */
#pragma once
#include "config/settings.h"
#include "dicom/scu.h"

/* Borrows both. A "sender" destination has neither host nor AE title: the caller puts those of the peer in. */
struct scu_peer peer_of_destination(const struct settings *s, const struct destination_setting *d);
