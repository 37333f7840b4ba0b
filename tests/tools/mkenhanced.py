#!/usr/bin/python3
# Enhanced multi-frame objects out of single-frame series, with the same voxels, grid and attributes:
#   mkenhanced.py SERIES_DIR OUT_DIR [key=value...]
# Keys: class (mr, ct, legacymr, legacyct), order (as, reversed, shuffled: of the frames), place (shared, frame: where plane orientation and pixel measures go),
# parts (instances of a concatenation), files (instances without one), drop (index of a part that is left out), dims (NAME=a|b: frames once for each value of a
# dimension: echo, time, bvalue, component, type, stack), add (to the pixels of the k-th value: k * add), uid (number: 2.25.N and the ones behind it are used).
# `enhance` is what mkseries.py takes for the unit tests.
import copy, os, random, sys
import numpy as np, pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

CLASSES = dict(mr='1.2.840.10008.5.1.4.1.1.4.1', ct='1.2.840.10008.5.1.4.1.1.2.1', legacymr='1.2.840.10008.5.1.4.1.1.4.4', legacyct='1.2.840.10008.5.1.4.1.1.2.2')
DEFAULT = dict(order='as', place='shared', parts='1', files='1', drop='', dims='', add='0', uid='880000', **{'class': 'mr'})
COPIED = ('SpecificCharacterSet PatientName PatientID IssuerOfPatientID PatientBirthDate PatientSex StudyInstanceUID StudyDate StudyTime StudyID AccessionNumber '
          'ReferringPhysicianName StudyDescription Modality SeriesDescription SeriesNumber ProtocolName FrameOfReferenceUID PositionReferenceIndicator Manufacturer '
          'BodyPartExamined PatientPosition SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation').split()
WHEN = '20240311101500.000'


def item(**values):
    d = Dataset()
    for key, value in values.items():
        setattr(d, key, value)
    return d


def seq(**values):
    return Sequence([item(**values)])


def code(value, scheme, meaning):
    return Sequence([item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)])


def place_of(s):
    normal = np.cross(*np.array(s.ImageOrientationPatient, float).reshape(2, 3))
    return float(np.dot(normal, np.array(s.ImagePositionPatient, float)))


def frame_type(kind, mr, pixels='ORIGINAL', component='MAGNITUDE'):
    d = item(FrameType=[pixels, 'PRIMARY', 'VOLUME', 'NONE'], PixelPresentation='MONOCHROME', VolumetricProperties='VOLUME', VolumeBasedCalculationTechnique='NONE')
    if mr:
        d.ComplexImageComponent, d.AcquisitionContrast = component, 'FLUID_ATTENUATED'
    return d


def mr_header(d, s):
    for key, value in dict(ImageType=['ORIGINAL', 'PRIMARY', 'VOLUME', 'NONE'], PixelPresentation='MONOCHROME', VolumetricProperties='VOLUME', VolumeBasedCalculationTechnique='NONE',
                           ComplexImageComponent='MAGNITUDE', AcquisitionContrast='FLUID_ATTENUATED', AcquisitionNumber=1, AcquisitionDateTime=WHEN, AcquisitionDuration=180.0,
                           ResonantNucleus='1H', KSpaceFiltering='NONE', MagneticFieldStrength=1.5, ContentQualification='PRODUCT', ApplicableSafetyStandardAgency='IEC',
                           ApplicableSafetyStandardDescription='', PulseSequenceName='tir2d', MRAcquisitionType='2D', EchoPulseSequence='SPIN', MultipleSpinEcho='YES',
                           MultiPlanarExcitation='NO', PhaseContrast='NO', TimeOfFlightContrast='NO', SteadyStatePulseSequence='NONE',
                           EchoPlanarPulseSequence='NO', SaturationRecovery='NO', SpectrallySelectedSuppression='NONE', OversamplingPhase='NONE', GeometryOfKSpaceTraversal='RECTILINEAR',
                           SegmentedKSpaceTraversal='PARTIAL', RectilinearPhaseEncodeReordering='LINEAR', NumberOfKSpaceTrajectories=1).items():
        setattr(d, key, value)


