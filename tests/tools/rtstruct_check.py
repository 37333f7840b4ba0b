#!/usr/bin/python3
"""Judges an RT Structure Set apart from the program that wrote it: the outlines, filled again on the images that they name, must give the voxels of the SEG
back under both rules that readers use (even-odd, winding number); every outline lies in the plane of its image; every reference is to a file that is there.
usage: rtstruct_check.py RT.dcm SOURCE_DIR SEG.dcm [--alone]      --alone: made without the SEG, so it names none
Prints the Dice of every region, a line a violation and, last, "N violations"; exit 0 only for none."""
import os
import sys

import numpy as np
import pydicom

violations = []


def bad(text):
    violations.append(text)


def planes_of(d):
    """Frame number (1 for a single-frame image) -> position, row direction, column direction, spacing, (rows, columns)."""
    if 'PerFrameFunctionalGroupsSequence' not in d:
        iop = [float(v) for v in d.ImageOrientationPatient]
        return {1: (np.array([float(v) for v in d.ImagePositionPatient]), np.array(iop[:3]), np.array(iop[3:]), [float(v) for v in d.PixelSpacing], (d.Rows, d.Columns))}
    planes = {}
    for i, own in enumerate(d.PerFrameFunctionalGroupsSequence, 1):
        def group(name):
            return (own.get(name) or d.SharedFunctionalGroupsSequence[0].get(name))[0]
        iop = [float(v) for v in group('PlaneOrientationSequence').ImageOrientationPatient]
        planes[i] = (np.array([float(v) for v in group('PlanePositionSequence').ImagePositionPatient]), np.array(iop[:3]), np.array(iop[3:]),
                     [float(v) for v in group('PixelMeasuresSequence').PixelSpacing], (d.Rows, d.Columns))
    return planes


def fill(points, shape):
    """points (n, 2) as (column, row): crossings and winding number of every pixel's centre."""
    y, x = np.mgrid[0:shape[0], 0:shape[1]].astype(float)
    crossings = np.zeros(shape, int)
    winding = np.zeros(shape, int)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0)):
        hit = (y0 > y) != (y1 > y)
        if y0 != y1:
            hit &= x < (x1 - x0) * (y - y0) / (y1 - y0) + x0
        crossings += hit
        winding += np.where(hit, 1 if y1 > y0 else -1, 0)
    return crossings % 2 == 1, winding != 0


def seg_planes(seg):
    """Segment number -> list of (position, mask)."""
    pixels = seg.pixel_array if seg.NumberOfFrames > 1 else seg.pixel_array[np.newaxis]
    found = {s.SegmentNumber: [] for s in seg.SegmentSequence}
    for frame, groups in zip(pixels, seg.PerFrameFunctionalGroupsSequence):
        position = np.array([float(v) for v in groups.PlanePositionSequence[0].ImagePositionPatient])
        found[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber].append((position, frame != 0))
    return found


