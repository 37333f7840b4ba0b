#!/usr/bin/python3
"""Studies for tests/e2e/crash.sh, and its judge, from outside the product.
  crash.py make STUDY OUT N INDEX         OUT/1 .. OUT/N: six slices of STUDY each, with UIDs of their own; OUT/x1 .. OUT/xN: the same as CT, which no rule accepts;
                                          INDEX: a line an instance, "UID FILE"
  crash.py acknowledged LIST INDEX DATA   every UID of LIST has a row, whose digest is that of the data set that was sent, and a file in the spool with just these bytes
  crash.py results JOBS ARCHIVE...        each SOP Instance UID at the archives (folders) has one content, however often it came; every study of JOBS (what
                                          /api/v1/jobs says) has one job that is done, and one more where slices came later; their results are there, nothing else is"""
import collections, glob, hashlib, json, os, sqlite3, struct, sys


def data_set(path):
    """The bytes behind group 2: PS3.10 7.1."""
    raw = open(path, 'rb').read()
    assert raw[128:132] == b'DICM' and raw[132:138] == b'\2\0\0\0UL', path
    return raw[144 + struct.unpack('<L', raw[140:144])[0]:]


def make(study, out, n, index):
    import pydicom
    slices = sorted((pydicom.dcmread(f) for f in glob.glob(study + '/*')), key=lambda d: float(d.ImagePositionPatient[2]))[14:20]
    with open(index, 'w') as lines:
        for kind in ('', 'x'):
            for k in range(1, int(n) + 1):
                folder = os.path.join(out, kind + str(k))
                os.makedirs(folder)
                for i, d in enumerate(slices):
                    root = '2.25.%d%d' % (8 if kind else 7, 100000 + k)
                    d.StudyInstanceUID, d.SeriesInstanceUID, d.SOPInstanceUID = root, root + '.1', '%s.1.%d' % (root, i + 1)
                    d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID
                    d.Modality = 'CT' if kind else 'MR'
                    path = os.path.join(folder, '%d.dcm' % i)
                    d.save_as(path)
                    print(d.SOPInstanceUID, path, file=lines)


def acknowledged(listed, index, data):
    sent = dict(line.split() for line in open(index))
    rows = sqlite3.connect('file:%s/segand.db?mode=ro' % data, uri=True)
    bad = 0
    for uid in sorted(set(open(listed).read().split())):
        name = hashlib.sha256(uid.encode()).hexdigest()
        path = '%s/spool/%s/%s.dcm' % (data, name[:2], name)
        row = rows.execute('SELECT digest, size FROM instances WHERE sop_uid = ?', (uid,)).fetchone()
        wanted = data_set(sent[uid])
        if row is None:
            why = 'no row'
        elif not os.path.exists(path):
            why = 'no file'
        elif data_set(path) != wanted:
            why = 'another content in the spool'
        elif row != (hashlib.sha256(wanted).hexdigest(), os.path.getsize(path)):
            why = 'another digest or size in its row'
        else:
            continue
        print('acknowledged instance', uid, ':', why)
        bad += 1
    return bad


def results(jobs, *archives):
    import pydicom
    bad = 0
    jobs = json.load(open(jobs))
    by_study, known, wanted = collections.defaultdict(list), set(), set()
    for j in jobs:
        by_study[j['study_uid']].append(j)
        known.update(r['series_uid'] for r in j['results'])
    for study, of_study in by_study.items():
        done = sorted((j for j in of_study if j['state'] == 'done'), key=lambda j: j['id'])
        if not done or any(j['state'] not in ('done', 'cancelled') for j in of_study) or len({j['case_version'] for j in done}) != len(done):
            print('study', study, 'has the jobs', [(j['id'], j['case_version'], j['state']) for j in of_study])
            bad += 1
        if done and [r['instances'] for r in done[-1]['results'] if r['kind'] == 'preview'] != [6]:
            print('study', study, ': not all of its slices were segmented')
            bad += 1
        wanted.update((r['kind'], r['series_uid'], r.get('instances', 1)) for j in done for r in j['results'])
    for archive in archives:
        contents, there, stores = collections.defaultdict(set), collections.defaultdict(set), 0
        for path in glob.glob(archive + '/*'):
            d = pydicom.dcmread(path, stop_before_pixels=True)
            contents[d.SOPInstanceUID].add(hashlib.sha256(data_set(path)).hexdigest())
            there[d.SeriesInstanceUID].add(d.SOPInstanceUID)
            stores += 1
        for uid, digests in contents.items():
            if len(digests) != 1:
                print(archive, ': instance', uid, 'has', len(digests), 'contents')
                bad += 1
        kinds = {'seg'} if archive.endswith('stow') else {'seg', 'report', 'preview'}
        for kind, series, n in wanted:
            if kind in kinds and len(there[series]) != n:
                print(archive, ': the', kind, 'of series', series, 'has', len(there[series]), 'instances')
                bad += 1
        for series in there:
            if there[series] and series not in known:
                print(archive, ': series', series, 'is of no job')
                bad += 1
        print('%s: %d stores of %d instances, one content each' % (os.path.basename(archive), stores, len(contents)))
    if not wanted:
        print('no job was done')
    return bad or not wanted


sys.exit(1 if {'make': make, 'acknowledged': acknowledged, 'results': results}[sys.argv[1]](*sys.argv[2:]) else 0)
