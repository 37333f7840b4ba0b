#!/usr/bin/python3
# Every call of segand and its worker that changes the disk fails once with ENOSPC and once with EIO, a run each: two small studies come by C-STORE and STOW-RS,
# are segmented and delivered, the node stops and starts again. After each: what was acknowledged is on disk byte for byte, both results are at the archive once
# and are right, nothing crashed or hung, and nobody had to restart the node (but where its very start was refused, with the reason).
# Then storms: every such call fails for a moment, at random times (ENOSPC, EIO, and EROFS for a disk that became read-only); and a disk whose syncs are slow.
#   faults.py WORK BUILD STUDY [POINTS [SEED]]     POINTS 0: all of them, and ten storms in place of two
import glob, hashlib, http.client, json, mmap, os, random, re, shutil, sqlite3, struct, subprocess, sys, threading, time
import pydicom

work, build, study = (os.path.abspath(p) for p in sys.argv[1:4])
wanted = int(sys.argv[4]) if len(sys.argv) > 4 else 0
seed = int(sys.argv[5]) if len(sys.argv) > 5 else random.randrange(1 << 30)
LANES, PATIENCE_S, ERRORS = 2, 90, {'ENOSPC': 28, 'EIO': 5, 'EROFS': 30}
CONTROL = '<Qiiii4x'  # struct control of fault.c
MUST = r'< queue\b'  # was found by this test: a settled series whose job was never queued
BOUNDARY = 'segan-faults'


class Wrong(Exception):
    pass


def dataset_of(path):  # the bytes behind the file meta information
    b = open(path, 'rb').read()
    return b[144 + struct.unpack('<I', b[140:144])[0]:]


def dicom_files(folder):
    return sorted(glob.glob(os.path.join(folder, '*')))


def another(to, suffix):  # a copy that is another study
    os.makedirs(to)
    for f in dicom_files(study):
        ds = pydicom.dcmread(f)
        for k in ('StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID'):
            setattr(ds, k, getattr(ds, k)[:60] + suffix)
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.save_as(os.path.join(to, os.path.basename(f)))
    return to


