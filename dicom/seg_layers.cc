// From masks to layers: see seg_layers.hh.
#include "dicom/seg_layers.hh"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

// The smallest is the innermost, whatever the order in which a model counts; of two that are alike the one that is counted later. Painted from large to small.
static void
paint_labels(const struct seg_request *r, size_t n_voxels, struct seg_layers *l)
{
	std::vector<std::pair<size_t, size_t>> order; // voxels, index

	l->labels.assign(n_voxels, 0);
	for (size_t s = 0; s < r->n_segments; s++)
		order.emplace_back((size_t)std::count_if(r->segments[s].mask, r->segments[s].mask + n_voxels, [](uint8_t v) { return v != 0; }), s);
	std::stable_sort(order.begin(), order.end(), [](const auto &a, const auto &b) { return a.first > b.first; });
	for (const auto &o : order) {
		const struct seg_segment &s = r->segments[o.second];

		for (size_t i = 0; i < n_voxels; i++)
			if (s.mask[i] != 0) {
				l->is_disjoined = l->is_disjoined || l->labels[i] != 0;
				l->labels[i] = (uint8_t)s.number;
			}
	}
	l->of.push_back(l->labels.data());
}

void
seg_layers_make(const struct seg_request *r, size_t n_voxels, struct seg_layers *l)
{
	if (r->form == SEG_LABELMAP) {
		paint_labels(r, n_voxels, l);
		return;
	}
	for (size_t s = 0; s < r->n_segments; s++)
		l->of.push_back(r->form == SEG_FRACTIONAL ? r->segments[s].fraction : r->segments[s].mask);
}

std::string
seg_layers_words(const struct seg_request *r, const struct seg_layers *l, const struct seg_segment *s)
{
	char text[160];

	if (r->form == SEG_LABELMAP)
		return l->is_disjoined ? "; segments overlapped and were made disjoint: the innermost has the voxel" : "";
	if (r->form != SEG_FRACTIONAL)
		return "";
	snprintf(text, sizeof text, "; probability, 255 is 1; found from %.3g on (value %.0f); 0 where a piece was dismissed", s->threshold,
		std::floor(255 * s->threshold + 0.5));
	return text;
}
