// How the pixels of a segmentation are stored, and one frame of them: see seg_pixels.hh.
#include "dicom/seg_pixels.hh"
#include "dicom/bounds.h"
#include "dicom/bits.h"
#include "dicom/rle.h"

#include <cstring>
#include <fcntl.h>
#include <unistd.h>

static const char dcmjs_uid[] = "2.25.80302813137786398554742050926734630921603366648225212145404"; // its Implementation Class UID

int
seg_reader::open(const struct seg_pixels &s, struct err *e)
{
	uint64_t size;

	if ((fd = ::open(s.path.c_str(), O_RDONLY | O_CLOEXEC)) < 0)
		return err_errno(e, "opening %s", s.path.c_str());
	bytes_open(&bytes, fd);
	return s.scan.is_deflated ? bytes_inflate_from(&bytes, s.scan.data_set, dicom_bounds_now()->data_set_bytes, &size, e) : 0;
}

seg_reader::~seg_reader()
{
	if (fd < 0)
		return;
	bytes_close(&bytes);
	close(fd);
}

// Encapsulated pixels (PS3.5 A.4): the offset table, which is not needed, then a fragment a frame.
static int
read_fragments(struct seg_pixels &s, struct err *e)
{
	struct seg_reader file;
	uint64_t at = s.scan.pixels, end = s.scan.pixels + s.scan.n_pixel_bytes;
	bool is_table = true;
	unsigned char h[8];

	if (file.open(s, e) != 0)
		return -1;
	while (end - at >= sizeof h) {
		if (file.read(at, h, sizeof h, e) != 0)
			return -1;
		uint64_t n = h[4] | (uint64_t)h[5] << 8 | (uint64_t)h[6] << 16 | (uint64_t)h[7] << 24;
		if (memcmp(h, "\xFE\xFF\x00\xE0", 4) != 0) // no item: the delimiter
			break;
		at += sizeof h;
		if (n > end - at)
			return err_set(e, ERR_INPUT, "a fragment of PixelData (7FE0,0010) is longer than the file");
		if (!is_table)
			s.fragments.push_back({ at, n });
		is_table = false;
		at += n;
	}
	if (s.fragments.size() != s.layout.frames)
		return err_set(e, ERR_INPUT, "PixelData (7FE0,0010) has %zu fragments, NumberOfFrames (0028,0008) is %zu", s.fragments.size(), s.layout.frames);
	return 0;
}

// dcmjs, and OW: what newer @cornerstonejs/adapters write, with each frame beginning at a byte, against PS3.5 8.1.1. Older ones wrote OB, and right.
static bool
is_by_adapters(DcmFileFormat &file, const struct seg_pixels &s)
{
	struct seg_reader bytes;
	unsigned char vr[2] = { 0, 0 };
	OFString implementation;
	struct err unheard;

	part10_text(*file.getMetaInfo(), DCM_ImplementationClassUID, implementation);
	if (s.scan.is_implicit || implementation != dcmjs_uid || bytes.open(s, &unheard) != 0 || bytes.read(s.scan.pixels - 8, vr, sizeof vr, &unheard) != 0)
		return false;
	return memcmp(vr, "OW", 2) == 0;
}

// One bit a pixel, one frame behind the other (PS3.5 8.1.1), or, as some write it, each frame padded to a byte. Mostly the length tells.
static int
judge_padding(DcmFileFormat &file, struct seg_pixels &s, struct err *e)
{
	const struct pixel_layout &p = s.layout;
	uint64_t stored = s.scan.n_pixel_bytes, padded = (uint64_t)p.frames * ((p.rows * p.cols * p.bits_allocated + 7) / 8);
	bool is_plain = stored == p.n_bytes || stored == p.n_bytes + p.n_bytes % 2, is_padded = stored == padded || stored == padded + padded % 2;

	if (!is_plain && !is_padded)
		return err_set(e, ERR_INPUT, "PixelData (7FE0,0010) holds %llu bytes, but %zu frames of %zux%zu need %llu", (unsigned long long)stored, p.frames, p.rows, p.cols,
		    (unsigned long long)p.n_bytes);
	s.is_padded = is_padded && (!is_plain || is_by_adapters(file, s));
	return 0;
}

