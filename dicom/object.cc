// A data set to a file: meta header by ourselves, made in memory, to disk at once, because DCMTK's file stream loses a late write error. RLE by ourselves too
// (rle.c): DCMTK's encoder would have to be registered for the whole process.
#include "dicom/object.hh"
#include "dicom/put.hh"
#include "dicom/rle.h"
#include "config/file.h"

#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmdata/dcwcache.h>

#include <memory>
#include <string>
#include <vector>

static const char our_class_uid[] = "2.25.110218865339405787666790757946454859764", our_version_name[] = "SEGAN_010";

E_TransferSyntax
object_syntax(enum seg_syntax s)
{
	static const E_TransferSyntax syntaxes[SEG_N_SYNTAXES] = { EXS_LittleEndianExplicit, EXS_RLELossless, EXS_DeflatedLittleEndianExplicit };

	return syntaxes[s];
}

// Group 2 (PS3.10 7.1), all by ourselves: DCMTK would say that it made the file.
static void
put_meta(DcmItem &meta, DcmItem &ds, enum seg_syntax syntax)
{
	const Uint8 version[2] = { 0, 1 };
	const char *sop_class = NULL, *sop_uid = NULL;

	put_ok(ds.findAndGetString(DCM_SOPClassUID, sop_class));
	put_ok(ds.findAndGetString(DCM_SOPInstanceUID, sop_uid));
	put_ok(meta.putAndInsertUint32(DcmTag(DCM_FileMetaInformationGroupLength, EVR_UL), 0)); // set on writing
	put_ok(meta.putAndInsertUint8Array(DcmTag(DCM_FileMetaInformationVersion, EVR_OB), version, 2));
	put_text(meta, DCM_MediaStorageSOPClassUID, EVR_UI, sop_class);
	put_text(meta, DCM_MediaStorageSOPInstanceUID, EVR_UI, sop_uid);
	put_text(meta, DCM_TransferSyntaxUID, EVR_UI, DcmXfer(object_syntax(syntax)).getXferID());
	put_text(meta, DCM_ImplementationClassUID, EVR_UI, our_class_uid);
	put_text(meta, DCM_ImplementationVersionName, EVR_SH, our_version_name);
}

// Appends what `object` writes to bytes; a DCMTK object writes until the buffer is full and goes on at the next call.
template <class Write>
static void
append(std::string &bytes, DcmObject &object, Write write)
{
	std::vector<char> buffer(1 << 20);
	DcmOutputBufferStream stream(buffer.data(), (offile_off_t)buffer.size());
	OFCondition c;

	object.transferInit();
	do {
		void *part = NULL;
		offile_off_t n = 0;

		c = write(stream);
		stream.flushBuffer(part, n);
		bytes.append((const char *)part, (size_t)n);
	} while (c == EC_StreamNotifyClient);
	put_ok(c);
	while (!stream.isFlushed()) {        // what a compressing filter holds back
		void *part = NULL;
		offile_off_t n = 0;

		stream.flush();
		stream.flushBuffer(part, n);
		bytes.append((const char *)part, (size_t)n);
	}
	object.transferEnd();
}

// ---- encoding ----

// A fragment a frame, the offset table empty (PS3.5 A.4).
static void
add_frames(DcmPixelSequence &sequence, const Uint8 *bytes, size_t n_frames, size_t frame)
{
	std::vector<uint8_t> fragment(rle_room(frame));
	std::unique_ptr<DcmPixelItem> item(new DcmPixelItem(DcmTag(DCM_PixelItemTag, EVR_OB)));

	put_ok(sequence.insert(item.get()));
	item.release();
	for (size_t i = 0; i < n_frames; i++) {
		size_t n = rle_encode(bytes + i * frame, frame, fragment.data());

		item.reset(new DcmPixelItem(DcmTag(DCM_PixelItemTag, EVR_OB)));
		put_ok(item->putUint8Array(fragment.data(), (Uint32)n));
		put_ok(sequence.insert(item.get()));
		item.release();
	}
}

static bool
encode_rle(DcmDataset &ds)
{
	const Uint8 *bytes = NULL;
	unsigned long n_bytes = 0;
	Uint16 rows = 0, cols = 0, bits = 0;
	Sint32 n_frames = 0;

	if (ds.findAndGetUint16(DCM_Rows, rows).bad() || ds.findAndGetUint16(DCM_Columns, cols).bad() || ds.findAndGetUint16(DCM_BitsAllocated, bits).bad() ||
	    ds.findAndGetSint32(DCM_NumberOfFrames, n_frames).bad() || ds.findAndGetUint8Array(DCM_PixelData, bytes, &n_bytes).bad())
		return false;
	size_t frame = (size_t)rows * cols;
	if (bits != 8 || n_frames < 1 || frame == 0 || n_bytes / frame < (size_t)n_frames)
		return false;
	std::unique_ptr<DcmPixelSequence> sequence(new DcmPixelSequence(DCM_PixelSequenceTag));
	add_frames(*sequence, bytes, (size_t)n_frames, frame);
	std::unique_ptr<DcmPixelData> pixels(new DcmPixelData(DcmTag(DCM_PixelData, EVR_OB)));
	pixels->putOriginalRepresentation(EXS_RLELossless, NULL, sequence.release());
	put_ok(ds.insert(pixels.get(), OFTrue));
	pixels.release();
	return true;
}

bool
object_encode(DcmDataset &ds, enum seg_syntax syntax)
{
	return syntax != SEG_RLE || encode_rle(ds);
}

// ---- files ----

std::string
object_bytes(DcmDataset &ds, enum seg_syntax syntax)
{
	const E_TransferSyntax plain = EXS_LittleEndianExplicit, wanted = object_syntax(syntax);
	DcmMetaInfo meta;
	DcmWriteCache cache;
	std::string bytes;

	put_meta(meta, ds, syntax);
	put_ok(meta.computeGroupLengthAndPadding(EGL_recalcGL, EPD_withoutPadding, plain, EET_ExplicitLength));
	append(bytes, meta, [&](DcmOutputStream &to) { return meta.write(to, plain, EET_ExplicitLength, NULL); });
	append(bytes, ds, [&](DcmOutputStream &to) { return ds.write(to, wanted, EET_ExplicitLength, &cache, EGL_withoutGL, EPD_withoutPadding); });
	if (bytes.size() % 2 != 0)
		bytes += '\0';                  // of a deflated one (PS3.5 A.5)
	return bytes;
}

int
object_write(DcmDataset &ds, const char *path, struct err *e)
{
	return object_write_as(ds, path, SEG_EXPLICIT, e);
}

int
object_write_as(DcmDataset &ds, const char *path, enum seg_syntax syntax, struct err *e)
{
	if (!object_encode(ds, syntax))
		return err_set(e, ERR_BUG, "the object cannot be written as %s", seg_syntax_name(syntax));
	std::string bytes = object_bytes(ds, syntax);
	return file_write(path, bytes.data(), bytes.size(), e);
}
