// Frames as stored numbers: see pixels.hh. Every decoder gives 16-bit words; what their bits mean (PS3.5 8.1.1, PS3.3 C.7.6.3.1) is settled once, at the end.
#include "dicom/pixels.hh"
#include "dicom/bounds.h"
#include "dicom/jpeg.hh"
#include "dicom/jpeg2000.h"
#include "dicom/rle.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

static const size_t MOST_PIXELS = (size_t)1 << 28; // of one frame; OpenJPEG takes some 8 bytes for each

int
pixels_check(const struct scan &scan, const struct pixel_layout &p, struct err *e)
{
	const struct syntax *syntax = syntax_find(scan.transfer_syntax);

	if (syntax == NULL)
		return err_set(e, ERR_INPUT, "its transfer syntax, %s, is not read by this version: send it uncompressed, as Explicit VR Little Endian",
		    dcmFindNameOfUID(scan.transfer_syntax, scan.transfer_syntax));
	if ((p.bits_allocated != 8 && p.bits_allocated != 16) || p.samples != 1)
		return err_set(e, ERR_INPUT, "BitsAllocated (0028,0100) is %u, SamplesPerPixel (0028,0002) is %zu; 8 and 16 bits of one sample are read", p.bits_allocated, p.samples);
	if (p.rows * p.cols > MOST_PIXELS)
		return err_set(e, ERR_INPUT, "Rows %zu x Columns %zu are more than the %zu pixels that a frame may have", p.rows, p.cols, MOST_PIXELS);
	if (p.n_bytes > dicom_bounds_now()->decoded_bytes)
		return err_set(e, ERR_INPUT, "%zu frames of Rows %zu x Columns %zu are more than the %llu MiB that decoded pixels may take (dicom.max_decoded_mb)", p.frames, p.rows, p.cols,
		    (unsigned long long)(dicom_bounds_now()->decoded_bytes >> 20));
	if (!scan.is_encapsulated && scan.n_pixel_bytes > p.n_bytes + p.n_bytes % 2)
		return err_set(e, ERR_INPUT, "PixelData (7FE0,0010) holds %llu bytes, but Rows x Columns x BitsAllocated need %llu", (unsigned long long)scan.n_pixel_bytes,
		    (unsigned long long)p.n_bytes);
	if (syntax->coding == CODING_RLE && p.n_bytes / RLE_MOST > scan.n_pixel_bytes)
		return err_set(e, ERR_INPUT, "PixelData (7FE0,0010) holds %llu bytes of RLE, too little for %zu frames of %zux%zu", (unsigned long long)scan.n_pixel_bytes, p.frames,
		    p.rows, p.cols);
	return 0;
}

void
pixel_reader::close()
{
	if (is_open) {
		bytes_close(&bytes);
		::close(bytes.fd);
	}
	is_open = false;
}

pixel_reader::~pixel_reader()
{
	close();
}

int
pixel_reader::open(const char *name, const struct scan &s, const struct pixel_layout &l, struct err *e)
{
	if (is_open && path == name)
		return 0;
	close();
	if (pixels_check(s, l, e) != 0)
		return -1;
	path = name;
	scan = s;
	layout = l;
	syntax = syntax_find(s.transfer_syntax);
	words.resize(l.rows * l.cols);
	int fd = ::open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "opening %s", name);
	bytes_open(&bytes, fd);
	is_open = true;
	uint64_t size;
	int rc = syntax->is_deflated ? bytes_inflate_from(&bytes, s.data_set, dicom_bounds_now()->data_set_bytes, &size, e) : 0;
	if (rc == 0 && s.is_encapsulated)
		rc = index.read(bytes, s, syntax->coding, l.frames, e);
	if (rc != 0)
		close();
	return rc == 0 ? 0 : err_note(e, "its pixels");
}

