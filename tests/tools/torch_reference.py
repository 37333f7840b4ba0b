#!/usr/bin/python3
"""torch_reference.py MODEL_DIR FLAIR.nii.gz MASK.nii.gz: the shipped network and its preprocessing in PyTorch and numpy, written apart from the C program.
Prints the Dice against the mask. Needs python3-torch, python3-nibabel. Axial volumes on the model's own spacing only (the LGG files)."""
import json, struct, sys
import nibabel as nib, numpy as np, torch, torch.nn.functional as F


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


def segmentor(x, w, eps, slope):
    def bn(t, name): return F.batch_norm(t, w[name + '.running_mean'], w[name + '.running_var'], w[name + '.weight'], w[name + '.bias'], False, 0, eps)
    skips = []
    for i in range(1, 5):
        p = 'segmentor.enc%d' % i
        x = F.conv2d(x, w[p + '.conv.weight'], w.get(p + '.conv.bias'), 2, 1)
        x = F.leaky_relu(x if i == 1 else bn(x, p + '.bn'), slope)
        skips.append(x)
    for i in (3, 2, 1):
        p = 'segmentor.dec%d' % i
        x = F.relu(bn(F.conv2d(F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False), w[p + '.conv.weight'], None, 1, 1), p + '.bn')) + skips[i - 1]
    return torch.sigmoid(F.conv2d(F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False), w['segmentor.out.conv.weight'], w['segmentor.out.conv.bias'], 1, 1))


def masks(folder, flair, mask):
    """Ours and the truth, (slice, row, column) in LPS."""
    m, w = load(folder)
    img = nib.as_closest_canonical(nib.load(flair))
    lps = lambda a: a[::-1, ::-1].transpose(2, 1, 0)       # RAS (i, j, k) -> (slice, row, column) in LPS
    v, air = prepare(lps(img.get_fdata(dtype=np.float32)).astype(np.float64), m['input']['normalisation'])
    truth = lps(nib.as_closest_canonical(nib.load(mask)).get_fdata()) > 0.5
    n, h, c = v.shape
    pad = [(-c) % 16, (-h) % 16]
    x = torch.from_numpy(np.pad(v, ((0, 0), (0, pad[1]), (0, pad[0])), constant_values=air).astype(np.float32))[:, None]
    with torch.no_grad():
        p = segmentor(x, w, m['network']['bn_eps'], m['network']['leaky_slope'])[:, 0, :h, :c].numpy()
    return p >= m['segments'][0]['threshold'], truth


def main(folder, flair, mask):
    ours, truth = masks(folder, flair, mask)
    print('%.4f' % (2 * (ours & truth).sum() / max(1, ours.sum() + truth.sum())))


if __name__ == '__main__':
    if len(sys.argv) != 4: sys.exit(__doc__)
    main(*sys.argv[1:])
