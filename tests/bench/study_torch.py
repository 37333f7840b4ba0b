#!/usr/bin/python3
"""study_torch.py MODEL_DIR DICOM_DIR OUT.npy THREADS: a whole study as one would do it with PyTorch: reads the DICOM files, prepares, segments, writes the mask
on the series' own grid. Prints the volume in ml. Single frames of one series; the network is tests/tools/torch_reference.py."""
import glob, os, sys
import numpy as np, pydicom, torch
sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'tools'))
import torch_reference


def series(folder):
    """Voxels (slice, row, column), which way their axes run (three vectors, LPS) and how far apart they are."""
    files = [pydicom.dcmread(f) for f in glob.glob(folder + '/*')]
    right, down = np.array(files[0].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(right, down)
    files.sort(key=lambda d: float(np.dot(normal, np.array(d.ImagePositionPatient, float))))
    v = np.stack([d.pixel_array * float(d.get('RescaleSlope', 1)) + float(d.get('RescaleIntercept', 0)) for d in files])
    step = np.dot(normal, np.array(files[-1].ImagePositionPatient, float) - np.array(files[0].ImagePositionPatient, float)) / max(1, len(files) - 1)
    return v, (normal, down, right), (step, float(files[0].PixelSpacing[0]), float(files[0].PixelSpacing[1]))


def main(model, folder, out, threads):
    torch.set_num_threads(int(threads))
    m, w = torch_reference.load(model)
    v, axes, mm = series(folder)
    along = [int(np.argmax(np.abs(a))) for a in axes]          # which of x, y, z each axis runs along
    order = [along.index(2), along.index(1), along.index(0)]   # slices to the head, rows to the back, columns to the left
    turned = np.transpose(v, order)
    flips = [i for i, k in enumerate(order) if axes[k][2 - i] < 0]
    turned = np.flip(turned, flips)
    mm = [mm[k] for k in order]
    mask = torch_reference.mask_of(m, torch_reference.probability(m, w, turned, mm[1:]), np.prod(mm) / 1000)
    np.save(out, np.transpose(np.flip(mask, flips), np.argsort(order)))
    print('%.3f' % (mask.sum() * np.prod(mm) / 1000))


if __name__ == '__main__':
    if len(sys.argv) != 5: sys.exit(__doc__)
    main(*sys.argv[1:])