// Uncompressed. Big endian words stand the other way round, and so do the bytes of OW, two by two (PS3.5 7.3): read in whole words.
int
pixel_reader::native(size_t k, struct err *e)
{
	size_t n = words.size(), step = layout.bits_allocated / 8;
	uint64_t begin = (uint64_t)k * n * step, odd = begin % 2, left = scan.n_pixel_bytes - (begin - odd);
	size_t wanted = (size_t)odd + n * step;

	coded.assign(wanted + 1, 0);
	if (bytes_read_all(&bytes, scan.pixels + begin - odd, coded.data(), (size_t)std::min<uint64_t>(wanted + wanted % 2, left), e) != 0)
		return -1;
	if (syntax->is_big_endian && (step == 2 || scan.has_pixel_words))
		for (size_t i = 0; i + 1 < coded.size(); i += 2)
			std::swap(coded[i], coded[i + 1]);
	for (size_t i = 0; i < n; i++)
		words[i] = step == 1 ? coded[(size_t)odd + i] : (uint16_t)(coded[2 * i] | coded[2 * i + 1] << 8);
	return 0;
}

int
pixel_reader::rle(struct err *e)
{
	size_t n = words.size(), planes = layout.bits_allocated / 8;
	std::vector<Uint8> split(planes * n);

	if (rle_decode(coded.data(), coded.size(), planes, n, split.data(), e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		words[i] = planes == 1 ? split[i] : (uint16_t)(split[i] << 8 | split[n + i]);
	return 0;
}

// Frame k into `coded`; *c: its header, which must say what the data set says.
int
pixel_reader::load(size_t k, struct codestream *c, struct err *e)
{
	if (index.frame(bytes, k, coded, e) != 0)
		return -1;
	if (syntax->coding == CODING_RLE)
		return 0;
	if (codestream_read(syntax->coding, coded.data(), coded.size(), c, e) != 0)
		return -1;
	if (c->rows != layout.rows || c->cols != layout.cols || c->components != 1 || c->precision == 0 || c->precision > layout.bits_allocated)
		return err_set(e, ERR_INPUT, "the codestream holds %zux%zu of %u components and %u bits, the data set says Rows %zu x Columns %zu, one sample, BitsAllocated %u", c->rows,
		    c->cols, c->components, c->precision, layout.rows, layout.cols, layout.bits_allocated);
	return 0;
}

int
pixel_reader::decode(size_t k, unsigned *precision, struct err *e)
{
	struct codestream c;

	*precision = 16;
	if (!scan.is_encapsulated)
		return native(k, e);
	if (load(k, &c, e) != 0)
		return -1;
	if (syntax->coding == CODING_RLE)
		return rle(e);
	*precision = c.precision;
	return syntax->coding == CODING_JPEG_2000 ? jpeg2000_decode(coded.data(), coded.size(), layout.rows, layout.cols, words.data(), e)
	                                          : jpeg_decode(scan.transfer_syntax, coded, c, words.data(), e);
}

int
pixel_reader::frame(size_t k, int32_t *stored, struct err *e)
{
	unsigned precision, bits = layout.bits_stored, shift = layout.high_bit + 1 - layout.bits_stored;

	if (k >= layout.frames)
		return err_set(e, ERR_INPUT, "frame %zu of %zu", k + 1, layout.frames);
	if (decode(k, &precision, e) != 0)
		return err_note(e, "frame %zu, %s", k + 1, syntax->name);
	if (precision < bits && shift == 0)
		bits = precision;                         // a coder that knew of fewer bits: its sign stands at the highest of them
	int32_t range = (int32_t)1 << bits;
	for (size_t i = 0; i < words.size(); i++) {
		stored[i] = (words[i] >> shift) & (range - 1);
		if (layout.is_signed && stored[i] >= range / 2)
			stored[i] -= range;
	}
	return 0;
}

int
pixel_reader::codestream(struct codestream *c, struct err *e)
{
	return load(0, c, e) == 0 ? 0 : err_note(e, "frame 1, %s", syntax->name);
}
