#!/usr/bin/python3
# Tiny DICOM series and broken files for the unit tests of dicom/:  mkseries.py OUT_DIR [NAME...]
# Every name below makes OUT_DIR/NAME/NNN.dcm; for the readable ones also OUT_DIR/NAME.f32, the expected voxels as float32 (slices, rows, cols),
# slices in ascending order along the normal. Where pydicom can say it, its pixel_array must agree with the expectation, else this script fails.
import copy, os, struct, sys, warnings, zlib
import numpy as np, pydicom
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mkenhanced import enhance
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

warnings.simplefilter('ignore')  # wrong character sets are made on purpose
MR, CT, SC, SR, ENHANCED = ('1.2.840.10008.5.1.4.1.1.' + s for s in ('4', '2', '7', '88.33', '4.1'))
SLICES, ROWS, COLS = 5, 7, 9
ANGLE = np.deg2rad(12)
ROW, COL = np.array([1., 0, 0]), np.array([0, np.cos(ANGLE), np.sin(ANGLE)])
NORMAL = np.cross(ROW, COL)
ORIGIN = np.array([-40., -50., -20.])


def raw(bits, signed):
    s, r, c = np.mgrid[0:SLICES, 0:ROWS, 0:COLS]
    v = (s * 977 + r * 131 + c * 29) % (1 << bits)
    return v - (1 << (bits - 1)) if signed else v


def words(v, o):
    """Stored words of one slice: the value at HighBit, garbage in every other bit when asked for."""
    shift = o['high'] + 1 - o['stored']
    mask = (1 << o['stored']) - 1
    w = (v & mask) << shift
    if o['garbage']:
        w = w | (0xA5A5 & ((1 << o['allocated']) - 1) & ~(mask << shift))
    b = w.astype('<u2' if o['allocated'] == 16 else 'u1').tobytes()
    return b + b'\0' * (len(b) % 2)


BASE = dict(n=SLICES, allocated=16, stored=12, high=11, signed=False, garbage=False, mono='MONOCHROME2', slope=None, syntax=ExplicitVRLittleEndian, sop=MR, order=None, edit=None, ref=True, pad=None)


def dataset(i, o, v):
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.SpecificCharacterSet = 'ISO_IR 100'
    d.ImageType = ['ORIGINAL', 'PRIMARY', 'M']
    d.SOPClassUID, d.SOPInstanceUID = o['sop'], '2.25.%d' % (7000 + i)
    d.StudyDate, d.StudyTime, d.AccessionNumber, d.Modality = '20240311', '101500', 'CANARYACC', 'CT' if o['sop'] == CT else 'MR'
    d.SeriesDescription, d.ReferringPhysicianName = 'FLAIR t\u00eate', ''
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = 'CANARY^M\u00fcller', 'CANARYID', '19600203', 'F'
    d.SliceThickness, d.SpacingBetweenSlices = '3', '4'
    d.StudyInstanceUID, d.SeriesInstanceUID, d.StudyID = '2.25.1', '2.25.2', '1'
    d.SeriesNumber, d.InstanceNumber = '2', str(i + 1)
    d.ImagePositionPatient = ['%.9g' % x for x in ORIGIN + NORMAL * 4 * i]
    d.ImageOrientationPatient = ['%.9g' % x for x in (*ROW, *COL)]
    d.FrameOfReferenceUID, d.PositionReferenceIndicator = '2.25.3', ''
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, o['mono']
    d.Rows, d.Columns, d.PixelSpacing = ROWS, COLS, ['1.5', '1.25']
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = o['allocated'], o['stored'], o['high'], int(o['signed'])
    if o['slope']:
        d.RescaleIntercept, d.RescaleSlope, d.RescaleType = '%g' % (-100 - i), '%g' % (o['slope'] + i), 'US'
    if o['pad']:
        d.PixelPaddingValue = o['pad'][0]
        if len(o['pad']) > 1:
            d.PixelPaddingRangeLimit = o['pad'][1]
    d.PixelData = words(v, o)
    return d


