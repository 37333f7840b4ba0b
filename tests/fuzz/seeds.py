#!/usr/bin/python3
"""seeds.py: makes the first inputs of every fuzz target in tests/fuzz/corpus/TARGET, of the tests' own generators and encoders. What a target found is in
the same folders, under a name that begins with `found-`; those stay as they are."""
import glob
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

import pydicom
from pydicom.encaps import generate_pixel_data_fragment
from pydicom.filebase import DicomBytesIO

here = os.path.dirname(os.path.abspath(__file__))
top = os.path.dirname(os.path.dirname(here))
tools = top + '/tests/tools/'
work = tempfile.mkdtemp()
NEXT = b'\n--next--\n'


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def seed(target, name, *parts):
    folder = f'{here}/corpus/{target}'
    os.makedirs(folder, exist_ok=True)
    with open(f'{folder}/{name}', 'wb') as f:
        f.write(NEXT.join(p if isinstance(p, bytes) else p.encode() for p in parts))


def read(path):
    with open(path, 'rb') as f:
        return f.read()


for folder in glob.glob(here + '/corpus/*'):
    for file in glob.glob(folder + '/*'):
        if not os.path.basename(file).startswith('found-'):
            os.remove(file)
run(sys.executable, tools + 'mkseries.py', work)
run(sys.executable, tools + 'mkseries.py', work + '/two', 'two')


def made(name):
    return [read(f) for f in sorted(glob.glob(f'{work}/{name}/*.dcm'))]


# ---- DICOM
for name in ('good', 'implicit', 'bigendian', 'deflated', 'rle', 'enhanced', 'e_one', 'sr', 'private', 'japanese', 'badutf8', 'shallow', 'overlap', 'endless', 'uidnul', 'polyglot', 'tail',
             'frames', 'e_agent'):
    seed('dicom', name, made(name)[0])
    if name in ('good', 'enhanced', 'e_agent', 'private'):
        seed('rules', name, made(name)[0])
seed('rules', 'own', '{"patterns": {"a": "fl.ir"}, "rules": [{"name": "r", "channel": "flair", "where": {"SeriesDescription": "${a}|t2", "EchoTime": [80, null], '
     '"any": [{"ImageType": "ORIGINAL"}, {"Plane": "axial"}]}, "not": {"0018,0010": "x"}}, {"name": "s", "channel": null, "where": {"Modality": "MR"}}]}', made('e_agent')[0])
for name in ('ct', 'mono1signed', 'rescaled', 'padding', 'eight', 'gap', 'e_echo', 'e_one', 'e_twostacks', 'implicit'):
    seed('series', name, *made(name)[:3])
seed('series', 'slices', *made('plain')[:3])
seed('series', 'parts', *made('e_parts'))

# ---- SEG: of three slices of `plain`
source, mask = work + '/source', work + '/mask'
os.makedirs(source)
for i in range(3):
    shutil.copy(f'{work}/plain/{i:03d}.dcm', source)
with open(mask, 'wb') as f:
    f.write(bytes(int(k % 5 == 0 or k % 7 == 1) for k in range(2 * 3 * 7 * 9)))
for name, options in (('binary', []), ('fractional', ['--kind', 'fractional']), ('rle', ['--kind', 'fractional', '--rle']), ('deflated', ['--deflated']), ('implicit', ['--implicit']),
                      ('labelmap16', ['--kind', 'labelmap16']), ('padded', ['--padded'])):
    run(sys.executable, tools + 'mkseg.py', f'{work}/{name}.seg', source, mask, *options)
    seed('seg', name, read(f'{work}/{name}.seg'))

# ---- codecs: [syntax][rows - 1][columns - 1][flags: 1 one fragment, 2 eight bits, 4 signed, 8 two frames]
def fragment(path):
    pixels = DicomBytesIO(pydicom.dcmread(path).PixelData)
    pixels.is_little_endian = True
    return [f for f in generate_pixel_data_fragment(pixels) if f][-1]  # what is not the offset table


def coded(name, which, flags, tool, *options, of='plain'):
    out = f'{work}/{name}.dcm'
    run(tool, *options, f'{work}/{of}/000.dcm', out)
    seed('codecs', name, bytes([which, 6, 8, flags | 1]) + fragment(out))