def main():
    alone = sys.argv[4:] == ['--alone']
    if len(sys.argv) != 4 + alone:
        sys.exit(__doc__)
    rt, seg = pydicom.dcmread(sys.argv[1]), pydicom.dcmread(sys.argv[3])
    sources = {}
    for folder, _, names in os.walk(sys.argv[2]):
        for n in names:
            d = pydicom.dcmread(os.path.join(folder, n), stop_before_pixels=True)
            sources[d.SOPInstanceUID] = d
    first = next(iter(sources.values()))
    for keyword in ('PatientID', 'PatientName', 'PatientBirthDate', 'PatientSex', 'StudyInstanceUID', 'StudyDate', 'AccessionNumber'):
        if rt.get(keyword, '') != first.get(keyword, ''):
            bad(f'{keyword} is not the source\'s')
    if rt.SOPClassUID != '1.2.840.10008.5.1.4.1.1.481.3' or rt.Modality != 'RTSTRUCT' or rt.ApprovalStatus != 'UNAPPROVED':
        bad('not an unapproved RT Structure Set')
    frame = rt.ReferencedFrameOfReferenceSequence[0]
    if frame.FrameOfReferenceUID != seg.FrameOfReferenceUID or rt.FrameOfReferenceUID != seg.FrameOfReferenceUID:
        bad('another frame of reference than the SEG\'s')
    study = frame.RTReferencedStudySequence[0]
    if study.ReferencedSOPInstanceUID != rt.StudyInstanceUID:
        bad('the referenced study is another')
    for series in study.RTReferencedSeriesSequence:
        images = {i.ReferencedSOPInstanceUID for i in series.ContourImageSequence}
        wanted = {u for u, d in sources.items() if d.SeriesInstanceUID == series.SeriesInstanceUID}
        if images != wanted or not images:
            bad(f'series {series.SeriesInstanceUID}: {len(images)} images are listed, {len(wanted)} are there')
    masks = seg_planes(seg)
    numbers = [r.ROINumber for r in rt.StructureSetROISequence]
    if numbers != [s.SegmentNumber for s in seg.SegmentSequence]:
        bad(f'regions {numbers} are not the segments')
    for region, segment in zip(rt.StructureSetROISequence, seg.SegmentSequence):
        if region.ROIName != segment.SegmentLabel or region.ROIGenerationAlgorithm != 'AUTOMATIC' or region.ReferencedFrameOfReferenceUID != seg.FrameOfReferenceUID:
            bad(f'region {region.ROINumber} is not segment {segment.SegmentNumber}')
        source = region.get('DefinitionSourceSequence', [None])[0]
        if alone or source is None:
            if alone != (source is None):
                bad(f'region {region.ROINumber}: origin')
        elif source.ReferencedSOPInstanceUID != seg.SOPInstanceUID or source.ReferencedSegmentNumber != segment.SegmentNumber:
            bad(f'region {region.ROINumber} names another origin than the segment')
    if [o.ReferencedROINumber for o in rt.RTROIObservationsSequence] != numbers or [c.ReferencedROINumber for c in rt.ROIContourSequence] != numbers:
        bad('observations or outlines of other regions')
    for roi in rt.ROIContourSequence:
        check_region(roi, masks[roi.ReferencedROINumber], sources)
    for line in violations:
        print(line)
    print(f'{len(violations)} violations')
    sys.exit(0 if not violations else 1)


def check_region(roi, masks, sources):
    filled = {}
    for c in roi.get('ContourSequence', []):
        if c.ContourGeometricType != 'CLOSED_PLANAR' or len(c.ContourData) != 3 * c.NumberOfContourPoints:
            bad(f'region {roi.ReferencedROINumber}, contour {c.ContourNumber}: not closed and planar, or its number of points is wrong')
            continue
        image = c.ContourImageSequence[0]
        d = sources.get(image.ReferencedSOPInstanceUID)
        if d is None or d.SOPClassUID != image.ReferencedSOPClassUID:
            bad(f'contour {c.ContourNumber} lies on an image that is not there')
            continue
        position, row, column, spacing, shape = planes_of(d)[int(image.get('ReferencedFrameNumber', 1))]
        away = np.array([float(v) for v in c.ContourData]).reshape(-1, 3) - position
        if np.abs(away @ np.cross(row, column)).max() > 0.01:
            bad(f'contour {c.ContourNumber} is up to {np.abs(away @ np.cross(row, column)).max():.3f} mm away from its image')
        inside = fill(np.stack([away @ row / spacing[1], away @ column / spacing[0]], axis=1), shape)
        key = tuple(np.round(position, 2))
        have = filled.setdefault(key, [np.zeros(shape, bool), np.zeros(shape, bool)])
        if (have[0] & inside[0]).any():
            bad(f'contour {c.ContourNumber} overlaps another')
        have[0] ^= inside[0]
        have[1] |= inside[1]
    total = [0, 0, 0, 0]
    for position, mask in masks:
        have = filled.pop(tuple(np.round(position, 2)), [np.zeros_like(mask)] * 2)
        for k in (0, 1):
            total[k] += 2 * (have[k] & mask).sum()
            total[2 + k] += have[k].sum() + mask.sum()
    if filled:
        bad(f'region {roi.ReferencedROINumber}: outlines in {len(filled)} planes without a voxel')
    for k, rule in enumerate(('even-odd', 'winding')):
        dice = total[k] / total[2 + k] if total[2 + k] else 1.0
        print(f'region {roi.ReferencedROINumber}: Dice {dice:.4f} ({rule})')
        if dice < 0.999:
            bad(f'region {roi.ReferencedROINumber} does not give the mask back')


main()
