#!/usr/bin/python3
# Three slices of a real FLAIR series in every transfer syntax, made by other people's encoders:  mksyntaxes.py OUT_DIR [KIND...]
# OUT_DIR/KIND/native/N.dcm is explicit VR little endian; OUT_DIR/KIND/SYNTAX/N.dcm the same slices, decoded and coded again by DCMTK's dcmconv, dcmcrle, dcmcjpeg,
# dcmcjpls, and by OpenJPEG's opj_compress (put into DICOM by pydicom). KIND is how the numbers are stored:
#   twelve: 12 bits of 16   eight: 8 of 8   signed: 16 of 16, signed   overlay: 12 of 16, foreign bits above   signed12: 12 of 16, signed
# and frames: the three slices as one Enhanced MR instance.
import os, subprocess, sys, tempfile
import nibabel, numpy as np, pydicom
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mkenhanced import enhance
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, UID

CASE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../data/lgg/TCGA_CS_4942_19970222/flair.nii.gz')
ROWS, COLS, N = 123, 131, 3
OUT = sys.argv[1]


def slices():
    v = np.asarray(nibabel.load(CASE).dataobj)
    middle = v.shape[2] // 2
    return [v[60:60 + COLS, 50:50 + ROWS, middle + i].T.astype(int) for i in range(N)]


def kind(v, name):
    """8-bit pixels as stored numbers of this kind: (words, allocated, stored, signed)."""
    fine = v * 15 + (v * 7 + np.arange(v.size).reshape(v.shape)) % 11   # 0..3835, with low bits that are not 0
    if name == 'eight':
        return v.astype('u1'), 8, 8, 0
    if name == 'signed':
        return (fine * 8 - 16000).astype('<i2'), 16, 16, 1
    if name == 'signed12':
        return ((fine - 1900) & 0xFFF).astype('<u2'), 16, 12, 1
    return (fine | (0xA000 if name == 'overlay' else 0)).astype('<u2'), 16, 12, 0


def dataset(i, words, allocated, stored, signed):
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.ImageType = ['ORIGINAL', 'PRIMARY', 'M']
    d.SOPClassUID, d.SOPInstanceUID = '1.2.840.10008.5.1.4.1.1.4', '2.25.%d' % (7100 + i)
    d.StudyDate, d.StudyTime, d.AccessionNumber, d.Modality = '20240311', '101500', '', 'MR'
    d.SeriesDescription, d.ReferringPhysicianName, d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = 'AX FLAIR', '', 'X', 'X', '', ''
    d.SliceThickness, d.StudyInstanceUID, d.SeriesInstanceUID, d.StudyID, d.SeriesNumber, d.InstanceNumber = '5', '2.25.71', '2.25.72', '1', '2', str(i + 1)
    d.ImagePositionPatient, d.ImageOrientationPatient = ['-60', '-55', str(5 * i)], ['1', '0', '0', '0', '1', '0']
    d.FrameOfReferenceUID, d.PositionReferenceIndicator = '2.25.73', ''
    d.SamplesPerPixel, d.PhotometricInterpretation, d.Rows, d.Columns, d.PixelSpacing = 1, 'MONOCHROME2', ROWS, COLS, ['0.9', '0.9']
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = allocated, stored, stored - 1, signed
    b = words.tobytes()
    d.PixelData = b + b'\0' * (len(b) % 2)
    d['PixelData'].VR = 'OB' if allocated == 8 else 'OW'
    return d


def save(d, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    d.file_meta.MediaStorageSOPClassUID, d.file_meta.MediaStorageSOPInstanceUID = d.SOPClassUID, d.SOPInstanceUID
    d.is_little_endian, d.is_implicit_VR = True, False
    d.file_meta.TransferSyntaxUID = d.file_meta.get('TransferSyntaxUID', ExplicitVRLittleEndian)
    d.save_as(path, write_like_original=False)


def jpeg2000(path, out, *options):
    """Every frame by opj_compress, from the words as they are stored (of BitsStored bits, signed as the data set says)."""
    d = pydicom.dcmread(path)
    frames = []
    size = ROWS * COLS * d.BitsAllocated // 8
    with tempfile.TemporaryDirectory() as tmp:
        for k in range(int(d.get('NumberOfFrames', 1))):
            words = np.frombuffer(d.PixelData[k * size:(k + 1) * size], 'u1' if d.BitsAllocated == 8 else '<i2' if d.PixelRepresentation else '<u2')
            if d.PixelRepresentation and d.BitsStored < 16:
                words = ((words.astype(int) & 0xFFF) ^ 0x800) - 0x800
                words = words.astype('<i2')
            bits = 16 if (words >> d.BitsStored).any() and not d.PixelRepresentation else d.BitsStored
            words.tofile(f'{tmp}/a.rawl')
            subprocess.run(['opj_compress', '-i', f'{tmp}/a.rawl', '-o', f'{tmp}/a.j2k', '-F', f'{COLS},{ROWS},1,{bits},{"s" if d.PixelRepresentation else "u"}', *options],
                           check=True, stdout=subprocess.DEVNULL)
            frames.append(open(f'{tmp}/a.j2k', 'rb').read())
    d.PixelData = encapsulate(frames)
    d['PixelData'].VR = 'OB'
    d['PixelData'].is_undefined_length = True
    d.file_meta.TransferSyntaxUID = UID('1.2.840.10008.1.2.4.91' if options else '1.2.840.10008.1.2.4.90')
    save(d, out)


def tool(*args):
    return lambda path, out: subprocess.run([*args, path, out], check=True, stderr=subprocess.DEVNULL)


LOSSLESS = {
    'implicit': tool('dcmconv', '+ti'), 'big': tool('dcmconv', '+tb'), 'deflated': tool('dcmconv', '+td'), 'rle': tool('dcmcrle', '+un'),
    'lossless14': tool('dcmcjpeg', '+el', '+sv', '6', '+un'), 'sv1': tool('dcmcjpeg', '+e1', '+un'), 'ls': tool('dcmcjpls', '+el', '+un'), 'j2k': jpeg2000,
}
LOSSY = {'near': tool('dcmcjpls', '+en', '+md', '3', '+un'), 'j2klossy': lambda p, o: jpeg2000(p, o, '-r', '8', '-I')}
LOSSY_OF = {'eight': {**LOSSY, 'baseline': tool('dcmcjpeg', '+eb', '+un')}, 'twelve': {**LOSSY, 'extended': tool('dcmcjpeg', '+ee', '+un')}}


def make(name, sets):
    for syntax, encode in {'native': None, **LOSSLESS, **LOSSY_OF.get(name, {})}.items():
        for i, d in enumerate(sets):
            path = f'{OUT}/{name}/{syntax}/{i}.dcm'
            if encode is None:
                save(d, path)
            else:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                encode(f'{OUT}/{name}/native/{i}.dcm', path)


for name in sys.argv[2:] or ('twelve', 'eight', 'signed', 'signed12', 'overlay', 'frames'):
    single = [dataset(i, *kind(v, 'twelve' if name == 'frames' else name)) for i, v in enumerate(slices())]
    make(name, enhance(single) if name == 'frames' else single)
