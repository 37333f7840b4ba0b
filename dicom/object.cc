// A data set to a file: meta header by ourselves, made in memory, to disk at once, because DCMTK's file stream loses a late write error.
#include "dicom/object.hh"
#include "dicom/put.hh"
#include "config/file.h"

#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmdata/dcwcache.h>

#include <string>
#include <vector>

static const char our_class_uid[] = "2.25.110218865339405787666790757946454859764", our_version_name[] = "SEGAN_010";

// Group 2 (PS3.10 7.1), all by ourselves: DCMTK would say that it made the file.
static void
put_meta(DcmItem &meta, DcmItem &ds)
{
	const Uint8 version[2] = { 0, 1 };
	const char *sop_class = NULL, *sop_uid = NULL;

	put_ok(ds.findAndGetString(DCM_SOPClassUID, sop_class));
	put_ok(ds.findAndGetString(DCM_SOPInstanceUID, sop_uid));
	put_ok(meta.putAndInsertUint32(DcmTag(DCM_FileMetaInformationGroupLength, EVR_UL), 0)); // set on writing
	put_ok(meta.putAndInsertUint8Array(DcmTag(DCM_FileMetaInformationVersion, EVR_OB), version, 2));
	put_text(meta, DCM_MediaStorageSOPClassUID, EVR_UI, sop_class);
	put_text(meta, DCM_MediaStorageSOPInstanceUID, EVR_UI, sop_uid);
	put_text(meta, DCM_TransferSyntaxUID, EVR_UI, UID_LittleEndianExplicitTransferSyntax);
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
	object.transferEnd();
}

static std::string
file_bytes(DcmMetaInfo &meta, DcmDataset &ds)
{
	const E_TransferSyntax syntax = EXS_LittleEndianExplicit;
	DcmWriteCache cache;
	std::string bytes;

	put_ok(meta.computeGroupLengthAndPadding(EGL_recalcGL, EPD_withoutPadding, syntax, EET_ExplicitLength));
	append(bytes, meta, [&](DcmOutputStream &to) { return meta.write(to, syntax, EET_ExplicitLength, NULL); });
	append(bytes, ds, [&](DcmOutputStream &to) { return ds.write(to, syntax, EET_ExplicitLength, &cache, EGL_withoutGL, EPD_withoutPadding); });
	return bytes;
}

int
object_write(DcmDataset &ds, const char *path, struct err *e)
{
	DcmMetaInfo meta;

	put_meta(meta, ds);
	std::string bytes = file_bytes(meta, ds);
	return file_write(path, bytes.data(), bytes.size(), e);
}
