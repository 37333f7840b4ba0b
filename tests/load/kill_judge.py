"""What tests/load/kill.py looks at when all has come to rest: senders' lists, spool, database, archives and audit trail must tell one story."""
import collections, glob, hashlib, io, json, os, time, urllib.request

STORED, TRANSFERRED, BEGUN, DELETED = "event = 110104 AND action = 'C'", "event = 110104 AND action = 'R'", 'event = 110102', 'event = 110105'
NOTHING = {                             # each must give 0 or nothing
    'series whose count is wrong': 'SELECT count(*) FROM series s WHERE n_instances <> (SELECT count(*) FROM instances i WHERE i.series_uid = s.series_uid)',
    'foreign keys': 'SELECT count(*) FROM pragma_foreign_key_check',
    'tally of bytes': "SELECT n - (SELECT coalesce(sum(size), 0) FROM instances) - (SELECT coalesce(sum(bytes), 0) FROM jobs) FROM tallies WHERE name = 'bytes'",
    'tally of instances': "SELECT n - (SELECT count(*) FROM instances) FROM tallies WHERE name = 'instances'",
    'tally of studies': "SELECT n - (SELECT count(DISTINCT study_uid) FROM series) FROM tallies WHERE name = 'studies'",
    'tallies of jobs': "SELECT sum(abs(n - (SELECT count(*) FROM jobs WHERE 'jobs.' || state = name))) FROM tallies WHERE name GLOB 'jobs.*'",
    'integrity': "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
}
ENDED = 'SELECT id, state, attempt, results, reason, finished_ms FROM jobs ORDER BY id'


def digest(raw):
    return hashlib.sha256(raw[144 + int.from_bytes(raw[140:144], 'little'):]).hexdigest()


def read(path):
    with open(path, 'rb') as f:
        return f.read()


class Found:
    """What was sent, and what is here."""
    def __init__(self, r):
        self.sent, self.kinds = {}, {}   # UID: when it was sent for the last time, digest, study; study: job|none
        for path in glob.glob(r.dir + '/sent.*'):
            for line in open(path):
                began, _, uid, what, study, kind = line.split()
                self.kinds[study] = kind
                self.sent[uid] = max((float(began) * 1000, what, study), self.sent.get(uid, (0,)))
        self.rows = {uid: rest for uid, *rest in r.db('SELECT sop_uid, digest, size, study_uid, received_ms FROM instances')}
        self.removed = dict(r.db('SELECT study_uid, max(time_ms) FROM audit WHERE %s GROUP BY 1' % DELETED))
        self.here = collections.defaultdict(set)
        for uid, (_, _, study, _) in self.rows.items():
            self.here[study].add(uid)
        names = {uid: hashlib.sha256(uid.encode()).hexdigest() for uid in self.rows}
        self.paths = {uid: '%s/spool/%s/%s.dcm' % (r.data, name[:2], name) for uid, name in names.items()}
        self.orphans = set(glob.glob(r.data + '/spool/*/*')) - set(self.paths.values())


def judge_instances(r, f):
    gone = 0
    for uid, (began, what, study) in f.sent.items():
        if uid in f.rows and f.rows[uid][0] != what:
            r.fault('another digest in the row of', uid)
        elif uid not in f.rows and f.removed.get(study, 0) >= began:
            gone += 1
        elif uid not in f.rows:
            r.fault('acknowledged and lost:', uid, f.kinds[study])
    for uid, (what, size, study, received) in f.rows.items():
        if not os.path.exists(f.paths[uid]):
            r.fault('a row without its file:', uid)
        elif os.path.getsize(f.paths[uid]) != size or digest(read(f.paths[uid])) != what:
            r.fault('row and file differ:', uid)
        if received < f.removed.get(study, 0):
            r.fault('left by retention:', uid)
    r.say('%d instances acknowledged, %d here, %d removed by retention, %d files without a row' % (len(f.sent), len(f.rows), gone, len(f.orphans)))


def judge_jobs(r, f):
    """Each study that wants one has one job, another for each time it grew or somebody asked; the last one read all that is here."""
    inputs, of_study, states = collections.defaultdict(set), collections.defaultdict(list), {}
    for job, uid in r.db('SELECT job, sop_uid FROM job_inputs'):
        inputs[job].add(uid)
    for job, state, study, run, reason in r.db('SELECT id, state, study_uid, run, reason FROM jobs ORDER BY id'):
        of_study[study].append((job, state, run, reason))
        states[job] = state
    for study, jobs in of_study.items():
        retries = r.asked['retry'].count(study)
        for (a, state, run, _), (b, after, run_after, _) in zip(jobs, jobs[1:]):
            if state not in ('done', 'cancelled') or inputs[a] < inputs[b]:
                continue
            if run_after > run and retries > 0:
                retries -= 1
            elif after == 'done':
                r.fault('jobs', a, 'and', b, 'of', study, 'read the same')
        job, state, _, reason = jobs[-1]
        if state != 'done' and not (state == 'cancelled' and study in r.asked['cancel']):
            r.fault('job', job, 'of', study, 'is', state, ':', reason)
        elif state == 'done' and study not in f.removed and inputs[job] != f.here[study]:
            r.fault('job', job, 'of', study, 'read', len(inputs[job]), 'of', len(f.here[study]), 'instances')
        if f.kinds.get(study) == 'none':
            r.fault('a job of a study that wants none:', study)
    for study, kind in f.kinds.items():
        if kind == 'job' and study not in of_study:
            r.fault('no job of', study)
    if 'done' not in states.values():
        r.fault('no job was done')
    for job in r.cancelled:
        if states[job] != 'cancelled':
            r.fault('job', job, ', whose cancel was answered, is', states[job])
    r.say('%d jobs of %d studies, at most %d attempts' % (len(states), len(of_study), r.db('SELECT coalesce(max(attempt), 0) FROM jobs')[0][0]))


