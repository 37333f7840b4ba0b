#!/usr/bin/python3
"""One training step of SegAN in PyTorch a line read from stdin: prints its seconds. usage: train_torch.py segan|unet WIDTH BATCH CHANNELS LABELS SIDE THREADS
Written as one writes it in PyTorch: modules, autograd, torch.optim. Needs python3-torch."""
import sys, time
import torch, torch.nn as nn, torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, i, o, kernel, stride, norm, slope):
        super().__init__()
        self.conv = nn.Conv2d(i, o, kernel, stride, 1, bias=not norm)
        self.bn = nn.BatchNorm2d(o) if norm else nn.Identity()
        self.slope = slope

    def forward(self, x):
        return F.leaky_relu(self.bn(self.conv(x)), self.slope) if self.slope else F.relu(self.bn(self.conv(x)))


class SegAN(nn.Module):
    def __init__(self, channels, labels, w):
        super().__init__()
        self.enc = nn.ModuleList([Block(channels if i == 0 else w << (i - 1), w << i, 4, 2, i > 0, 0.2) for i in range(4)])
        self.dec = nn.ModuleList([Block(w << (i + 1), w << i, 3, 1, True, 0) for i in (2, 1, 0)])
        self.out = nn.Conv2d(w, labels, 3, 1, 1)

    def forward(self, x):
        up = lambda t: F.interpolate(t, scale_factor=2, mode='bilinear', align_corners=False)
        skips = []
        for b in self.enc:
            x = b(x)
            skips.append(x)
        for b, s in zip(self.dec, (skips[2], skips[1], skips[0])):
            x = b(up(x)) + s
        return torch.sigmoid(self.out(up(x)))


class UNet(nn.Module):
    def __init__(self, channels, labels, w):
        super().__init__()
        two = lambda i, o: nn.Sequential(Block(i, o, 3, 1, True, 0), Block(o, o, 3, 1, True, 0))
        self.down = nn.ModuleList([two(channels if i == 0 else w << (i - 1), w << i) for i in range(4)])
        self.middle = two(w << 3, w << 4)
        self.up = nn.ModuleList([nn.ConvTranspose2d(w << (i + 1), w << i, 2, 2) for i in (3, 2, 1, 0)])
        self.level = nn.ModuleList([two(w << (i + 1), w << i) for i in (3, 2, 1, 0)])
        self.out = nn.Conv2d(w, labels, 1)

    def forward(self, x):
        skips = []
        for b in self.down:
            x = b(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.middle(x)
        for u, b, s in zip(self.up, self.level, reversed(skips)):
            x = b(torch.cat([u(x), s], 1))
        return torch.sigmoid(self.out(x))


class Critic(nn.Module):
    def __init__(self, i, w):
        super().__init__()
        self.enc = nn.ModuleList([Block(i if k == 0 else w << (k - 1), w << k, 4, 2, k > 0, 0.2) for k in range(3)])

    def forward(self, x):
        f = [x]
        for b in self.enc:
            f.append(b(f[-1]))
        return f


def main(kind, width, batch, channels, labels, side, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    s = (UNet if kind == 'unet' else SegAN)(channels, labels, width)
    c = Critic(channels * labels, width)
    so, co = (torch.optim.RMSprop(m.parameters(), lr=2e-5) for m in (s, c))
    x, y = torch.rand(batch, channels, side, side), (torch.rand(batch, labels, side, side) < 0.1).float()
    masked = lambda m: torch.cat([x * m[:, k:k + 1] for k in range(labels)], 1)
    loss = lambda p: sum((a - b).abs().mean() for a, b in zip(c(masked(p)), c(masked(y)))) / 4
    for _ in sys.stdin:
        began = time.perf_counter()
        co.zero_grad()
        (-loss(s(x).detach())).backward()
        co.step()
        with torch.no_grad():
            for p in c.parameters():
                p.clamp_(-0.05, 0.05)
        so.zero_grad()
        p = s(x)
        t, q, r = ((a * b).sum((2, 3)) for a, b in ((p, y), (p, p), (y, y)))
        (loss(p) + 1 - ((2 * t + 1e-6) / (q + r + 1e-6)).mean()).backward()
        so.step()
        print('%.6f' % (time.perf_counter() - began), flush=True)


main(sys.argv[1], *map(int, sys.argv[2:]))
