#!/usr/bin/python3
"""mkzoo.py OUT [MEMBER...]: a zoo of MR studies, all from the same real voxels (twelve slices of tests/data/lgg/TCGA_CS_4942_19970222), one folder a member.
tests/data/zoo.tsv says what the right answer to each one is; tests/e2e/zoo.sh asks for it. Needs pydicom, nibabel, numpy, DCMTK's tools and opj_compress."""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

import nibabel as nib
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

MR, ENHANCED, SC = '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.5.1.4.1.1.4.1', '1.2.840.10008.5.1.4.1.1.7'
CASE = 'tests/data/lgg/TCGA_CS_4942_19970222'


class Volume:
    """v[k, r, c] lies at origin + k * step[0] + r * step[1] + c * step[2], in mm, LPS"""
    def __init__(self, v, origin, step, thickness=None):
        self.v, self.origin, self.step = v, np.array(origin, float), [np.array(s, float) for s in step]
        self.thickness = thickness or float(np.linalg.norm(self.step[0]))

    def turned(self, order, flips=(False, False, False)):
        """the same voxels at the same places, the axes in another order and sense"""
        v, origin, step = self.v.transpose(order), self.origin.copy(), [self.step[a] for a in order]
        for axis, flip in enumerate(flips):
            if flip:
                origin += step[axis] * (v.shape[axis] - 1)
                step[axis] = -step[axis]
                v = np.flip(v, axis)
        return Volume(np.ascontiguousarray(v), origin, step)

    def rotated(self, axis, degrees):
        """the head with its scanner turned in space: the same voxels elsewhere"""
        a, i, j = np.deg2rad(degrees), (axis + 1) % 3, (axis + 2) % 3
        m = np.eye(3)
        m[i, i] = m[j, j] = np.cos(a)
        m[i, j], m[j, i] = -np.sin(a), np.sin(a)
        return Volume(self.v, m @ self.origin, [m @ s for s in self.step])

    def cut(self, *slices):
        origin = self.origin + sum((s.start or 0) * self.step[a] for a, s in enumerate(slices))
        return Volume(self.v[slices], origin, [self.step[a] * (s.step or 1) for a, s in enumerate(slices)])

    def sampled(self, origin, step, shape):
        """on another grid, trilinear, air outside"""
        inverse = np.linalg.inv(np.stack(self.step, 1))
        grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing='ij'), -1).reshape(-1, 3)
        at = (np.array(origin) + grid @ np.stack(step) - self.origin) @ inverse.T
        low, out = np.floor(at).astype(int), np.zeros(len(at))
        for corner in np.ndindex(2, 2, 2):
            p = low + corner
            weight = np.abs(1 - np.array(corner) - (at - low)).prod(1)
            inside = ((p >= 0) & (p < self.v.shape)).all(1)
            out[inside] += weight[inside] * self.v[tuple(p[inside].T)]
        return Volume(np.rint(out).astype(int).reshape(shape), origin, step)


def base():
    image, mask = nib.load(CASE + '/flair.nii.gz'), nib.load(CASE + '/mask.nii.gz')
    middle = int(np.argmax((np.asarray(mask.dataobj) > 0).sum((0, 1))))
    low = min(max(middle - 6, 0), image.shape[2] - 12)
    affine = np.diag([-1, -1, 1, 1]) @ image.affine
    v = np.asarray(image.dataobj).astype(int)[:, :, low:low + 12] * 4              # 8 bit -> 10 of 12
    return Volume(v.transpose(2, 1, 0), affine[:3, 3] + low * affine[:3, 2], [affine[:3, 2], affine[:3, 1], affine[:3, 0]])


def uid(*parts):
    return '2.25.%d' % int(hashlib.sha256('/'.join(map(str, parts)).encode()).hexdigest()[:30], 16)


def decimal(x):
    return '%.9g' % x


def unit(v):
    return v / np.linalg.norm(v)


FIELDS = dict(name='', series=1, text='AX T2 FLAIR', image_type=('ORIGINAL', 'PRIMARY', 'M', 'ND'), stored=12, high=None, signed=False, mono='MONOCHROME2', slopes=None,
              sop=MR, frame=None, time='101500', over=0, edit=None, study=None)


def common(o, k):
    d = Dataset()
    d.SpecificCharacterSet = 'ISO_IR 100'
    d.ImageType = list(o['image_type'])
    study = o['study'] or o['name']
    d.SOPClassUID, d.SOPInstanceUID = o['sop'], uid(o['name'], o['series'], k)
    d.StudyDate = d.SeriesDate = d.AcquisitionDate = d.ContentDate = '20240311'
    d.StudyTime, d.SeriesTime, d.AcquisitionTime, d.ContentTime = '101000', o['time'], o['time'], o['time']
    d.AccessionNumber, d.Modality, d.Manufacturer, d.ReferringPhysicianName = '', 'MR', 'zoo', ''
    d.StudyDescription, d.SeriesDescription = 'MR BRAIN', o['text']
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = 'Canary^Zoo', 'CANARY7', '', 'O'
    d.BodyPartExamined, d.PatientPosition = 'BRAIN', 'HFS'
    d.ManufacturerModelName, d.DeviceSerialNumber, d.SoftwareVersions = 'zoo', '1', '1'
    d.StudyInstanceUID, d.SeriesInstanceUID = uid(study), uid(o['name'], o['series'])
    d.StudyID, d.SeriesNumber, d.InstanceNumber = '1', o['series'], k + 1
    d.FrameOfReferenceUID, d.PositionReferenceIndicator = o['frame'] or uid(study, 'frame'), ''
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, o['mono']
    d.BitsAllocated = 8 if o['stored'] <= 8 else 16
    d.BitsStored = o['stored']
    d.HighBit = o['stored'] - 1 if o['high'] is None else o['high']
    d.PixelRepresentation = int(o['signed'])
    return d


