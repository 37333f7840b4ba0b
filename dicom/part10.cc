// One file into DCMTK's hands: see part10.hh. Reads no pixel value.
#include "dicom/part10.hh"

#include "config/digest.h"
#include "dicom/text.hh"

#include <charconv>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

enum { KEPT_IN_FILE = 65536 /* bytes from which on a value is not loaded */ };

static int
tag_error(struct err *e, const DcmTagKey &key, const char *what)
{
	DcmTag tag(key);

	return err_set(e, ERR_INPUT, "%s (%04X,%04X) %s", tag.getTagName(), key.getGroup(), key.getElement(), what);
}

// Compressed pixels would come into memory, since each fragment or inflated value is below or beyond what stays in the file: it stops before them.
static OFCondition
load(const char *path, DcmFileFormat &file, const struct scan *scan)
{
	if (scan->is_encapsulated || scan->is_deflated)
		return file.loadFileUntilTag(path, EXS_Unknown, EGL_noChange, KEPT_IN_FILE, ERM_fileOnly, DCM_FloatPixelData);
	return file.loadFile(path, EXS_Unknown, EGL_noChange, KEPT_IN_FILE, ERM_fileOnly);
}

// DCMTK takes a disk that fails for the file's end: whether it can be read is asked before a file that has passed the scan is called unreadable for ever.
static int
load_again(const char *path, DcmFileFormat &file, const struct scan *scan, struct err *e)
{
	char digest[DIGEST_HEX];

	if (digest_of_file(path, 0, digest, e) != 0)
		return -1;
	OFCondition c = load(path, file, scan);
	if (c.good())
		return 0;
	shim_failed(e, ERR_INPUT, c);
	return err_note(e, "DCMTK cannot read the file");
}

int
part10_load_scanned(const char *path, DcmFileFormat &file, const struct scan *scan, struct err *e)
{
	static const DcmTagKey pixels[] = { DCM_PixelData, DCM_FloatPixelData, DCM_DoubleFloatPixelData };

	if (DcmXfer(scan->transfer_syntax).getXfer() == EXS_Unknown)
		return err_set(e, ERR_INPUT, "its transfer syntax %s is not known: send it uncompressed, as Explicit VR Little Endian", scan->transfer_syntax);
	if (load(path, file, scan).bad() && load_again(path, file, scan, e) != 0)
		return -1;
	for (const DcmTagKey &tag : pixels)
		file.getDataset()->findAndDeleteElement(tag);
	return 0;
}

int
part10_load(const char *path, DcmFileFormat &file, struct scan *scan, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK /* of a pipe */), result;

	if (fd < 0)
		return err_errno(e, "opening the file");
	result = shim_int(e, [&] { return scan_file(fd, scan, e) != 0 ? -1 : part10_load_scanned(path, file, scan, e); });
	close(fd);
	return result;
}

bool
part10_is_large(const struct scan *scan)
{
	enum { AN_ELEMENT = 256 /* bytes that DCMTK takes for one, about */, LARGE = 4 << 20 };

	return scan->header_bytes + scan->n_elements * AN_ELEMENT > LARGE;
}

bool
part10_text(DcmItem &item, const DcmTagKey &tag, OFString &text)
{
	DcmElement *element = NULL;
	char *bytes = NULL;
	Uint32 n = 0;

	text.clear();
	if (item.findAndGetElement(tag, element).bad() || element == NULL)
		return false;
	if (element->getLength() > TEXT_MAX || element->getString(bytes, n).bad())
		return false;
	if (bytes == NULL)
		return true;
	while (n > 0 && (bytes[n - 1] == ' ' || bytes[n - 1] == '\0'))
		n--;
	text.assign(bytes, n);
	text.erase(0, text.find_first_not_of(' ') == OFString_npos ? 0 : text.find_first_not_of(' '));
	return true;
}

void
part10_copy(DcmItem &item, const DcmTagKey &tag, char *to, size_t size)
{
	OFString text;

	part10_text(item, tag, text);
	snprintf(to, size, "%s", text.c_str());
}

int
part10_uid(DcmItem &item, const DcmTagKey &tag, bool is_required, char uid[DICOM_UID], struct err *e)
{
	OFString text;

	uid[0] = '\0';
	if ((!part10_text(item, tag, text) || text.empty()) && is_required)
		return tag_error(e, tag, "is missing or empty");
	if (text.empty())
		return 0;
	if (strlen(text.c_str()) != text.length() || !dicom_uid_is_valid(text.c_str()))
		return tag_error(e, tag, "is no valid UID: at most 64 digits and dots (PS3.5 9.1)");
	memcpy(uid, text.c_str(), text.length() + 1);
	return 0;
}

