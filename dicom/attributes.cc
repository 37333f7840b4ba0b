// The header of one instance as values, and the two digests that tell a repeated instance from another one (DESIGN.md, "Same instance").
// The content digest covers SOP class, the UIDs, whose images they are, the pixel layout, every position, orientation, spacing, frame of reference and scale, and the
// pixel bytes as little endian stores them, so that it is the same in every uncompressed transfer syntax. Compressed pixels are not decoded here (the daemon
// comes here): they are taken as they are, together with their transfer syntax, and equal only themselves; same.cc compares what they mean.
#include "dicom/attributes.h"
#include "dicom/bounds.h"
#include "dicom/bytes.h"
#include "dicom/identity.hh"
#include "dicom/lookup.hh"
#include "dicom/part10.hh"
#include "dicom/text.hh"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <malloc.h>
#include <memory>
#include <mutex>
#include <unistd.h>

// At the doors one large header at a time is in memory, whoever sends how many at once: a mutex held as long as the attributes are. A thread may hold several.
static std::recursive_mutex large_headers;

struct attributes {
	std::unique_lock<std::recursive_mutex> turn;
	bool is_large = false;                    // part10_is_large
	DcmFileFormat file;
	struct instance_header header = {};
	text_reader reader;
	OFString text;                            // of the last attributes_text
	std::vector<DcmItem *> frames;            // the items of PerFrameFunctionalGroupsSequence: a sequence finds its nth by counting
	DcmItem *frame = NULL;                    // of attributes_set_frame
};

struct digest_closer {
	void operator()(struct digest *d) const { digest_free(d); }
};
typedef std::unique_ptr<struct digest, digest_closer> digest_owner;

struct attributes_closer {
	void operator()(struct attributes *a) const { attributes_free(a); }
};
typedef std::unique_ptr<struct attributes, attributes_closer> attributes_owner;

// The file's bytes, inflated.
struct file_bytes : bytes {
	explicit file_bytes(int file) { bytes_open(this, file); }
	~file_bytes() { bytes_close(this); }
};

static int
add_file_bytes(struct digest *d, struct bytes &from, uint64_t at, uint64_t n, bool is_swapped, struct err *e)
{
	unsigned char piece[65536];

	while (n > 0) {
		size_t part = n < sizeof piece ? (size_t)n : sizeof piece;
		if (bytes_read_all(&from, at, piece, is_swapped ? part + part % 2 : part, e) != 0) // whole words: the last one's other byte is padding
			return -1;
		for (size_t i = 0; i < part && is_swapped; i += 2)
			std::swap(piece[i], piece[i + 1]);
		digest_add(d, piece, part);
		at += part;
		n -= part;
	}
	return 0;
}

static int
data_set_digest(struct bytes &from, const struct scan *scan, char hex[DIGEST_HEX], struct err *e)
{
	digest_owner d(digest_new(e));

	if (!d || add_file_bytes(d.get(), from, scan->data_set, scan->size - scan->data_set, false, e) != 0)
		return -1;
	digest_hex(d.get(), hex);
	return 0;
}

static void
add_line(struct digest *d, const char *name, const char *value)
{
	digest_add(d, name, strlen(name) + 1);
	digest_add(d, value, strlen(value) + 1);
}

static void
add_lines(struct digest *d, const std::vector<struct identity_line> &lines)
{
	for (const struct identity_line &line : lines)
		add_line(d, line.name.c_str(), line.value.c_str());
}

// Uncompressed pixels are digested as little endian has them.
static bool
is_swapped(const struct scan *scan, const struct pixel_layout *p)
{
	return scan->is_big_endian && (p->bits_allocated == 16 || (scan->has_pixel_words && scan->n_pixel_bytes >= p->n_bytes + p->n_bytes % 2));
}

static int
content_digest(struct bytes &from, DcmItem &item, const struct scan *scan, const struct pixel_layout *p, struct instance_header *h, struct err *e)
{
	char layout[160];
	OFString photometric;
	digest_owner d(digest_new(e));

	if (!d)
		return -1;
	part10_text(item, DCM_PhotometricInterpretation, photometric);
	snprintf(layout, sizeof layout, "%zu %zu %zu %zu %u %u %u %d", p->rows, p->cols, p->samples, p->frames, p->bits_allocated, p->bits_stored, p->high_bit, p->is_signed);
	add_lines(d.get(), identity_names(item));
	add_line(d.get(), "layout", layout);
	add_line(d.get(), "photometric", photometric.c_str());
	add_line(d.get(), "syntax", scan->is_encapsulated ? scan->transfer_syntax : "native");
	add_lines(d.get(), identity_places(item));
	if (add_file_bytes(d.get(), from, scan->pixels, scan->is_encapsulated ? scan->n_pixel_bytes : p->n_bytes, is_swapped(scan, p), e) != 0)
		return -1;
	digest_hex(d.get(), h->content_digest);
	return 0;
}

// What seg.cc writes as SoftwareVersions: dicom_software_version, "segan X (DCMTK Y)".
static bool
is_written_by_us(DcmItem &item)
{
	OFString versions;

	return part10_text(item, DCM_SoftwareVersions, versions) && (versions.compare(0, 6, "segan ") == 0 || versions.find("\\segan ") != OFString_npos);
}

