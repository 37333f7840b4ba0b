// A data set to a file: see scp_receive.hh. Does not fsync (intake does) and does not look into the data set.
#include "dicom/scp_receive.hh"
#include "dicom/shim.hh"

#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcmetinf.h>
#include <dcmtk/dcmdata/dcuid.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

incoming::incoming(int64_t max)
	: DcmOutputStream(NULL), max_bytes(max)
{
}

incoming::~incoming()
{
	if (fd >= 0)
		close(fd); // nothing of it is kept
	if (name[0] != '\0')
		unlink(name);
}

int
incoming::open(const char *dir, struct err *e)
{
	if ((size_t)snprintf(name, sizeof name, "%s/scp-XXXXXX", dir) >= sizeof name) {
		name[0] = '\0';
		return err_set(e, ERR_BUG, "the name of the folder for arriving files is too long");
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0) {
		name[0] = '\0';
		return err_errno(e, "making a file in %s for the instance", dir);
	}
	return 0;
}

void
incoming::put(const char *bytes, size_t n)
{
	while (n > 0 && fd >= 0 && first.code == ERR_NONE) {
		ssize_t done = ::write(fd, bytes, n);
		if (done >= 0) {
			bytes += done;
			n -= (size_t)done;
		} else if (errno != EINTR) {
			err_errno(&first, "writing the instance");
		}
	}
}

offile_off_t
incoming::write(const void *bytes, offile_off_t n)
{
	if (!is_meta) {
		n_bytes += n;
		if (n_bytes > max_bytes && first.code == ERR_NONE)
			err_set(&first, ERR_LIMIT, "larger than the limit of %lld bytes", (long long)max_bytes);
	}
	put((const char *)bytes, (size_t)n);
	return n;
}

static OFCondition
fill_meta(DcmMetaInfo &meta, const struct scp_instance *i, const char *calling_aet)
{
	static const Uint8 version[2] = { 0, 1 };
	const struct {
		DcmTagKey tag;
		const char *text;
	} texts[] = {
		{ DCM_MediaStorageSOPClassUID, i->sop_class },
		{ DCM_MediaStorageSOPInstanceUID, i->sop_uid },
		{ DCM_TransferSyntaxUID, i->transfer_syntax },
		{ DCM_ImplementationClassUID, OFFIS_IMPLEMENTATION_CLASS_UID },
		{ DCM_ImplementationVersionName, OFFIS_DTK_IMPLEMENTATION_VERSION_NAME2 },
		{ DCM_SourceApplicationEntityTitle, calling_aet },
	};
	OFCondition c = meta.putAndInsertUint32(DCM_FileMetaInformationGroupLength, 0);

	if (c.good())
		c = meta.putAndInsertUint8Array(DCM_FileMetaInformationVersion, version, 2);
	for (const auto &t : texts)
		if (c.good())
			c = meta.putAndInsertString(t.tag, t.text);
	if (c.good())
		c = meta.computeGroupLengthAndPadding(EGL_withGL, EPD_noChange, EXS_LittleEndianExplicit, EET_ExplicitLength);
	return c;
}

int
incoming::write_meta(const struct scp_instance *i, const char *calling_aet, struct err *e)
{
	DcmMetaInfo meta;
	OFCondition c = fill_meta(meta, i, calling_aet);

	is_meta = true;
	if (c.good()) {
		meta.transferInit();
		c = meta.write(*this, EXS_LittleEndianExplicit, EET_ExplicitLength, NULL);
		meta.transferEnd();
	}
	is_meta = false;
	return c.good() ? 0 : shim_failed(e, ERR_BUG, c);
}

int
incoming::finish(struct err *e)
{
	int closing = fd;

	fd = -1;
	if (closing >= 0 && close(closing) != 0 && first.code == ERR_NONE)
		err_errno(&first, "closing the instance's file");
	if (first.code == ERR_NONE)
		return 0;
	*e = first;
	return -1;
}