int
seg_pixels_read(DcmFileFormat &file, bool is_binary, unsigned most_bits, struct seg_pixels &s, struct err *e)
{
	const struct pixel_layout &p = s.layout;
	bool is_rle = strcmp(s.scan.transfer_syntax, UID_RLELosslessTransferSyntax) == 0;

	if (s.scan.is_encapsulated && !is_rle)
		return err_set(e, ERR_INPUT, "its transfer syntax %s is not read by this version: store it uncompressed, deflated or as RLE Lossless", s.scan.transfer_syntax);
	if (!s.scan.has_integer_pixels)
		return err_set(e, ERR_INPUT, "PixelData (7FE0,0010) is missing");
	if (part10_layout(*file.getDataset(), &s.scan, &s.layout, e) != 0)
		return -1;
	bool fits = is_binary ? p.bits_allocated == 1 : p.bits_allocated % 8 == 0 && p.bits_allocated <= most_bits;
	if (!fits || p.samples != 1 || p.is_signed)
		return err_set(e, ERR_INPUT, "BitsAllocated (0028,0100) is %u: one bit for BINARY, 8 for FRACTIONAL, 8 or 16 for LABELMAP", p.bits_allocated);
	if (p.n_bytes > dicom_bounds_now()->decoded_bytes)
		return err_set(e, ERR_INPUT, "%zu frames of %zux%zu are more than the %llu MiB that decoded pixels may take", p.frames, p.rows, p.cols,
		    (unsigned long long)(dicom_bounds_now()->decoded_bytes >> 20));
	if (is_rle && p.n_bytes / RLE_MOST > s.scan.n_pixel_bytes)
		return err_set(e, ERR_INPUT, "PixelData (7FE0,0010) holds too little for %zu frames of %zux%zu", p.frames, p.rows, p.cols);
	return is_rle ? read_fragments(s, e) : judge_padding(file, s, e);
}

// BINARY in RLE is written in two ways: the packed bits as bytes, or each pixel as a byte of its own. The length tells. -> packed bits.
static int
decode_bits(const std::vector<unsigned char> &fragment, size_t n_pixels, std::vector<unsigned char> &bytes, struct err *e)
{
	std::vector<unsigned char> pixels(n_pixels);
	struct err unheard;

	if (rle_decode(fragment.data(), fragment.size(), 1, n_pixels, pixels.data(), &unheard) != 0)
		return rle_decode(fragment.data(), fragment.size(), 1, bytes.size(), bytes.data(), e);
	for (unsigned char &p : pixels)
		p = p != 0;
	bits_pack(pixels.data(), n_pixels, 0, bytes.data());
	return 0;
}

// Uncompressed. Big endian words stand the other way round, and so do the bytes of OW, two by two (PS3.5 7.3): read in whole words.
static int
read_native(const struct seg_pixels &s, struct seg_reader &file, uint64_t first, std::vector<unsigned char> &bytes, struct err *e)
{
	bool is_swapped = s.scan.is_big_endian && (s.scan.has_pixel_words || s.layout.bits_allocated == 16);
	size_t odd = is_swapped ? first % 2 : 0, n = odd + bytes.size();

	if (!is_swapped)
		return file.read(s.scan.pixels + first, bytes.data(), n, e);
	std::vector<unsigned char> words(n + n % 2);
	if (file.read(s.scan.pixels + first - odd, words.data(), words.size(), e) != 0)
		return -1;
	for (size_t k = 0; k < bytes.size(); k++)
		bytes[k] = words[(k + odd) ^ 1];
	return 0;
}

int
seg_pixels_frame(const struct seg_pixels &s, struct seg_reader &file, size_t i, std::vector<unsigned char> &bytes, size_t *first_bit, struct err *e)
{
	const struct pixel_layout &p = s.layout;
	size_t n_bits = p.rows * p.cols * p.bits_allocated, n_bytes = (n_bits + 7) / 8;
	uint64_t begin = s.is_padded ? (uint64_t)i * n_bytes * 8 : (uint64_t)i * n_bits, first = begin / 8, last = (begin + n_bits + 7) / 8;

	*first_bit = 0;
	if (s.fragments.empty()) {
		*first_bit = begin % 8;
		bytes.resize((size_t)(last - first));
		return read_native(s, file, first, bytes, e);
	}
	std::vector<unsigned char> fragment((size_t)s.fragments[i].n);
	size_t planes = p.bits_allocated == 16 ? 2 : 1, plane = n_bytes / planes;
	bytes.assign(n_bytes, 0);
	if (file.read(s.fragments[i].at, fragment.data(), fragment.size(), e) != 0 ||
	    (p.bits_allocated == 1 ? decode_bits(fragment, n_bits, bytes, e) : rle_decode(fragment.data(), fragment.size(), planes, plane, bytes.data(), e)) != 0)
		return err_note(e, "frame %zu", i + 1);
	if (planes == 2) { // high bytes, then low bytes -> little endian words
		fragment.assign(bytes.begin(), bytes.end());
		for (size_t k = 0; k < plane; k++) {
			bytes[2 * k] = fragment[plane + k];
			bytes[2 * k + 1] = fragment[k];
		}
	}
	return 0;
}