static int
read_names(DcmItem &item, const struct scan *scan, struct instance_header *h, struct err *e)
{
	if (part10_uid(item, DCM_SOPClassUID, true, h->sop_class, e) != 0 || part10_uid(item, DCM_SOPInstanceUID, true, h->sop_uid, e) != 0 ||
	    part10_uid(item, DCM_StudyInstanceUID, true, h->study_uid, e) != 0 || part10_uid(item, DCM_SeriesInstanceUID, true, h->series_uid, e) != 0)
		return -1;
	memcpy(h->transfer_syntax, scan->transfer_syntax, sizeof h->transfer_syntax);
	part10_copy(item, DCM_Modality, h->modality, sizeof h->modality);
	part10_copy(item, DCM_DeviceSerialNumber, h->device_serial, sizeof h->device_serial);
	h->has_pixels = scan->has_pixels;
	h->is_ours = is_written_by_us(item);
	return 0;
}

static int
read_digests(int fd, DcmItem &item, const struct scan *scan, struct instance_header *h, struct err *e)
{
	struct pixel_layout layout;
	file_bytes from(fd);
	uint64_t size;

	if (scan->is_deflated && bytes_inflate_from(&from, scan->data_set, dicom_bounds_now()->data_set_bytes, &size, e) != 0)
		return -1;
	if (identity_check(item, e) != 0 || data_set_digest(from, scan, h->digest, e) != 0)
		return -1;
	if (!h->has_pixels) { // nothing narrower tells two reports apart
		memcpy(h->content_digest, h->digest, sizeof h->content_digest);
		return 0;
	}
	if (part10_layout(item, scan, &layout, e) != 0)
		return -1;
	return content_digest(from, item, scan, &layout, h, e);
}

static void
find_frames(DcmItem &item, std::vector<DcmItem *> &frames)
{
	DcmSequenceOfItems *list = NULL;

	if (item.findAndGetSequence(DCM_PerFrameFunctionalGroupsSequence, list).bad() || list == NULL)
		return;
	for (DcmObject *frame = list->nextInContainer(NULL); frame != NULL; frame = list->nextInContainer(frame))
		frames.push_back((DcmItem *)frame);
}

static struct attributes *
load(const char *path, bool wants_digests, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK /* of a pipe */);

	if (fd < 0) {
		err_errno(e, "opening the file");
		return NULL;
	}
	struct attributes *result = shim_pointer(e, [&]() -> struct attributes * {
		attributes_owner a(new struct attributes);
		struct scan scan;
		DcmItem &item = *a->file.getDataset();
		if (scan_file(fd, &scan, e) != 0)
			return nullptr;
		a->is_large = part10_is_large(&scan);
		if (wants_digests && a->is_large)
			a->turn = std::unique_lock<std::recursive_mutex>(large_headers);
		if (part10_load_scanned(path, a->file, &scan, e) != 0 || read_names(item, &scan, &a->header, e) != 0 ||
		    (wants_digests && read_digests(fd, item, &scan, &a->header, e) != 0))
			return nullptr;
		find_frames(item, a->frames);
		a->reader.select(item);
		return a.release();
	});
	close(fd);
	return result;
}

extern "C" struct attributes *
attributes_load(const char *path, struct err *e)
{
	return load(path, true, e);
}

extern "C" struct attributes *
attributes_load_values(const char *path, struct err *e)
{
	return load(path, false, e);
}

extern "C" int
attributes_digest(const char *path, char hex[DIGEST_HEX], struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), result;

	if (fd < 0)
		return err_errno(e, "opening the file");
	result = shim_int(e, [&] {
		struct scan scan;
		file_bytes from(fd);
		uint64_t size;
		if (scan_file(fd, &scan, e) != 0)
			return -1;
		if (scan.is_deflated && bytes_inflate_from(&from, scan.data_set, dicom_bounds_now()->data_set_bytes, &size, e) != 0)
			return -1;
		return data_set_digest(from, &scan, hex, e);
	});
	close(fd);
	return result;
}

extern "C" void
attributes_free(struct attributes *a)
{
	if (a == NULL)
		return;
	std::unique_lock<std::recursive_mutex> turn = std::move(a->turn);
	bool is_large = a->is_large;
	delete a;
	if (is_large)
		malloc_trim(0); // what this thread's arena keeps is not used again soon; the next in turn has another thread's
}

extern "C" const struct instance_header *
attributes_header(const struct attributes *a)
{
	return &a->header;
}

extern "C" size_t
attributes_n_frames(const struct attributes *a)
{
	return a->frames.size();
}

extern "C" void
attributes_set_frame(struct attributes *a, size_t frame)
{
	a->frame = frame > 0 && frame <= a->frames.size() ? a->frames[frame - 1] : NULL;
}

extern "C" const char *
attributes_text(struct attributes *a, const char *keyword)
{
	return shim_value((const char *)NULL, [&]() -> const char * {
		DcmTagKey tag;
		return shim_tag(keyword, &tag) && lookup_text({ *a->file.getDataset(), a->reader, a->frame }, tag, a->text) ? a->text.c_str() : NULL;
	});
}
