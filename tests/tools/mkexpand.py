#!/usr/bin/python3
# Three slices that are nearly nothing in their files and much when they are read:  mkexpand.py OUT_DIR
# deflated/: 2048 x 2048 pixels of one value (1:1000). swollen/: one slice, with 160 MiB of zeros in a private element before its pixels. jls/ and rle/: as deflated/,
# coded by DCMTK (JPEG-LS 1:20000; RLE can do no more than 1:64). jlswrong/, rlewrong/: the same codestreams where Rows and Columns promise other sizes.
import os, subprocess, sys
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

OUT = sys.argv[1]


def dataset(i, side):
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.ImageType = ['ORIGINAL', 'PRIMARY', 'M']
    d.SOPClassUID, d.SOPInstanceUID = '1.2.840.10008.5.1.4.1.1.4', '2.25.%d' % (8100 + i)
    d.StudyDate, d.StudyTime, d.AccessionNumber, d.Modality = '20240311', '101500', '', 'MR'
    d.SeriesDescription, d.ReferringPhysicianName, d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = 'AX FLAIR', '', 'X', 'X', '', ''
    d.SliceThickness, d.StudyInstanceUID, d.SeriesInstanceUID, d.StudyID, d.SeriesNumber, d.InstanceNumber = '5', '2.25.81', '2.25.82', '1', '2', str(i + 1)
    d.ImagePositionPatient, d.ImageOrientationPatient = ['-60', '-55', str(5 * i)], ['1', '0', '0', '0', '1', '0']
    d.FrameOfReferenceUID, d.PositionReferenceIndicator = '2.25.83', ''
    d.SamplesPerPixel, d.PhotometricInterpretation, d.Rows, d.Columns, d.PixelSpacing = 1, 'MONOCHROME2', side, side, ['0.9', '0.9']
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 0
    d.PixelData = bytes([7, 0]) * (side * side)
    d['PixelData'].VR = 'OW'
    return d


def save(d, name, i, syntax):
    os.makedirs(f'{OUT}/{name}', exist_ok=True)
    path = f'{OUT}/{name}/{i}.dcm'
    d.file_meta.TransferSyntaxUID = syntax
    d.file_meta.MediaStorageSOPClassUID, d.file_meta.MediaStorageSOPInstanceUID = d.SOPClassUID, d.SOPInstanceUID
    d.is_little_endian, d.is_implicit_VR = True, False
    pydicom.dcmwrite(path, d, write_like_original=False)
    return path


for i in range(3):
    save(dataset(i, 2048), 'deflated', i, DeflatedExplicitVRLittleEndian)
    native = save(dataset(i, 2048), 'native', i, ExplicitVRLittleEndian)
    for tool, name, side in (('dcmcjpls', 'jls', 32), ('dcmcrle', 'rle', 16384)):
        os.makedirs(f'{OUT}/{name}', exist_ok=True)
        subprocess.run([tool, native, f'{OUT}/{name}/{i}.dcm'], check=True)
        wrong = pydicom.dcmread(f'{OUT}/{name}/{i}.dcm')
        wrong.Rows = wrong.Columns = side
        save(wrong, name + 'wrong', i, wrong.file_meta.TransferSyntaxUID)
    os.remove(native)
d = dataset(0, 64)
d.add_new(0x00110010, 'LO', 'ZEROS')
d.add_new(0x00111001, 'OB', bytes(160 << 20))
save(d, 'swollen', 0, DeflatedExplicitVRLittleEndian)
