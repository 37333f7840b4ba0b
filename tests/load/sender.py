#!/usr/bin/python3
"""One sender of tests/load/load.sh, until SECONDS are over: every PACE seconds a batch of small CT studies that no rule takes, over one association (dcmsend) or as
STOW-RS requests over one connection; every EVERYth batch an MR study that gets a job. Batches that are late are not made up for.
  sender.py dimse|stow NUMBER PORT STUDY SECONDS PACE EVERY LIST
LIST gets a line an instance that was answered with success: UID, digest of its data set. Last line on stdout: batches, instances sent, errors. Exit 1 with errors."""
import glob, hashlib, http.client, io, json, os, struct, subprocess, sys, tempfile, time
import numpy, pydicom

how, number, port, study, seconds, pace, every, listed = sys.argv[1:]
number, port, seconds, pace, every = int(number), int(port), float(seconds), float(pace), int(every)
STUDIES, SLICES, FIXED = 5, 6, '2.25.9%03d%07d'


def template(d, modality, small):
    """The file as bytes, whose UIDs have the length of those that take their place."""
    if small:
        d.PixelData, d.Rows, d.Columns = numpy.ascontiguousarray(d.pixel_array[96:160, 72:136]).tobytes(), 64, 64
    d.Modality = modality
    d.StudyInstanceUID, d.SeriesInstanceUID = FIXED % (999, 0), FIXED % (999, 0) + '.1'
    d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = '%s.1.%d' % (d.StudyInstanceUID, d.InstanceNumber)
    out = io.BytesIO()
    d.save_as(out)
    return out.getvalue()


def load(modality, small):
    slices = sorted((pydicom.dcmread(f) for f in glob.glob(study + '/*')), key=lambda d: float(d.ImagePositionPatient[2]))[14:14 + SLICES]
    for i, d in enumerate(slices):
        d.InstanceNumber = i + 1
    return [template(d, modality, small) for d in slices]


def digest(raw):
    return hashlib.sha256(raw[144 + struct.unpack('<L', raw[140:144])[0]:]).hexdigest()


def batch(k):
    """{UID: bytes}, one study behind the other."""
    made = {}
    for s in range(STUDIES):
        root = FIXED % (number, k * STUDIES + s)
        for i, raw in enumerate(with_job if s == 0 and every and k % every == 0 else without):
            made['%s.1.%d' % (root, i + 1)] = raw.replace((FIXED % (999, 0)).encode(), root.encode())
    return made


def send_dimse(made):
    with tempfile.TemporaryDirectory() as folder:
        for i, raw in enumerate(made.values()):
            with open('%s/%03d.dcm' % (folder, i), 'wb') as f:
                f.write(raw)
        report = folder + '/report'
        subprocess.run(['dcmsend', '-q', '-aec', 'SEGAN', '127.0.0.1', str(port), '+sd', folder, '+sp', '*.dcm', '+crf', report], capture_output=True)
        uid, stored = None, set()
        for line in open(report) if os.path.exists(report) else ():
            if line.startswith('SOP Instance '):
                uid = line.split()[-1]
            elif line.startswith('DIMSE Status') and '0x0000' in line:
                stored.add(uid)
        return stored


connection = None


def send_stow(made):
    global connection
    boundary = b'segan-load'
    body = b''.join(b'--' + boundary + b'\r\nContent-Type: application/dicom\r\n\r\n' + raw + b'\r\n' for raw in made.values()) + b'--' + boundary + b'--\r\n'
    try:
        connection = connection or http.client.HTTPConnection('127.0.0.1', port, timeout=60)
        connection.request('POST', '/dicom-web/studies', body, {'Content-Type': 'multipart/related; type="application/dicom"; boundary=segan-load', 'Accept': 'application/dicom+json'})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise OSError('%d %s' % (answer.status, text[:200]))
        return {item['00081155']['Value'][0] for item in json.loads(text)['00081199']['Value']}
    except (OSError, http.client.HTTPException) as e:
        print('sender', number, ':', e, file=sys.stderr)
        connection = None
        return set()


without, with_job = load('CT', True), load('MR', False)
began, k, n, errors = time.monotonic(), 0, 0, 0
while (now := time.monotonic()) - began < seconds:
    made = batch(k)
    stored = {'dimse': send_dimse, 'stow': send_stow}[how](made)
    with open(listed, 'a') as f:
        for uid in stored:
            f.write('%s %s\n' % (uid, digest(made[uid])))
    errors += len(made) - len(stored)
    n, k = n + len(made), k + 1
    time.sleep(max(0, now + pace - time.monotonic()))
print('batches', k, 'instances', n, 'errors', errors)
sys.exit(errors > 0)