def mr_groups(g, echo, s):
    g.MRTimingAndRelatedParametersSequence = seq(RepetitionTime=str(s.get('RepetitionTime', 9000)), FlipAngle='90', EchoTrainLength=16, RFEchoTrainLength=16, GradientEchoTrainLength=0)
    t = g.MRTimingAndRelatedParametersSequence[0]
    t.SpecificAbsorptionRateSequence = seq(SpecificAbsorptionRateDefinition='IEC_HEAD', SpecificAbsorptionRateValue=0.1)
    t.OperatingModeSequence = seq(OperatingModeType='GRADIENT', OperatingMode='IEC_NORMAL')
    t.GradientOutputType, t.GradientOutput = 'DB_DT', 10.0
    if echo is not None:
        g.MREchoSequence = seq(EffectiveEchoTime=float(echo))
    g.MRModifierSequence = seq(InversionRecovery='YES', InversionTimes=[float(s.get('InversionTime', 2500))], FlowCompensation='NONE', Spoiling='NONE', T2Preparation='NO',
                               SpectrallySelectedExcitation='NONE', SpatialPresaturation='NONE', PartialFourier='NO', ParallelAcquisition='NO')
    g.MRImagingModifierSequence = seq(MagnetizationTransfer='NONE', BloodSignalNulling='NO', Tagging='NONE', TransmitterFrequency=63.8, PixelBandwidth='200')
    g.MRReceiveCoilSequence = seq(ReceiveCoilName='HEAD', ReceiveCoilManufacturerName='', ReceiveCoilType='VOLUME', QuadratureReceiveCoil='YES')
    g.MRTransmitCoilSequence = seq(TransmitCoilName='BODY', TransmitCoilManufacturerName='', TransmitCoilType='BODY')
    g.MRAveragesSequence = seq(NumberOfAverages='1')
    g.MRFOVGeometrySequence = seq(InPlanePhaseEncodingDirection='ROW', MRAcquisitionFrequencyEncodingSteps=int(s.Columns), MRAcquisitionPhaseEncodingStepsInPlane=int(s.Rows),
                                  PercentSampling='100', PercentPhaseFieldOfView='100')


def anatomy():
    return Sequence([item(FrameLaterality='U', AnatomicRegionSequence=code('12738006', 'SCT', 'Brain'))])


def header(s, o, uid, n):
    d, cls = Dataset(), CLASSES[o['class']]
    d.file_meta = FileMetaDataset()
    for key in COPIED:
        if key in s:
            setattr(d, key, s[key].value)
    d.SOPClassUID, d.SOPInstanceUID, d.SeriesInstanceUID = cls, '2.25.%d' % uid, '2.25.%d' % (int(o['uid']) + 1)
    d.InstanceNumber, d.ContentDate, d.ContentTime, d.SeriesDate, d.SeriesTime = '1', '20240311', '101500', '20240311', '101500'
    d.Manufacturer, d.ManufacturerModelName, d.DeviceSerialNumber, d.SoftwareVersions = s.get('Manufacturer') or 'test', 'mkenhanced', '1', '1'
    d.NumberOfFrames, d.LossyImageCompression, d.BurnedInAnnotation, d.PresentationLUTShape, d.AcquisitionContextSequence = str(n), '00', 'NO', 'IDENTITY', Sequence([])
    if d.Modality == 'MR' and not o['class'].startswith('legacy'):
        mr_header(d, s)
    else:
        d.ImageType = ['ORIGINAL', 'PRIMARY', 'VOLUME', 'NONE']
        d.PixelPresentation, d.VolumetricProperties, d.VolumeBasedCalculationTechnique = 'MONOCHROME', 'VOLUME', 'NONE'
    org = '2.25.%d' % (int(o['uid']) + 2)
    d.DimensionOrganizationSequence = seq(DimensionOrganizationUID=org)
    d.DimensionIndexSequence = Sequence([item(DimensionOrganizationUID=org, DimensionIndexPointer=p, FunctionalGroupPointer=0x00209111) for p in (0x00209056, 0x00209057)])
    return d


def measures(s):
    m = item(PixelSpacing=s.PixelSpacing, SliceThickness=s.SliceThickness)
    if 'SpacingBetweenSlices' in s:
        m.SpacingBetweenSlices = s.SpacingBetweenSlices
    return Sequence([m])


def shared_groups(s, o, dims):
    g, mr, legacy = Dataset(), o['class'] in ('mr', 'legacymr'), o['class'].startswith('legacy')
    if o['place'] == 'shared':
        g.PlaneOrientationSequence, g.PixelMeasuresSequence = seq(ImageOrientationPatient=s.ImageOrientationPatient), measures(s)
    g.FrameAnatomySequence = anatomy()
    if 'component' not in dims and 'type' not in dims:
        setattr(g, 'MRImageFrameTypeSequence' if mr else 'CTImageFrameTypeSequence', Sequence([frame_type(o['class'], mr and not legacy)]))
    if legacy:
        g.UnassignedSharedConvertedAttributesSequence = Sequence([item(**{k: s[k].value for k in ('EchoTime', 'RepetitionTime', 'InversionTime') if k in s and 'echo' not in dims})])
    elif mr:
        mr_groups(g, s.get('EchoTime', 120) if 'echo' not in dims else None, s)
    return g