def expected(v, i, o):
    x = v.astype(np.float64)
    slope, intercept = (o['slope'] + i, -100 - i) if o['slope'] else (1, 0)
    if o['mono'] == 'MONOCHROME1':
        low = -(1 << (o['stored'] - 1)) if o['signed'] else 0
        x = (low + (1 << o['stored']) - 1 + low) - x
    if o['pad']:  # air: 0, or the lowest number below it
        padded = (v >= min(o['pad'])) & (v <= max(o['pad']))
        x[padded] = min(0, *x[~padded]) if not padded.all() else 0
    return (x * slope + intercept).astype('<f4')


def save(d, path, syntax=ExplicitVRLittleEndian):
    d.is_little_endian, d.is_implicit_VR = syntax != ExplicitVRBigEndian, syntax == ImplicitVRLittleEndian
    d.file_meta.MediaStorageSOPClassUID, d.file_meta.MediaStorageSOPInstanceUID = d.SOPClassUID, '2.25.99'
    d.file_meta.TransferSyntaxUID = syntax
    if 'PixelData' in d:
        d['PixelData'].VR = 'OB' if d.BitsAllocated <= 8 and syntax != ImplicitVRLittleEndian or syntax == RLELossless else 'OW'
    if syntax == ExplicitVRBigEndian:  # bytes as OW too
        d['PixelData'].VR = 'OW'
        d.PixelData = np.frombuffer(d.PixelData, '<u2').astype('>u2').tobytes()
    d.save_as(path, write_like_original=False)


def series(name, **options):
    o = {**BASE, **options}
    os.makedirs(f'{OUT}/{name}')
    volume = raw(o['stored'], o['signed'])
    if o['pad']:
        volume[:, :2], volume[:, 2] = o['pad'][0], o['pad'][-1]
    names = o['order'] or list(range(o['n']))
    out = []
    for i in range(o['n']):
        d = dataset(i, o, volume[i])
        if o['order']:
            d.InstanceNumber = str(names[i] + 1)
        if o['edit']:
            o['edit'](d, i)
        path = f'{OUT}/{name}/{names[i]:03d}.dcm'
        if o['syntax'] == RLELossless:
            d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            d.is_little_endian, d.is_implicit_VR = True, False
            d['PixelData'].VR = 'OW'
            d.compress(RLELossless)
        save(d, path, o['syntax'])
        if o['ref']:
            want = expected(volume[i], i, o)
            out.append(want)
            if not o['garbage'] and not o['pad'] and o['syntax'] != ExplicitVRBigEndian and o['high'] == o['stored'] - 1 and o['mono'] == 'MONOCHROME2' and not (o['signed'] and o['stored'] < o['allocated']):
                got = pydicom.dcmread(path).pixel_array.astype(float) * float(d.get('RescaleSlope', 1)) + float(d.get('RescaleIntercept', 0))
                assert np.array_equal(got.astype('<f4'), want), name
    if o['ref']:
        np.array(out, '<f4').tofile(f'{OUT}/{name}.f32')


def at(i, **values):
    """An edit: these attributes in slice i (None: in all); a value None removes one."""
    def edit(d, k):
        if i is None or k == i:
            for key, value in values.items():
                if value is None:
                    if key in d:
                        delattr(d, key)
                else:
                    setattr(d, key, value)
    return edit


def moved(i, mm):
    return at(i, ImagePositionPatient=['%.9g' % x for x in ORIGIN + NORMAL * mm])


