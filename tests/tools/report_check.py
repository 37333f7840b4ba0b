#!/usr/bin/python3
"""Judges a measurement report (TID 1500 in a Comprehensive 3D SR) apart from the program that wrote it: the tree against the rows of the templates, every
reference against the files, every number against the SEG's own voxels.
usage: report_check.py SR.dcm SOURCE_DIR [SEG.dcm]      without SEG.dcm: a report that says that nothing was found
Prints a line a violation and, last, "N violations"; exit 0 only for none."""
import os
import sys

import numpy as np
import pydicom

violations = []


def bad(text):
    violations.append(text)


def code(item, keyword):
    seq = getattr(item, keyword, None)
    if not seq:
        return None
    if len(seq) != 1:
        bad(f'{keyword} has {len(seq)} items')
    value = getattr(seq[0], 'CodeValue', None) or getattr(seq[0], 'LongCodeValue', None)
    if not value or not seq[0].get('CodingSchemeDesignator') or not seq[0].get('CodeMeaning'):
        bad(f'{keyword}: a code without value, scheme or meaning')
    return value, seq[0].get('CodingSchemeDesignator')


# ---- PS3.16: relation, value type, concept, how often, rows below. Concept None: any. The order of the list is the order in the document.
C, M, O, A = 'CONTAINS', 'HAS CONCEPT MOD', 'HAS OBS CONTEXT', 'HAS ACQ CONTEXT'
ANY = (0, 10**9)
ONE, MAYBE, SOME = (1, 1), (0, 1), (1, 10**9)
ALGORITHM = [  # TID 4019
    (M, 'TEXT', ('111001', 'DCM'), ONE, []), (M, 'TEXT', ('111003', 'DCM'), ONE, []), (M, 'TEXT', ('111002', 'DCM'), ANY, []),
    (M, 'CODE', ('111000', 'DCM'), MAYBE, [])]
METHOD = (M, 'CODE', ('370129005', 'SCT'), MAYBE, [])
GROUP = [  # TID 1411 with 1419
    (O, 'TEXT', ('112039', 'DCM'), ONE, []), (O, 'UIDREF', ('112040', 'DCM'), ONE, []),
    (C, 'CODE', ('276214006', 'SCT'), MAYBE, []), (C, 'CODE', ('121071', 'DCM'), ONE, []),
    (C, 'IMAGE', ('121191', 'DCM'), ONE, []), (C, 'UIDREF', ('121232', 'DCM'), ONE, []),
    (M, 'CODE', ('363698007', 'SCT'), ANY, [])] + ALGORITHM + [
    (C, 'NUM', ('118565006', 'SCT'), ONE, [METHOD]), (C, 'NUM', ('103339001', 'SCT'), MAYBE, [METHOD]), (C, 'NUM', ('L0JK', 'IBSI'), MAYBE, [METHOD])]
LIBRARY = [(C, 'CONTAINER', ('126200', 'DCM'), SOME, [  # TID 1600, 1602
    (A, 'CODE', ('121139', 'DCM'), ONE, []), (A, 'CODE', ('123014', 'DCM'), MAYBE, []), (A, 'UIDREF', ('112227', 'DCM'), ONE, []), (C, 'IMAGE', None, SOME, [])])]


def root_rows(found):
    context = [  # TID 1204, 1001 > 1002 > 1004
        (M, 'CODE', ('121049', 'DCM'), ONE, []), (O, 'CODE', ('121005', 'DCM'), ONE, []), (O, 'UIDREF', ('121012', 'DCM'), ONE, []),
        (O, 'TEXT', ('121013', 'DCM'), MAYBE, []), (O, 'TEXT', ('121014', 'DCM'), MAYBE, []), (O, 'TEXT', ('121015', 'DCM'), MAYBE, []),
        (O, 'TEXT', ('121016', 'DCM'), MAYBE, []), (M, 'CODE', ('121058', 'DCM'), SOME, []), (C, 'CONTAINER', ('111028', 'DCM'), ONE, LIBRARY)]
    if found:
        return context + [(C, 'CONTAINER', ('126010', 'DCM'), ONE, [(C, 'CONTAINER', ('125007', 'DCM'), SOME, GROUP)])]
    return context + [(C, 'CONTAINER', ('C0034375', 'UMLS'), ONE, ALGORITHM + [(C, 'CODE', None, SOME, []), (C, 'TEXT', ('121106', 'DCM'), ONE, [])])]


TEMPLATES = {('126000', 'DCM'): '1500', ('111028', 'DCM'): '1600', ('125007', 'DCM'): '1411'}
VALUE = {'TEXT': 'TextValue', 'CODE': 'ConceptCodeSequence', 'UIDREF': 'UID', 'NUM': 'MeasuredValueSequence', 'IMAGE': 'ReferencedSOPSequence',
         'CONTAINER': 'ContinuityOfContent'}


