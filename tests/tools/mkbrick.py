#!/usr/bin/python3
"""mkbrick.py OUT_DIR SLICES SIZE NAME: an axial MR series of SLICES slices of SIZE x SIZE 16-bit noise in a head-shaped ellipsoid, for benchmarks (not for results)."""
import os, sys
import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

out, n, size, name = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
os.makedirs(out, exist_ok=True)
rng = np.random.default_rng(1)
uid = lambda *p: '2.25.' + str(int.from_bytes(__import__('hashlib').sha256('/'.join(map(str, p)).encode()).digest()[:12], 'big'))
y, x = np.mgrid[-1:1:size * 1j, -1:1:size * 1j]
for k in range(n):
    z = 2 * k / max(1, n - 1) - 1
    head = (x / 0.8) ** 2 + (y / 0.9) ** 2 + (z / 0.95) ** 2 < 1
    px = np.where(head, 600 + rng.normal(0, 60, (size, size)), rng.normal(20, 5, (size, size))).clip(0, 4095).astype('<u2')
    m = FileMetaDataset(); m.MediaStorageSOPClassUID = '1.2.840.10008.5.1.4.1.1.4'; m.MediaStorageSOPInstanceUID = uid(name, k); m.TransferSyntaxUID = ExplicitVRLittleEndian
    f = FileDataset('', {}, file_meta=m, preamble=b'\0' * 128); f.is_little_endian, f.is_implicit_VR = True, False
    f.SOPClassUID, f.SOPInstanceUID, f.StudyInstanceUID, f.SeriesInstanceUID = m.MediaStorageSOPClassUID, m.MediaStorageSOPInstanceUID, uid(name), uid(name, 's')
    f.FrameOfReferenceUID = uid(name, 'f'); f.PatientID, f.PatientName, f.PatientBirthDate, f.PatientSex = name, 'Bench^' + name, '', 'O'
    f.StudyDate, f.StudyTime, f.StudyID, f.AccessionNumber, f.ReferringPhysicianName = '20260101', '120000', '1', '', ''
    f.Modality, f.SeriesDescription, f.SeriesNumber, f.InstanceNumber = 'MR', 'AX T2 FLAIR', 1, k + 1
    f.ImageType = ['ORIGINAL', 'PRIMARY', 'M']; f.SliceThickness = f.SpacingBetweenSlices = '1.0'; f.PixelSpacing = ['1.0', '1.0']
    f.ImagePositionPatient = ['%.3f' % (-size / 2), '%.3f' % (-size / 2), '%.3f' % k]; f.ImageOrientationPatient = ['1', '0', '0', '0', '1', '0']
    f.SamplesPerPixel, f.PhotometricInterpretation, f.Rows, f.Columns, f.BitsAllocated, f.BitsStored, f.HighBit, f.PixelRepresentation = 1, 'MONOCHROME2', size, size, 16, 12, 11, 0
    f.PixelData = px.tobytes()
    f.save_as(os.path.join(out, '%04d.dcm' % k), write_like_original=False)
