// Files of one series -> one checked volume. The verdict looks at the kind of each object first, then at what must be one for all of them (patient, study,
// series, frame of reference), then at where the slices lie (geometry.c). A reason names instances and tags, never a value of a patient attribute.
#include "dicom/series.h"
#include "dicom/bounds.h"
#include "dicom/frames.h"
#include "dicom/series_parts.hh"
#include "dicom/split.hh"
#include "config/digest.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

typedef std::vector<struct slice_file> slice_files;
typedef std::vector<struct slice_frame> slice_frames;

struct series {
	struct series_info info = {};
	std::vector<struct slice_file> files;
	slice_frames slices;                      // in grid order
	uint16_t *voxels = NULL;                  // (slices, rows, cols), as stored
	std::vector<struct voxel_line> lines;     // (slices)
	~series() { free(voxels); }
};

// True with *verdict and *reason set when the objects are not slices of one kind.
static bool
judge_kinds(const slice_files &files, enum series_verdict *verdict, struct err *reason)
{
	const struct slice_file *other = NULL, *image = NULL;

	for (const struct slice_file &f : files)
		(f.ignored.code != ERR_NONE ? other : image) = &f;
	if (other != NULL && image != NULL) {
		*verdict = SERIES_BAD;
		err_set(reason, ERR_INPUT, "%s, but %s of the same series is an image", other->ignored.text, image->sop_uid);
		return true;
	}
	*verdict = SERIES_IGNORED;
	for (const struct slice_file &f : files) {
		if (f.ignored.code != ERR_NONE)
			*reason = f.ignored;
		else if (f.is_localizer)
			err_set(reason, ERR_INPUT, "a localizer: ImageType (0008,0008) of instance %s says LOCALIZER", f.sop_uid);
		else
			continue;
		return true;
	}
	return false;
}

// What all slices must share; true with *reason set when one differs from the first.
static bool
judge_identity(const slice_files &files, struct err *reason)
{
	const struct slice_file &first = files[0];

	for (const struct slice_file &f : files) {
		const char *what = f.patient != first.patient ? "two patients: PatientID (0010,0020) or IssuerOfPatientID (0010,0021)"
		    : strcmp(f.study_uid, first.study_uid) != 0 ? "two studies: StudyInstanceUID (0020,000D)"
		    : strcmp(f.series_uid, first.series_uid) != 0 ? "two series: SeriesInstanceUID (0020,000E)"
		    : strcmp(f.sop_class, first.sop_class) != 0 ? "two kinds of image: SOPClassUID (0008,0016)"
		    : strcmp(f.frame_of_reference, first.frame_of_reference) != 0 ? "two frames of reference: FrameOfReferenceUID (0020,0052)" : NULL;
		if (what != NULL) {
			err_set(reason, ERR_INPUT, "%s of instances %s and %s differ", what, first.sop_uid, f.sop_uid);
			return true;
		}
	}
	return false;
}

static bool
is_orthogonal(const struct slice &a, const struct slice &b)
{
	double product = 0, squares[2] = {};

	for (int i = 0; i < 3; i++) {
		int k = (i + 1) % 3, l = (i + 2) % 3;
		double x = a.row_dir[k] * a.col_dir[l] - a.row_dir[l] * a.col_dir[k], y = b.row_dir[k] * b.col_dir[l] - b.row_dir[l] * b.col_dir[k];
		product += x * y;
		squares[0] += x * x;
		squares[1] += y * y;
	}
	return squares[0] > 0.9 && squares[1] > 0.9 && std::fabs(product) < 0.1; // within 6 degrees; directions that are none are at right angles to everything
}

// Three planes at right angles: a localizer that does not say so.
static bool
has_three_planes(const slice_frames &slices)
{
	const struct slice *second = NULL;

	for (const struct slice_frame &f : slices)
		if (is_orthogonal(slices[0].place, f.place)) {
			if (second == NULL)
				second = &f.place;
			else if (is_orthogonal(*second, f.place))
				return true;
		}
	return false;
}

