#!/usr/bin/python3
"""mkhostile.py GOOD.dcm OUT_DIR: what mkseries.py's `files` has not: OUT_DIR/NAME/000.dcm, each another kind of ill will in a sound frame."""
import os
import struct
import sys
import zlib

good, out = open(sys.argv[1], 'rb').read(), sys.argv[2]
start = 144 + struct.unpack('<I', good[140:144])[0]
meta, body = good[:start], good[start:]
numbers = iter(range(1, 1000))


def save(name, data):
    os.makedirs(f'{out}/{name}')
    with open(f'{out}/{name}/000.dcm', 'wb') as f:
        f.write(data)


def short(group, element, vr, value):
    value += (b'\0' if vr == b'UI' else b' ') * (len(value) % 2)
    return struct.pack('<HH2sH', group, element, vr, len(value)) + value


def replace(data, group, element, value, uid=True):
    """The element of the main data set with another value; uid: and an instance UID of its own."""
    key = struct.pack('<HH', group, element)
    at = data.index(key + b'UI') if data.find(key + b'UI') >= 0 else next(data.index(key + vr) for vr in (b'LO', b'PN', b'SH', b'DA', b'US', b'IS') if data.find(key + vr) >= 0)
    vr, n = struct.unpack('<2sH', data[at + 4:at + 8])
    data = data[:at] + short(group, element, vr, value) + data[at + 8 + n:]
    return replace(data, 8, 0x18, b'2.25.%d' % (8000 + next(numbers)), False) if uid else data


def file(data, syntax=b'1.2.840.10008.1.2.1'):
    head = short(2, 2, b'UI', b'1.2.840.10008.5.1.4.1.1.4') + short(2, 3, b'UI', b'2.25.1') + short(2, 0x10, b'UI', syntax)
    return bytes(128) + b'DICM' + struct.pack('<HH2sHI', 2, 0, b'UL', 4, len(head)) + head + data


# ---- preambles that are something else as well
for name, first in (('elf', b'\x7fELF\2\1\1'), ('script', b'#!/bin/sh\nrm -rf /\n'), ('html', b'<html><script>alert(1)</script>'), ('zip', b'PK\3\4')):
    save('preamble-' + name, first.ljust(128, b'\0') + file(replace(body, 8, 0x103E, b'FLAIR'))[128:])

# ---- UIDs that are none
for name, uid in (('dots', b'../../../../etc/passwd'), ('nul', b'2.25.1\0.2'), ('long', b'2.' + b'1' * 63), ('ascii', b'2.25.\xc3\xa4'), ('zero', b'2.25.01'), ('shell', b'2.25.1;id'),
                  ('empty', b''), ('many', b'2.25.1\\2.25.2'), ('format', b'%s%n%n%n')):
    for tag, number in (('instance', 0x18), ('study', 0xD), ('series', 0xE)):
        save(f'uid-{name}-{tag}', file(replace(body, 8 if number == 0x18 else 0x20, number, uid, number != 0x18)))

# ---- lengths
pixels = body.index(struct.pack('<HH2s', 0x7FE0, 0x10, b'OW'))
for name, vr, n in (('4g', b'OW', 0xFFFFFFFE), ('undefined', b'OW', 0xFFFFFFFF), ('private', b'UN', 0xFFFFFFFD), ('text', b'UT', 0xFFFFFFF0)):
    tag = struct.pack('<HH', 0x7FE0, 0x10) if name in ('4g', 'undefined') else struct.pack('<HH', 0x7FDF, 0x1010)
    save('length-' + name, file(body[:pixels] + tag + struct.pack('<2sHI', vr, 0, n) + bytes(400)))
save('endless-items', file(body + struct.pack('<HH2sHI', 0x7FE1, 0x1010, b'SQ', 0, 0xFFFFFFFF) + struct.pack('<HHIHHI', 0xFFFE, 0xE000, 0xFFFFFFFF, 0xFFFE, 0xE00D, 0) * 5000))
save('endless-un', file(body + struct.pack('<HH2sHIHHI', 0x7FE1, 0x1010, b'UN', 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)))
save('rows', file(replace(replace(body, 0x28, 0x10, struct.pack('<H', 65535), False), 0x28, 0x11, struct.pack('<H', 65535))))
save('rows-zero', file(replace(body, 0x28, 0x10, struct.pack('<H', 0))))
save('bits', file(replace(body, 0x28, 0x100, struct.pack('<H', 65535))))

