// A SEG in another transfer syntax: see seg_recode.h.
#include "dicom/seg_recode.h"
#include "dicom/object.hh"
#include "dicom/seg.h"
#include "dicom/shim.hh"

#include <cstring>

static int
recode(const char *path, enum seg_syntax syntax, char **bytes, size_t *n, struct err *e)
{
	DcmFileFormat file;
	OFString sop_class;
	OFCondition c = file.loadFile(path, EXS_Unknown, EGL_noChange, DCM_MaxReadLength, ERM_fileOnly);

	if (c.bad())
		return shim_failed(e, ERR_IO, c);
	DcmDataset &ds = *file.getDataset();
	ds.findAndGetOFString(DCM_SOPClassUID, sop_class);
	if ((sop_class != UID_SegmentationStorage && sop_class != SEG_LABELMAP_CLASS) || ds.getOriginalXfer() != EXS_LittleEndianExplicit || !object_encode(ds, syntax))
		return 0;
	std::string all = object_bytes(ds, syntax);
	if ((*bytes = (char *)malloc(all.size())) == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %zu bytes", all.size());
	memcpy(*bytes, all.data(), all.size());
	*n = all.size();
	return 0;
}

extern "C" int
seg_recode(const char *path, enum seg_syntax syntax, char **bytes, size_t *n, struct err *e)
{
	*bytes = NULL;
	*n = 0;
	if (shim_int(e, [&] { return recode(path, syntax, bytes, n, e); }) != 0)
		return err_note(e, "writing %s as %s", path, seg_syntax_name(syntax));
	return 0;
}

extern "C" void
seg_recode_free(char *bytes)
{
	free(bytes);
}