def pixels(v, o, k=0):
    """stored words of a plane; v holds the true values"""
    if o['slopes']:
        slope, intercept = o['slopes'](k)
        v = np.rint((v - intercept) / slope).astype(int)
    if o['mono'] == 'MONOCHROME1':
        v = (1 << o['stored']) - 1 - v
    shift = (o['stored'] - 1 if o['high'] is None else o['high']) + 1 - o['stored']
    w = ((v & ((1 << o['stored']) - 1)) << shift) | o['over']
    data = w.astype('u1' if o['stored'] <= 8 else '<u2').tobytes()
    return data + b'\0' * (len(data) % 2)


def scan(d, o):
    d.ScanningSequence, d.SequenceVariant, d.ScanOptions, d.MRAcquisitionType = ['SE', 'IR'], 'SK', '', '2D'
    d.EchoTime, d.RepetitionTime, d.InversionTime, d.EchoTrainLength, d.MagneticFieldStrength = 125, 9000, 2200, 16, '1.5'


def put(folder, name, d, syntax=ExplicitVRLittleEndian):
    d.file_meta = FileMetaDataset()
    d.file_meta.MediaStorageSOPClassUID, d.file_meta.MediaStorageSOPInstanceUID = d.SOPClassUID, d.SOPInstanceUID
    d.file_meta.TransferSyntaxUID = UID(syntax)
    d.file_meta.ImplementationClassUID = '2.25.1'
    d.is_little_endian, d.is_implicit_VR = True, False
    d.preamble = b'\0' * 128
    os.makedirs(folder, exist_ok=True)
    d.save_as(os.path.join(folder, name), write_like_original=False)


def slices(folder, vol, **fields):
    """single-frame instances of a volume; edit(d, k) changes each one before it is written, or returns False to leave it out"""
    o = dict(FIELDS, name=os.path.basename(folder), **fields)
    for k in range(vol.v.shape[0]):
        d = common(o, k)
        scan(d, o)
        d.SliceThickness, d.SpacingBetweenSlices = decimal(vol.thickness), decimal(np.linalg.norm(vol.step[0]))
        d.ImagePositionPatient = [decimal(x) for x in vol.origin + k * vol.step[0]]
        d.ImageOrientationPatient = [decimal(x) for x in (*unit(vol.step[2]), *unit(vol.step[1]))]
        d.PixelSpacing = [decimal(np.linalg.norm(vol.step[1])), decimal(np.linalg.norm(vol.step[2]))]
        d.Rows, d.Columns = vol.v.shape[1:]
        if o['slopes']:
            slope, intercept = o['slopes'](k)
            d.RescaleSlope, d.RescaleIntercept, d.RescaleType = decimal(slope), decimal(intercept), 'US'
        d.PixelData = pixels(vol.v[k], o, k)
        if o['edit'] is None or o['edit'](d, k) is not False:
            put(folder, 's%d-%03d.dcm' % (o['series'], k), d)


def item(**values):
    d = Dataset()
    for key, value in values.items():
        setattr(d, key, value)
    return d