def at_archives(r):
    """{archive: {SOP Instance UID: {digest: how often}}}"""
    import pydicom
    there = {name: collections.defaultdict(collections.Counter) for name in r.archives}
    for i in r.get('/instances', 'orthanc_http'):
        raw = urllib.request.urlopen('http://127.0.0.1:%d/instances/%s/file' % (r.ports['orthanc_http'], i)).read()
        there['orthanc'][pydicom.dcmread(io.BytesIO(raw)).SOPInstanceUID][digest(raw)] += 1
    for path in glob.glob(r.dir + '/stow/*'):
        if not path.endswith('.part'):
            there['stow'][os.path.basename(path).split('-')[0]][digest(read(path))] += 1
    for path in glob.glob(r.dir + '/plain/*'):
        raw = read(path)
        try:
            there['plain'][pydicom.dcmread(io.BytesIO(raw)).SOPInstanceUID][digest(raw)] += 1
        except Exception:                # storescp was killed while it wrote
            r.count['files cut off at storescp'] += 1
    return there


def judge_archives(r):
    there, wanted, may = at_archives(r), collections.defaultdict(set), collections.defaultdict(set)
    for job, state, results, removed in r.db("SELECT id, state, results, removed_ms FROM jobs WHERE results IS NOT NULL"):
        for result in json.loads(results):
            kept = '%s/results/%d/%s.dcm' % (r.data, job, result['kind'])
            if not removed and not os.path.exists(kept):
                r.fault('the', result['kind'], 'of job', job, 'is not here')
            for name in r.archives:
                if name == 'plain' and result['kind'] != 'seg':
                    continue
                (wanted if state == 'done' else may)[name].add(result['sop_instance_uid'])
                if not removed and state == 'done' and there[name][result['sop_instance_uid']].keys() != {digest(read(kept))}:
                    r.fault(name, 'has', dict(there[name][result['sop_instance_uid']]), 'as the', result['kind'], 'of job', job)
    for name, objects in there.items():
        for uid in wanted[name] | set(objects):
            if uid in wanted[name] and len(objects[uid]) != 1:
                r.fault(name, 'has', len(objects[uid]), 'contents of', uid)
            elif objects[uid] and uid not in wanted[name] | may[name]:
                r.fault(name, 'has an object of no job:', uid)
        r.say('%s: %d objects wanted, %d there, %d stores' % (name, len(wanted[name]), len(objects), sum(sum(c.values()) for c in objects.values())))
    for destination, state, n in r.db("SELECT destination, d.state, count(*) FROM deliveries d JOIN jobs ON jobs.id = job WHERE jobs.state = 'done' GROUP BY 1, 2"):
        if state != ('committed' if destination == 'orthanc' else 'delivered'):
            r.fault(n, 'deliveries to', destination, 'are', state)


def judge_trail(r, f):
    came, went = collections.Counter(), collections.Counter()
    number = lambda objects: sum(o['instances'] for o in json.loads(objects or '[]'))
    for study, objects in r.db('SELECT study_uid, objects FROM audit WHERE %s' % STORED):
        came[study] += number(objects)
    for study in set(f.here) | set(came):
        if came[study] < len(f.here[study]) or (study not in f.removed and came[study] != len(f.here[study])):
            r.fault('by the trail', came[study], 'instances of', study, 'came, here are', len(f.here[study]))
    for job, destination, objects in r.db('SELECT job, destination, objects FROM audit WHERE outcome = 0 AND %s' % TRANSFERRED):
        went[job, destination] += number(objects)
    begun = {(job, destination): n for job, destination, n in r.db('SELECT job, destination, count(*) FROM audit WHERE %s GROUP BY 1, 2' % BEGUN)}
    for job, destination, results in r.db("SELECT job, destination, results FROM deliveries d JOIN jobs ON jobs.id = job WHERE jobs.state = 'done'"):
        n = sum(destination != 'plain' or result['kind'] == 'seg' for result in json.loads(results))
        if went[job, destination] != n or begun.get((job, destination)) != 1:
            r.fault('by the trail', went[job, destination], 'of', n, 'objects of job', job, 'went to', destination, 'in', begun.get((job, destination)), 'deliveries')


def judge_rest(r):
    for what, sql in NOTHING.items():
        if r.db(sql)[0][0]:
            r.fault(what, ':', r.db(sql)[0][0])
    kept = {str(job) for job, in r.db('SELECT id FROM jobs WHERE removed_ms = 0')}
    left = [d for d in os.listdir(r.data + '/results') if d not in kept] + os.listdir(r.data + '/tmp') + os.listdir(r.data + '/work')
    if left:
        r.fault('left behind:', left[:10])


def stop(r):
    r.node.terminate()
    if r.node.wait(30) != 0:
        r.fault('stopped with status', r.node.returncode)


def judge(r):
    f = Found(r)
    judge_instances(r, f)
    judge_jobs(r, f)
    judge_archives(r)
    judge_trail(r, f)
    before = r.db(ENDED)
    stop(r)
    judge_rest(r)
    for path in f.orphans | set(f.paths.values()):     # as if all of it were old: what no row names goes, and only that
        if os.path.exists(path):
            os.utime(path, (time.time() - 20 * 86400,) * 2)
    r.start()
    until = time.time() + 20
    while (left := [path for path in f.orphans if os.path.exists(path)]) and time.time() < until:
        time.sleep(0.2)
    if left:
        r.fault('files without rows stay:', left[:3])
    after = Found(r)
    judge_instances(r, after)
    if r.profile == 'keep' and (r.db(ENDED) != before or after.rows.keys() != f.rows.keys()):
        r.fault('a start changes what has ended')
    stop(r)
