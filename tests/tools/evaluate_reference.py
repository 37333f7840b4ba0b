#!/usr/bin/python3
"""evaluate_reference.py MODEL_DIR FLAIR.nii.gz MASK.nii.gz: the figures of segan evaluate, written apart from it: PyTorch's masks (torch_reference.py), overlap
in numpy, HD95 by comparing every outline voxel with every other. Prints dice precision sensitivity hd95_mm truth_ml result_ml."""
import os, sys
import nibabel as nib, numpy as np
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import torch_reference


def outline(mask):
    inner = np.pad(mask, 1)
    for axis in range(3):
        for step in (-1, 1):
            inner = inner & np.roll(np.pad(mask, 1), step, axis)
    return np.argwhere(mask & ~inner[1:-1, 1:-1, 1:-1])


def directed(a, b):
    nearest = [np.sqrt(((p - b) ** 2).sum(1).min()) for p in a]
    return np.percentile(nearest, 95)


def main(folder, flair, mask):
    ours, truth = torch_reference.masks(folder, flair, mask)
    mm = np.array(nib.load(flair).header.get_zooms()[:3], float)[::-1]         # (slice, row, column)
    both, ml = (ours & truth).sum(), np.prod(mm) / 1000
    a, b = outline(truth) * mm, outline(ours) * mm
    print('%.6f %.6f %.6f %.4f %.4f %.4f' % (2 * both / (ours.sum() + truth.sum()), both / ours.sum(), both / truth.sum(), max(directed(a, b), directed(b, a)), truth.sum() * ml, ours.sum() * ml))


if __name__ == '__main__':
    if len(sys.argv) != 4: sys.exit(__doc__)
    main(*sys.argv[1:])
