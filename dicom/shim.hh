// The border between DCMTK and the rest: an OFCondition or an exception becomes a struct err. Translates, decides nothing. For this room only.
// Every extern "C" body that calls DCMTK runs inside shim_int, shim_pointer or shim_value: no exception passes the border.
#pragma once
#include "config/err.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctagkey.h>
#include <dcmtk/ofstd/ofcond.h>

#include <utility>

int shim_failed(struct err *e, enum err_code code, const OFCondition &c); // code and DCMTK's words; no memory becomes ERR_LIMIT. Returns -1
int shim_caught(struct err *e) noexcept;                                  // only inside catch (...): the exception in hand becomes *e. Returns -1
unsigned shim_n_corrupt(void);                                            // complaints of corrupt data by DCMTK's JPEG decoders on this thread: they decode on
bool shim_tag(const char *keyword, DcmTagKey *tag);                       // "SeriesDescription" or "0008,103E"; false: not known

template <class F>
int
shim_int(struct err *e, F &&body) noexcept
{
	try {
		return std::forward<F>(body)();
	} catch (...) {
		return shim_caught(e);
	}
}

template <class F>
auto
shim_pointer(struct err *e, F &&body) noexcept -> decltype(body())
{
	try {
		return std::forward<F>(body)();
	} catch (...) {
		shim_caught(e);
		return nullptr;
	}
}

// For functions without a struct err: otherwise is the answer when the body throws.
template <class T, class F>
T
shim_value(T otherwise, F &&body) noexcept
{
	try {
		return std::forward<F>(body)();
	} catch (...) {
		return otherwise;
	}
}