def frame_groups(s, o, stack, place, index):
    g, mr, legacy = Dataset(), o['class'] in ('mr', 'legacymr'), o['class'].startswith('legacy')
    if o['place'] != 'shared':
        g.PlaneOrientationSequence, g.PixelMeasuresSequence = seq(ImageOrientationPatient=s.ImageOrientationPatient), measures(s)
    g.PlanePositionSequence = seq(ImagePositionPatient=s.ImagePositionPatient)
    content = item(FrameReferenceDateTime=WHEN, FrameAcquisitionDateTime=WHEN, FrameAcquisitionDuration=1000.0, FrameAcquisitionNumber=1, StackID=index.get('stack', stack),
                   InStackPositionNumber=place, DimensionIndexValues=[1, place])
    if 'time' in index:
        content.TemporalPositionIndex = int(index['time'])
    g.FrameContentSequence = Sequence([content])
    g.PixelValueTransformationSequence = seq(RescaleIntercept=str(s.get('RescaleIntercept', 0)), RescaleSlope=str(s.get('RescaleSlope', 1)), RescaleType='US')
    g.FrameVOILUTSequence = seq(WindowCenter='500', WindowWidth='1000')
    if 'component' in index or 'type' in index:
        setattr(g, 'MRImageFrameTypeSequence' if mr else 'CTImageFrameTypeSequence', Sequence([frame_type(o['class'], mr, index.get('type', 'ORIGINAL'), index.get('component', 'MAGNITUDE'))]))
    if legacy:
        g.UnassignedPerFrameConvertedAttributesSequence = Sequence([item(**({'EchoTime': index['echo']} if 'echo' in index else {}))])
    elif 'echo' in index:
        g.MREchoSequence = seq(EffectiveEchoTime=float(index['echo']))
    if 'bvalue' in index:
        g.MRDiffusionSequence = seq(DiffusionBValue=float(index['bvalue']), DiffusionDirectionality='ISOTROPIC' if float(index['bvalue']) else 'NONE')
    return g


def parse_dims(text):
    return {k: v.split('|') for k, v in (d.split('=', 1) for d in text.split('&') if d)}


def all_frames(slices, o):
    """(groups, pixels) of every frame, in the file's order; slices is a list of stacks."""
    dims = parse_dims(o['dims'])
    combinations = [({}, 0)]
    for name, values in dims.items():
        combinations = [({**c, name: v}, k + i) for c, k in combinations for i, v in enumerate(values)]
    out = []
    for c, k in combinations:
        for number, stack in enumerate(slices):
            for place, s in enumerate(sorted(stack, key=place_of), 1):
                pixels = s.PixelData[:int(s.Rows) * int(s.Columns) * int(s.BitsAllocated) // 8]
                if k and int(o['add']):
                    pixels = (np.frombuffer(pixels, '<u2') + np.uint16(k * int(o['add']))).tobytes()
                out.append((frame_groups(s, o, str(number + 1), place, c), pixels))
    if o['order'] == 'reversed':
        out.reverse()
    elif o['order'] == 'shuffled':
        random.Random(1).shuffle(out)
    return out


def enhance(slices, **options):
    """The instances of one Enhanced series: slices is a list of single-frame data sets, or of such lists (stacks)."""
    o = {**DEFAULT, **{k: str(v) for k, v in options.items()}}
    stacks = slices if isinstance(slices[0], list) else [slices]
    first, dims, every = stacks[0][0], parse_dims(o['dims']), all_frames(stacks, o)
    n, result = max(int(o['parts']), int(o['files'])), []
    for part in range(n):
        mine = every[part * len(every) // n:(part + 1) * len(every) // n]
        if str(part) == o['drop']:
            continue
        d = header(first, o, int(o['uid']) + 10 + part, len(mine))
        d.InstanceNumber = str(part + 1)
        d.SharedFunctionalGroupsSequence = Sequence([shared_groups(first, o, dims)])
        d.PerFrameFunctionalGroupsSequence = Sequence([copy.deepcopy(g) for g, _ in mine])
        if int(o['parts']) > 1:
            d.ConcatenationUID, d.InConcatenationNumber, d.InConcatenationTotalNumber = '2.25.%d' % (int(o['uid']) + 3), part + 1, n
            d.ConcatenationFrameOffsetNumber, d.SOPInstanceUIDOfConcatenationSource = part * len(every) // n, '2.25.%d' % (int(o['uid']) + 4)
        data = b''.join(p for _, p in mine)
        d.PixelData = data + b'\0' * (len(data) % 2)
        result.append(d)
    return result


def save(d, path, syntax=ExplicitVRLittleEndian):
    d.is_little_endian, d.is_implicit_VR = True, False
    d.file_meta.MediaStorageSOPClassUID, d.file_meta.MediaStorageSOPInstanceUID, d.file_meta.TransferSyntaxUID = d.SOPClassUID, d.SOPInstanceUID, syntax
    d['PixelData'].VR = 'OW' if d.BitsAllocated > 8 else 'OB'
    d.save_as(path, write_like_original=False)


def main():
    source, out = sys.argv[1:3]
    os.makedirs(out, exist_ok=True)
    slices = [pydicom.dcmread(os.path.join(source, f)) for f in sorted(os.listdir(source))]
    for k, d in enumerate(enhance(slices, **dict(a.split('=', 1) for a in sys.argv[3:]))):
        save(d, os.path.join(out, 'enhanced%d.dcm' % k))


if __name__ == '__main__':
    main()
