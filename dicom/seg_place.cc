// Onto which slice of its images a frame of a segmentation belongs: see seg_place.hh.
#include "dicom/seg_place.hh"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

static const double off_grid = 0.1;           // of a voxel: what writers' rounding may make of a position

static int
check_plane(const struct seg_frame &f, size_t number, const struct grid *g, struct err *e)
{
	if (f.has_directions)
		for (int i = 0; i < 3; i++)
			if (std::fabs(f.directions[i] - g->row_dir[i]) > 1e-3 || std::fabs(f.directions[3 + i] - g->col_dir[i]) > 1e-3)
				return err_set(e, ERR_INPUT, "frame %zu: ImageOrientationPatient (0020,0037) is not that of the images", number);
	if (f.has_spacing)
		for (int i = 0; i < 2; i++)
			if (!(std::fabs(f.spacing_mm[i] - g->spacing_mm[1 + i]) <= 0.01 * g->spacing_mm[1 + i]))
				return err_set(e, ERR_INPUT, "frame %zu: PixelSpacing (0028,0030) is not that of the images", number);
	return 0;
}

// The slice that a frame's position lies on; ERR_INPUT when it lies between slices or beside them.
static int
slice_at(const struct seg_frame &f, size_t number, const struct grid *g, size_t *slice, struct err *e)
{
	double index[3];

	grid_index(g, f.position_mm, index);
	double nearest = std::round(index[0]);
	if (!(std::fabs(index[0] - nearest) <= off_grid && std::fabs(index[1]) <= off_grid && std::fabs(index[2]) <= off_grid && nearest >= 0 &&
	      nearest < (double)g->slices))
		return err_set(e, ERR_INPUT, "frame %zu: ImagePositionPatient (0020,0032) lies on no slice of the images", number);
	*slice = (size_t)nearest;
	return 0;
}

seg_slices
seg_map_slices(const struct series *source)
{
	seg_slices slices;

	for (size_t i = 0; i < series_n_slices(source); i++) {
		OFString uid;
		part10_text(*series_header(source, i), DCM_SOPInstanceUID, uid);
		slices[uid.c_str()][series_frame(source, i)] = i;
	}
	return slices;
}

// The slices that a frame refers to: of a multi-frame instance without a frame number, all (PS3.3 10.3). A number given for a single-frame instance means nothing.
static std::set<size_t>
referred_slices(const struct seg_frame &f, const seg_slices &slices)
{
	std::set<size_t> found;

	for (const struct seg_source &source : f.sources) {
		seg_slices::const_iterator instance = slices.find(source.instance);
		if (instance == slices.end())
			continue;
		for (const auto &frame : instance->second)
			if (frame.first == 0 || source.frames.empty() || std::find(source.frames.begin(), source.frames.end(), frame.first) != source.frames.end())
				found.insert(frame.second);
	}
	return found;
}

int
seg_place(const struct seg_frame &f, size_t number, const char *frame_of_reference, const struct series *source, const seg_slices &slices, size_t *slice, struct err *e)
{
	const struct grid *g = series_grid(source);
	std::set<size_t> referred = referred_slices(f, slices);
	size_t at = 0;

	if (check_plane(f, number, g, e) != 0)
		return -1;
	if (!f.has_position) {
		if (referred.size() != 1)
			return err_set(e, ERR_INPUT, "frame %zu has neither ImagePositionPatient (0020,0032) nor one source among the images: it refers to %zu of the slices", number,
			    referred.size());
		*slice = *referred.begin();
		return 0;
	}
	if (slice_at(f, number, g, &at, e) != 0)
		return -1;
	if (!referred.empty() && referred.count(at) == 0)
		return err_set(e, ERR_INPUT, "frame %zu refers to slice %zu but lies on slice %zu", number, *referred.begin() + 1, at + 1);
	if (referred.empty() && strcmp(frame_of_reference, series_info(source)->frame_of_reference) != 0)
		return err_set(e, ERR_INPUT, "frame %zu refers to none of the images, and FrameOfReferenceUID (0020,0052) is another one", number);
	*slice = at;
	return 0;
}
