// The border between DCMTK and the rest: see shim.hh.
#include "dicom/shim.hh"

#include <dcmtk/dcmdata/dcdict.h>
#include <dcmtk/dcmdata/dcdicent.h>
#include <dcmtk/dcmdata/dcerror.h>

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <string>
#include <unordered_map>

int
shim_failed(struct err *e, enum err_code code, const OFCondition &c)
{
	return err_set(e, c == EC_MemoryExhausted ? ERR_LIMIT : code, "%s", c.text() != NULL && c.text()[0] != '\0' ? c.text() : "DCMTK gave no reason");
}

int
shim_caught(struct err *e) noexcept
{
	try {
		throw;
	} catch (const std::bad_alloc &) {
		return err_set(e, ERR_LIMIT, "out of memory");
	} catch (const std::exception &x) {
		return err_set(e, ERR_BUG, "unexpected exception: %s", x.what());
	} catch (...) {
		return err_set(e, ERR_BUG, "unexpected exception of unknown type");
	}
}

static bool
is_hex_tag(const char *text)
{
	if (strlen(text) != 9 || text[4] != ',')
		return false;
	for (int i = 0; i < 9; i++)
		if (i != 4 && !isxdigit((unsigned char)text[i]))
			return false;
	return true;
}

bool
shim_tag(const char *keyword, DcmTagKey *tag)
{
	if (is_hex_tag(keyword)) {
		*tag = DcmTagKey((Uint16)strtoul(keyword, NULL, 16), (Uint16)strtoul(keyword + 5, NULL, 16));
		return true;
	}
	static std::mutex lock;
	static std::unordered_map<std::string, DcmTagKey> known; // DCMTK looks through all of its dictionary for a name: rules ask the same few of each frame
	std::lock_guard<std::mutex> hold(lock);
	auto found = known.find(keyword);
	if (found == known.end()) {
		const DcmDataDictionary &dictionary = dcmDataDict.rdlock();
		const DcmDictEntry *entry = dictionary.findEntry(keyword);
		bool is_known = entry != NULL && !entry->isRepeating();
		DcmTagKey key = is_known ? entry->getKey() : DcmTagKey();
		dcmDataDict.rdunlock();
		if (!is_known)
			return false;
		found = known.emplace(keyword, key).first;
	}
	*tag = found->second;
	return true;
}
