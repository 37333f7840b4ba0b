#!/usr/bin/python3
"""mkseg.py OUT.dcm SOURCE_DIR MASKS.raw [options]: a DICOM-SEG as somebody else would write it, with pydicom and numpy alone.

MASKS.raw: uint8, (segments, slices, rows, cols), slices ascending along row x column. Frames are in no order, empty ones left out.
Options make it another kind of object, or wrong in one place.
"""
import argparse
import glob
import random
import subprocess

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

ap = argparse.ArgumentParser()
ap.add_argument('out')
ap.add_argument('source')
ap.add_argument('masks')
ap.add_argument('--kind', choices=['binary', 'fractional', 'labelmap', 'labelmap16'], default='binary')
ap.add_argument('--algorithm', default='MANUAL')
ap.add_argument('--labels', default='Whole tumour,Tumour core,Enhancing tumour')
ap.add_argument('--type', default='108369006', help='code value of every segment, scheme SCT')
ap.add_argument('--modifier')
ap.add_argument('--creator', default='Reader^One')
ap.add_argument('--date', default='20240312')
ap.add_argument('--uid', default='2.25.4711')
ap.add_argument('--implicit', action='store_true')
ap.add_argument('--no-positions', action='store_true')
ap.add_argument('--no-references', action='store_true')
ap.add_argument('--no-series', action='store_true', help='no ReferencedSeriesSequence')
ap.add_argument('--numbers', help='segment numbers, as 3,7')
ap.add_argument('--shift', type=float, default=0, help='mm along the normal for every frame')
ap.add_argument('--extra', type=int, help='one more voxel, by its index: so that no two are the same')
ap.add_argument('--padded', action='store_true', help='every frame padded to a whole byte, against PS3.5 8.1.1, as some do')
ap.add_argument('--dcmjs', action='store_true', help='PixelData is OW and the meta header says dcmjs')
ap.add_argument('--rle', action='store_true', help='RLE Lossless, a fragment a frame')
ap.add_argument('--wrong-reference', action='store_true', help='the first frame refers to another slice')
ap.add_argument('--rle-bytes', action='store_true', help='with --rle and BINARY: each pixel a byte of its own')
ap.add_argument('--words', action='store_true', help='PixelData is OW')
ap.add_argument('--big-endian', action='store_true', help='Explicit VR Big Endian (DCMTK\'s dcmconv)')
ap.add_argument('--deflated', action='store_true', help='Deflated Explicit VR Little Endian')
ap.add_argument('--recompress', help='no SEG is made: this BINARY one, RLE compressed')
ap.add_argument('--set', action='append', default=[], help='KEYWORD=VALUE at the top; a number is a number')
opt = ap.parse_args()

source = [pydicom.dcmread(f, stop_before_pixels=True) for f in glob.glob(opt.source + '/**/*.dcm', recursive=True)]
source = [s for s in source if s.get('Modality') == 'MR']
o = np.array(source[0].ImageOrientationPatient, float)
normal = np.cross(o[:3], o[3:])
source.sort(key=lambda s: np.array(s.ImagePositionPatient, float) @ normal)
first = source[0]
masks = np.fromfile(opt.masks, np.uint8).reshape(-1, len(source), first.Rows, first.Columns)
if opt.extra is not None:
    masks = masks.copy()
    masks.reshape(-1)[opt.extra] = 1
numbers = [int(n) for n in opt.numbers.split(',')] if opt.numbers else list(range(1, len(masks) + 1))


def item(**values):
    d = Dataset()
    for key, value in values.items():
        setattr(d, key, value)
    return d


def code(value, scheme, meaning):
    return Sequence([item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)])


def packbits(data):
    """a run of two and more, else as it is (PS3.5 G.3.1)"""
    out, i = bytearray(), 0
    while i < len(data):
        run = 1
        while i + run < len(data) and run < 128 and data[i + run] == data[i]:
            run += 1
        if run > 1:
            out += bytes([257 - run, data[i]])
        else:
            while i + run < len(data) and run < 128 and data[i + run] != data[i + run - 1]:
                run += 1
            out += bytes([run - 1]) + data[i:i + run]
        i += run
    return bytes(out) + b'\0' * (len(out) % 2)


def rle(frame):
    if opt.kind == 'binary' and not opt.rle_bytes:
        planes = [np.packbits((frame > 0).ravel(), bitorder='little').tobytes()]
    elif opt.kind == 'labelmap16':
        planes = [(frame >> 8).astype(np.uint8).tobytes(), (frame & 255).astype(np.uint8).tobytes()]
    else:
        planes = [frame.astype(np.uint8).tobytes()]
    packed = [packbits(p) for p in planes]
    starts = [64 + sum(map(len, packed[:k])) for k in range(len(packed))]
    return np.array([len(packed)] + starts + [0] * (15 - len(starts)), '<u4').tobytes() + b''.join(packed)


if opt.recompress:
    d = pydicom.dcmread(opt.recompress)
    n, bits = d.Rows * d.Columns, np.unpackbits(np.frombuffer(d.PixelData, np.uint8), bitorder='little')
    d.PixelData = encapsulate([rle(bits[i * n:(i + 1) * n]) for i in range(d.NumberOfFrames)])
    d['PixelData'].is_undefined_length, d.file_meta.TransferSyntaxUID = True, RLELossless
    d.save_as(opt.out, write_like_original=False)
    raise SystemExit