def alone(data):
    """In a study and series of its own, whose UIDs are that of the instance with .1 and .2 behind: its job speaks of nothing else."""
    data = replace(data, 8, 0x103E, b'FLAIR')
    at = data.index(struct.pack('<HH2s', 8, 0x18, b'UI'))
    uid = data[at + 8:at + 8 + struct.unpack('<H', data[at + 6:at + 8])[0]].rstrip(b'\0')
    return replace(replace(data, 0x20, 0xD, uid + b'.1', False), 0x20, 0xE, uid + b'.2', False)


# ---- below the bounds, and yet much: what DCMTK makes of it takes 25 MiB
save('many', file(replace(body, 8, 0x103E, b'FLAIR') + b''.join(short(0x7FE1 + 2 * (k // 50000), 0x1000 + k % 50000, b'LO', b'') for k in range(100000))))

# ---- pixel data longer than stated; garbage of a codec
save('pixels-long', file(alone(body[:pixels]) + struct.pack('<HH2sHI', 0x7FE0, 0x10, b'OW', 0, 1126) + bytes(1126)))
noise = bytes((k * 193 + k // 7) % 256 for k in range(900))
for name, syntax in (('jpeg', b'1.2.840.10008.1.2.4.70'), ('jpegls', b'1.2.840.10008.1.2.4.80'), ('j2k', b'1.2.840.10008.1.2.4.90'), ('rle', b'1.2.840.10008.1.2.5')):
    save('garbage-' + name, file(alone(body[:pixels]) + struct.pack('<HH2sHI', 0x7FE0, 0x10, b'OB', 0, 0xFFFFFFFF) + struct.pack('<HHI', 0xFFFE, 0xE000, 0)
                                 + struct.pack('<HHI', 0xFFFE, 0xE000, len(noise)) + noise + struct.pack('<HHI', 0xFFFE, 0xE0DD, 0), syntax))

# ---- 1000:1: pixels that say they are 8 GiB, and a data set that inflates
immense = replace(replace(alone(body[:pixels]), 0x28, 0x10, struct.pack('<H', 65535), False), 0x28, 0x11, struct.pack('<H', 65535), False)
save('decodes', file(immense + struct.pack('<HH2sHI', 0x7FE0, 0x10, b'OB', 0, 0xFFFFFFFF) + struct.pack('<HHI', 0xFFFE, 0xE000, 0) + struct.pack('<HHI', 0xFFFE, 0xE000, 66)
                     + struct.pack('<16I', 2, 64, 65, *[0] * 13) + b'\x81\0' + struct.pack('<HHI', 0xFFFE, 0xE0DD, 0), b'1.2.840.10008.1.2.5'))
packer = zlib.compressobj(9, zlib.DEFLATED, -15)
data = replace(body[:pixels], 8, 0x103E, b'FLAIR') + struct.pack('<HH2sHI', 0x7FDF, 0x1010, b'OB', 0, 40 << 20) + bytes(40 << 20) + body[pixels:]
save('inflates', file(packer.compress(data) + packer.flush(), b'1.2.840.10008.1.2.1.99'))

# ---- text
for name, value in (('html', b'<script>alert("x")</script>'), ('quotes', b'a" job=1 text="b\'; DROP TABLE jobs;--'), ('lines', b'a\r\n2026-01-31T12:00:00.000Z info forged x=1'),
                    ('escapes', b'\x1b[2J\x1b]0;x\x07\x9b2J'), ('format', b'%n%s%x%n'), ('nul', b'FL\0AIR'), ('latin', b'\xff\xfe\xc3\x28'), ('long', b'x' * 3000)):
    save('text-' + name, file(replace(replace(body, 0x10, 0x10, value, False), 8, 0x103E, value)))
