#!/usr/bin/python3
"""torch_reference.py MODEL_DIR FLAIR.nii.gz MASK.nii.gz: the shipped network and its preprocessing in PyTorch and numpy, written apart from the C program.
Prints the Dice against the mask. Needs python3-torch, python3-nibabel. Axial volumes only."""
import json, struct, sys
import numpy as np, torch, torch.nn.functional as F
from torch import nn


def load(folder):
    m = json.load(open(folder + '/model.json'))
    raw = open(folder + '/weights.safetensors', 'rb').read()
    n = struct.unpack('<Q', raw[:8])[0]
    head = json.loads(raw[8:8 + n])
    w = {}
    for k, v in head.items():
        if k != '__metadata__':
            a, b = v['data_offsets']
            w[k] = torch.from_numpy(np.frombuffer(raw[8 + n + a:8 + n + b], '<f4').reshape(v['shape']).copy())
    return m, w


def prepare(v, norm):
    v = v - np.percentile(v, norm['floor_percentile'])
    head = v[v > norm['head_over'][0] * np.percentile(v, norm['head_over'][1])]
    low, high = np.percentile(head, norm['low_percentile']), np.percentile(head, norm['high_percentile'])
    return np.clip((v - low) / (high - low), *norm['clip']), float(np.clip((0 - low) / (high - low), *norm['clip']))


def up2(x): return F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)


def level(**layers):
    m = nn.Module()
    for name, layer in layers.items(): setattr(m, name, layer)
    return m


class Segan(nn.Module):
    def __init__(self, c, net):
        super().__init__()
        w, labels, self.slope, self.concat = net['width'], net['labels'], net['leaky_slope'], net['skip'] == 'concat'
        bn = lambda n: nn.BatchNorm2d(n, eps=net['bn_eps'])
        self.enc1 = level(conv=nn.Conv2d(c, w, 4, 2, 1))
        for i in (2, 3, 4): setattr(self, 'enc%d' % i, level(conv=nn.Conv2d(w << i - 2, w << i - 1, 4, 2, 1, bias=False), bn=bn(w << i - 1)))
        for i in (3, 2, 1): setattr(self, 'dec%d' % i, level(conv=nn.Conv2d((w << i) * (2 if self.concat and i < 3 else 1), w << i - 1, 3, 1, 1, bias=False), bn=bn(w << i - 1)))
        self.out = level(conv=nn.Conv2d(2 * w if self.concat else w, labels, 3, 1, 1))

    def forward(self, x):
        skips = []
        for i in (1, 2, 3, 4):
            m = getattr(self, 'enc%d' % i)
            x = m.conv(x)
            x = F.leaky_relu(m.bn(x) if i > 1 else x, self.slope)
            skips.append(x)
        for i in (3, 2, 1):
            m = getattr(self, 'dec%d' % i)
            x = F.relu(m.bn(m.conv(up2(x))))
            x = torch.cat([skips[i - 1], x], 1) if self.concat else x + skips[i - 1]
        return torch.sigmoid(self.out.conv(up2(x)))


