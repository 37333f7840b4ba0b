// JPEG and JPEG-LS: see jpeg.hh. DCMTK's decoders take a data set; they get one that holds this frame and nothing else, so that which fragment belongs to
// which frame, and what the bits mean, stays with pixels.cc. The codecs are registered at the first use: a process that never comes here, such as the
// daemon, cannot decode.
#include "dicom/jpeg.hh"

#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>

#include <memory>
#include <mutex>

static void
register_codecs(void)
{
	static std::once_flag once;

	std::call_once(once, [] {
		DJDecoderRegistration::registerCodecs();
		DJLSDecoderRegistration::registerCodecs();
	});
}

static OFCondition
describe(DcmItem &item, const struct codestream &c)
{
	const struct { DcmTagKey tag; unsigned value; } numbers[] = {
		{ DCM_SamplesPerPixel, 1 }, { DCM_Rows, (unsigned)c.rows }, { DCM_Columns, (unsigned)c.cols }, { DCM_BitsAllocated, c.precision > 8 ? 16u : 8u },
		{ DCM_BitsStored, c.precision }, { DCM_HighBit, c.precision - 1 }, { DCM_PixelRepresentation, 0 },
	};
	OFCondition result = item.putAndInsertString(DCM_PhotometricInterpretation, "MONOCHROME2");

	for (const auto &n : numbers)
		if (result.good())
			result = item.putAndInsertUint16(n.tag, (Uint16)n.value);
	return result;
}

// An empty offset table and the frame.
static OFCondition
enclose(std::vector<Uint8> &frame, DcmPixelSequence &sequence)
{
	std::unique_ptr<DcmPixelItem> table(new DcmPixelItem(DcmTag(DCM_Item, EVR_OB))), fragment(new DcmPixelItem(DcmTag(DCM_Item, EVR_OB)));

	OFCondition c = fragment->putUint8Array(frame.data(), (unsigned long)frame.size());
	if (c.good())
		c = sequence.insert(table.get());
	if (c.good()) {
		table.release();
		c = sequence.insert(fragment.get());
	}
	if (c.good())
		fragment.release();
	return c;
}

int
jpeg_decode(const char *transfer_syntax, std::vector<Uint8> &frame, const struct codestream &c, uint16_t *words, struct err *e)
{
	std::unique_ptr<DcmPixelSequence> sequence(new DcmPixelSequence(DcmTag(DCM_PixelData, EVR_OB)));
	std::unique_ptr<DcmPixelData> pixels(new DcmPixelData(DCM_PixelData));
	DcmDataset item;
	size_t n = c.rows * c.cols, n_bytes = c.precision > 8 ? 2 * n : n;
	std::vector<Uint16> buffer((n_bytes + 1) / 2);
	OFString colour;
	Uint32 first = 0;

	if (buffer.size() * 2 > UINT32_MAX)
		return err_set(e, ERR_LIMIT, "a frame of %zux%zu is too large for DCMTK", c.rows, c.cols);
	register_codecs();
	unsigned n_corrupt = shim_n_corrupt();
	OFCondition r = describe(item, c);
	if (r.good())
		r = enclose(frame, *sequence);
	if (r.good()) {
		pixels->putOriginalRepresentation(DcmXfer(transfer_syntax).getXfer(), NULL, sequence.release());
		r = pixels->getUncompressedFrame(&item, 0, first, buffer.data(), (Uint32)(buffer.size() * 2), colour);
	}
	if (r.bad()) {
		shim_failed(e, ERR_INPUT, r);
		return err_note(e, "DCMTK cannot decode it");
	}
	if (shim_n_corrupt() != n_corrupt)
		return err_set(e, ERR_INPUT, "the codestream is damaged or ends early");
	for (size_t i = 0; i < n; i++)
		words[i] = c.precision > 8 ? buffer[i] : ((const Uint8 *)buffer.data())[i];
	return 0;
}
