// One file of a series as the values that decide whether it can be a slice of a volume. For this room only.
#pragma once
#include "config/voxels.h"
#include "dicom/geometry.h"
#include "dicom/part10.hh"
#include "dicom/pixels.hh"
#include "dicom/traits.hh"

#include <memory>
#include <vector>

struct slice_frame {                          // one plane: all there is of a single-frame instance, one frame of a multi-frame one
	size_t file = 0;                          // its place among the files of the series
	size_t number = 0;                        // 1.. in a multi-frame instance; 0: the instance is single-frame
	DcmItem *groups = NULL;                   // its item of PerFrameFunctionalGroupsSequence; borrowed, valid as long as the file's header
	struct slice place = {};
	double slope = 1, intercept = 0;
	std::vector<struct trait> traits;
};

struct slice_file {
	const char *path = NULL;                  // borrowed
	std::unique_ptr<DcmFileFormat> header;    // without pixel data; NULL when it was not asked for
	struct scan scan = {};
	struct pixel_layout layout = {};
	char sop_class[DICOM_UID] = "", sop_uid[DICOM_UID] = "", study_uid[DICOM_UID] = "", series_uid[DICOM_UID] = "", frame_of_reference[DICOM_UID] = "";
	char modality[17] = "", description[129] = "";
	OFString patient;                         // PatientID and its issuer, to compare; never shown
	bool is_localizer = false, is_inverted = false /* MONOCHROME1 */;
	bool has_padding = false;                 // stored values from padding[0] to padding[1] are no measurement (PS3.3 C.7.5.1.1.2)
	int32_t padding[2] = { 0, 0 };
	struct { char concatenation[DICOM_UID]; unsigned number, total /* 0: not said */; } part = {}; // of an image in several instances
	std::vector<struct slice_frame> frames;   // in the file's order; empty when ignored or bad
	struct err ignored = {};                  // code set: not a slice of an image series that we segment, and why
	struct err bad = {};                      // code set: it should be one, but cannot be read as one, and why
};

// The attributes of one plane and what holds them: the main data set (single-frame) or items of functional groups.
struct slice_source { DcmItem *position, *orientation, *measures, *rescale /* NULL: none */; };
// Fills a frame's place and scale (its number is set); a missing or senseless number becomes f.bad.
void slice_frame_read(const struct slice_source &from, struct slice_frame &frame, struct slice_file &f);

// -1: not a sound DICOM file, e says what but not the path. The layout and all behind it are filled only when neither ignored nor bad.
// A kept header says LossyImageCompression 01, ratio and method also where only the transfer syntax tells of it.
int slice_file_read(const char *path, bool keep_header, struct slice_file &f, struct err *e);

// One frame's stored numbers, (rows, cols): MONOCHROME1 turned over its range; where PixelPaddingValue stands, 0, or the lowest number of the frame when that is
// below 0: air, for MR as for CT. They fit 16 bits, signed as the layout says. reader is the caller's, for one file after the other.
int slice_file_stored(const struct slice_file &f, const struct slice_frame &frame, pixel_reader &reader, int32_t *to, struct err *e);
// The same as they are kept, and the line that makes values of them.
int slice_file_voxels(const struct slice_file &f, const struct slice_frame &frame, pixel_reader &reader, uint16_t *to, struct voxel_line *line, struct err *e);
