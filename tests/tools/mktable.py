#!/usr/bin/python3
# Series of one tiny MR slice, one for each row of a table of series descriptions, each in a study of its own:  mktable.py TABLE.tsv OUT_DIR
# Columns: description, role, origin, attributes; attributes that are DICOM keywords (and TR, TE) go into the header. Row K (from 1; the heading and lines that
# begin with # do not count) is OUT_DIR/KKKK.dcm with the series UID 2.25.K; the roles, one a line, are OUT_DIR/roles.
import os, sys, warnings
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

warnings.simplefilter('ignore')  # descriptions longer than their VR are real
SHORT = {'TR': 'RepetitionTime', 'TE': 'EchoTime', 'TI': 'InversionTime'}
KNOWN = ('ScanningSequence', 'SequenceVariant', 'SequenceName', 'ImageType', 'ContrastBolusAgent', 'ContrastBolusStartTime', 'AcquisitionTime', 'ProtocolName', 'BodyPartExamined') + tuple(SHORT.values())


def series(k, description, attributes):
    d, m = Dataset(), FileMetaDataset()
    d.file_meta, d.is_little_endian, d.is_implicit_VR = m, True, False
    d.SOPClassUID, d.SOPInstanceUID = '1.2.840.10008.5.1.4.1.1.4', '2.25.%d' % (100000 + k)
    d.StudyInstanceUID, d.SeriesInstanceUID = '2.25.%d' % (200000 + k), '2.25.%d' % k
    d.Modality, d.SeriesDescription, d.ImageType = 'MR', description, ['ORIGINAL', 'PRIMARY', 'M', 'ND']
    d.ImagePositionPatient, d.ImageOrientationPatient, d.PixelSpacing = ['0', '0', '0'], ['1', '0', '0', '0', '1', '0'], ['1', '1']
    d.FrameOfReferenceUID, d.SliceThickness = '2.25.3', '5'
    d.SamplesPerPixel, d.PhotometricInterpretation, d.Rows, d.Columns = 1, 'MONOCHROME2', 4, 4
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation, d.PixelData = 16, 12, 11, 0, bytes(32)
    d['PixelData'].VR = 'OW'
    for key, _, value in (a.partition('=') for a in attributes.split(';')):
        key = SHORT.get(key, key)
        if key in KNOWN:
            setattr(d, key, value.split('\\') if '\\' in value else value)
    m.MediaStorageSOPClassUID, m.MediaStorageSOPInstanceUID, m.TransferSyntaxUID = d.SOPClassUID, d.SOPInstanceUID, ExplicitVRLittleEndian
    return d


table, out = sys.argv[1:]
roles = []
with open(table, encoding='utf-8', newline='') as f:
    for line in f:
        row = line.rstrip('\r\n').split('\t')
        if line.startswith('#') or row[:2] == ['description', 'role']:
            continue
        roles.append(row[1])
        series(len(roles), row[0], row[3] if len(row) > 3 else '').save_as(os.path.join(out, '%04d.dcm' % len(roles)), write_like_original=False)
with open(os.path.join(out, 'roles'), 'w') as f:
    f.writelines(r + '\n' for r in roles)