class Unet(nn.Module):
    def __init__(self, c, net):
        super().__init__()
        w, bn = net['width'], lambda n: nn.BatchNorm2d(n, eps=net['bn_eps'])
        two = lambda a, b, **more: level(conv1=nn.Conv2d(a, b, 3, 1, 1, bias=False), bn1=bn(b), conv2=nn.Conv2d(b, b, 3, 1, 1, bias=False), bn2=bn(b), **more)
        for i in (1, 2, 3, 4):
            setattr(self, 'down%d' % i, two(c if i == 1 else w << i - 2, w << i - 1))
            setattr(self, 'up%d' % i, two(w << i, w << i - 1, conv=nn.ConvTranspose2d(w << i, w << i - 1, 2, 2)))
        self.middle = two(w << 3, w << 4)
        self.out = level(conv=nn.Conv2d(w, net['labels'], 1))

    def forward(self, x):
        both = lambda m, t: F.relu(m.bn2(m.conv2(F.relu(m.bn1(m.conv1(t))))))
        skips = []
        for i in (1, 2, 3, 4):
            x = both(getattr(self, 'down%d' % i), x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = both(self.middle, x)
        for i in (4, 3, 2, 1):
            m = getattr(self, 'up%d' % i)
            x = both(m, torch.cat([m.conv(x), skips[i - 1]], 1))      # SEGAN.md: encoder after the upsampled
        return torch.sigmoid(self.out.conv(x))


def network(m, w):
    """The segmentor with the weights loaded by name."""
    holder = nn.Module()
    holder.segmentor = {'segan': Segan, 'unet': Unet}[m['network']['kind']](len(m['channels']) * (1 + 2 * m['input'].get('neighbours', 0)), {'skip': 'sum', 'leaky_slope': 0.2, 'bn_eps': 1e-5, **m['network']})
    missing = holder.load_state_dict({k: v for k, v in w.items() if k.startswith('segmentor.')}, strict=False)
    assert not missing.unexpected_keys and all(k.endswith('.num_batches_tracked') for k in missing.missing_keys), missing
    return holder.segmentor.eval()


def pieces(mask):
    """Voxels of each 26-connected piece."""
    left, found = set(map(tuple, np.argwhere(mask))), []
    while left:
        piece = [left.pop()]
        for s, r, c in piece:                                  # grows while it is walked
            near = {(s + i, r + j, c + k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)} & left
            left -= near
            piece += near
        found.append(piece)
    return found


def probability(m, w, v, mm):
    """The first map over a volume (slice, row, column) in LPS whose pixels are mm (down, right) apart."""
    v, air = prepare(v.astype(np.float64), m['input']['normalisation'])
    n, h, c = v.shape
    size = [int(np.floor(k * d / m['input']['spacing_mm'] + 0.5)) for k, d in zip((h, c), mm)]
    x = torch.from_numpy(v.astype(np.float32))[:, None]
    if size != [h, c]: x = F.interpolate(x, size=size, mode='bilinear', align_corners=False)
    x = F.pad(x, (0, -size[1] % 16, 0, -size[0] % 16), value=air)
    k, reach = np.arange(n), m['input'].get('neighbours', 0)
    x = torch.cat([x[np.clip(k + d, 0, n - 1)] for d in range(-reach, reach + 1)], 1)    # slices beside, the last one again at the edge
    with torch.no_grad():
        net = network(m, w)
        p = net(x)
        if m['input'].get('mirror'): p = (p + net(x.flip(3)).flip(3)) / 2
        p = p[:, :1, :size[0], :size[1]]
        if size != [h, c]: p = F.interpolate(p, size=(h, c), mode='bilinear', align_corners=False)
    return p[:, 0].numpy()


def mask_of(m, p, voxel_ml):
    segment, ours = m['segments'][0], p >= m['segments'][0]['threshold']
    peak = segment.get('peak', 0)
    if segment['minimum_ml'] > 0 or peak > 0:
        for piece in pieces(ours):
            at = tuple(np.array(piece).T)
            if len(piece) * voxel_ml < segment['minimum_ml'] or p[at].max() < peak: ours[at] = False
    return ours


def masks(folder, flair, mask):
    """Ours and the truth, (slice, row, column) in LPS."""
    import nibabel as nib
    m, w = load(folder)
    img = nib.as_closest_canonical(nib.load(flair))
    lps = lambda a: a[::-1, ::-1].transpose(2, 1, 0)       # RAS (i, j, k) -> (slice, row, column) in LPS
    mm = [float(d) for d in img.header.get_zooms()[:3]]
    ours = mask_of(m, probability(m, w, lps(img.get_fdata(dtype=np.float32)), (mm[1], mm[0])), np.prod(mm) / 1000)
    return ours, lps(nib.as_closest_canonical(nib.load(mask)).get_fdata()) > 0.5


def main(folder, flair, mask):
    ours, truth = masks(folder, flair, mask)
    print('%.4f' % (2 * (ours & truth).sum() / max(1, ours.sum() + truth.sum())))


if __name__ == '__main__':
    if len(sys.argv) != 4: sys.exit(__doc__)
    main(*sys.argv[1:])
