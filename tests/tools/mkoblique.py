#!/usr/bin/python3
"""mkoblique.py DIR [options]: one synthetic single-frame MR series, with pydicom and numpy alone.

Oblique by default, 45 rows x 51 columns (2295 pixels: a frame does not end on a byte), file names in no order. Prints the number of files.
Every option makes one thing odd; --set KEYWORD[:VR]=TEXT puts any text (UTF-8 bytes) as it is, right or wrong; --drop KEYWORD removes an attribute.
"""
import argparse
import os
import random
import warnings

import numpy as np
import pydicom.config
from pydicom.dataelem import RawDataElement
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage

pydicom.config.replace_un_with_known_vr = False
warnings.simplefilter('ignore')  # wrong values are made on purpose
ap = argparse.ArgumentParser()
ap.add_argument('dir')
ap.add_argument('--rows', type=int, default=45)
ap.add_argument('--cols', type=int, default=51)
ap.add_argument('--slices', type=int, default=9)
ap.add_argument('--root', default='1.2.826.0.1.3680043.9.1', help='of all UIDs')
ap.add_argument('--series', type=int, default=1)
ap.add_argument('--reversed', action='store_true', help='InstanceNumber runs against the position')
ap.add_argument('--implicit', action='store_true')
ap.add_argument('--axial', action='store_true')
ap.add_argument('--charset', default='ISO_IR 100')
ap.add_argument('--name', default='Canary^Seg')
ap.add_argument('--set', action='append', default=[])
ap.add_argument('--drop', action='append', default=[])
opt = ap.parse_args()

a, b = (0, 0) if opt.axial else np.deg2rad((12, -7))
rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
m = ry @ rx
row, col, normal = m[:, 0], m[:, 1], np.cross(m[:, 0], m[:, 1])
origin, distance = np.array([-100., -95., -40.]), 6.5
rng = np.random.default_rng(7)
names = ['%03d' % i for i in range(opt.slices)]
random.Random(3).shuffle(names)
os.makedirs(opt.dir, exist_ok=True)
for i in range(opt.slices):
    d, meta = Dataset(), FileMetaDataset()
    d.file_meta, d.is_little_endian, d.is_implicit_VR = meta, True, opt.implicit
    meta.MediaStorageSOPClassUID = d.SOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = f'{opt.root}.{opt.series}.{i + 1}'
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if opt.implicit else ExplicitVRLittleEndian
    if opt.charset:
        d.SpecificCharacterSet = opt.charset.split('\\')
    d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = f'{opt.root}.100', f'{opt.root}.{opt.series}', f'{opt.root}.200'
    d.ImageType = ['ORIGINAL', 'PRIMARY', 'M']
    d.StudyDate = d.SeriesDate = d.ContentDate = d.AcquisitionDate = '20240311'
    d.StudyTime = d.SeriesTime = d.ContentTime = d.AcquisitionTime = '101500'
    d.AccessionNumber, d.Modality, d.Manufacturer, d.ReferringPhysicianName = 'A77', 'MR', 'Synth', 'Ref^Doc'
    d.StudyDescription, d.SeriesDescription, d.StudyID = 'MR BRAIN', 'FLAIR', '77'
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex, d.PatientPosition = opt.name, 'ACC-0001', '19600203', 'F', 'HFS'
    d.ScanningSequence, d.SequenceVariant, d.ScanOptions, d.MRAcquisitionType = 'SE', 'NONE', '', '3D'
    d.SliceThickness, d.SpacingBetweenSlices, d.RepetitionTime, d.EchoTime, d.EchoTrainLength = '6.0', '6.5', '2000', '90', '1'
    d.SeriesNumber, d.InstanceNumber = str(opt.series), str(opt.slices - i if opt.reversed else i + 1)
    d.ImagePositionPatient = ['%.9g' % v for v in origin + normal * distance * i]
    d.ImageOrientationPatient = ['%.10g' % v for v in (*row, *col)]
    d.PositionReferenceIndicator = ''
    d.SamplesPerPixel, d.PhotometricInterpretation, d.Rows, d.Columns = 1, 'MONOCHROME2', opt.rows, opt.cols
    d.PixelSpacing = ['4.4', '4.2']
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 0
    d.PixelData = rng.integers(0, 900, (opt.rows, opt.cols)).astype('<u2').tobytes()
    for text in opt.set:
        key, value = text.split('=', 1)
        key, vr = (key + ':').split(':')[:2]
        value = value.encode() + b' ' * (len(value.encode()) % 2)
        d[key] = RawDataElement(Tag(key), vr or dictionary_VR(key), len(value), value, 0, opt.implicit, True)
    for key in opt.drop:
        delattr(d, key)
    d.save_as(os.path.join(opt.dir, names[i] + '.dcm'), write_like_original=False)
print(opt.slices)