coded('rle', 1, 0, 'dcmcrle')
coded('jpeg-baseline', 2, 2, 'dcmcjpeg', '+eb', of='eight')
coded('jpeg-extended', 3, 0, 'dcmcjpeg', '+ee')
coded('jpeg-lossless', 4, 0, 'dcmcjpeg', '+el')
coded('jpeg-lossless-sv1', 5, 0, 'dcmcjpeg', '+e1')
coded('jpegls', 6, 0, 'dcmcjpls')
coded('jpegls-near', 7, 0, 'dcmcjpls', '+en')
with open(work + '/a.pgm', 'wb') as f:
    f.write(b'P5\n9 7\n4095\n' + bytes(b for k in range(63) for b in divmod(k * 61 % 4096, 256)))
for which, name, options in ((8, 'j2k', []), (9, 'j2k-lossy', ['-I', '-r', '4'])):
    run('opj_compress', '-n', '2', '-i', work + '/a.pgm', '-o', f'{work}/{name}.j2k', *options)
    seed('codecs', name, bytes([which, 6, 8, 1]) + read(f'{work}/{name}.j2k'))
item = lambda b: b'\xfe\xff\x00\xe0' + struct.pack('<I', len(b)) + b
frame = struct.pack('<16I', 2, 64, 75, *[0] * 13) + bytes([256 - 62, 1]) * 1 + bytes([0, 0]) * 4 + b'\0' + bytes([256 - 62, 7]) + b'\0'
seed('codecs', 'two-frames', bytes([1, 6, 8, 8]) + item(struct.pack('<II', 0, 8 + len(frame))) + item(frame) + item(frame) + b'\xfe\xff\xdd\xe0\0\0\0\0')
deflated = made('deflated')[0]
seed('codecs', 'deflated', bytes([0, 6, 8, 0]) + deflated[132 + 12 + struct.unpack('<I', deflated[140:144])[0]:])