def enhanced(folder, vol, order=None, stacks=None, times=None, **fields):
    """one Enhanced MR object. order: of the frames; stacks, times: StackID, TemporalPositionIndex of frame k"""
    o = dict(FIELDS, name=os.path.basename(folder), **dict(fields, sop=ENHANCED))
    o['image_type'] = ('ORIGINAL', 'PRIMARY', 'MIXED' if times else 'T2', 'NONE')
    d, n = common(o, 0), vol.v.shape[0] * (times or 1)
    d.ImageComments = ''
    d.Rows, d.Columns, d.NumberOfFrames = vol.v.shape[1], vol.v.shape[2], n
    d.PixelPresentation, d.VolumetricProperties, d.VolumeBasedCalculationTechnique = 'MONOCHROME', 'VOLUME', 'NONE'
    d.ComplexImageComponent, d.AcquisitionContrast, d.ContentQualification = 'MAGNITUDE', 'FLUID_ATTENUATED', 'RESEARCH'
    d.AcquisitionNumber, d.AcquisitionDateTime, d.AcquisitionDuration = 1, '20240311101500', 120.0
    d.ResonantNucleus, d.KSpaceFiltering, d.ApplicableSafetyStandardAgency, d.MagneticFieldStrength = '1H', 'NONE', 'IEC', 1.5
    d.BurnedInAnnotation, d.LossyImageCompression, d.PresentationLUTShape = 'NO', '00', 'IDENTITY'
    d.AcquisitionContextSequence = Sequence([])
    organisation = uid(o['name'], 'dimensions')
    d.DimensionOrganizationSequence = Sequence([item(DimensionOrganizationUID=organisation)])
    pointers = [(0x00209056, 0x00209111), (0x00209057, 0x00209111)] + ([(0x00209128, 0x00209111)] if times else [])
    d.DimensionIndexSequence = Sequence([item(DimensionOrganizationUID=organisation, DimensionIndexPointer=p, FunctionalGroupPointer=g) for p, g in pointers])
    normal_mm = float(np.linalg.norm(vol.step[0]))
    shared = item(
        PixelMeasuresSequence=Sequence([item(SliceThickness=decimal(vol.thickness), SpacingBetweenSlices=decimal(normal_mm),
                                             PixelSpacing=[decimal(np.linalg.norm(vol.step[1])), decimal(np.linalg.norm(vol.step[2]))])]),
        PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=[decimal(x) for x in (*unit(vol.step[2]), *unit(vol.step[1]))])]),
        MRTimingAndRelatedParametersSequence=Sequence([item(RepetitionTime='9000', FlipAngle='120', EchoTrainLength=16, RFEchoTrainLength=16, GradientEchoTrainLength=0)]),
        MREchoSequence=Sequence([item(EffectiveEchoTime=125.0)]),
        MRModifierSequence=Sequence([item(InversionRecovery='YES', InversionTimes=2200.0)]),
        MRImageFrameTypeSequence=Sequence([item(FrameType=['ORIGINAL', 'PRIMARY', 'T2', 'NONE'], PixelPresentation='MONOCHROME', VolumetricProperties='VOLUME',
                                                VolumeBasedCalculationTechnique='NONE', ComplexImageComponent='MAGNITUDE', AcquisitionContrast='FLUID_ATTENUATED')]),
        FrameAnatomySequence=Sequence([item(FrameLaterality='U', AnatomicRegionSequence=Sequence([item(CodeValue='12738006', CodingSchemeDesignator='SCT', CodeMeaning='Brain')]))]),
        PixelValueTransformationSequence=Sequence([item(RescaleIntercept='0', RescaleSlope='1', RescaleType='US')]))
    d.SharedFunctionalGroupsSequence = Sequence([shared])
    frames, data = [], b''
    for j in (order or range(n)):
        k, t = j % vol.v.shape[0], j // vol.v.shape[0]
        content = item(StackID=stacks(k) if stacks else '1', InStackPositionNumber=k + 1, FrameAcquisitionNumber=1,
                       DimensionIndexValues=[1, k + 1] + ([t + 1] if times else []))
        if times:
            content.TemporalPositionIndex = t + 1
        frames.append(item(FrameContentSequence=Sequence([content]),
                           PlanePositionSequence=Sequence([item(ImagePositionPatient=[decimal(x) for x in vol.origin + k * vol.step[0]])])))
        data += vol.v[k].astype('<u2').tobytes()
    d.PerFrameFunctionalGroupsSequence = Sequence(frames)
    d.PixelData = data
    if o['edit'] is None or o['edit'](d, 0) is not False:
        put(folder, 'e%d.dcm' % o['series'], d)


def convert(folder, *command):
    """every file of the folder through a command of DCMTK: command IN OUT"""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        subprocess.run([*command, path, path + '.new'], check=True, capture_output=True)
        os.replace(path + '.new', path)


def jpeg2000(folder, lossy):
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        d = dcmread(path)
        with tempfile.TemporaryDirectory() as t:
            with open(t + '/i.raw', 'wb') as f:
                f.write(np.frombuffer(d.PixelData, '<u2').astype('>u2').tobytes())
            subprocess.run(['opj_compress', '-i', t + '/i.raw', '-o', t + '/o.j2k', '-F', '%d,%d,1,%d,u' % (d.Columns, d.Rows, d.BitsStored),
                            *(['-r', '8', '-I'] if lossy else [])], check=True, capture_output=True)
            code = open(t + '/o.j2k', 'rb').read()
        d.PixelData = encapsulate([code])
        d['PixelData'].is_undefined_length = True
        if lossy:
            d.LossyImageCompression, d.LossyImageCompressionRatio, d.LossyImageCompressionMethod = '01', '8', 'ISO_15444_1'
        put(folder, name, d, '1.2.840.10008.1.2.4.9%d' % (1 if lossy else 0))


def edit(**values):
    def change(d, k):
        for key, value in values.items():
            setattr(d, key, value)
    return change


def only(condition):
    return lambda d, k: bool(condition(k))


def each(key, value):
    def change(d, k):
        setattr(d, key, value(k, d))
    return change


def drop(*keys):
    def change(d, k):
        for key in keys:
            delattr(d, key)
    return change


def colour(d, k):
    d.SamplesPerPixel, d.PhotometricInterpretation, d.PlanarConfiguration = 3, 'RGB', 0
    d.BitsAllocated, d.BitsStored, d.HighBit = 8, 8, 7
    grey = (np.frombuffer(d.PixelData, '<u2') >> 4).astype('u1')
    d.PixelData = np.repeat(grey, 3).tobytes()


def padded(d, k):
    """what lies outside a circle was never scanned: PixelPaddingValue"""
    v = np.frombuffer(d.PixelData, '<u2').reshape(d.Rows, d.Columns).copy()
    r, c = np.mgrid[0:d.Rows, 0:d.Columns]
    v[np.hypot(r - d.Rows / 2, c - d.Columns / 2) > 0.49 * d.Rows] = 4095
    d.PixelData, d.PixelPaddingValue = v.tobytes(), 4095


def tilted(d, k):
    """a gantry's tilt: the slices are moved along their columns"""
    d.ImagePositionPatient = [decimal(float(x) + y) for x, y in zip(d.ImagePositionPatient, (0, 1.2 * k, 0))]


