// The same instance in two transfer syntaxes: names, places and layout as written, then every frame's stored numbers (PS3.3 C.7.6.3.1), one at a time.
// How they are stored (BitsAllocated, HighBit, what stands in unused bits) is the syntax's matter and does not count.
#include "dicom/same.h"
#include "dicom/identity.hh"
#include "dicom/pixels.hh"
#include "dicom/traits.hh"

#include <cstring>

struct side {
	const char *path;
	DcmFileFormat file;
	struct scan scan = {};
	struct pixel_layout layout = {};
	OFString photometric;
	pixel_reader reader;
	std::vector<int32_t> frame;
};

static int
open_side(const char *path, struct side &s, struct err *e)
{
	s.path = path;
	if (part10_load(path, s.file, &s.scan, e) != 0)
		return err_note(e, "reading %s", path);
	if (!s.scan.has_integer_pixels)
		return err_set(e, ERR_INPUT, "it has no PixelData (7FE0,0010) to compare");
	if (part10_layout(*s.file.getDataset(), &s.scan, &s.layout, e) != 0 || s.reader.open(path, s.scan, s.layout, e) != 0)
		return -1;
	part10_text(*s.file.getDataset(), DCM_PhotometricInterpretation, s.photometric);
	s.frame.resize(s.layout.rows * s.layout.cols);
	return 0;
}

static bool
differ(const std::vector<struct identity_line> &a, const std::vector<struct identity_line> &b, struct err *why)
{
	for (size_t i = 0; i < a.size() && i < b.size(); i++)
		if (a[i].name != b[i].name || a[i].value != b[i].value) {
			err_set(why, ERR_STATE, "%s differs", trait_name(a[i].tag).c_str());
			return true;
		}
	if (a.size() != b.size())
		err_set(why, ERR_STATE, "one has more positions, orientations, spacings or scales than the other");
	return a.size() != b.size();
}

static bool
layouts_differ(const struct side &a, const struct side &b, struct err *why)
{
	const struct pixel_layout &x = a.layout, &y = b.layout;
	const char *what = x.rows != y.rows || x.cols != y.cols ? "Rows x Columns (0028,0010; 0028,0011)"
	    : x.frames != y.frames ? "NumberOfFrames (0028,0008)"
	    : x.is_signed != y.is_signed ? "PixelRepresentation (0028,0103)"
	    : x.bits_stored != y.bits_stored ? "BitsStored (0028,0101)"
	    : a.photometric != b.photometric ? "PhotometricInterpretation (0028,0004)" : NULL;

	if (what != NULL)
		err_set(why, ERR_STATE, "%s differs", what);
	return what != NULL;
}

static int
compare(struct side &a, struct side &b, bool *same, struct err *why, struct err *e)
{
	DcmItem &first = *a.file.getDataset(), &second = *b.file.getDataset();

	*same = false;
	if (differ(identity_names(first), identity_names(second), why) || differ(identity_places(first), identity_places(second), why) || layouts_differ(a, b, why))
		return 0;
	for (size_t k = 0; k < a.layout.frames; k++) {
		if (a.reader.frame(k, a.frame.data(), e) != 0 || b.reader.frame(k, b.frame.data(), e) != 0)
			return -1;
		if (memcmp(a.frame.data(), b.frame.data(), a.frame.size() * sizeof a.frame[0]) != 0) {
			err_set(why, ERR_STATE, "the pixels of frame %zu differ", k + 1);
			return 0;
		}
	}
	*same = true;
	return 0;
}

extern "C" int
same_instance(const char *a, const char *b, bool *same, struct err *why, struct err *e)
{
	return shim_int(e, [&] {
		struct side x, y;
		return open_side(a, x, e) == 0 && open_side(b, y, e) == 0 ? compare(x, y, same, why, e) : -1;
	});
}
