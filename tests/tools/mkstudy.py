#!/usr/bin/python3
# Studies of tiny MR slices for the unit tests of service/flow:  mkstudy.py OUT_DIR SPEC...
# SPEC is NAME:key=value,...  and makes OUT_DIR/NAME/NNN.dcm. Keys: study series base (numbers of UIDs 2.25.N; instances are base, base+1, ...), n (slices),
# first (index of the first slice), skip (index left out), double (index of a slice given twice, as another instance), text (SeriesDescription; + is a space), type (ImageType, / for \), add (to every
# pixel: other content), syntax (implicit), serial (DeviceSerialNumber, and written by segan), modality, patient (PatientID),
# slope (RescaleSlope), attr (KEYWORD/VALUE;KEYWORD/VALUE..., several values joined by +).
import os, sys, warnings
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

warnings.simplefilter('ignore')  # values too long for their VR are made on purpose
MR = '1.2.840.10008.5.1.4.1.1.4'
DEFAULT = dict(study='1', series='10', base='1000', n='4', first='0', skip='-1', double='-1', text='FLAIR', type='ORIGINAL/PRIMARY/M', add='0', syntax='explicit', serial='', modality='MR', patient='CANARYID', slope='', attr='')


def slice_of(o, i, uid):
    d, m = Dataset(), FileMetaDataset()
    d.file_meta, d.is_little_endian, d.is_implicit_VR = m, True, o['syntax'] == 'implicit'
    d.ImageType = o['type'].split('/')
    d.SOPClassUID, d.SOPInstanceUID = MR, '2.25.%d' % uid
    d.StudyDate, d.StudyTime, d.AccessionNumber, d.Modality = '20240311', '101500', 'CANARYACC', o['modality']
    d.SeriesDescription, d.ReferringPhysicianName = o['text'].replace('+', ' '), ''
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = 'CANARY^Name', o['patient'], '19600203', 'F'
    d.SliceThickness, d.SpacingBetweenSlices = '4', '4'
    if o['serial']:
        d.DeviceSerialNumber, d.SoftwareVersions = o['serial'], 'segan 0.1.0'
    d.StudyInstanceUID, d.SeriesInstanceUID, d.StudyID = '2.25.' + o['study'], '2.25.' + o['series'], '1'
    d.SeriesNumber, d.InstanceNumber = '2', str(i + 1)
    d.ImagePositionPatient = ['-40', '-50', '%g' % (4 * i)]
    d.ImageOrientationPatient = ['1', '0', '0', '0', '1', '0']
    d.FrameOfReferenceUID, d.PositionReferenceIndicator = '2.25.3', ''
    d.SamplesPerPixel, d.PhotometricInterpretation, d.Rows, d.Columns, d.PixelSpacing = 1, 'MONOCHROME2', 6, 8, ['1', '1']
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 0
    if o['slope']:
        d.RescaleSlope, d.RescaleIntercept = o['slope'], '0'
    for keyword, _, value in (a.partition('/') for a in o['attr'].split(';') if a):
        setattr(d, keyword, value.split('+') if '+' in value else int(value) if keyword in ('Rows', 'Columns') else value)
    d.PixelData = (np.arange(48) * 7 + i * 31 + int(o['add'])).astype('<u2').tobytes()
    d['PixelData'].VR = 'OW'
    m.MediaStorageSOPClassUID, m.MediaStorageSOPInstanceUID = d.SOPClassUID, d.SOPInstanceUID
    m.TransferSyntaxUID = ImplicitVRLittleEndian if d.is_implicit_VR else ExplicitVRLittleEndian
    return d


for spec in sys.argv[2:]:
    name, _, keys = spec.partition(':')
    o = dict(DEFAULT, **dict(k.split('=') for k in keys.split(',') if k))
    folder = os.path.join(sys.argv[1], name)
    os.makedirs(folder)
    places = [i for i in range(int(o['first']), int(o['first']) + int(o['n'])) if i != int(o['skip'])]
    slices = [(i, int(o['base']) + i) for i in places]
    if int(o['double']) >= 0:
        slices.append((int(o['double']), int(o['base']) + 500))
    for k, (i, uid) in enumerate(slices):
        slice_of(o, i, uid).save_as(os.path.join(folder, '%03d.dcm' % k), write_like_original=False)
