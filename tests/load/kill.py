#!/usr/bin/python3
"""SIGKILL under load, from outside: for tests/load/kill.sh.
  kill.py DIR CONFIG STUDY POINTS SEED keep|retain
Starts SEGAND with CONFIG, to which ports, destinations and, for "retain", a small retention.max_mb are added; Orthanc (with storage commitment), storescp and a STOW archive;
six senders. POINTS times, after a random while, it kills the daemon, its worker, both, the daemon's process group, the daemon again during its start, an orderly
stop in the middle, a sender, or an archive, now and then while a person cancels or retries a job. Then all comes to rest and kill_judge.py looks at what is left."""
import collections, glob, json, os, random, re, signal, socket, sqlite3, subprocess, sys, threading, time, urllib.request
import kill_judge

HERE = os.path.dirname(os.path.abspath(__file__))
WAYS = {'daemon': 24, 'both': 12, 'worker': 10, 'group': 10, 'twice': 12, 'stop': 8, 'person': 8, 'sender': 5, 'archive': 11}
READY_S, SETTLE_S = 60, 180
SLICES, FIXED = 6, '2.25.9%03d%07d'     # as kill_sender.py


def make_templates(study, out):
    """SLICES files that get a job, and as many small ones that no rule takes: whatever takes the place of the UIDs is as long."""
    import numpy, pydicom
    slices = sorted((pydicom.dcmread(f) for f in glob.glob(study + '/*')), key=lambda d: float(d.ImagePositionPatient[2]))[14:14 + SLICES]
    for kind in ('job', 'none'):
        for i, d in enumerate(slices):
            if kind == 'none':
                d.PixelData, d.Rows, d.Columns, d.Modality = numpy.ascontiguousarray(d.pixel_array[96:160, 72:136]).tobytes(), 64, 64, 'CT'
            d.StudyInstanceUID = FIXED % (999, 0)
            d.SeriesInstanceUID, d.SOPInstanceUID, d.InstanceNumber = d.StudyInstanceUID + '.1', '%s.1.%d' % (d.StudyInstanceUID, i + 1), i + 1
            d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID
            d.save_as('%s/%s.%d' % (out, kind, i))


