// Filling a data set: see put.hh.
#include "dicom/put.hh"

#include <cassert>
#include <cstdio>
#include <cstring>
#include <new>
#include <stdexcept>

void
put_ok(const OFCondition &c)
{
	if (c == EC_MemoryExhausted)
		throw std::bad_alloc();
	if (c.bad())
		throw std::runtime_error(c.text());
}

// PS3.5 table 6.2-1
size_t
put_longest(DcmEVR vr, bool *has_one_value)
{
	static const struct { DcmEVR vr; size_t most; bool has_one_value; } limits[] = {
		{ EVR_AS, 4, false }, { EVR_IS, 12, false }, { EVR_DS, 16, false }, { EVR_CS, 16, false }, { EVR_SH, 16, false }, { EVR_LO, 64, false }, { EVR_PN, 64, false }, { EVR_UI, 64, false }, { EVR_DA, 8, false },
		{ EVR_TM, 16, false }, { EVR_DT, 26, false }, { EVR_ST, 1024, true }, { EVR_LT, 10240, true }, { EVR_UC, 10240, false }, { EVR_UT, 10240, true },
	};
	for (const auto &l : limits)
		if (l.vr == vr) {
			*has_one_value = l.has_one_value;
			return l.most;
		}
	*has_one_value = false;
	return 0;
}

bool
put_is_utf8(DcmItem &item)
{
	DcmItem *root = item.getRootItem();
	const char *set = NULL;

	return root != NULL && root->findAndGetString(DCM_SpecificCharacterSet, set).good() && set != NULL && strcmp(set, "ISO_IR 192") == 0;
}

void
put_text(DcmItem &to, const DcmTagKey &tag, DcmEVR vr, const char *text)
{
	bool has_one_value, may_be_utf8 = put_is_utf8(to), is_taken = false;
	size_t most = put_longest(vr, &has_one_value), n = 0;
	std::string value;

	assert(most > 0);
	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (c >= 0x80 && c < 0xc0) { // goes on with the character before
			if (is_taken && may_be_utf8)
				value += *p;
			continue;
		}
		is_taken = n++ < most;
		if (!is_taken)
			break;
		if (c < 0x20 || c == 0x7f)
			value += ' ';
		else if (c >= 0x80)
			value += may_be_utf8 ? *p : '?';
		else
			value += c == '\\' && !has_one_value ? '/' : *p;
	}
	put_raw(to, tag, vr, value);
}

void
put_raw(DcmItem &to, const DcmTagKey &tag, DcmEVR vr, const std::string &value)
{
	put_ok(to.putAndInsertString(DcmTag(tag, vr), value.data(), (Uint32)value.size()));
}

void
put_integer(DcmItem &to, const DcmTagKey &tag, size_t value)
{
	put_raw(to, tag, EVR_IS, std::to_string(value));
}

void
put_decimals(DcmItem &to, const DcmTagKey &tag, const double *values, size_t n)
{
	std::string all;

	for (size_t i = 0; i < n; i++) {
		char text[17];

		snprintf(text, sizeof text, "%.9g", values[i]); // at most 16 characters: "-1.23456789e-123"
		all += (i > 0 ? "\\" : "") + std::string(text);
	}
	put_raw(to, tag, EVR_DS, all);
}

void
put_u16(DcmItem &to, const DcmTagKey &tag, const Uint16 *values, size_t n)
{
	put_ok(to.putAndInsertUint16Array(DcmTag(tag, EVR_US), values, (unsigned long)n));
}

DcmItem &
put_item(DcmItem &to, const DcmTagKey &sequence)
{
	DcmItem *item = NULL;

	put_ok(to.findOrCreateSequenceItem(DcmTag(sequence, EVR_SQ), item, -2 /* a new one, last */));
	return *item;
}

void
put_code(DcmItem &to, const DcmTagKey &sequence, const struct seg_code *code)
{
	DcmItem &item = put_item(to, sequence);
	bool is_long = strlen(code->value) > 16; // PS3.3 8.1

	put_text(item, is_long ? DCM_LongCodeValue : DCM_CodeValue, is_long ? EVR_UC : EVR_SH, code->value);
	put_text(item, DCM_CodingSchemeDesignator, EVR_SH, code->scheme);
	put_text(item, DCM_CodeMeaning, EVR_LO, code->meaning);
}