class Lane:
    """One node at a time in a folder of its own, with an archive beside it."""

    def __init__(self, i):
        self.dir = os.path.join(work, 'lane%d' % i)
        os.makedirs(self.dir)
        self.archive = os.path.join(self.dir, 'archive')
        os.makedirs(self.archive)
        self.port = self.start_archive()
        self.control = os.path.join(self.dir, 'control')
        open(self.control, 'wb').write(bytes(struct.calcsize(CONTROL)))
        self.map = mmap.mmap(os.open(self.control, os.O_RDWR), struct.calcsize(CONTROL))
        self.node, self.stormy = None, False

    def start_archive(self):
        while True:
            port = random.randrange(20000, 32000)
            self.storescp = subprocess.Popen(['storescp', '--bit-preserving', '-od', self.archive, '-aet', 'ARCHIVE', str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while self.storescp.poll() is None:
                if subprocess.run(['echoscu', '-q', '-aec', 'ARCHIVE', '127.0.0.1', str(port)], stderr=subprocess.DEVNULL).returncode == 0:
                    return port

    def close(self):
        if self.node is not None and self.node.poll() is None:
            self.node.kill()
            self.node.wait()
        self.storescp.terminate()
        self.storescp.wait()

    # ---- the node

    def config(self):
        s = json.loads(subprocess.run([build + '/segand', '--config', 'config/segand.json', '--check'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout)
        self.data = os.path.join(self.dir, 'data')
        s.update(data_dir=self.data, models_dir=os.environ['SEGAN_MODELS'], disk_reserve_mb=0, series_complete_trigger=1, series_interrupted_trigger=2, retry_delay=1,
                 retry_max=2, max_attempts=5, models=[{'name': 'glioma-flair@0.1.0', 'destinations': ['archive']}],
                 destinations={'archive': {'type': 'dimse', 'aet': 'ARCHIVE', 'host': '127.0.0.1', 'port': self.port, 'timeout': 10}})
        s['dicom'].update(bind='127.0.0.1', port=0, accept_unknown_peers=True)
        s['http'].update(port=0)
        json.dump(s, open(os.path.join(self.dir, 'segand.json'), 'w'))

    def launch(self, env):
        self.log = os.path.join(self.dir, 'node.log')
        at = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, 'ab') as log:
            self.node = subprocess.Popen([build + '/segand', '--config', os.path.join(self.dir, 'segand.json')], stdout=log, stderr=log, env=dict(os.environ, **env))
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            ended = self.node.poll()
            text = open(self.log, errors='replace').read()[at:]
            ready = re.search(r'^ready http=(\S+):(\d+) dicom=(\d+)$', text, re.M)
            if ready:
                self.http, self.dicom = int(ready.group(2)), int(ready.group(3))
                return True
            if ended is not None:
                if ended not in (1, 2) or not re.search('start_failed|segand: ', text):
                    raise Wrong('the start ended with status %d and said: %s' % (ended, text[-300:]))
                return False
            time.sleep(0.02)
        raise Wrong('the node did not become ready')

    def start(self, env):
        for _ in range(3):
            if self.launch(env):
                return
        raise Wrong('the node does not start, though the fault is over')

    def alive(self):
        if self.node.poll() is not None:
            raise Wrong('the node ended with status %d' % self.node.returncode)

    def stop(self):
        self.alive()
        self.node.terminate()
        try:
            status = self.node.wait(10)
        except subprocess.TimeoutExpired:
            raise Wrong('the node does not stop')
        if status != 0:
            raise Wrong('the node stopped with status %d' % status)

    def ask(self, path):
        c = http.client.HTTPConnection('127.0.0.1', self.http, timeout=30)
        try:
            c.request('GET', path)
            r = c.getresponse()
            return r.status, json.loads(r.read())
        finally:
            c.close()

    # ---- the senders: again until all is acknowledged, as a modality would

    def c_store(self, folder):
        report = os.path.join(self.dir, 'report')
        if os.path.exists(report):
            os.unlink(report)
        subprocess.run(['dcmsend', '-q', '-aec', 'SEGAN', '-to', '10', '-ta', '10', '-td', '20', '127.0.0.1', str(self.dicom), '+sd', folder, '+crf', report],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        uid, got = None, set()
        for line in open(report, errors='replace') if os.path.exists(report) else ():
            if line.startswith('SOP Instance'):
                uid = line.split()[-1]
            elif line.startswith('DIMSE Status') and '0x0000' in line:
                got.add(uid)
        return got

    def stow(self, folder):
        body = b''.join(b'--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n' % (BOUNDARY.encode(), open(f, 'rb').read()) for f in dicom_files(folder))
        c = http.client.HTTPConnection('127.0.0.1', self.http, timeout=30)
        try:
            c.request('POST', '/dicom-web/studies', body + b'--%s--\r\n' % BOUNDARY.encode(),
                      {'Content-Type': 'multipart/related; type="application/dicom"; boundary=' + BOUNDARY, 'Accept': 'application/dicom+json'})
            r = c.getresponse()
            answer = r.read()
        except (OSError, http.client.HTTPException):
            return set()
        finally:
            c.close()
        if r.status not in (200, 202):
            return set()
        return {i['00081155']['Value'][0] for i in json.loads(answer).get('00081199', {}).get('Value', [])}

    def send(self, how, folder):
        uids = {pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID: f for f in dicom_files(folder)}
        acknowledged = set()
        end, tries = time.monotonic() + PATIENCE_S, 0
        while tries < 6 or (self.stormy and time.monotonic() < end):
            tries += 1
            acknowledged |= how(folder)
            self.alive()
            for uid in acknowledged:
                self.check_spool(uid, uids[uid])
            if acknowledged == set(uids):
                return
        raise Wrong('%d of %d instances are not taken, though the fault is over' % (len(uids) - len(acknowledged), len(uids)))

    def check_spool(self, uid, sent):
        name = hashlib.sha256(uid.encode()).hexdigest()
        path = os.path.join(self.data, 'spool', name[:2], name + '.dcm')
        if not os.path.exists(path):
            raise Wrong('acknowledged instance %s has no file' % uid)
        if dataset_of(path) != dataset_of(sent):
            raise Wrong('acknowledged instance %s has other bytes' % uid)

    # ---- what came of it

    def wait_jobs(self):
        end = time.monotonic() + PATIENCE_S
        states = None
        while time.monotonic() < end:
            self.alive()
            status, answer = self.ask('/api/v1/jobs')
            jobs = answer.get('jobs', [])
            states = sorted(j['state'] for j in jobs)
            if states == ['done', 'done']:
                return jobs
            if 'failed' in states or 'rejected' in states:
                raise Wrong('jobs ended as %s: %s' % (states, [j['reason'] for j in jobs]))
            time.sleep(0.05)
        raise Wrong('jobs after %d s: %s' % (PATIENCE_S, states))

    def judge(self, jobs):
        db = sqlite3.connect('file:%s/segand.db?mode=ro' % self.data, uri=True)
        if db.execute('pragma integrity_check').fetchone()[0] != 'ok':
            raise Wrong('integrity_check')
        db.close()
        for where in (self.a, self.b):
            for f in dicom_files(where):
                self.check_spool(pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID, f)
        found = [pydicom.dcmread(f) for f in glob.glob(self.archive + '/*')]
        if len({d.SOPInstanceUID for d in found}) != 2 or len({d.StudyInstanceUID for d in found}) != 2:
            raise Wrong('%d objects of %d studies at the archive' % (len(found), len({d.StudyInstanceUID for d in found})))
        result = sorted((j['finding'], j['segments'][0]['volume_ml']) for j in jobs), sorted(hashlib.sha256(d.PixelData).hexdigest() for d in found)
        crash = re.search(r'^.*(SIG[A-Z]+|[Aa]ssert|signal [0-9]).*$', open(self.log, errors='replace').read(), re.M)
        if crash:
            raise Wrong('the log has: ' + crash.group(0)[:300])
        return result

    def run(self, env):
        for path in (os.path.join(self.dir, 'data'), os.path.join(self.dir, 'node.log')):
            shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.path.exists(path) and os.unlink(path)
        for f in glob.glob(self.archive + '/*'):
            os.unlink(f)
        self.config()
        env = dict(env, LD_PRELOAD=build + '/tests/fault.so', FAULT_DIR=self.data)
        try:
            self.start(env)
            if self.stormy:
                self.when_ready.start()
            self.send(self.c_store, self.a)
            self.send(self.stow, self.b)
            self.wait_jobs()
            if self.stormy:
                self.when_ready.join()
            self.stop()
            self.start(env)
            jobs = self.wait_jobs()
            self.stop()
            return self.judge(jobs)
        finally:
            if self.node.poll() is None:
                self.node.kill()
                self.node.wait()

    def point(self, place, error):
        struct.pack_into(CONTROL, self.map, 0, int(place, 16), ERRORS[error], 1, 0, 0)
        result = self.run({'FAULT_CONTROL': self.control})
        return struct.unpack_from(CONTROL, self.map, 0)[3], result

    def storm(self, error, rng, sync_ms=0):
        """Four moments of up to a second in which all of the disk fails, from when the node is ready."""
        struct.pack_into(CONTROL, self.map, 0, 0, ERRORS[error], 0, 0, sync_ms)
        over = threading.Event()

        def weather():
            for _ in range(0 if sync_ms else 4):
                over.wait(rng.random())
                struct.pack_into('<i', self.map, 12, 1)
                over.wait(rng.random())
                struct.pack_into('<i', self.map, 12, 0)

        self.when_ready, self.stormy = threading.Thread(target=weather), True
        try:
            return self.run({'FAULT_CONTROL': self.control})
        finally:
            over.set()
            self.stormy = False
            struct.pack_into(CONTROL, self.map, 0, 0, 0, 0, 0, 0)


def record(lane):
    places = {}
    results = []
    for i in range(2):  # what a run reaches differs a little
        path = os.path.join(work, 'places%d' % i)
        results.append(lane.run({'FAULT_RECORD': path}))
        for line in open(path):
            hash_, call, *stack = line.split()
            places[hash_] = (call, stack)
    return places, results[0]


def name_of(stack, depth=5):
    out = []
    for frame in stack:
        module, offset = frame.rsplit('+', 1)
        if module in ('segand', 'exe'):
            r = subprocess.run(['addr2line', '-fse', build + '/segand', hex(int(offset, 16) - 1)], stdout=subprocess.PIPE, text=True).stdout.split()
            out.append(r[0] if r else frame)
        elif module != 'fault.so' and (not out or out[-1] != module.split('.')[0]):
            out.append(module.split('.')[0])
        if len(out) == depth:
            break
    return ' < '.join(out)


lanes = [Lane(i) for i in range(LANES)]
a, b = another(os.path.join(work, 'a'), '.1'), another(os.path.join(work, 'b'), '.2')
for lane in lanes:
    lane.a, lane.b = a, b
bad, missed, done = [], [], 0
lock = threading.Lock()
try:
    places, expected = record(lanes[0])
    points = [(p, e) for p in sorted(places) for e in ('ENOSPC', 'EIO')]
    rng = random.Random(seed)
    rng.shuffle(points)
    total = len(points)
    if wanted > 0:
        must = next(((p, e) for p, e in points if places[p][0] == 'fdatasync' and re.search(MUST, name_of(places[p][1]))), points[0])
        points = [must] + [p for p in points if p != must][:wanted - 1]
    storms = [('storm', e) for e in (['ENOSPC', 'EIO', 'EROFS'] * 3 if wanted == 0 else [rng.choice(['ENOSPC', 'EIO', 'EROFS'])])] + [('slow', 'EIO')]
    points += storms
    n_points = len(points)
    print('%d places, %d of %d points, %d storms, seed %d' % (len(places), len(points) - len(storms), total, len(storms), seed), flush=True)

    def work_on(lane):
        global done
        while True:
            with lock:
                if not points:
                    return
                place, error = points.pop()
            began, what = time.monotonic(), None
            try:
                if place in ('storm', 'slow'):
                    failed, result = 1, lane.storm(error, random.Random(rng.random()), 40 if place == 'slow' else 0)
                else:
                    failed, result = lane.point(place, error)
                if failed == 0:
                    what = 'not reached'
                elif result != expected:
                    raise Wrong('other results: %s instead of %s' % (result, expected))
            except Wrong as e:
                what = str(e)
                shutil.copy(lane.log, os.path.join(work, 'failed-%s-%s.log' % (place, error)))
            except Exception as e:
                what = 'harness: %r' % e
            with lock:
                done += 1
                call, stack = places.get(place, ('of every call', []))
                line = '%s %s %s %s (%.1f s)' % (place, error, call, name_of(stack), time.monotonic() - began)
                if what == 'not reached':
                    missed.append(line)
                elif what is not None:
                    bad.append('%s: %s' % (line, what))
                    print('FAILED ' + bad[-1], flush=True)
                if os.environ.get('VERBOSE'):
                    print(what or 'ok', line, flush=True)

    threads = [threading.Thread(target=work_on, args=(lane,)) for lane in lanes]
    [t.start() for t in threads]
    [t.join() for t in threads]
finally:
    for lane in lanes:
        lane.close()
print('%d points: %d failed, %d not reached this time' % (done, len(bad), len(missed)))
sys.exit(bool(bad) or done != n_points or len(missed) * 4 > done)