// Parts of one multi-frame image (PS3.3 C.7.6.16.2.2.4): true with *reason set when one of them has not come yet.
static bool
lacks_part(const slice_files &files, struct err *reason)
{
	std::map<std::string, std::set<unsigned>> parts;

	for (const struct slice_file &f : files)
		if (f.part.concatenation[0] != '\0')
			parts[f.part.concatenation].insert(f.part.number);
	for (const struct slice_file &f : files)
		if (f.part.total > parts[f.part.concatenation].size()) {
			err_set(reason, ERR_INPUT, "concatenation %s: InConcatenationTotalNumber (0020,9163) is %u, %zu of its instances are here", f.part.concatenation, f.part.total,
			    parts[f.part.concatenation].size());
			return true;
		}
	return false;
}

// Before a byte of it is allocated. True with *reason set when it is beyond the bound.
static bool
is_too_large(const struct grid &g, struct err *reason)
{
	uint64_t most = dicom_bounds_now()->decoded_bytes;

	if (grid_voxels(&g) <= most / sizeof(float))
		return false;
	err_set(reason, ERR_INPUT, "%zu slices of Rows %zu x Columns %zu are more than the %llu MiB that a volume may take (dicom.max_decoded_mb)", g.slices, g.rows, g.cols,
	    (unsigned long long)(most >> 20));
	return true;
}

static int
judge(struct series &s, enum series_verdict *verdict, struct err *reason, struct err *e)
{
	slice_frames all;
	struct volume v;

	if (judge_kinds(s.files, verdict, reason))
		return 0;
	*verdict = SERIES_BAD;
	if (judge_identity(s.files, reason))
		return 0;
	for (size_t i = 0; i < s.files.size(); i++) {
		if (s.files[i].bad.code != ERR_NONE) {
			*reason = s.files[i].bad;
			return 0;
		}
		for (struct slice_frame &frame : s.files[i].frames) {
			frame.file = i;
			all.push_back(std::move(frame));
		}
		s.files[i].frames.clear();
	}
	if (all.empty()) {
		err_set(reason, ERR_INPUT, "none of the chosen frames is among those of instance %s", s.files[0].sop_uid);
		return 0;
	}
	if (has_three_planes(all)) {
		*verdict = SERIES_IGNORED;
		err_set(reason, ERR_INPUT, "a localizer: ImageOrientationPatient (0020,0037) of its slices names three planes at right angles");
		return 0;
	}
	if (lacks_part(s.files, reason)) {
		*verdict = SERIES_GAP;
		return 0;
	}
	if (split_choose(all, v, e) != 0)
		return -1;
	*verdict = v.verdict;
	*reason = v.reason;
	s.info.grid = v.grid;
	s.info.n_slices = v.verdict == SERIES_WHOLE ? v.slices.size() : all.size();
	if (!v.chosen.empty())
		snprintf(s.info.chosen, sizeof s.info.chosen, "%zu of %zu frames: %s", v.slices.size(), all.size(), v.chosen.c_str());
	s.slices.swap(v.slices);
	if (*verdict == SERIES_WHOLE && is_too_large(s.info.grid, reason))
		*verdict = SERIES_BAD;
	return 0;
}

// Those that count.
static int
keep_frames(const char *list, struct slice_file &f, struct err *e)
{
	slice_frames kept;

	if (!frames_are_valid(list))
		return err_set(e, ERR_BUG, "\"%s\" is no list of frames", list);
	for (struct slice_frame &frame : f.frames)
		if (frames_hold(list, frame.number))
			kept.push_back(std::move(frame));
	f.frames.swap(kept);
	return 0;
}

// Reads and judges. 0: *verdict and s.info are set.
static int
check(const struct series_input *in, bool keep_headers, struct series &s, enum series_verdict *verdict, struct err *reason, struct err *e)
{
	struct series_info *info = &s.info;

	if (in->n == 0)
		return err_set(e, ERR_INPUT, "a series without a file");
	for (size_t i = 0; i < in->n; i++) {
		s.files.emplace_back();
		if (slice_file_read(in->paths[i], keep_headers, s.files.back(), e) != 0)
			return err_note(e, "reading %s", in->paths[i]);
		if (in->frames != NULL && keep_frames(in->frames[i], s.files.back(), e) != 0)
			return -1;
	}
	const struct slice_file &first = s.files[0];
	memcpy(info->study_uid, first.study_uid, sizeof info->study_uid);
	memcpy(info->series_uid, first.series_uid, sizeof info->series_uid);
	memcpy(info->modality, first.modality, sizeof info->modality);
	memcpy(info->description, first.description, sizeof info->description);
	if (first.frame_of_reference[0] != '\0')
		memcpy(info->frame_of_reference, first.frame_of_reference, sizeof info->frame_of_reference);
	else // as derived.cc: a frame of its own, which no other series shares
		digest_uid((std::string(first.series_uid) + "/frame-of-reference").c_str(), info->frame_of_reference);
	info->n_instances = in->n;
	info->n_slices = in->n;
	return judge(s, verdict, reason, e);
}

