#!/usr/bin/python3
"""zoo_judge.py HOW REFERENCE_SEG SEG [SOURCE_DIR]: Dice of segment 1 of two BINARY SEGs.
HOW: space (each voxel of the reference looks up the voxel of the other at its place), region (so, but only voxels inside the source of the other), index."""
import glob
import sys

import numpy as np
from pydicom import dcmread


def frames(path):
    """{position along the normal: plane}, and the geometry: origin, steps of column, row, slice"""
    d = dcmread(path)
    shared, planes = d.SharedFunctionalGroupsSequence[0], []
    bits = np.unpackbits(np.frombuffer(d.PixelData, 'u1'), bitorder='little')[:d.NumberOfFrames * d.Rows * d.Columns].reshape(-1, d.Rows, d.Columns)
    groups = d.PerFrameFunctionalGroupsSequence
    orientation = (shared if 'PlaneOrientationSequence' in shared else groups[0]).PlaneOrientationSequence[0].ImageOrientationPatient
    measures = (shared if 'PixelMeasuresSequence' in shared else groups[0]).PixelMeasuresSequence[0]
    row, col = np.array(orientation[:3], float), np.array(orientation[3:], float)
    normal = np.cross(row, col)
    for f, plane in zip(groups, bits):
        if f.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1:
            planes.append((np.array(f.PlanePositionSequence[0].ImagePositionPatient, float), plane > 0))
    planes.sort(key=lambda p: p[0] @ normal)
    between = float(measures.get('SpacingBetweenSlices', measures.SliceThickness))
    n = int(round((planes[-1][0] - planes[0][0]) @ normal / between)) + 1
    volume = np.zeros((n, d.Rows, d.Columns), bool)
    for position, plane in planes:
        volume[int(round((position - planes[0][0]) @ normal / between))] = plane
    return volume, planes[0][0], [normal * between, col * float(measures.PixelSpacing[0]), row * float(measures.PixelSpacing[1])]


def index_of(points, origin, step):
    return np.rint((points - origin) @ np.linalg.inv(np.stack(step, 1)).T).astype(int)


def inside(index, shape):
    return ((index >= 0) & (index < shape)).all(1)


def source_box(folder):
    files = [dcmread(p, stop_before_pixels=True) for p in glob.glob(folder + '/*.dcm')]
    row, col = (np.array(files[0].ImageOrientationPatient[k:k + 3], float) for k in (0, 3))
    normal = np.cross(row, col)
    files.sort(key=lambda f: np.array(f.ImagePositionPatient, float) @ normal)
    f = files[0]
    return np.array(f.ImagePositionPatient, float), [normal * float(f.SpacingBetweenSlices), col * float(f.PixelSpacing[0]), row * float(f.PixelSpacing[1])], (len(files), f.Rows, f.Columns)


def main(how, reference, seg, source=None):
    (a, a0, a_step), (b, b0, b_step) = frames(reference), frames(seg)
    if how == 'index':
        a, b = a[a.any((1, 2))], b[b.any((1, 2))]
        return 0.0 if a.shape != b.shape else 2.0 * (a & b).sum() / (a.sum() + b.sum())
    # a margin of one voxel more than the reference's box, so that what only the other one has counts
    margin = [range(-2 if k == 0 else 0, n + (2 if k == 0 else 0)) for k, n in enumerate(a.shape)]
    points = np.stack(np.meshgrid(*margin, indexing='ij'), -1).reshape(-1, 3)
    places = a0 + points @ np.stack(a_step)
    if how == 'region':
        origin, step, shape = source_box(source)
        keep = inside(index_of(places, origin, step), shape)
        points, places = points[keep], places[keep]
    mine = np.zeros(len(points), bool)
    ok = inside(points, a.shape)
    mine[ok] = a[tuple(points[ok].T)]
    at = index_of(places, b0, b_step)
    theirs = np.zeros(len(points), bool)
    ok = inside(at, b.shape)
    theirs[ok] = b[tuple(at[ok].T)]
    return 2.0 * (mine & theirs).sum() / (mine.sum() + theirs.sum())


if __name__ == '__main__':
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    print('%.4f' % main(*sys.argv[1:]))
