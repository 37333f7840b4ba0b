#!/usr/bin/python3
"""mkcases.py OUT [N]: N (8) patients in the plain layout, OUT/patient0/flair.nii.gz and mask.nii.gz: six slices of the two real cases of tests/data/lgg each,
the intensities times another number, so that no two are the same."""
import os
import sys

import nibabel as nib
import numpy as np

cases = sorted(c for c in os.listdir('tests/data/lgg') if c.startswith('TCGA'))
for k in range(int(sys.argv[2]) if len(sys.argv) > 2 else 8):
    image, mask = (nib.load('tests/data/lgg/%s/%s.nii.gz' % (cases[k % len(cases)], f)) for f in ('flair', 'mask'))
    truth = np.asarray(mask.dataobj) > 0.5
    middle = int(np.argmax(truth.sum((0, 1))))
    out = os.path.join(sys.argv[1], 'patient%d' % k)
    os.makedirs(out)
    pixels = np.asarray(image.dataobj)[:, :, middle - 3:middle + 3].astype(np.int16) * (k // 2 + 2)
    nib.save(nib.Nifti1Image(pixels, image.affine), out + '/flair.nii.gz')
    nib.save(nib.Nifti1Image(truth[:, :, middle - 3:middle + 3].astype(np.uint8), image.affine), out + '/mask.nii.gz')