def check_item(item, where):
    if not item.get(VALUE.get(item.ValueType, 'ValueType')):
        bad(f'{where}: {item.ValueType} without {VALUE.get(item.ValueType)}')
    if item.ValueType == 'CODE':
        code(item, 'ConceptCodeSequence')
    if item.ValueType == 'NUM':
        code(item.MeasuredValueSequence[0], 'MeasurementUnitsCodeSequence')
    template = TEMPLATES.get(code(item, 'ConceptNameCodeSequence'))
    named = item.get('ContentTemplateSequence')
    if (named[0].TemplateIdentifier if named else None) != template:
        bad(f'{where}: the template is not TID {template}')


def check_tree(item, rows, where):
    at, count = 0, 0
    check_item(item, where)
    for child in item.get('ContentSequence', []):
        what = (child.RelationshipType, child.ValueType)
        name = code(child, 'ConceptNameCodeSequence')
        here = f'{where} > {child.RelationshipType} {child.ValueType} {name}'
        while at < len(rows) and not (rows[at][:2] == what and rows[at][2] in (None, name)):
            if count < rows[at][3][0]:
                bad(f'{where}: {rows[at][:3]} is missing before {here}')
            at, count = at + 1, 0
        if at == len(rows):
            bad(f'{here}: not in the template, or not at this place')
            return
        count += 1
        if count > rows[at][3][1]:
            bad(f'{here}: too often')
        check_tree(child, rows[at][4], here)
    for row in rows[at:]:
        if count < row[3][0]:
            bad(f'{where}: {row[:3]} is missing at the end')
        count = 0


def items(item, name=None, kind=None):
    """All content items below, of a concept and of a value type."""
    for child in item.get('ContentSequence', []):
        if (name is None or code(child, 'ConceptNameCodeSequence') == name) and (kind is None or child.ValueType == kind):
            yield child
        yield from items(child, name, kind)


def only(item, name):
    found = list(items(item, name))
    if len(found) != 1:
        bad(f'{name}: {len(found)} times')
    return found[0] if found else None


def number(item, name):
    found = list(items(item, name))
    return float(found[0].MeasuredValueSequence[0].NumericValue) if found else None


# ---- references
def check_references(sr, sources, seg):
    evidence = {}
    studies = sr.CurrentRequestedProcedureEvidenceSequence
    if len(studies) != 1 or studies[0].StudyInstanceUID != sr.StudyInstanceUID:
        bad('evidence: not just this study')
    for series in studies[0].ReferencedSeriesSequence:
        for ref in series.ReferencedSOPSequence:
            if ref.ReferencedSOPInstanceUID in evidence:
                bad(f'evidence names {ref.ReferencedSOPInstanceUID} twice')
            evidence[ref.ReferencedSOPInstanceUID] = (series.SeriesInstanceUID, ref.ReferencedSOPClassUID)
    files = {d.SOPInstanceUID: (d.SeriesInstanceUID, d.SOPClassUID) for d in sources + ([seg] if seg else [])}
    used = {r.ReferencedSOPInstanceUID: r.ReferencedSOPClassUID for i in items(sr, kind='IMAGE') for r in i.ReferencedSOPSequence}
    for uid, what in evidence.items():
        if files.get(uid) != what:
            bad(f'evidence: {uid} is not such a file')
    if set(used) != set(evidence):
        bad('what the content refers to and the evidence differ')
    wanted = {s.SeriesInstanceUID for s in sources if s.SOPInstanceUID in used}
    missing = [s.SOPInstanceUID for s in sources if s.SeriesInstanceUID in wanted and s.SOPInstanceUID not in used]
    if missing or not wanted:
        bad(f'{len(missing)} source images of {len(wanted)} series are not referred to')


def check_header(sr, sources):
    first = sources[0]
    for keyword in ('PatientID', 'PatientName', 'PatientBirthDate', 'PatientSex', 'StudyInstanceUID', 'StudyDate', 'StudyTime', 'StudyID', 'AccessionNumber'):
        if sr.get(keyword, '') != first.get(keyword, ''):
            bad(f'{keyword} is not the source\'s')
    wanted = {'SOPClassUID': '1.2.840.10008.5.1.4.1.1.88.34', 'Modality': 'SR', 'CompletionFlag': 'COMPLETE', 'VerificationFlag': 'UNVERIFIED', 'ValueType': 'CONTAINER'}
    for keyword, value in wanted.items():
        if sr.get(keyword) != value:
            bad(f'{keyword} is {sr.get(keyword)}')
    if 'VerifyingObserverSequence' in sr:
        bad('verified by somebody')
    if sr.SeriesInstanceUID in {s.SeriesInstanceUID for s in sources}:
        bad('the series of a source')
    for uid in (sr.SOPInstanceUID, sr.SeriesInstanceUID):
        if not pydicom.uid.UID(uid).is_valid:
            bad(f'{uid} is no UID')