extern "C" int
series_check(const struct series_input *in, enum series_verdict *verdict, struct series_info *info, struct err *reason, struct err *e)
{
	return shim_int(e, [&] {
		struct series s;
		*info = {};
		if (check(in, false, s, verdict, reason, e) != 0)
			return -1;
		*info = s.info;
		return 0;
	});
}

static int
decode(struct series &s, struct err *e)
{
	const struct grid &g = s.info.grid;
	size_t n = grid_voxels(&g), a_slice = g.rows * g.cols;
	pixel_reader reader;

	s.voxels = (uint16_t *)malloc(n * sizeof *s.voxels);
	if (s.voxels == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %zu voxels", n);
	s.lines.resize(g.slices);
	for (size_t i = 0; i < g.slices; i++) {
		if (slice_file_voxels(s.files[s.slices[i].file], s.slices[i], reader, s.voxels + i * a_slice, &s.lines[i], e) != 0)
			return err_note(e, "slice %s", s.slices[i].place.name);
	}
	for (struct slice_file &f : s.files)
		f.path = NULL; // the caller's; not needed any more
	return 0;
}

extern "C" struct series *
series_open(const struct series_input *in, struct err *e)
{
	return shim_pointer(e, [&]() -> struct series * {
		std::unique_ptr<struct series> s(new struct series);
		enum series_verdict verdict;
		struct err reason = {};
		if (check(in, true, *s, &verdict, &reason, e) != 0)
			return nullptr;
		if (verdict != SERIES_WHOLE) {
			err_set(e, ERR_INPUT, "%s", reason.text);
			return nullptr;
		}
		return s.release();
	});
}

extern "C" int
series_decode(struct series *s, struct err *e)
{
	return shim_int(e, [&] { return decode(*s, e); });
}

extern "C" struct series *
series_load(const struct series_input *in, struct err *e)
{
	struct series *s = series_open(in, e);

	if (s == NULL || series_decode(s, e) == 0)
		return s;
	series_free(s);
	return NULL;
}

extern "C" void
series_forget_voxels(struct series *s)
{
	free(s->voxels);
	s->voxels = NULL;
}

extern "C" void
series_free(struct series *s)
{
	delete s;
}

extern "C" const struct series_info *
series_info(const struct series *s)
{
	return &s->info;
}

extern "C" const struct grid *
series_grid(const struct series *s)
{
	return &s->info.grid;
}

extern "C" struct voxels
series_voxels(const struct series *s)
{
	return { NULL, s->voxels, s->lines.data(), s->info.grid.rows * s->info.grid.cols };
}

size_t
series_n_slices(const struct series *s)
{
	return s->slices.size();
}

DcmDataset *
series_header(const struct series *s, size_t slice)
{
	return s->files[s->slices.at(slice).file].header->getDataset();
}

DcmItem *
series_group(const struct series *s, size_t slice, const DcmTagKey &group)
{
	DcmItem *header = series_header(s, slice), *shared = NULL, *item = NULL, *groups = s->slices.at(slice).groups;

	if (groups == NULL || groups->findAndGetSequenceItem(group, item, 0).good())
		return groups == NULL ? header : item;
	if (header->findAndGetSequenceItem(DCM_SharedFunctionalGroupsSequence, shared, 0).good() && shared->findAndGetSequenceItem(group, item, 0).good())
		return item;
	return header;
}

size_t
series_frame(const struct series *s, size_t slice)
{
	return s->slices.at(slice).number;
}