bool
part10_number(const OFString &text, double *value)
{
	OFString::size_type first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');

	if (first == OFString_npos)
		return false;
	const char *begin = text.c_str() + first, *end = text.c_str() + last + 1;
	if (*begin == '+' && begin[1] != '-')
		begin++;
	std::from_chars_result r = std::from_chars(begin, end, *value);
	return r.ec == std::errc() && r.ptr == end && std::isfinite(*value);
}

bool
part10_numbers(DcmItem &item, const DcmTagKey &tag, double *values, size_t n)
{
	OFString text;
	OFString::size_type at = 0;

	if (!part10_text(item, tag, text))
		return false;
	for (size_t i = 0; i < n; i++) {
		OFString::size_type end = text.find('\\', at);
		if ((end == OFString_npos) != (i == n - 1) || !part10_number(text.substr(at, end == OFString_npos ? end : end - at), &values[i]))
			return false;
		at = end + 1;
	}
	return true;
}

static int
get_u16(DcmItem &item, const DcmTagKey &tag, unsigned least, unsigned most, size_t *value, struct err *e)
{
	Uint16 v = 0;
	char what[64];

	if (item.findAndGetUint16(tag, v).bad())
		return tag_error(e, tag, "is missing, though there is pixel data");
	if (v < least || v > most) {
		snprintf(what, sizeof what, "is %u, which is outside %u to %u", v, least, most);
		return tag_error(e, tag, what);
	}
	*value = v;
	return 0;
}

static int
get_frames(DcmItem &item, size_t *frames, struct err *e)
{
	double value;

	*frames = 1;
	if (!item.tagExistsWithValue(DCM_NumberOfFrames))
		return 0;
	if (!part10_numbers(item, DCM_NumberOfFrames, &value, 1) || value < 1 || value > INT32_MAX || value != std::floor(value))
		return tag_error(e, DCM_NumberOfFrames, "is no count of frames");
	*frames = (size_t)value;
	return 0;
}

// Bytes that native pixel data of this layout takes; false when that passes 64 bits.
static bool
native_bytes(const struct pixel_layout &p, bool is_subsampled, uint64_t *n_bytes)
{
	uint64_t n, samples = is_subsampled ? 2 : p.samples; // YBR_FULL_422: two samples a pixel (PS3.3 C.7.6.3.1.2)

	if (__builtin_mul_overflow((uint64_t)p.rows, (uint64_t)p.cols, &n) || __builtin_mul_overflow(n, samples, &n) || __builtin_mul_overflow(n, (uint64_t)p.frames, &n) ||
	    __builtin_mul_overflow(n, (uint64_t)p.bits_allocated, &n))
		return false;
	*n_bytes = n / 8 + (n % 8 != 0);
	return true;
}

int
part10_layout(DcmItem &item, const struct scan *scan, struct pixel_layout *p, struct err *e)
{
	size_t allocated, stored, high, sign;
	OFString photometric;

	*p = {};
	if (get_u16(item, DCM_Rows, 1, 65535, &p->rows, e) != 0 || get_u16(item, DCM_Columns, 1, 65535, &p->cols, e) != 0 ||
	    get_u16(item, DCM_SamplesPerPixel, 1, 4, &p->samples, e) != 0 || get_u16(item, DCM_BitsAllocated, 1, 64, &allocated, e) != 0 || get_frames(item, &p->frames, e) != 0)
		return -1;
	p->bits_allocated = p->bits_stored = (unsigned)allocated;
	p->high_bit = p->bits_allocated - 1;
	if (item.tagExistsWithValue(DCM_BitsStored)) { // Float Pixel Data has none of these (PS3.3 C.7.6.24)
		if (get_u16(item, DCM_BitsStored, 1, (unsigned)allocated, &stored, e) != 0 || get_u16(item, DCM_HighBit, (unsigned)stored - 1, (unsigned)allocated - 1, &high, e) != 0 ||
		    get_u16(item, DCM_PixelRepresentation, 0, 1, &sign, e) != 0)
			return -1;
		p->bits_stored = (unsigned)stored;
		p->high_bit = (unsigned)high;
		p->is_signed = sign == 1;
	}
	part10_text(item, DCM_PhotometricInterpretation, photometric);
	if (!native_bytes(*p, photometric == "YBR_FULL_422", &p->n_bytes))
		return err_set(e, ERR_INPUT, "Rows x Columns x NumberOfFrames x BitsAllocated is beyond all bounds");
	if (!scan->is_encapsulated && scan->n_pixel_bytes < p->n_bytes)
		return err_set(e, ERR_INPUT, "PixelData (7FE0,0010) holds %llu bytes, but Rows %zu x Columns %zu x SamplesPerPixel %zu x NumberOfFrames %zu x BitsAllocated %u need %llu",
		    (unsigned long long)scan->n_pixel_bytes, p->rows, p->cols, p->samples, p->frames, p->bits_allocated, (unsigned long long)p->n_bytes);
	return 0;
}