def padded_range(d, k):
    """signed values; from PixelPaddingValue to PixelPaddingRangeLimit was never scanned"""
    v = np.frombuffer(d.PixelData, '<i2').reshape(d.Rows, d.Columns).copy()
    r, c = np.mgrid[0:d.Rows, 0:d.Columns]
    outside = np.hypot(r - d.Rows / 2, c - d.Columns / 2) > 0.49 * d.Rows
    v[outside] = np.where((r + c) % 2, -2000, -1990)[outside]
    d.PixelData = v.tobytes()
    d.add_new(0x00280120, 'SS', -2000)
    d.add_new(0x00280121, 'SS', -1990)


def stored_by_slice(d, k):
    """as many bits as the slice needs, as some scanners write it"""
    d.BitsStored = max(int(np.frombuffer(d.PixelData, '<u2').max()).bit_length(), 1)
    d.HighBit = d.BitsStored - 1


def jittered(d, k):
    """positions and directions in the noise of single precision"""
    noise = np.random.RandomState(k).uniform(-1, 1, 9)
    d.ImagePositionPatient = [decimal(float(x) + 2e-4 * n) for x, n in zip(d.ImagePositionPatient, noise)]
    d.ImageOrientationPatient = [decimal(float(x) + 5e-7 * n) for x, n in zip(d.ImageOrientationPatient, noise[3:])]


def words(charset, description, name):
    """values as bytes in a character set that pydicom is not told of"""
    def change(d, k):
        from pydicom.dataelem import RawDataElement
        from pydicom.tag import Tag
        for tag, vr, value in ((0x0008103E, 'LO', description), (0x00100010, 'PN', name)):
            value = value + b' ' * (len(value) % 2)
            d._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
        if charset:
            d.SpecificCharacterSet = charset
        else:
            del d.SpecificCharacterSet
    return change


def raw(**values):
    """values that are not what their VR allows, as bytes"""
    from pydicom.datadict import dictionary_VR, tag_for_keyword
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    def change(d, k):
        for key, value in values.items():
            tag, vr = Tag(tag_for_keyword(key)), dictionary_VR(tag_for_keyword(key))
            value = value + (b'\0' if vr == 'UI' else b' ') * (len(value) % 2)
            d._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    return change


def both(*changes):
    def change(d, k):
        for c in changes:
            c(d, k)
    return change


def odd_positions(d, k):
    """more digits than a DS has room for, exponents, plus signs, spaces"""
    p = V.origin + k * V.step[0]
    raw(ImagePositionPatient=b'%+.15e\\ %.17f\\%.14E ' % tuple(p), PixelSpacing=b' %.17f \\+%.9e' % tuple(np.linalg.norm(s) for s in V.step[1:]))(d, k)


