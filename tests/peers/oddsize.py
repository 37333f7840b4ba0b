#!/usr/bin/python3
"""oddsize.py SOURCE_DIR OUT_DIR ROWS COLS STEP: a series of ROWS x COLS made from a real one: blocks of STEP x STEP pixels are averaged and the middle of the
head is kept. The image positions follow, so that the oblique geometry stays true; UIDs are new. For sizes at which a frame does not end on a byte."""
import os, sys
import numpy as np
import pydicom

source, out, rows, cols, step = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
os.makedirs(out, exist_ok=True)
for name in sorted(os.listdir(source)):
    d = pydicom.dcmread(os.path.join(source, name))
    pixels = d.pixel_array
    top, left = (pixels.shape[0] - rows * step) // 2, (pixels.shape[1] - cols * step) // 2
    assert top >= 0 and left >= 0, 'the source is too small'
    blocks = pixels[top:top + rows * step, left:left + cols * step].reshape(rows, step, cols, step)
    # PS3.3 C.7.6.2.1.1: along a row the column index runs, with the second value of PixelSpacing
    along_row, along_col = np.array(d.ImageOrientationPatient, float).reshape(2, 3)
    dy, dx = map(float, d.PixelSpacing)
    middle = (step - 1) / 2
    position = np.array(d.ImagePositionPatient, float) + along_row * dx * (left + middle) + along_col * dy * (top + middle)
    d.ImagePositionPatient = ['%.9g' % v for v in position]
    d.PixelSpacing = ['%.9g' % (dy * step), '%.9g' % (dx * step)]
    d.Rows, d.Columns = rows, cols
    d.PixelData = np.round(blocks.mean(axis=(1, 3))).astype(pixels.dtype).tobytes()
    for key in ('StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID'):
        d[key].value = d[key].value + '.%d' % rows
    d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID
    d.save_as(os.path.join(out, name))
