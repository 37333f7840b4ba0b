#!/usr/bin/python3
"""mkcanary.py SERIES_DIR OUT_DIR SUFFIX: the series as another study (SUFFIX makes new UIDs) in which everything that tells whose it is is a canary: a word with
`Canary` in it, or a date or number that nothing else has. What to look for is printed, a pattern a line."""
import os
import sys

import pydicom

source, out, suffix = sys.argv[1:4]
NAMES = ('PatientName OtherPatientNames PatientBirthName PatientMotherBirthName ReferringPhysicianName PerformingPhysicianName OperatorsName RequestingPhysician '
         'PhysiciansOfRecord NameOfPhysiciansReadingStudy ResponsiblePerson').split()
TEXTS = ('PatientID IssuerOfPatientID OtherPatientIDs AccessionNumber StudyID MedicalRecordLocator PatientAddress PatientTelephoneNumbers PatientComments '
         'AdditionalPatientHistory PatientInsurancePlanCodeSequence EthnicGroup Occupation MilitaryRank BranchOfService CountryOfResidence RegionOfResidence AdmissionID '
         'CurrentPatientLocation RequestedProcedureID InstitutionAddress').split()
DATES = dict(PatientBirthDate='19370219', LastMenstrualDate='19370220')

os.makedirs(out, exist_ok=True)
for i, file in enumerate(sorted(os.listdir(source))):
    ds = pydicom.dcmread(os.path.join(source, file))
    for keyword in ('StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID'):
        setattr(ds, keyword, getattr(ds, keyword) + '.' + suffix)
    for keyword in NAMES:
        setattr(ds, keyword, 'Canary%s^Given' % keyword[:12])
    for keyword in TEXTS:
        if not keyword.endswith('Sequence'):
            setattr(ds, keyword, 'Canary' + keyword[:9])
    for keyword, value in DATES.items():
        setattr(ds, keyword, value)
    ds.PatientAge, ds.PatientBirthTime = '089Y', '031859.265358'
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as('%s/%04d.dcm' % (out, i), write_like_original=False)
print('Canary', *DATES.values(), '089Y', '031859[.]26', sep='\n')