def extras(d, k):
    """group lengths, private blocks, an icon, trailing padding, an overlay plane, a curve's left-over"""
    icon = item(SamplesPerPixel=1, PhotometricInterpretation='MONOCHROME2', Rows=8, Columns=8, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0)
    icon.PixelData = bytes(range(64))
    icon['PixelData'].VR = 'OB'
    d.IconImageSequence = Sequence([icon])
    d.add_new(0x00290010, 'LO', 'ZOO PRIVATE')
    inner = Dataset()
    inner.add_new(0x00290010, 'LO', 'ZOO PRIVATE')
    inner.add_new(0x00291001, 'UN', b'\0' * 1001 + b'\0')
    d.add_new(0x00291002, 'SQ', Sequence([inner]))
    d.add_new(0x00291003, 'OB', os.urandom(70000))
    d.add_new(0x60000010, 'US', d.Rows)
    d.add_new(0x60000011, 'US', d.Columns)
    d.add_new(0x60000040, 'CS', 'G')
    d.add_new(0x60000050, 'SS', [1, 1])
    d.add_new(0x60000100, 'US', 1)
    d.add_new(0x60000102, 'US', 0)
    d.add_new(0x60003000, 'OW', bytes(d.Rows * d.Columns // 8))
    d.add_new(0xFFFCFFFC, 'OB', b'\0' * 128)


def floating(d, k):
    v = np.frombuffer(d.PixelData, '<u2').astype('<f4')
    del d.PixelData, d.PixelRepresentation, d.BitsStored, d.HighBit
    d.BitsAllocated = 32
    d.add_new(0x7FE00008, 'OF', v.tobytes())


def mosaic_like(d, k):
    """all slices in one instance of a single-frame class"""
    if k > 0:
        return False
    d.NumberOfFrames = 12
    d.PixelData = b''.join(pixels(V.v[i], dict(FIELDS)) for i in range(12))


def shuffled(d, k):
    d.InstanceNumber = (7 * k + 3) % 12 + 1


def turn_one(d, k):
    if k == 5:
        d.ImageOrientationPatient = ['0.999', '0.0447', '0', '-0.0447', '0.999', '0']


V = base()


def mixed_kinds(folder):
    slices(folder, V.cut(slice(0, 6), slice(None), slice(None)))
    enhanced(folder, V.cut(slice(6, 12), slice(None), slice(None)), edit=lambda d, k: setattr(d, 'SOPInstanceUID', uid('mixed', 99)))


def two(first, second):
    def make(folder):
        slices(folder, V, **first)
        slices(folder, second.pop('volume', V), **dict(second, series=2))
    return make


def echoes(text, *kinds):
    """a series of single frames in which each slice is there several times; the first kind is V, the others are other images"""
    def make(folder):
        for n, change in enumerate(kinds):
            slices(folder, V if n == 0 else Volume(1000 - V.v, V.origin, V.step), text=text,
                   edit=lambda d, k, n=n, change=change: edit(SOPInstanceUID=uid(os.path.basename(folder), n, k), **change)(d, k))
            for name in sorted(os.listdir(folder)):
                if name.startswith('s1-'):
                    os.replace(os.path.join(folder, name), os.path.join(folder, '%d-%s' % (n, name[3:])))
    return make


def echo_files(folder):
    """several Enhanced files in a series, one echo each"""
    for n, echo in enumerate((20.0, 125.0)):
        def change(d, k, n=n, echo=echo):
            d.SOPInstanceUID = uid('echo files', n)
            d.SharedFunctionalGroupsSequence[0].MREchoSequence[0].EffectiveEchoTime = echo
        enhanced(folder, Volume(1000 - V.v, V.origin, V.step) if n == 0 else V, text='', edit=change)
        os.replace(folder + '/e1.dcm', folder + '/f%d.dcm' % n)


def localizer(folder):
    for n, order in enumerate(([0, 1, 2], [2, 0, 1], [1, 0, 2])):
        slices(folder, V.turned(order).cut(slice(4, 5), slice(None), slice(None)), series=1, text='3-plane loc FLAIR',
               edit=lambda d, k, n=n: edit(SOPInstanceUID=uid('localizer', n), ImageType=['ORIGINAL', 'PRIMARY', 'LOCALIZER'])(d, k))
        os.replace(folder + '/s1-000.dcm', folder + '/l%d.dcm' % n)


def copied(folder):
    """every file twice, and what lies about on a CD"""
    slices(folder, V)
    for name in sorted(os.listdir(folder)):
        shutil.copy(os.path.join(folder, name), os.path.join(folder, 'copy-of-' + name))
    with open(folder + '/README.TXT', 'w') as f:
        f.write('viewer')
    subprocess.run(['dcmmkdir', '+I', '-W', '+D', folder + '/DICOMDIR', '+id', folder, 's1-000.dcm'], capture_output=True)


def half_compressed(folder):
    slices(folder, V)
    for n, name in enumerate(sorted(os.listdir(folder))):
        path = os.path.join(folder, name)
        if n % 2:
            subprocess.run(['dcmcrle' if n % 4 == 1 else 'dcmcjpls', path, path], check=True, capture_output=True)


def two_stacks(folder):
    """an axial and a sagittal stack in one Enhanced object, as a localizer or a combined scan has them"""
    sagittal = V.sampled(V.origin + 100 * V.step[2], [4 * V.step[2], V.step[0] / 5, V.step[1]], (12, 256, 256))
    enhanced(folder, V)
    enhanced(folder, sagittal, series=2)
    first, second = (dcmread(folder + '/e%d.dcm' % n) for n in (1, 2))
    for d, stack in ((first, '1'), (second, '2')):
        shared = d.SharedFunctionalGroupsSequence[0]
        for g in d.PerFrameFunctionalGroupsSequence:
            g.FrameContentSequence[0].StackID = stack
            g.FrameContentSequence[0].DimensionIndexValues[0] = int(stack)
            g.PlaneOrientationSequence, g.PixelMeasuresSequence = shared.PlaneOrientationSequence, shared.PixelMeasuresSequence
        del shared.PlaneOrientationSequence, shared.PixelMeasuresSequence
    first.PerFrameFunctionalGroupsSequence.extend(second.PerFrameFunctionalGroupsSequence)
    first.NumberOfFrames, first.PixelData = 24, first.PixelData + second.PixelData
    put(folder, 'e1.dcm', first)
    os.remove(folder + '/e2.dcm')


def by_mkenhanced(*options):
    def make(folder):
        slices(folder + '.single', V)
        subprocess.run([sys.executable, 'tests/tools/mkenhanced.py', folder + '.single', folder, *options], check=True, capture_output=True)
        shutil.rmtree(folder + '.single')
    return make


def finer(slice_mm, pixel_mm):
    """the same head in thinner slices or smaller pixels"""
    def make(folder):
        step = [unit(s) * mm for s, mm in zip(V.step, (slice_mm, pixel_mm, pixel_mm))]
        shape = [int((n - 1) * np.linalg.norm(s) / mm) + 1 for n, s, mm in zip(V.v.shape, V.step, (slice_mm, pixel_mm, pixel_mm))]
        slices(folder, V.sampled(V.origin, step, shape))
    return make


def with_syntax(*command):
    def make(folder):
        slices(folder, V)
        convert(folder, *command)
    return make


def eight_bits(*command):
    def make(folder):
        slices(folder, Volume(V.v // 4, V.origin, V.step), stored=8)
        convert(folder, *command)
    return make


def signed(folder):
    slices(folder, Volume(V.v - 300, V.origin, V.step), signed=True, stored=16)


def enhanced_compressed(folder):
    enhanced(folder, V)
    convert(folder, 'dcmcjpls', '+el')


def oblique(axis, degrees):
    """the real volume cut anew by planes that are turned; enough of them for the whole head"""
    def make(folder):
        a, i, j = np.deg2rad(degrees), (axis + 1) % 3, (axis + 2) % 3
        m = np.eye(3)
        m[i, i] = m[j, j] = np.cos(a)
        m[i, j], m[j, i] = -np.sin(a), np.sin(a)
        step = [m @ np.array([0, 0, 2.5]), m @ np.array([0, 1.0, 0]), m @ np.array([1.0, 0, 0])]
        shape = (60, 240, 240)
        middle = V.origin + sum(s * (n - 1) / 2 for s, n in zip(V.step, V.v.shape))
        slices(folder, V.sampled(middle - sum(s * (n - 1) / 2 for s, n in zip(step, shape)), step, shape))
    return make


def channels(folder, tilt=0, frame=None):
    """FLAIR and a T1 after contrast (made up from the same voxels) of one study; the second on a grid of its own when it is tilted"""
    contrast = Volume(np.where(V.v > 60, 1000 - V.v * 7 // 10, V.v), V.origin, V.step)
    if tilt:
        a = np.deg2rad(tilt)
        m = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        step = [m @ s for s in (np.array([0, 0, 2.0]), np.array([0, 0.8, 0]), np.array([0.8, 0, 0]))]
        shape = (60, 320, 320)
        middle = V.origin + sum(s * (n - 1) / 2 for s, n in zip(V.step, V.v.shape))
        contrast = contrast.sampled(middle - sum(s * (n - 1) / 2 for s, n in zip(step, shape)), step, shape)
    slices(folder, V)
    slices(folder, contrast, series=2, text='AX T1 POST GD', frame=frame, edit=edit(EchoTime='14', RepetitionTime='550', InversionTime=None, ScanningSequence='SE'))


MEMBERS = {
    # ---- transfer syntaxes
    'explicit': lambda f: slices(f, V),
    'implicit': with_syntax('dcmconv', '+ti'),
    'deflated': with_syntax('dcmconv', '+td'),
    'big-endian': with_syntax('dcmconv', '+tb'),
    'rle': with_syntax('dcmcrle'),
    'jpeg-lossless-sv1': with_syntax('dcmcjpeg', '+e1'),
    'jpeg-lossless': with_syntax('dcmcjpeg', '+el'),
    'jpeg-baseline': eight_bits('dcmcjpeg', '+eb', '+q', '95'),
    'jpeg-extended': with_syntax('dcmcjpeg', '+ee', '+q', '95'),
    'jpeg-ls': with_syntax('dcmcjpls', '+el'),
    'jpeg-ls-near': with_syntax('dcmcjpls', '+en', '+md', '2'),
    'jpeg-2000': lambda f: (slices(f, V), jpeg2000(f, False)),
    'jpeg-2000-lossy': lambda f: (slices(f, V), jpeg2000(f, True)),
    'half-compressed': half_compressed,
    'rle-eight-bits': eight_bits('dcmcrle'),
    'rle-signed': lambda f: (signed(f), convert(f, 'dcmcrle')),
    'jpeg-lossless-signed': lambda f: (signed(f), convert(f, 'dcmcjpeg', '+e1')),
    'jpeg-ls-signed': lambda f: (signed(f), convert(f, 'dcmcjpls', '+el')),
    # ---- containers
    'enhanced': lambda f: enhanced(f, V),
    'enhanced-shuffled': lambda f: enhanced(f, V, order=[(7 * k + 3) % 12 for k in range(12)]),
    'enhanced-compressed': enhanced_compressed,
    'enhanced-two-times': lambda f: enhanced(f, V, times=2),
    'enhanced-echo-files': echo_files,
    'enhanced-two-stacks': two_stacks,
    'enhanced-legacy': by_mkenhanced('class=legacymr'),
    'enhanced-parts': by_mkenhanced('parts=3', 'order=shuffled'),
    'enhanced-part-missing': by_mkenhanced('parts=3', 'drop=1'),
    'enhanced-components': by_mkenhanced('dims=component=MAGNITUDE|PHASE', 'add=7'),
    'enhanced-big-endian': lambda f: (enhanced(f, V), convert(f, 'dcmconv', '+tb')),
    'enhanced-and-single': mixed_kinds,
    'enhanced-frames-missing': lambda f: enhanced(f, V, edit=lambda d, k: setattr(d, 'NumberOfFrames', 13)),
    # ---- planes and orders
    'shuffled': lambda f: slices(f, V, edit=shuffled),
    'feet-first': lambda f: slices(f, V.turned([0, 1, 2], (True, False, False)), edit=edit(PatientPosition='FFS')),
    'prone': lambda f: slices(f, V.turned([0, 1, 2], (False, True, True)), edit=edit(PatientPosition='HFP')),
    'columns-reversed': lambda f: slices(f, V.turned([0, 1, 2], (False, False, True))),
    'transposed': lambda f: slices(f, V.turned([0, 2, 1])),
    'sagittal': lambda f: slices(f, V.turned([2, 0, 1], (False, True, False)), text='SAG FLAIR'),
    'coronal': lambda f: slices(f, V.turned([1, 0, 2], (False, True, False)), text='COR FLAIR'),
    'coronal-reversed': lambda f: slices(f, V.turned([1, 0, 2], (True, True, True)), text='COR FLAIR'),
    'turned-20': lambda f: slices(f, V.rotated(0, 20)),
    'oblique-30': oblique(0, 30),
    'oblique-60': oblique(0, 60),
    'oblique-90': oblique(1, 90),
    # ---- grids
    'one-slice': lambda f: slices(f, V.cut(slice(6, 7), slice(None), slice(None))),
    'odd-size': lambda f: slices(f, V.cut(slice(None), slice(3, 250), slice(4, 251))),
    'pixels-not-square': lambda f: slices(f, V.cut(slice(None), slice(None), slice(0, None, 2))),
    'thick-unlike-distance': lambda f: slices(f, Volume(V.v, V.origin, V.step, thickness=4.0)),
    'tiny': lambda f: slices(f, V.cut(slice(None), slice(0, None, 16), slice(0, None, 16))),
    'two-mm-pixels': lambda f: slices(f, V.cut(slice(None), slice(0, None, 2), slice(0, None, 2))),
    'third-mm-pixels': finer(float(np.linalg.norm(V.step[0])), 0.3),
    'thin-slices': finer(0.8, 1.0),
    'ten-mm-apart': lambda f: slices(f, V.cut(slice(0, None, 2), slice(None), slice(None))),
    'sixteen-pixels': lambda f: slices(f, V.cut(slice(None), slice(100, 116), slice(100, 116))),
    'long-and-narrow': lambda f: slices(f, V.cut(slice(None), slice(None), slice(60, 127))),
    'no-thickness': lambda f: slices(f, V, edit=drop('SliceThickness', 'SpacingBetweenSlices')),
    'jittered': lambda f: slices(f, V, edit=jittered),
    # ---- values
    'signed-rescaled': lambda f: slices(f, V, signed=True, stored=16, slopes=lambda k: (0.5, 100)),
    'rescaled-by-slice': lambda f: slices(f, V, stored=16, slopes=lambda k: ((k + 1) / 60, 0)),
    'sixteen-bits': lambda f: slices(f, Volume(V.v * 60, V.origin, V.step), stored=16),
    'eight-bits': lambda f: slices(f, Volume(V.v // 4, V.origin, V.step), stored=8),
    'monochrome1': lambda f: slices(f, V, mono='MONOCHROME1'),
    'overlay-bits': lambda f: slices(f, V, over=0xA000),
    'high-bit-15': lambda f: slices(f, V, high=15),
    'padding': lambda f: slices(f, V, edit=padded),
    'padding-range': lambda f: slices(f, V, signed=True, stored=16, edit=padded_range),
    'bits-by-slice': lambda f: slices(f, V, edit=stored_by_slice),
    'slope-tiny': lambda f: slices(f, V, slopes=lambda k: (1e-6, 0), stored=16, edit=lambda d, k: setattr(d, 'PixelData', V.v[k].astype('<u2').tobytes())),
    'slope-negative': lambda f: slices(f, V, slopes=lambda k: (-1, 1023)),
    'slope-zero': lambda f: slices(f, V, edit=edit(RescaleSlope='0', RescaleIntercept='0')),
    # ---- headers
    'latin-1': lambda f: slices(f, V, edit=words('ISO_IR 100', b'AX FLAIR t\xeate', b'B\xe4r^J\xf6rg')),
    'utf-8': lambda f: slices(f, V, edit=words('ISO_IR 192', 'AX FLAIR 脳'.encode(), '山田^太郎'.encode())),
    'gb18030': lambda f: slices(f, V, edit=words('GB18030', 'AX FLAIR 脑'.encode('gb18030'), '王^小东'.encode('gb18030'))),
    'japanese': lambda f: slices(f, V, edit=words(['', 'ISO 2022 IR 87'], b'AX FLAIR \x1b$BG>\x1b(B', b'Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B')),
    'charset-not-said': lambda f: slices(f, V, edit=words(None, b'AX FLAIR t\xeate', b'B\xe4r^J\xf6rg')),
    'no-patient': lambda f: slices(f, V, edit=edit(PatientID='', PatientName='', PatientSex='', StudyID='', StudyDate='', StudyTime='')),
    'little-said': lambda f: slices(f, V, edit=drop('SpecificCharacterSet', 'PatientSex', 'PatientBirthDate', 'StudyID', 'StudyDate', 'StudyTime', 'AccessionNumber', 'ReferringPhysicianName',
                                                     'SeriesDate', 'SeriesTime', 'AcquisitionDate', 'AcquisitionTime', 'ContentDate', 'ContentTime', 'InstanceNumber', 'SeriesNumber', 'Manufacturer',
                                                     'PositionReferenceIndicator', 'BodyPartExamined', 'PatientPosition', 'StudyDescription', 'ManufacturerModelName', 'SoftwareVersions')),
    'no-frame-of-reference': lambda f: slices(f, V, edit=drop('FrameOfReferenceUID')),
    'same-numbers': lambda f: slices(f, V, edit=edit(InstanceNumber='1')),
    'odd-values': lambda f: slices(f, V, edit=raw(EchoTime=b'125,0', RepetitionTime=b'n/a', InstanceNumber=b'1.0', PatientAge=b'61', PatientWeight=b'80 kg', StudyDescription=b'd' * 100,
                                                  SeriesDescription=b'AX T2 FLAIR ' + b'x' * 80, AcquisitionTime=b'10:15', MagneticFieldStrength=b'1.5T', SeriesNumber=b'3.0')),
    'odd-identity': lambda f: slices(f, V, edit=raw(StudyDate=b'2024.03.11', PatientBirthDate=b'1960', PatientSex=b'female', StudyID=b'a study id of over sixteen characters', PatientID=b'CANARY7 ' * 9)),
    'odd-numbers': lambda f: slices(f, V, edit=odd_positions),
    'extras': lambda f: (slices(f, V, edit=extras), convert(f, 'dcmconv', '+te', '+g', '+e')),
    'uid-leading-zero': lambda f: slices(f, V, edit=lambda d, k: raw(SOPInstanceUID=b'1.2.840.0113619.%d' % (k + 1), StudyInstanceUID=b'1.2.840.0113619.7', SeriesInstanceUID=b'1.2.840.0113619.8')(d, k)),
    'copies': copied,
    # ---- several images in one place
    'two-echoes': echoes('', dict(EchoTime='125'), dict(EchoTime='20')),
    'two-echoes-named': echoes('AX FLAIR', dict(EchoTime='125'), dict(EchoTime='20')),
    'two-b-values': echoes('AX FLAIR', dict(DiffusionBValue=0.0), dict(DiffusionBValue=1000.0)),
    'two-times': echoes('AX FLAIR', dict(TemporalPositionIdentifier=1), dict(TemporalPositionIdentifier=2)),
    'magnitude-and-phase': echoes('AX FLAIR', dict(ImageType=['ORIGINAL', 'PRIMARY', 'M', 'ND']), dict(ImageType=['ORIGINAL', 'PRIMARY', 'P', 'ND'])),
    # ---- faults
    'gap': lambda f: slices(f, V, edit=only(lambda k: k != 6)),
    'position-twice': lambda f: slices(f, V, edit=lambda d, k: edit(ImagePositionPatient=[decimal(x) for x in V.origin + min(k, 10) * V.step[0]], EchoTime=100 + k)(d, k)),
    'tilt': lambda f: slices(f, V, edit=tilted),
    'two-frames': lambda f: slices(f, V, edit=lambda d, k: edit(FrameOfReferenceUID=uid('frame', k // 6))(d, k)),
    'two-patients': lambda f: slices(f, V, edit=lambda d, k: edit(PatientID='CANARY%d' % (k // 6))(d, k)),
    'one-turned': lambda f: slices(f, V, edit=turn_one),
    'no-position': lambda f: slices(f, V, edit=drop('ImagePositionPatient')),
    'pixels-short': lambda f: slices(f, V, edit=lambda d, k: setattr(d, 'PixelData', d.PixelData[:-4000] if k == 3 else d.PixelData)),
    'flat': lambda f: slices(f, Volume(V.v * 0 + 7, V.origin, V.step)),
    'one-larger': lambda f: slices(f, V, edit=lambda d, k: (setattr(d, 'Rows', d.Rows // 2), setattr(d, 'PixelData', d.PixelData[:len(d.PixelData) // 2])) and None if k == 3 else None),
    'pixels-long': lambda f: slices(f, V, edit=lambda d, k: setattr(d, 'PixelData', d.PixelData + bytes(512))),
    'no-spacing': lambda f: slices(f, V, edit=drop('PixelSpacing')),
    'many-frames-in-one': lambda f: slices(f, V, edit=mosaic_like),
    # ---- not for us
    'ct': lambda f: slices(f, V, sop='1.2.840.10008.5.1.4.1.1.2', edit=edit(Modality='CT', RescaleSlope='1', RescaleIntercept='-1024')),
    'capture-as-mr': lambda f: slices(f, Volume(V.v // 4, V.origin, V.step), stored=8, edit=edit(ConversionType='WSD')),
    'burned-in': lambda f: slices(f, V, edit=edit(BurnedInAnnotation='YES')),
    'palette': lambda f: slices(f, Volume(V.v // 4, V.origin, V.step), stored=8, mono='PALETTE COLOR'),
    'float-pixels': lambda f: slices(f, V, edit=floating),
    'localizer': localizer,
    'adc': lambda f: slices(f, V, text='FLAIR ADC', image_type=('DERIVED', 'PRIMARY', 'ADC')),
    'mip': lambda f: slices(f, V, image_type=('DERIVED', 'SECONDARY', 'PROJECTION IMAGE')),
    'subtraction': lambda f: slices(f, V, text='FLAIR SUB', image_type=('DERIVED', 'PRIMARY', 'SUBTRACTION')),
    'capture': lambda f: slices(f, Volume(V.v // 4, V.origin, V.step), stored=8, sop=SC, edit=lambda d, k: edit(ConversionType='WSD', WindowCenter='128', WindowWidth='256')(d, k)),
    'colour': lambda f: slices(f, V, edit=colour),
    'no-pixels': lambda f: slices(f, V, edit=drop('PixelData')),
    'spine': lambda f: slices(f, V, text='SAG T2 FLAIR C-SPINE', edit=edit(BodyPartExamined='CSPINE')),
    # ---- several
    'two-flairs': two(dict(text='AX FLAIR fast', edit=only(lambda k: k < 8)), dict(text='AX FLAIR', time='103000')),
    'original-and-reformat': two(dict(text='AX FLAIR'), dict(text='FLAIR MPR', image_type=('DERIVED', 'SECONDARY', 'MPR'), time='103000',
                                                             volume=V.turned([1, 0, 2], (False, True, False)))),
    'channels': channels,
    'channels-tilted': lambda f: channels(f, tilt=8),
    'channels-two-frames': lambda f: channels(f, frame=uid('another frame')),
    'reformat-alone': lambda f: slices(f, V, text='FLAIR MPR', image_type=('DERIVED', 'SECONDARY', 'MPR')),
}

if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for member in sys.argv[2:] or MEMBERS:
        MEMBERS[member](os.path.join(sys.argv[1], member))