# ---- numbers
def masks(seg):
    """Segment number -> frames as (z along the normal in mm, 2-D array)."""
    pixels = np.atleast_3d(seg.pixel_array)
    if seg.NumberOfFrames == 1:
        pixels = seg.pixel_array[np.newaxis]
    shared = seg.SharedFunctionalGroupsSequence[0]
    orientation = [float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient]
    normal = np.cross(orientation[:3], orientation[3:])
    found = {s.SegmentNumber: [] for s in seg.SegmentSequence}
    for frame, groups in zip(pixels, seg.PerFrameFunctionalGroupsSequence):
        z = float(np.dot(normal, [float(v) for v in groups.PlanePositionSequence[0].ImagePositionPatient]))
        found[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber].append((z, frame != 0))
    measures = shared.PixelMeasuresSequence[0]
    return found, [float(measures.SpacingBetweenSlices), float(measures.PixelSpacing[0]), float(measures.PixelSpacing[1])]


def widest(points):
    best = 0.0
    for i in range(0, len(points), 256):
        best = max(best, float((((points[i:i + 256, np.newaxis] - points[np.newaxis]) ** 2).sum(axis=2)).max()))
    return best ** 0.5


def measure(frames, spacing):
    """Volume in ml, largest diameter in a slice, in space: between the middles of the outer faces of voxels."""
    voxels, in_plane, cloud = 0, 0.0, []
    for z, mask in frames:
        r, c = np.nonzero(mask)
        voxels += len(r)
        edge = ~(np.pad(mask, 1)[:-2, 1:-1] & np.pad(mask, 1)[2:, 1:-1] & np.pad(mask, 1)[1:-1, :-2] & np.pad(mask, 1)[1:-1, 2:])[r, c]
        r, c = r[edge], c[edge]
        inside = [np.stack([np.full(len(r), z), (r + dr) * spacing[1], (c + dc) * spacing[2]], axis=1) for dr, dc in ((-.5, 0), (.5, 0), (0, -.5), (0, .5))]
        in_plane = max(in_plane, widest(np.concatenate(inside)))
        cloud += inside + [np.stack([np.full(len(r), z + d * spacing[0]), r * spacing[1], c * spacing[2]], axis=1) for d in (-.5, .5)]
    return voxels * spacing[0] * spacing[1] * spacing[2] / 1000, in_plane, widest(np.concatenate(cloud)) if cloud else 0.0


def about(what, got, wanted, unit):
    if got is None or abs(got - wanted) > 1e-3 + 1e-5 * abs(wanted):
        bad(f'{what}: {got} instead of {wanted:.4f} {unit}')


def check_groups(sr, seg):
    frames, spacing = masks(seg)
    groups = list(items(sr, ('125007', 'DCM')))
    if len(groups) != len(seg.SegmentSequence):
        bad(f'{len(groups)} groups for {len(seg.SegmentSequence)} segments')
    for group, segment in zip(groups, seg.SegmentSequence):
        n = segment.SegmentNumber
        image = only(group, ('121191', 'DCM')).ReferencedSOPSequence[0]
        if image.ReferencedSOPInstanceUID != seg.SOPInstanceUID or image.ReferencedSegmentNumber != n:
            bad(f'group {n} does not refer to segment {n}')
        if only(group, ('112040', 'DCM')).UID != segment.TrackingUID or only(group, ('112039', 'DCM')).TextValue != segment.TrackingID:
            bad(f'group {n} is tracked under another name than segment {n}')
        if code(only(group, ('121071', 'DCM')), 'ConceptCodeSequence') != code(segment, 'SegmentedPropertyTypeCodeSequence'):
            bad(f'group {n} has another finding')
        if only(group, ('121232', 'DCM')).UID not in {s.SeriesInstanceUID for s in seg.ReferencedSeriesSequence}:
            bad(f'group {n}: the series is no source of the SEG')
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        if only(group, ('111001', 'DCM')).TextValue != algorithm.AlgorithmName or only(group, ('111003', 'DCM')).TextValue != algorithm.AlgorithmVersion:
            bad(f'group {n}: another algorithm than the segment\'s')
        ml, axis, diameter = measure(frames[n], spacing)
        about(f'volume {n}', number(group, ('118565006', 'SCT')), ml, 'ml')
        if ml > 0:
            about(f'long axis {n}', number(group, ('103339001', 'SCT')), axis, 'mm')
            about(f'diameter {n}', number(group, ('L0JK', 'IBSI')), diameter, 'mm')


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    sr = pydicom.dcmread(sys.argv[1])
    sources = []
    for folder, _, names in os.walk(sys.argv[2]):
        sources += [pydicom.dcmread(os.path.join(folder, n), stop_before_pixels=True) for n in sorted(names)]
    seg = pydicom.dcmread(sys.argv[3]) if len(sys.argv) == 4 else None
    if code(sr, 'ConceptNameCodeSequence') != ('126000', 'DCM'):
        bad('the title is not Imaging Measurement Report')
    check_header(sr, sources)
    check_tree(sr, root_rows(seg is not None), 'root')
    check_references(sr, sources, seg)
    if seg is not None:
        check_groups(sr, seg)
    elif 'No finding' not in only(sr, ('121106', 'DCM')).TextValue:
        bad('it does not say that nothing was found')
    for line in violations:
        print(line)
    print(f'{len(violations)} violations')
    sys.exit(0 if not violations else 1)


main()
