#!/usr/bin/python3
"""infer_model.py segan|unet WIDTH SLICES DIR: one network with 4 channels and 3 label maps in three forms, weights drawn by seed, running statistics those of its input:
DIR/model (a model folder of ours), DIR/net.onnx (torch.onnx.export), DIR/x.f32 (SLICES, 4, 240, 240). Needs python3-torch."""
import hashlib, json, os, struct, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tools'))
import torch
from torch_reference import Segan, Unet

CHANNELS, LABELS, SIDE = 4, 3, 240


def write_model(folder, m, tensors):
    os.makedirs(folder, exist_ok=True)
    head, blob = {}, b''
    for name, t in tensors.items():
        raw = t.numpy().tobytes()
        head[name] = {'dtype': 'F32', 'shape': list(t.shape), 'data_offsets': [len(blob), len(blob) + len(raw)]}
        blob += raw
    head = json.dumps(head).encode()
    head += b' ' * (-len(head) % 8)
    data = struct.pack('<Q', len(head)) + head + blob
    with open(folder + '/weights.safetensors', 'wb') as f: f.write(data)
    m['weights_sha256'] = hashlib.sha256(data).hexdigest()
    with open(folder + '/model.json', 'w') as f: json.dump(m, f, indent=1)


def main(kind, width, slices, folder):
    torch.manual_seed(1)
    m = json.load(open(os.path.dirname(os.path.abspath(__file__)) + '/../../model/shipped/glioma-flair/0.1.0/model.json'))
    m['channels'] = ['flair', 't1', 't1c', 't2']
    m['network'] = {'kind': kind, 'width': width, 'labels': LABELS, 'skip': 'sum', 'leaky_slope': 0.2, 'bn_eps': 1e-5}
    m['segments'] = [dict(m['segments'][0], number=i + 1, map=i, label='map %d' % i) for i in range(LABELS)]
    net = (Unet if kind == 'unet' else Segan)(CHANNELS, m['network'])
    x = torch.rand(slices, CHANNELS, SIDE, SIDE)
    for t in net.parameters():
        if t.dim() == 1: torch.nn.init.uniform_(t, 0.5, 1.5)
    net.train()
    with torch.no_grad():
        for _ in range(20): net(x[:2])
    net.eval()
    write_model(folder + '/model', m, {'segmentor.' + k: v for k, v in net.state_dict().items() if v.dtype == torch.float32})
    torch.onnx.export(net, x[:1], folder + '/net.onnx', input_names=['x'], output_names=['p'], dynamic_axes={'x': {0: 'n'}, 'p': {0: 'n'}}, opset_version=13)
    x.numpy().tofile(folder + '/x.f32')


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
