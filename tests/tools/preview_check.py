#!/usr/bin/python3
"""Judges a preview series apart from the program that wrote it: one RGB image a slice with finding, in the source's matrix and place; the outline of the SEG's
mask in the segment's colour; grey everywhere else but under the legend, and brighter where the source is; valid references; nothing about the patient burned in
that the header would have to own up to.
usage: preview_check.py FILE... --source DIR --seg SEG.dcm --colour '#rrggbb'     (a SEG of one segment)
Last line "N violations"; exit 0 only for none."""
import argparse
import os
import sys

import numpy as np
import pydicom

violations = []


def bad(text):
    violations.append(text)


def check(d, source, mask, rgb, seg):
    if (d.SOPClassUID, d.PhotometricInterpretation, d.SamplesPerPixel, d.BitsAllocated, d.PlanarConfiguration) != ('1.2.840.10008.5.1.4.1.1.7', 'RGB', 3, 8, 0):
        bad('not an RGB secondary capture')
    for keyword in ('PatientID', 'PatientName', 'StudyInstanceUID', 'AccessionNumber', 'FrameOfReferenceUID', 'PixelSpacing', 'ImagePositionPatient', 'ImageOrientationPatient',
                    'Rows', 'Columns'):
        if d.get(keyword) != source.get(keyword):
            bad(f'{keyword}: {d.get(keyword)} instead of {source.get(keyword)}')
    if d.BurnedInAnnotation != 'NO' or list(d.ImageType)[:2] != ['DERIVED', 'SECONDARY'] or d.SeriesInstanceUID in (source.SeriesInstanceUID, seg.SeriesInstanceUID):
        bad('annotation, image type or series')
    refs = {r.ReferencedSOPInstanceUID for r in d.SourceImageSequence}
    if refs != {source.SOPInstanceUID, seg.SOPInstanceUID}:
        bad('it refers to other images than its slice and the SEG')
    pixels = d.pixel_array.astype(int)
    around = np.pad(mask, 1)
    outline = mask & ~(around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:])
    legend = np.zeros_like(mask)
    legend[:9 * 3 + 4 if d.Rows < 640 else d.Rows // 4] = True
    on = outline & ~legend
    if not on.any() or (pixels[on] != rgb).any():
        bad(f'{(pixels[on] != rgb).any(axis=-1).sum()} of {on.sum()} outline pixels have another colour')
    grey = ~outline & ~legend
    if (pixels[grey].max(axis=-1) != pixels[grey].min(axis=-1)).any():
        bad('colour away from outline and legend')
    values = source.pixel_array.astype(float)[grey]
    if np.corrcoef(values, pixels[..., 0][grey])[0, 1] < 0.9:
        bad('the grey is not the source\'s')
    if (pixels[legend].max(axis=-1) != pixels[legend].min(axis=-1)).sum() < 50 or (pixels[legend] == 255).all(axis=-1).sum() < 50:
        bad('there is no legend')


def main():
    p = argparse.ArgumentParser()
    p.add_argument('files', nargs='+')
    p.add_argument('--source', required=True)
    p.add_argument('--seg', required=True)
    p.add_argument('--colour', required=True)
    a = p.parse_args()
    seg = pydicom.dcmread(a.seg)
    sources = {}
    for n in os.listdir(a.source):
        d = pydicom.dcmread(os.path.join(a.source, n))
        sources[tuple(float(v) for v in d.ImagePositionPatient)] = d
    frames = seg.pixel_array if seg.NumberOfFrames > 1 else seg.pixel_array[np.newaxis]
    masks = {tuple(float(v) for v in g.PlanePositionSequence[0].ImagePositionPatient): f != 0 for g, f in zip(seg.PerFrameFunctionalGroupsSequence, frames)}
    pictures = {}
    for f in a.files:
        d = pydicom.dcmread(f)
        pictures[tuple(float(v) for v in d.ImagePositionPatient)] = d
    if set(pictures) != set(masks) or len(a.files) != len(masks):
        bad(f'{len(a.files)} pictures for {len(masks)} slices with finding')
    if len({d.SeriesInstanceUID for d in pictures.values()}) != 1 or len({d.SOPInstanceUID for d in pictures.values()}) != len(pictures):
        bad('not one series of different instances')
    if sorted(d.InstanceNumber for d in pictures.values()) != list(range(1, len(pictures) + 1)):
        bad('instance numbers')
    for position, d in pictures.items():
        if position in masks:
            check(d, sources[position], masks[position], list(bytes.fromhex(a.colour[1:])), seg)
    for line in violations:
        print(line)
    print(f'{len(violations)} violations')
    sys.exit(0 if not violations else 1)


main()