def doubled(keyword, *values):  # four of the five slices in two places, each twice
    def edit(d, k):
        d.ImagePositionPatient = ['%.9g' % x for x in ORIGIN + NORMAL * 4 * (k // 2)]
        setattr(d, keyword, values[k % 2])
    return edit


def tilt(d, k):
    d.ImagePositionPatient = ['%.9g' % x for x in ORIGIN + NORMAL * 4 * k + COL * 0.5 * k]


def reversed_axes(d, k):  # rows run backwards: the normal turns, so the file order is descending
    d.ImageOrientationPatient = ['%.9g' % x for x in (*-ROW, *COL)]


def planes(d, k):
    d.ImageOrientationPatient = [['1', '0', '0', '0', '1', '0'], ['1', '0', '0', '0', '0', '-1'], ['0', '1', '0', '0', '0', '-1']][k % 3]


def colour(d, k):
    d.SamplesPerPixel, d.PhotometricInterpretation, d.PlanarConfiguration = 3, 'RGB', 0
    d.BitsAllocated, d.BitsStored, d.HighBit = 8, 8, 7
    d.PixelData = bytes(ROWS * COLS * 3 + 1)


def no_pixels(sop):
    def edit(d, k):
        for key in ('PixelData', 'Rows', 'Columns', 'BitsAllocated', 'BitsStored', 'HighBit', 'PixelRepresentation', 'SamplesPerPixel', 'PhotometricInterpretation'):
            delattr(d, key)
        d.SOPClassUID, d.Modality = sop, 'SR'
    return edit


def enhanced(d, k):
    d.SOPClassUID, d.NumberOfFrames = ENHANCED, '2'
    d.PixelData = d.PixelData[:ROWS * COLS * 2] * 2
    fg, pm, po = Dataset(), Dataset(), Dataset()
    pm.PixelSpacing, pm.SliceThickness = ['1.5', '1.25'], '3'
    po.ImageOrientationPatient = d.ImageOrientationPatient
    fg.PixelMeasuresSequence, fg.PlaneOrientationSequence = Sequence([pm]), Sequence([po])
    d.SharedFunctionalGroupsSequence = Sequence([fg])
    frames = []
    for i in range(2):
        f, pp, te = Dataset(), Dataset(), Dataset()
        pp.ImagePositionPatient = ['0', '0', str(4 * i)]
        te.EffectiveEchoTime = 90.5 + i
        f.PlanePositionSequence, f.MREchoSequence = Sequence([pp]), Sequence([te])
        frames.append(f)
    d.PerFrameFunctionalGroupsSequence = Sequence(frames)
    for key in ('ImagePositionPatient', 'ImageOrientationPatient', 'PixelSpacing', 'SliceThickness'):
        delattr(d, key)


def onebit(d, k):
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelData = 1, 1, 0, bytes(8)


def floating(d, k):
    d.BitsAllocated, d.FloatPixelData = 32, bytes(ROWS * COLS * 4)
    for key in ('PixelData', 'BitsStored', 'HighBit', 'PixelRepresentation'):
        delattr(d, key)


def two_frames(d, k):
    d.NumberOfFrames, d.PixelData = '2', d.PixelData[:ROWS * COLS * 2] * 2


def shuffled_without(i):
    def edit(d, k):
        if k >= i:
            d.ImagePositionPatient = ['%.9g' % x for x in ORIGIN + NORMAL * 4 * (k + 1)]
    return edit


SERIES = {
    'plain': dict(), 'implicit': dict(syntax=ImplicitVRLittleEndian), 'ct': dict(sop=CT, slope=1.0, signed=True, stored=16, high=15),
    'signed': dict(signed=True, garbage=True), 'eight': dict(allocated=8, stored=8, high=7), 'high': dict(high=15, garbage=True),
    'signedfull': dict(signed=True, stored=16, high=15), 'mono1': dict(mono='MONOCHROME1'), 'mono1signed': dict(mono='MONOCHROME1', signed=True, slope=2.0),
    'rescaled': dict(slope=0.5), 'shuffled': dict(order=[3, 0, 4, 1, 2]), 'one': dict(n=1), 'two': dict(n=2, edit=moved(1, 17)),
    'reversed': dict(edit=reversed_axes, ref=False), 'gap': dict(edit=shuffled_without(2), ref=False), 'uneven': dict(edit=moved(2, 8.5), ref=False),
    'double': dict(edit=moved(2, 4), ref=False),
    'doubleecho': dict(edit=doubled('EchoTime', '20', '80'), ref=False), 'doubletime': dict(edit=doubled('TemporalPositionIdentifier', '1', '2'), ref=False),
    'doublebvalue': dict(edit=doubled('DiffusionBValue', 0.0, 1000.0), ref=False), 'doublenumber': dict(edit=doubled('AcquisitionNumber', '1', '2'), ref=False),
    'doubletype': dict(edit=doubled('ImageType', ['ORIGINAL', 'PRIMARY', 'M'], ['ORIGINAL', 'PRIMARY', 'P']), ref=False), 'patients': dict(edit=at(3, PatientID='CANARYOTHER'), ref=False),
    'issuers': dict(edit=at(3, IssuerOfPatientID='CANARYISSUER'), ref=False), 'studies': dict(edit=at(3, StudyInstanceUID='2.25.11'), ref=False),
    'serieses': dict(edit=at(3, SeriesInstanceUID='2.25.12'), ref=False), 'references': dict(edit=at(3, FrameOfReferenceUID='2.25.13'), ref=False),
    'noreferences': dict(edit=at(None, FrameOfReferenceUID=None)),
    'noreference': dict(edit=at(3, FrameOfReferenceUID=None), ref=False), 'mixed': dict(edit=at(2, ImageOrientationPatient=['1', '0', '0', '0', '1', '0']), ref=False),
    'tilt': dict(edit=tilt, ref=False), 'sizes': dict(edit=at(2, PixelSpacing=['1.5', '1.3']), ref=False),
    'localizer': dict(edit=at(None, ImageType=['ORIGINAL', 'PRIMARY', 'LOCALIZER']), ref=False), 'planes': dict(n=3, edit=planes, ref=False),
    'colour': dict(edit=colour, ref=False), 'sr': dict(n=1, edit=no_pixels(SR), ref=False), 'sc': dict(sop=SC, ref=False),
    'enhanced': dict(n=1, edit=enhanced, ref=False), 'rle': dict(syntax=RLELossless), 'padding': dict(pad=(4095,)), 'bigendian': dict(syntax=ExplicitVRBigEndian), 'bigeight': dict(syntax=ExplicitVRBigEndian, allocated=8, stored=8, high=7), 'paddingrange': dict(pad=(4000, 4095), slope=0.5),
    'paddingsigned': dict(pad=(-2048,), signed=True, garbage=True), 'paddingmono1': dict(pad=(4095,), mono='MONOCHROME1'), 'highpad': dict(pad=(9,), high=15, garbage=True),
    'paddingct': dict(sop=CT, slope=1.0, signed=True, stored=16, high=15, pad=(-32768,)), 'paddingall': dict(pad=(0, 4095)),
    'conversion': dict(edit=at(None, ConversionType='WSD'), allocated=8, stored=8, high=7, ref=False), 'burned': dict(edit=at(None, BurnedInAnnotation='YES'), ref=False), 'noposition': dict(edit=at(1, ImagePositionPatient=None), ref=False),
    'noorientation': dict(edit=at(1, ImageOrientationPatient=None), ref=False), 'nospacing': dict(edit=at(1, PixelSpacing=None), ref=False),
    'badcosines': dict(edit=at(1, ImageOrientationPatient=['1', '0', '0', '0.5', '0.5', '0']), ref=False),
    'nodirections': dict(edit=at(None, ImageOrientationPatient=['0'] * 6), ref=False), 'nopixelsize': dict(edit=at(None, PixelSpacing=['1e-300', '1e-300']), ref=False),
    'badreference': dict(edit=at(None, FrameOfReferenceUID='1..2'), ref=False),
    'long': dict(edit=lambda d, k: setattr(d, 'PixelData', d.PixelData + bytes(64)), ref=False),
    'onescreen': dict(edit=at(4, SOPClassUID=SC), ref=False), 'onebit': dict(edit=onebit, ref=False), 'float': dict(edit=floating, ref=False), 'frames2': dict(edit=two_frames, ref=False),
    'badslope': dict(edit=at(2, RescaleSlope='0', RescaleIntercept='0'), ref=False), 'bits32': dict(edit=lambda d, k: bits32(d), ref=False),
}


def slices_of(o, place=None, only=None):
    """Single-frame slices as `series` has them; place: an edit of them, only: which of them."""
    volume = raw(o['stored'], o['signed'])
    out = [dataset(i, o, volume[i]) for i in range(o['n'])]
    for i, d in enumerate(out):
        d.PixelData = d.PixelData[:ROWS * COLS * o['allocated'] // 8]
        if place:
            place(d, i)
    return [d for i, d in enumerate(out) if only is None or i in only]


def enhanced_series(name, base={}, ref=None, stacks=None, edit=None, more=None, **options):
    """A series of multi-frame instances; ref: what is added to the expected stored values; edit: of each instance; more: further data sets."""
    o = {**BASE, **base}
    made = enhance([slices_of(o, *s) for s in stacks] if stacks else slices_of(o), **options)
    os.makedirs(f'{OUT}/{name}')
    for k, d in enumerate(made + (more() if more else [])):
        if edit:
            edit(d)
        save(d, f'{OUT}/{name}/{k:03d}.dcm')
    if ref is not None:
        np.array([expected(v + ref, i, o) for i, v in enumerate(raw(o['stored'], o['signed'])[:o['n']])], '<f4').tofile(f'{OUT}/{name}.f32')


def group(frame, name, **values):
    """An edit: a functional group of one frame (None: of all that share it); without values it is removed; a value None removes one."""
    def edit(d):
        g = d.SharedFunctionalGroupsSequence[0] if frame is None else d.PerFrameFunctionalGroupsSequence[frame]
        if not values:
            delattr(g, name)
        for key, value in values.items():
            if value is None:
                delattr(g[name][0], key)
            else:
                setattr(g[name][0], key, value)
    return edit


def turned(d, k):  # another plane, evenly spaced
    d.ImageOrientationPatient, d.ImagePositionPatient = ['0.6', '0.8', '0', '0', '0', '-1'], ['%g' % (0.8 * -4 * k), '%g' % (0.6 * 4 * k), '30']


def turned_uneven(d, k):
    turned(d, k + (k > 1))


def higher(mm):
    def edit(d, k):
        d.ImagePositionPatient = ['%.9g' % x for x in ORIGIN + NORMAL * (4 * k + mm)]
    return edit


def three_planes(k):
    def edit(d, i):
        planes(d, k)
        d.ImagePositionPatient = [['0', '0', '%d' % (4 * i)], ['0', '%d' % (4 * i), '0'], ['%d' % (4 * i), '0', '0']][k]
    return edit


def private_dimension(d):
    d.DimensionIndexSequence.append(copy.deepcopy(d.DimensionIndexSequence[0]))
    d.DimensionIndexSequence[-1].DimensionIndexPointer = 0x20051010
    for k, g in enumerate(d.PerFrameFunctionalGroupsSequence):
        g.add_new(0x20050010, 'LO', 'PRIVATE')
        g.add_new(0x20051010, 'CS', 'FIRST' if k < SLICES else 'SECOND')


def other_echo():
    made = slices_of(BASE)
    for d in made:
        d.EchoTime = '80'
    return enhance(made, uid=890000)


def agent(given):
    def edit(d):
        d.ContrastBolusAgentSequence = [Dataset()]
        d.ContrastBolusAgentSequence[0].CodeValue, d.ContrastBolusAgentSequence[0].CodingSchemeDesignator, d.ContrastBolusAgentSequence[0].CodeMeaning = '7140000', 'SCT', 'Gadolinium'
        for g in d.PerFrameFunctionalGroupsSequence:
            g.ContrastBolusUsageSequence = [Dataset()]
            g.ContrastBolusUsageSequence[0].ContrastBolusAgentNumber, g.ContrastBolusUsageSequence[0].ContrastBolusAgentAdministered = 1, given
    return edit


def one_series(d):
    d.SeriesInstanceUID = '2.25.880001'


def fewer_groups(d):
    del d.PerFrameFunctionalGroupsSequence[-1]


def immense(d):
    d.Rows = d.Columns = 65535
    d.NumberOfFrames = '2147483647'


RESCALED = dict(slope=0.5)
ENHANCED_SERIES = {
    'e_shuffled': dict(base=RESCALED, order='shuffled', ref=0), 'e_frame': dict(base=RESCALED, place='frame', order='reversed', ref=0),
    'e_ct': dict(base=dict(sop=CT, slope=1.0, signed=True, stored=16, high=15), ref=0, **{'class': 'ct'}), 'e_legacy': dict(ref=0, order='shuffled', **{'class': 'legacymr'}),
    'e_legacyct': dict(base=dict(sop=CT, slope=1.0, signed=True, stored=16, high=15), ref=0, **{'class': 'legacyct'}),
    'e_eight': dict(base=dict(allocated=8, stored=8, high=7), ref=0, order='shuffled'), 'e_mono1': dict(base=dict(mono='MONOCHROME1', garbage=True), ref=0), 'e_one': dict(base=dict(n=1), ref=0),
    'e_parts': dict(parts=2, order='shuffled', ref=0), 'e_files': dict(files=3, order='shuffled', ref=0), 'e_lost': dict(parts=3, drop=1),
    'e_echo': dict(dims='echo=20|80'), 'e_time': dict(dims='time=1|2|3'), 'e_bvalue': dict(dims='bvalue=0|1000'), 'e_legacyecho': dict(dims='echo=20|80', **{'class': 'legacymr'}),
    'e_phase': dict(base=dict(stored=16, high=15), dims='component=PHASE|MAGNITUDE', add=100, ref=100), 'e_type': dict(base=dict(stored=16, high=15), dims='type=ORIGINAL|DERIVED', add=100, ref=0), 'e_kinds': dict(dims='type=DERIVED_A|DERIVED_B'),
    'e_again': dict(dims='again=1|2'), 'e_twofiles': dict(more=other_echo, edit=one_series), 'e_private': dict(dims='again=1|2', edit=private_dimension),
    'e_twostacks': dict(place='frame', stacks=[(), (turned,)]), 'e_badstack': dict(place='frame', stacks=[(turned_uneven,), ()], ref=0), 'e_scout': dict(place='frame', stacks=[(), (turned, (0,))], ref=0),
    'e_nostack': dict(place='frame', stacks=[(turned_uneven,), (None, (0, 1, 3))]), 'e_slabs': dict(stacks=[(None, (0, 1)), (None, (2, 3, 4))], ref=0), 'e_apart': dict(stacks=[(), (higher(50),)]),
    'e_planes': dict(place='frame', stacks=[(three_planes(k),) for k in range(3)]), 'e_localizer': dict(edit=group(None, 'MRImageFrameTypeSequence', FrameType=['ORIGINAL', 'PRIMARY', 'LOCALIZER', 'NONE'])),
    'e_singles': dict(more=lambda: slices_of(BASE), edit=one_series), 'e_count': dict(edit=fewer_groups), 'e_nogroups': dict(edit=lambda d: delattr(d, 'PerFrameFunctionalGroupsSequence')),
    'e_noposition': dict(edit=group(2, 'PlanePositionSequence')), 'e_noorientation': dict(edit=group(None, 'PlaneOrientationSequence')),
    'e_nomeasures': dict(edit=group(None, 'PixelMeasuresSequence')), 'e_nonumber': dict(edit=group(1, 'PlanePositionSequence', ImagePositionPatient=None)),
    'e_badslope': dict(edit=group(3, 'PixelValueTransformationSequence', RescaleSlope='0')), 'e_noscale': dict(edit=group(3, 'PixelValueTransformationSequence'), ref=0),
    'e_agent': dict(edit=agent('YES')), 'e_before': dict(edit=agent('NO')), 'e_immense': dict(edit=immense), 'e_gap': dict(stacks=[(None, (0, 1, 3, 4))]),
}


def bits32(d):
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelData = 32, 32, 31, d.PixelData[:ROWS * COLS * 2] * 2


def one_file(name, data):
    os.makedirs(f'{OUT}/{name}')
    open(f'{OUT}/{name}/000.dcm', 'wb').write(data)


def element(group, number, vr, value):
    if vr in (b'OB', b'OW', b'SQ', b'UN', b'UT'):
        return struct.pack('<HH2sHI', group, number, vr, 0, len(value)) + value
    value += (b'\0' if vr == b'UI' else b' ') * (len(value) % 2)
    return struct.pack('<HH2sH', group, number, vr, len(value)) + value


def sequence(group, number, length):
    return struct.pack('<HH2sHI', group, number, b'SQ', 0, length)


ITEM, ITEM_END, SEQUENCE_END = (struct.pack('<HHI', 0xFFFE, e, n) for e, n in ((0xE000, 0xFFFFFFFF), (0xE00D, 0), (0xE0DD, 0)))


def files():
    """Broken and hostile files, made of the bytes of a good one."""
    d = dataset(0, BASE, raw(12, False)[0])
    save(d, f'{OUT}/.good')
    good = open(f'{OUT}/.good', 'rb').read()
    uid = b'2.25.7000'
    start = 132 + 12 + struct.unpack('<I', good[140:144])[0]
    meta, body = good[:start], good[start:]

    def with_uid(value):
        field = lambda v: struct.pack('<HH2sH', 8, 0x18, b'UI', len(v)) + v
        old = field(uid + b'\0')
        assert body.count(old) == 1
        return meta + body.replace(old, field(value + b'\0' * (len(value) % 2)))

    deep = meta + body + b''.join(sequence(0x7FE1, 0x1010, 0xFFFFFFFF) + ITEM for _ in range(10000))
    closed = deep + (ITEM_END + SEQUENCE_END) * 10000
    defined = b''
    for _ in range(3000):
        defined = struct.pack('<HHI', 0xFFFE, 0xE000, len(defined)) + defined
        defined = sequence(0x7FE1, 0x1010, len(defined)) + defined
    shallow = b''
    for _ in range(20):
        shallow = sequence(0x7FE1, 0x1010, 0xFFFFFFFF) + ITEM + shallow + ITEM_END + SEQUENCE_END
    pixel = struct.pack('<HH2sHI', 0x7FE0, 0x10, b'OW', 0, ROWS * COLS * 2)
    assert body.count(pixel) == 1
    one_file('good', good)
    one_file('text', b'This is no DICOM file.\n' * 50)
    one_file('ten', b'0123456789')
    one_file('empty', b'')
    one_file('polyglot', b'MZ' + b'\x90' * 126 + good[128:])
    one_file('uid65', with_uid(b'2.25.' + b'1' * 60))
    one_file('uiddots', with_uid(b'../../../etc/passwd'))
    one_file('uidnul', with_uid(b'2.25.1\0/../x'))
    one_file('uidnone', meta + body.replace(struct.pack('<HH2sH', 8, 0x18, b'UI', 10) + uid + b'\0', b''))
    one_file('deep', closed)
    one_file('deepopen', deep)
    one_file('deepdefined', meta + body + defined)
    one_file('shallow', meta + body + shallow)
    one_file('huge', meta + body.replace(pixel, struct.pack('<HH2sHI', 0x7FE0, 0x10, b'OW', 0, 0xFFFFFFFE)))
    one_file('short', (meta + body.replace(pixel, struct.pack('<HH2sHI', 0x7FE0, 0x10, b'OW', 0, 100)))[:-(ROWS * COLS * 2 - 100)])
    one_file('endless', meta + body + sequence(0x7FE1, 0x1010, 0xFFFFFFFF) + ITEM)
    one_file('overlap', meta + body + sequence(0x7FE1, 0x1010, 28) + struct.pack('<HHI', 0xFFFE, 0xE000, 20) + element(0x7FE1, 0x10, b'LO', b'x' * 200))
    one_file('badvr', meta + body + struct.pack('<HH2sH', 0x7FE1, 0x10, b'??', 2) + b'ab')
    one_file('metalength', good[:140] + struct.pack('<I', 20) + good[144:])
    one_file('nosyntax', good[:132] + good[start:])
    one_file('group2', meta + element(2, 0x10, b'UI', b'1.2.840.10008.1.2') + body)
    one_file('tail', good + b'\0\0\0')
    one_file('flood', meta + body + b''.join(element(0x7FE1 + 2 * (k // 60000), 0x1000 + k % 60000, b'LO', b'') for k in range(400001)))
    one_file('unsorted', meta + body + b''.join(element(0x7FE1, 0x1000 + k, b'LO', b'') for k in reversed(range(1000))))
    one_file('random', good[:start] + np.random.default_rng(1).integers(0, 256, 4000, np.uint8).tobytes())
    one_file('big', good.replace(b'1.2.840.10008.1.2.1\0', b'1.2.840.10008.1.2.2\0'))  # but its bytes are little endian
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(body) + packer.flush()
    deflated = meta.replace(b'1.2.840.10008.1.2.1\0', b'1.2.840.10008.1.2.1.99')
    deflated = deflated[:140] + struct.pack('<I', len(deflated) - 144) + deflated[144:]
    deflated = deflated.replace(b'\x14\x001.2.840.10008.1.2.1.99', b'\x16\x001.2.840.10008.1.2.1.99')
    one_file('deflated', deflated + packed)
    one_file('deflatedcut', deflated + packed[:-20])
    one_file('deflatednot', deflated + body)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(body + struct.pack('<HH2sHI', 0x7FE1, 0x1010, b'OB', 0, 0xFFFFFFFE))
    one_file('bomb', deflated + bomb + b''.join(packer.compress(bytes(1 << 24)) for _ in range(70)) + packer.flush())
    one_file('foreign', good.replace(b'1.2.840.10008.1.2.1\0', b'1.2.840.99999.1.2.1\0'))
    os.makedirs(f'{OUT}/cut')
    for n in (131, 132, 140, start - 3, start, start + 5, start + 200, len(good) - 200, len(good) - 130, len(good) - 126, len(good) - 1):
        open(f'{OUT}/cut/{n:05d}.dcm', 'wb').write(good[:n])
    big = copy.deepcopy(d)
    big.Rows = big.Columns = 65535
    big.NumberOfFrames = '2147483647'
    os.makedirs(f'{OUT}/frames')
    save(big, f'{OUT}/frames/000.dcm')
    for name, charset, value in (('utf8', 'ISO_IR 192', 'sér\u4e00'.encode()), ('japanese', ['', 'ISO 2022 IR 87'], b'Yamada^\x1b$B;3ED\x1b(B'),
                                 ('latin', 'ISO_IR 100', b't\xeate'), ('nocharset', 'CANARYSET', b't\xeate'), ('badutf8', 'ISO_IR 192', b'a\xff\xc0\x80z'),
                                 ('undeclared', None, b't\xeate')):
        t = copy.deepcopy(d)
        if charset is None:
            del t.SpecificCharacterSet
        else:
            t.SpecificCharacterSet = charset
        t.PatientName = 'X'
        t.SeriesDescription = 'REPLACE'
        os.makedirs(f'{OUT}/{name}')
        save(t, f'{OUT}/{name}/000.dcm')
        data = open(f'{OUT}/{name}/000.dcm', 'rb').read()
        old = element(8, 0x103E, b'LO', b'REPLACE')
        assert data.count(old) == 1
        open(f'{OUT}/{name}/000.dcm', 'wb').write(data.replace(old, element(8, 0x103E, b'LO', value)))
    private = copy.deepcopy(d)
    private.add_new(0x00190010, 'LO', 'SIEMENS MR HEADER')
    private.add_new(0x0019100C, 'UN', b'1000')
    private.add_new(0x00191008, 'UN', b'\x01\x02\x03\x04')
    private.EchoTime, private.SoftwareVersions = '92.5', ['syngo', 'segan 0.1.0 (DCMTK 3.6.7)']
    private.DeviceSerialNumber = 'node-1'
    os.makedirs(f'{OUT}/private')
    save(private, f'{OUT}/private/000.dcm')
    os.remove(f'{OUT}/.good')


OUT = sys.argv[1]
chosen = sys.argv[2:]
for series_name, series_options in SERIES.items():
    if not chosen or series_name in chosen:
        series(series_name, **series_options)
for series_name, series_options in ENHANCED_SERIES.items():
    if not chosen or series_name in chosen:
        enhanced_series(series_name, **series_options)
if not chosen or 'files' in chosen:
    files()