class Run:
    def __init__(self, directory, config, study, points, seed, profile):
        self.dir, self.points, self.seed, self.profile = directory, int(points), seed, profile
        self.rng, self.count, self.faults = random.Random(seed), collections.Counter(), []
        self.asked, self.cancelled = collections.defaultdict(list), []     # by the person: studies, jobs whose cancel was answered
        self.data, self.log, self.config = directory + '/data', directory + '/segand.log', directory + '/segand.json'
        self.archives, self.senders, self.timers, self.node, self.began = {}, {}, [], None, time.time()
        for name in ('templates', 'orthanc', 'plain', 'stow'):
            os.mkdir('%s/%s' % (directory, name))
        make_templates(study, directory + '/templates')
        self.configure(json.load(open(config)))

    def free_port(self):
        while True:
            port = self.rng.randint(20000, 32000)
            try:
                with socket.socket() as s:
                    s.bind(('127.0.0.1', port))
                return port
            except OSError:
                pass

    def configure(self, s):
        p = self.ports = {n: self.free_port() for n in ('dicom', 'http', 'orthanc', 'orthanc_http', 'plain', 'stow')}
        json.dump(dict(p, seed=self.seed, pace=0.6, jobs=0.08), open(self.dir + '/node.json', 'w'))
        s['data_dir'], s['dicom']['port'], s['http']['port'] = self.data, p['dicom'], p['http']
        s['destinations'] = {
            'orthanc': {'type': 'dimse', 'aet': 'ORTHANC', 'host': '127.0.0.1', 'port': p['orthanc'], 'timeout': 10, 'commitment': True, 'results': ['seg', 'report']},
            'plain': {'type': 'dimse', 'aet': 'PLAIN', 'host': '127.0.0.1', 'port': p['plain'], 'timeout': 10, 'results': ['seg']},
            'stow': {'type': 'stow', 'url': 'http://127.0.0.1:%d/dicom-web' % p['stow'], 'timeout': 10, 'results': ['seg', 'report']}}
        s['models'] = [{'name': 'glioma-flair@0.1.0', 'destinations': sorted(s['destinations'])}]
        s['retention']['max_mb'] = 6 if self.profile == 'retain' else 0
        json.dump(s, open(self.config, 'w'))
        json.dump({'StorageDirectory': self.dir + '/orthanc', 'IndexDirectory': self.dir + '/orthanc', 'DicomAet': 'ORTHANC', 'DicomPort': p['orthanc'],
                   'HttpPort': p['orthanc_http'], 'RemoteAccessAllowed': False, 'AuthenticationEnabled': False, 'Plugins': [],
                   'DicomModalities': {'node': {'AET': 'SEGAN', 'Host': '127.0.0.1', 'Port': p['dicom'], 'AllowStorageCommitment': True}}}, open(self.dir + '/orthanc.json', 'w'))

    def say(self, *words):
        print('%6.0f s ' % (time.time() - self.began), *words, flush=True)

    def fault(self, *words):
        self.faults.append(' '.join(str(w) for w in words))
        self.say('FAULT:', *words)

    # ---- processes, each a group of its own

    def spawn(self, log, *command):
        with open(log, 'ab') as out:
            return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)

    def start_archive(self, name):
        commands = {'orthanc': ('Orthanc', self.dir + '/orthanc.json'), 'stow': ('/usr/bin/python3', HERE + '/kill_archive.py', self.dir + '/stow', str(self.ports['stow'])),
                    'plain': ('storescp', '--bit-preserving', '-od', self.dir + '/plain', '-aet', 'PLAIN', '+uf', str(self.ports['plain']))}
        self.archives[name] = self.spawn('%s/%s.log' % (self.dir, name), *commands[name])

    def start_sender(self, number):
        how = ('dimse', 'stow', 'dcmsend')[number % 3]
        self.senders[number] = self.spawn('%s/sender.%d.log' % (self.dir, number), '/usr/bin/python3', HERE + '/kill_sender.py', self.dir, str(number), how)

    def log_from(self, at):
        with open(self.log, 'rb') as f:
            f.seek(at)
            return f.read().decode(errors='replace')

    def start(self, waits=True):
        at, began = os.path.getsize(self.log) if os.path.exists(self.log) else 0, time.time()
        self.node = self.spawn(self.log, os.environ['SEGAND'], '--config', self.config)
        self.count['starts'] += 1
        while waits and '\nready ' not in '\n' + self.log_from(at):
            if self.node.poll() is not None or time.time() - began > READY_S:
                raise SystemExit('FAULT: the node does not start (status %s): %s' % (self.node.poll(), self.log_from(at)[-600:]))
            time.sleep(0.01)

    def workers(self):
        try:
            return [int(p) for t in os.listdir('/proc/%d/task' % self.node.pid) for p in open('/proc/%d/task/%s/children' % (self.node.pid, t)).read().split()]
        except OSError:
            return []

    @staticmethod
    def kill(pid, kill=os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def end(self):
        for t in self.timers:
            t.cancel()
        for p in [self.node, *self.archives.values(), *self.senders.values()]:
            if p is not None and p.poll() is None:
                self.kill(p.pid, os.killpg)

    # ---- strikes

    def strike(self):
        if self.node.poll() is not None:
            self.fault('the node has ended by itself with', self.node.returncode)
            self.start()
        way = self.rng.choices(*zip(*WAYS.items()))[0]
        self.count[way] += 1
        if way == 'worker':
            for p in self.workers():
                self.kill(p)
        elif way == 'archive':
            name, away_s = self.rng.choice(sorted(self.archives)), self.rng.random() * 4
            if self.archives[name].poll() is None:     # else it is away already
                self.kill(self.archives[name].pid, os.killpg)
                self.archives[name].wait()
                self.timers.append(threading.Timer(away_s, self.start_archive, (name,)))
                self.timers[-1].start()
        elif way == 'sender':
            number = self.rng.choice(sorted(self.senders))
            if self.senders[number].poll() is None:
                self.kill(self.senders[number].pid, os.killpg)
                self.senders[number].wait()
                self.start_sender(number)
        else:
            self.strike_node(way)

    def strike_node(self, way):
        if way == 'person':
            self.interfere()
        if way == 'stop':
            self.node.terminate()
            time.sleep(self.rng.random() ** 2)
        for again in range(self.rng.randint(2, 3) if way == 'twice' or (way == 'stop' and self.rng.random() < 0.5) else 1):
            if again:
                self.start(False)
                time.sleep(self.rng.random() ** 2 * 0.5)
            workers = self.workers() if way == 'both' else []
            self.kill(self.node.pid, os.killpg if way == 'group' else os.kill)
            for p in workers:
                self.kill(p)
            self.node.wait()
        self.start()

    def interfere(self):
        """Asks on a thread of its own, so that the kill comes in the middle."""
        def ask():
            try:
                job = self.rng.choice(self.get('/api/v1/jobs?limit=20')['jobs'])
                what = 'cancel' if job['state'] in ('receiving', 'queued', 'running', 'delivering') else 'retry'
                self.asked[what].append(job['study_uid'])
                urllib.request.urlopen(urllib.request.Request('http://127.0.0.1:%d/api/v1/jobs/%d/%s' % (self.ports['http'], job['id'], what), method='POST'), timeout=20).read()
                if what == 'cancel':
                    self.cancelled.append(job['id'])
            except (OSError, ValueError, IndexError):
                pass
        threading.Thread(target=ask).start()
        time.sleep(self.rng.random() * 0.05)

    # ---- from outside

    def get(self, path, port='http'):
        return json.load(urllib.request.urlopen('http://127.0.0.1:%d%s' % (self.ports[port], path), timeout=20))

    def db(self, sql):
        c = sqlite3.connect('file:%s/segand.db?mode=ro' % self.data, uri=True, timeout=20)
        try:
            return c.execute(sql).fetchall()
        finally:
            c.close()

    def unsettled(self):
        return (self.db("SELECT 'job', id, state, study_uid FROM jobs WHERE state IN ('receiving', 'queued', 'running', 'delivering')") +
                self.db("SELECT 'series', series_uid, state, reason FROM series WHERE state IN ('open', 'waiting')") +
                self.db("SELECT 'delivery', id, state, last_error FROM deliveries WHERE state IN ('waiting', 'sending')") +
                self.db("SELECT 'commitment', job, c.attempts FROM commitments c JOIN deliveries d ON d.id = c.delivery JOIN jobs ON jobs.id = job"
                        " WHERE open AND jobs.state <> 'cancelled'") +
                self.db("SELECT 'association', id, peer_aet FROM associations WHERE state = 'open'") + self.db('SELECT * FROM contributions') + self.db('SELECT * FROM leftovers'))

    def rest(self):
        open(self.dir + '/stop', 'w').close()
        for t in self.timers:
            t.join()
        for number, p in self.senders.items():
            if p.wait(60) != 0:
                self.fault('sender', number, 'gave up:', open('%s/sender.%d.log' % (self.dir, number)).read()[-300:])
        until = time.time() + SETTLE_S
        while (left := self.unsettled()) and time.time() < until:
            time.sleep(0.3)
        for row in left[:20]:
            self.fault('stuck:', *row)

    def run(self):
        for name in ('orthanc', 'plain', 'stow'):
            self.start_archive(name)
        self.start()
        for number in range(6):
            self.start_sender(number)
        for point in range(1, self.points + 1):
            time.sleep(self.rng.random() ** 2 * 3)
            self.strike()
            if point % 25 == 0:
                self.say(point, 'points,', sum(len(open(f).readlines()) for f in glob.glob(self.dir + '/sent.*')), 'acknowledged, jobs', dict(self.db('SELECT state, count(*) FROM jobs GROUP BY 1')))
        self.rest()
        kill_judge.judge(self)
        print('%d points, seed %s, %s: %d faults. %s' % (self.points, self.seed, self.profile, len(self.faults), ', '.join('%s %d' % c for c in sorted(self.count.items()))))
        return 1 if self.faults else 0


r = Run(*sys.argv[1:])
try:
    status = r.run()
finally:
    r.end()
sys.exit(status)