# ---- numbers
weights = json.dumps({'__metadata__': {'format': 'pt'}, 'b': {'dtype': 'F32', 'shape': [2, 2], 'data_offsets': [8, 24]}, 'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]}}).encode()
seed('weights', 'two', struct.pack('<Q', len(weights)) + weights + struct.pack('<6f', 1, 2, 3, 4, 5, 6.5))
one = b'{"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}'
seed('weights', 'scalar', struct.pack('<Q', len(one)) + one + struct.pack('<f', -1))
for version in ('0.1.0', '1.0.0'):
    model = json.loads(read(f'{top}/model/shipped/glioma-flair/{version}/model.json'))
    for key in ('training', 'evaluation'):
        model.pop(key, None)
    seed('manifest', version, json.dumps(model, indent=1)[:16384])
model = json.loads(read(top + '/model/shipped/glioma-regions/1.0.0/model.json'))
seed('manifest', 'regions', json.dumps({k: v for k, v in model.items() if k not in ('training', 'evaluation', 'statistics')}))


def dataset(name, cases):
    h = hashlib.sha256()
    text = lambda t: h.update(t.encode() + b'\0')
    number = lambda v: text('%.17g' % v)
    text('segan data set'), number(1), text('flair'), number(1)
    out, files = [], []
    for i in range(cases):
        voxels = struct.pack('<8f', *[v + i for v in range(8)]) + bytes([0, 1] * 4)
        c = {'name': 'case %d' % i, 'study_uid': '1.2.%d' % i, 'patient': hashlib.sha256(b'%d' % i).hexdigest(), 'label_sop_uid': '', 'algorithm_type': '', 'creator': '',
             'digest': hashlib.sha256(voxels).hexdigest()}
        for v in c.values():
            text(v)
        c['split'] = ('train', 'test')[i % 2]
        text(c['split'])
        grid = {'size': [2, 2, 2], 'spacing_mm': [5, 1, 1], 'origin_mm': [0, 0.5, -3], 'row_dir': [1, 0, 0], 'col_dir': [0, 1, 0]}
        for values in grid.values():
            for v in values:
                number(v)
        out.append({**c, 'grid': grid})
        files.append(voxels)
    for t in ('x', 'no truth'):
        text(t)
    seed('dataset', name, json.dumps({'version': 1, 'channels': ['flair'], 'segments': 1, 'cases': out, 'left_out': [{'what': 'x', 'reason': 'no truth'}], 'digest': h.hexdigest()}), *files)


dataset('one', 1)
dataset('two', 2)

# ---- text
seed('settings', 'example', '''{"data_dir": "/d", // comment
 "dicom": {"aet": "A", "port": 0, "peers": {"MR1": {"aet": "MR1", "host": "10.0.0.7", "port": 104}}, "accept_unknown_peers": true},
 "http": {"bind": "127.0.0.1", "port": 8080, "tokens_file": null}, /* more */
 "patterns": {"own": "blue ?dye|[+]c"}, "models": [{"name": "glioma-flair@1.0.0", "destinations": ["pacs", "cloud"], "results": ["seg", "report"], "out_of_distribution": "reject"}],
 "destinations": {"pacs": {"type": "dimse", "aet": "P", "host": "h", "port": 104, "seg_syntax": "rle"}, "cloud": {"type": "stow", "url": "https://a.example/dicom-web", "results": ["labelmap"]}, "back": {"type": "sender"}},
 "archives": {"a": {"type": "folder", "path": "/a"}, "b": {"type": "dicomweb", "url": "http://b"}},
 "retention": {"days": 0, "max_mb": 7}, "workers": 2, "log_level": "debug"}''')
seed('settings', 'rules', '{"rules": [{"name": "r", "channel": "flair", "where": {"SeriesDescription": "^(flair|dark.?fluid)$", "EchoTime": [80, null], "any": [{"ImageType": "M"}, '
     '{"all": {"Modality": "MR"}}]}, "not": {"ImageType": "LOCALIZER"}, "fallback": true, "registered": true}]}')
seed('json', 'all', '{"a": [1, -2.5e-3, true, false, null, "\\u00e4\\ud83d\\ude00\\n\\"\\\\"], "b": {"c": {}}, "": [[], [[1]]], "\\u0041": 9007199254740993}')
seed('json', 'comments', '// line\n{"a": /* block */ 1,\n "b": ["x" // end\n]}')
seed('json', 'number', '-0.0')
seed('multipart', 'two', 'multipart/related; type="application/dicom"; boundary=b-1\n--b-1\r\nContent-Type: application/dicom\r\nContent-Transfer-Encoding: binary\r\n\r\nDICM\r\n--b\r\n-\r\n'
     '--b-1\r\n\r\n\r\n--b-1--\r\nepilogue')
seed('multipart', 'preamble', 'Multipart/Related; boundary="a b"\npreamble\r\n\r\n--a b  \r\ncontent-type:Text/Plain; x=y\r\n folded\r\n\r\n\x00\xff\r\n--a b--')
seed('http', 'job', 'GET\n/api/v1/jobs/42\na%20b+c\napplication/json;q=0.5, */*;q=0.1\nmultipart/related; type="application/dicom"; boundary=x\nlocalhost:8080\nhttp://localhost:8080\n42\n2026-01-31T12:00:00.123Z')
seed('http', 'study', 'POST\n/dicom-web/studies/1.2.840.10008%2e1\n%F0%9F%98%80\napplication/*\nmultipart/related; boundary="a\\"b"\n[::1]:80\nnull\n1-20,41\n2024-02-29t00:00:00+01:30')
seed('http', 'dots', 'DELETE\n/api/v1/%2e%2e/%2F..//jobs?x=1\n%00%zz%\n;q=,,\n/\n127.0.0.1.evil.example\nhttps://127.0.0.1\n99999999999999999999\n9999-99-99')
token = lambda name, role: '{"name": "%s", "role": "%s", "sha256": "%s", "created": "2026-01-31T12:00:00.123Z"}' % (name, role, hashlib.sha256(name.encode()).hexdigest())
seed('tokens', 'two', '{"tokens": [%s, %s]}' % (token('a', 'admin'), token('b.c-d_1', 'viewer')))
seed('tokens', 'same', '{"tokens": [%s, %s]}' % (token('a', 'operator'), token('a', 'viewer')))
seed('log', 'text', 'a\n2026-01-31T12:00:00.000Z info forged x=1" job=2 \\ \x1b[2J\x7f \u009b \u00e4 %n %s')
seed('log', 'even', 'x y="z"\\')
seed('worker', 'order', '{"job":42,"attempt":3,"created_ms":1770000000123,"threads":2,"cpu_seconds":1200,"model_dir":"/m","out_dir":"/o","identity":"n|1","node_id":"0123",'
     '"channels":[{"channel":"flair","files":["/a b.dcm","/\\u00e4"]},{"channel":"t1c","files":["/c"],"frames":["1-20,41"],"registered":true}],"results":["seg","preview"],"empty_report":true,"rejects_strangers":true}')
seed('worker', 'progress', '{"progress":0.5}')
seed('worker', 'error', '{"error":{"code":"input","text":"no","flags":{"out_of_distribution":"grain"}}}')
seed('worker', 'result', '{"result":{"present":true,"flags":{"a":"b"},"segments":[{"number":1,"label":"x","volume_ml":1.5}],"results":[{"kind":"seg","frames":2}],"timings":{"read":1}}}')
shutil.rmtree(work)