d, meta = Dataset(), FileMetaDataset()
d.file_meta, d.is_little_endian, d.is_implicit_VR = meta, True, opt.implicit
meta.MediaStorageSOPClassUID = d.SOPClassUID = '1.2.840.10008.5.1.4.1.1.66.' + ('7' if opt.kind.startswith('labelmap') else '4')
meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = opt.uid
meta.TransferSyntaxUID = ImplicitVRLittleEndian if opt.implicit else ExplicitVRLittleEndian
for key in ('StudyInstanceUID', 'PatientID', 'PatientName', 'FrameOfReferenceUID'):
    setattr(d, key, first.get(key, ''))
d.SeriesInstanceUID, d.Modality, d.SpecificCharacterSet = opt.uid + '.1', 'SEG', 'ISO_IR 192'
d.ContentDate, d.ContentTime, d.ContentCreatorName = opt.date, '120000', opt.creator
d.SegmentationType = {'binary': 'BINARY', 'fractional': 'FRACTIONAL'}.get(opt.kind, 'LABELMAP')
d.Rows, d.Columns, d.SamplesPerPixel, d.PhotometricInterpretation = first.Rows, first.Columns, 1, 'MONOCHROME2'
d.BitsAllocated = d.BitsStored = {'binary': 1, 'labelmap16': 16}.get(opt.kind, 8)
d.HighBit, d.PixelRepresentation = d.BitsStored - 1, 0
if opt.kind == 'fractional':
    d.SegmentationFractionalType, d.MaximumFractionalValue = 'PROBABILITY', 200
if not opt.no_series:
    d.ReferencedSeriesSequence = Sequence([item(SeriesInstanceUID=first.SeriesInstanceUID, ReferencedInstanceSequence=Sequence(
        [item(ReferencedSOPClassUID=s.SOPClassUID, ReferencedSOPInstanceUID=s.SOPInstanceUID) for s in source]))])
d.SegmentSequence = Sequence()
for number, label in zip(numbers, opt.labels.split(',')):
    s = item(SegmentNumber=number, SegmentLabel=label, SegmentAlgorithmType=opt.algorithm)
    s.SegmentedPropertyCategoryCodeSequence = code('49755003', 'SCT', 'Morphologically Abnormal Structure')
    s.SegmentedPropertyTypeCodeSequence = code(opt.type, 'SCT', 'Neoplasm')
    if opt.modifier:
        s.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = code(opt.modifier, 'SCT', 'Modifier')
    d.SegmentSequence.append(s)
measures = Sequence([item(PixelSpacing=first.PixelSpacing, SliceThickness=first.get('SliceThickness', 1))])
d.SharedFunctionalGroupsSequence = Sequence([item(PixelMeasuresSequence=measures,
                                                  PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=first.ImageOrientationPatient)]))])

if opt.kind.startswith('labelmap'):
    volume = np.zeros(masks.shape[1:], '<u2' if opt.kind == 'labelmap16' else np.uint8)
    for number, mask in zip(numbers, masks):
        volume[mask > 0] = number
    frames = [(None, k, volume[k]) for k in range(len(source)) if volume[k].any()]
else:
    frames = [(numbers[i], k, masks[i, k]) for i in range(len(masks)) for k in range(len(source)) if masks[i, k].any()]
random.Random(5).shuffle(frames)
pixels, d.PerFrameFunctionalGroupsSequence = [], Sequence()
for i, (number, k, mask) in enumerate(frames):
    g = Dataset()
    if number is not None:
        g.SegmentIdentificationSequence = Sequence([item(ReferencedSegmentNumber=number)])
    if not opt.no_positions:
        position = np.array(source[k].ImagePositionPatient, float) + opt.shift * normal
        g.PlanePositionSequence = Sequence([item(ImagePositionPatient=['%.9g' % v for v in position])])
    if not opt.no_references:
        refers_to = source[(k + 1) % len(source)] if opt.wrong_reference and i == 0 else source[k]
        image = item(ReferencedSOPClassUID=refers_to.SOPClassUID, ReferencedSOPInstanceUID=refers_to.SOPInstanceUID)
        g.DerivationImageSequence = Sequence([item(SourceImageSequence=Sequence([image]))])
    d.PerFrameFunctionalGroupsSequence.append(g)
    # FRACTIONAL: 100 of 200 is in, 99 is out
    pixels.append(np.where(mask > 0, 100, 99).astype(np.uint8) if opt.kind == 'fractional' else mask)
d.NumberOfFrames = len(frames)
if opt.kind != 'binary':
    raw = b''.join(p.tobytes() for p in pixels)
elif opt.padded:
    raw = b''.join(np.packbits((p > 0).ravel(), bitorder='little').tobytes() for p in pixels)
else:
    raw = np.packbits(np.concatenate([(p > 0).ravel() for p in pixels]), bitorder='little').tobytes()
d.PixelData = raw + b'\0' * (len(raw) % 2)
d['PixelData'].VR = 'OW' if opt.dcmjs or opt.words else 'OB'
if opt.dcmjs:
    meta.ImplementationClassUID = '2.25.80302813137786398554742050926734630921603366648225212145404'
if opt.deflated:
    meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
if opt.rle:
    meta.TransferSyntaxUID, d.PixelData = RLELossless, encapsulate([rle(p) for p in pixels])
    d['PixelData'].is_undefined_length = True
for text in opt.set:
    key, value = text.split('=', 1)
    setattr(d, key, int(value) if value.isdigit() else value)
d.save_as(opt.out, write_like_original=False)
print(len(frames))
if opt.big_endian:
    subprocess.run(['dcmconv', '+tb', opt.out, opt.out], check=True)
