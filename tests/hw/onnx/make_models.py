#!/usr/bin/env python3
"""Writes the ONNX files beside it, which tests/hw/onnx_test.c reads: networks as exporters write them, without
weights (every initializer says that its data is in another file, which is not there).

Run it in this folder after a change: python3 make_models.py. It needs nothing but Python; the encoding of
protobuf is a few lines here, so that the reader is not tested with its own schema. The networks are
written down once more, from their papers and torchvision's and transformers' code, in the operators that
PyTorch's exporter uses: a mistake in the zoo (hw/zoo_*.c) or in the reader shows as a difference."""

import struct

FLOAT, INT64 = 1, 7


def varint(x):
    x &= (1 << 64) - 1
    out = b""
    while x > 127:
        out += bytes([x & 127 | 128])
        x >>= 7
    return out + bytes([x])


def number(field, x):
    return varint(field << 3) + varint(x)


def chunk(field, data):
    if isinstance(data, str):
        data = data.encode()
    return varint(field << 3 | 2) + varint(len(data)) + data


def tensor(name, dims, kind, raw=None):
    out = b"".join(number(1, d) for d in dims) + number(2, kind) + chunk(8, name)
    if raw is None:  # external data: a file that is not there
        return out + chunk(13, chunk(1, "location") + chunk(2, "weights.bin")) + number(14, 1)
    return out + chunk(9, raw)


def attribute(name, value):
    out = chunk(1, name)
    if isinstance(value, float):
        return out + varint(2 << 3 | 5) + struct.pack("<f", value) + number(20, 1)
    if isinstance(value, int):
        return out + number(3, value) + number(20, 2)
    if isinstance(value, str):
        return out + chunk(4, value) + number(20, 3)
    if isinstance(value, bytes):
        return out + chunk(5, value) + number(20, 4)
    return out + b"".join(number(8, x) for x in value) + number(20, 7)


class Model:
    def __init__(self, opset=17):
        self.nodes, self.inits, self.inputs, self.outputs = [], [], [], []
        self.opset, self.n = opset, 0
        self.dims = {}

    def fresh(self):
        self.n += 1
        return f"t{self.n}"

    def input(self, name, dims, kind=FLOAT):
        shape = b"".join(chunk(1, chunk(2, d) if isinstance(d, str) else number(1, d)) for d in dims)
        self.inputs.append(chunk(1, name) + chunk(2, chunk(1, number(1, kind) + chunk(2, shape))))
        return name

    def output(self, name):
        self.outputs.append(chunk(1, name))

    def weight(self, name, *dims):
        if name not in self.dims:
            self.inits.append(tensor(name, dims, FLOAT))
            self.dims[name] = dims
        return name

    def ints(self, *values, scalar=False):
        name = self.fresh()
        raw = struct.pack(f"<{len(values)}q", *values)
        self.inits.append(tensor(name, [] if scalar else [len(values)], INT64, raw))
        return name

    def scalar(self):
        """A floating-point constant, as a node."""
        return self.node("Constant", [], value=tensor("", [], FLOAT, struct.pack("<f", 0.5)))

    def node(self, op, ins, outs=1, name="", **attributes):
        names = [self.fresh() for _ in range(outs)]
        self.nodes.append(b"".join(chunk(1, i) for i in ins) + b"".join(chunk(2, o) for o in names) +
                          (chunk(3, name) if name else b"") + chunk(4, op) +
                          b"".join(chunk(5, attribute(k, v)) for k, v in attributes.items()) +
                          chunk(6, "what an exporter notes about this node"))
        return names[0] if outs == 1 else names

    def write(self, path):
        graph = (b"".join(chunk(1, n) for n in self.nodes) + chunk(2, "main") +
                 b"".join(chunk(5, t) for t in self.inits) + b"".join(chunk(11, i) for i in self.inputs) +
                 b"".join(chunk(12, o) for o in self.outputs))
        with open(path, "wb") as f:
            f.write(number(1, 8) + chunk(2, "skyline's tests") + chunk(7, graph) +
                    chunk(8, chunk(1, "") + number(2, self.opset)))

    # What PyTorch's modules become.

    def conv(self, name, x, c, k, kernel, stride=1, pad=None, groups=1, bias=False):
        kh, kw = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        ph, pw = pad if isinstance(pad, tuple) else ((kh // 2, kw // 2) if pad is None else (pad, pad))
        ins = [x, self.weight(name + ".weight", k, c // groups, kh, kw)]
        if bias:
            ins.append(self.weight(name + ".bias", k))
        return self.node("Conv", ins, dilations=[1, 1], group=groups, kernel_shape=[kh, kw],
                         pads=[ph, pw, ph, pw], strides=[stride, stride])

    def bn(self, name, x, c):
        parts = ["weight", "bias", "running_mean", "running_var"]
        return self.node("BatchNormalization", [x] + [self.weight(f"{name}.{p}", c) for p in parts],
                         epsilon=1e-5)

    def relu(self, x):
        return self.node("Relu", [x])

    def gemm(self, name, x, k, n):
        return self.node("Gemm", [x, self.weight(name + ".weight", n, k), self.weight(name + ".bias", n)],
                         transB=1)

    def dense(self, name, x, k, n):
        """nn.Linear on a sequence: weights already transposed, the bias added before or after."""
        y = self.node("MatMul", [x, self.weight(name + ".weight", k, n)])
        return self.node("Add", [self.weight(name + ".bias", n), y])

    def layer_norm(self, name, x, c, single=False):
        if single:
            return self.node("LayerNormalization",
                             [x, self.weight(name + ".weight", c), self.weight(name + ".bias", c)], axis=-1)
        centered = self.node("Sub", [x, self.node("ReduceMean", [x], axes=[-1])])
        var = self.node("ReduceMean", [self.node("Pow", [centered, self.scalar()])], axes=[-1])
        y = self.node("Div", [centered, self.node("Sqrt", [self.node("Add", [var, self.scalar()])])])
        y = self.node("Mul", [y, self.weight(name + ".weight", c)])
        return self.node("Add", [y, self.weight(name + ".bias", c)])

    def gelu(self, x):
        y = self.node("Erf", [self.node("Div", [x, self.scalar()])])
        y = self.node("Mul", [x, self.node("Add", [y, self.scalar()])])
        return self.node("Mul", [y, self.scalar()])


# --- convolutional networks ---


def resnet50():
    m = Model()
    x = m.input("input", ["batch", 3, 224, 224])
    x = m.relu(m.bn("bn1", m.conv("conv1", x, 3, 64, 7, 2), 64))
    x = m.node("MaxPool", [x], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2], ceil_mode=0)
    c = 64
    for stage, blocks in enumerate([3, 4, 6, 3]):
        for i in range(blocks):
            name, width = f"layer{stage + 1}.{i}", 64 << stage
            stride = 2 if stage and not i else 1
            y = m.relu(m.bn(name + ".bn1", m.conv(name + ".conv1", x, c, width, 1), width))
            y = m.relu(m.bn(name + ".bn2", m.conv(name + ".conv2", y, width, width, 3, stride), width))
            y = m.bn(name + ".bn3", m.conv(name + ".conv3", y, width, 4 * width, 1), 4 * width)
            if not i:
                x = m.bn(name + ".downsample.1",
                         m.conv(name + ".downsample.0", x, c, 4 * width, 1, stride), 4 * width)
            c = 4 * width
            x = m.relu(m.node("Add", [y, x]))
    x = m.node("Flatten", [m.node("GlobalAveragePool", [x])], axis=1)
    m.output(m.gemm("fc", x, c, 1000))
    m.write("resnet50.onnx")


def mobilenet_v2():
    """Exported with a fixed batch of 8; the mean by ReduceMean; ReLU6 as Clip."""
    m = Model()
    relu6 = lambda x: m.node("Clip", [x, m.scalar(), m.scalar()])
    x = m.input("input", [8, 3, 224, 224])
    x = relu6(m.bn("features.0.1", m.conv("features.0.0", x, 3, 32, 3, 2), 32))
    c, n = 32, 1
    for t, out, times, stride in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                  (6, 160, 3, 2), (6, 320, 1, 1)]:
        for i in range(times):
            name, wide, y = f"features.{n}.conv", c * t, x
            n += 1
            if t > 1:
                y = relu6(m.bn(name + ".0.1", m.conv(name + ".0.0", y, c, wide, 1), wide))
            y = m.conv(name + ".1.0", y, wide, wide, 3, 1 if i else stride, groups=wide)
            y = relu6(m.bn(name + ".1.1", y, wide))
            y = m.bn(name + ".3", m.conv(name + ".2", y, wide, out, 1), out)
            x = m.node("Add", [x, y]) if c == out and (i or stride == 1) else y
            c = out
    x = relu6(m.bn("features.18.1", m.conv("features.18.0", x, c, 1280, 1), 1280))
    x = m.node("ReduceMean", [x], axes=[2, 3], keepdims=0)
    m.output(m.gemm("classifier.1", m.node("Dropout", [x]), 1280, 1000))
    m.write("mobilenet_v2.onnx")


def googlenet():
    """Pools that round up, concatenations, LRN."""
    m = Model()
    conv = lambda name, x, c, k, kernel, stride=1: m.relu(m.conv(name, x, c, k, kernel, stride, bias=True))
    pool = lambda x: m.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    x = m.input("data", ["N", 3, 224, 224])
    x = m.node("LRN", [pool(conv("conv1", x, 3, 64, 7, 2))], size=5)
    x = conv("conv2", conv("conv2_reduce", x, 64, 64, 1), 64, 192, 3)
    x, c = pool(m.node("LRN", [x], size=5)), 192
    for name, a, b0, b, d0, d, p in [("3a", 64, 96, 128, 16, 32, 32), ("3b", 128, 128, 192, 32, 96, 64),
                                     ("4a", 192, 96, 208, 16, 48, 64), ("4b", 160, 112, 224, 24, 64, 64),
                                     ("4c", 128, 128, 256, 24, 64, 64), ("4d", 112, 144, 288, 32, 64, 64),
                                     ("4e", 256, 160, 320, 32, 128, 128), ("5a", 256, 160, 320, 32, 128, 128),
                                     ("5b", 384, 192, 384, 48, 128, 128)]:
        if name in ("4a", "5a"):
            x = pool(x)
        pooled = m.node("MaxPool", [x], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])
        x = m.node("Concat", [conv(name + ".1x1", x, c, a, 1),
                              conv(name + ".3x3", conv(name + ".3x3_reduce", x, c, b0, 1), b0, b, 3),
                              conv(name + ".5x5", conv(name + ".5x5_reduce", x, c, d0, 1), d0, d, 5),
                              conv(name + ".pool", pooled, c, p, 1)], axis=1)
        c = a + b + d + p
    x = m.node("AveragePool", [x], kernel_shape=[7, 7])
    x = m.node("Reshape", [x, m.ints(0, -1)])
    m.output(m.node("Softmax", [m.gemm("fc", x, c, 1000)], axis=1))
    m.write("googlenet.onnx")


def efficientnet_b0():
    """torchvision's: squeeze and excitation, SiLU in two operators. From TensorFlow it would have Pads; the
    first convolution here has one."""
    m = Model()
    silu = lambda x: m.node("Mul", [x, m.node("Sigmoid", [x])])
    x = m.input("input", ["batch", 3, 224, 224])
    x = m.node("Pad", [x, m.ints(0, 0, 1, 1, 0, 0, 1, 1)], mode="constant")
    x = silu(m.bn("features.0.1", m.conv("features.0.0", x, 3, 32, 3, 2, pad=0), 32))
    c = 32
    stages = [(1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3),
              (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)]
    for s, (t, kernel, stride, out, times) in enumerate(stages):
        for i in range(times):
            name, wide, y = f"features.{s + 1}.{i}", c * t, x
            if t > 1:
                y = silu(m.bn(name + ".e.1", m.conv(name + ".e.0", y, c, wide, 1), wide))
            y = m.conv(name + ".d.0", y, wide, wide, kernel, 1 if i else stride, groups=wide)
            y = silu(m.bn(name + ".d.1", y, wide))
            z = m.node("GlobalAveragePool", [y])
            z = silu(m.conv(name + ".fc1", z, wide, max(1, c // 4), 1, bias=True))
            z = m.node("Sigmoid", [m.conv(name + ".fc2", z, max(1, c // 4), wide, 1, bias=True)])
            y = m.node("Mul", [z, y])
            y = m.bn(name + ".p.1", m.conv(name + ".p.0", y, wide, out, 1), out)
            x = m.node("Add", [y, x]) if c == out and (i or stride == 1) else y
            c = out
    x = silu(m.bn("features.8.1", m.conv("features.8.0", x, c, 1280, 1), 1280))
    x = m.node("Flatten", [m.node("GlobalAveragePool", [x])])
    m.output(m.gemm("classifier.1", x, 1280, 1000))
    m.write("efficientnet_b0.onnx")


# --- transformers ---


def transformer_encoder():
    """torch.nn.TransformerEncoderLayer(512, 8) on 512 tokens: sequence first, batch and heads in one axis."""
    d, heads, ff, t = 512, 8, 2048, 512
    m = Model()
    x = m.input("src", [1, t, d])
    y = m.node("Transpose", [x], perm=[1, 0, 2])
    y = m.dense("self_attn.in_proj", y, d, 3 * d)
    y = m.node("Reshape", [y, m.ints(t, 1, 3, d)])
    y = m.node("Unsqueeze", [y, m.ints(0)])
    y = m.node("Squeeze", [m.node("Transpose", [y], perm=[3, 1, 2, 0, 4]), m.ints(3)])
    parts = []
    for i in range(3):
        p = m.node("Gather", [y, m.ints(i, scalar=True)], axis=0)
        parts.append(m.node("Transpose", [m.node("Reshape", [p, m.ints(t, heads, d // heads)])], perm=[1, 0, 2]))
    q, k, v = parts
    a = m.node("MatMul", [m.node("Mul", [q, m.scalar()]), m.node("Transpose", [k], perm=[0, 2, 1])])
    y = m.node("MatMul", [m.node("Softmax", [a], axis=-1), v])
    y = m.node("Reshape", [m.node("Transpose", [y], perm=[1, 0, 2]), m.ints(t, d)])
    y = m.gemm("self_attn.out_proj", y, d, d)
    y = m.node("Reshape", [y, m.ints(t, 1, d)])
    y = m.node("Transpose", [y], perm=[1, 0, 2])
    x = m.layer_norm("norm1", m.node("Add", [x, y]), d, single=True)
    y = m.relu(m.dense("linear1", x, d, ff))
    x = m.layer_norm("norm2", m.node("Add", [x, m.dense("linear2", y, ff, d)]), d, single=True)
    m.output(x)
    m.write("transformer_encoder.onnx")


def gpt2_small():
    """transformers' gpt2, batch open: shapes are computed, the projections flatten batch and tokens, norms and
    GELU are in single operators, the output layer is the embedding's table transposed."""
    d, heads, t, words = 768, 12, 1024, 50257
    m = Model(opset=13)
    size = lambda x, i: m.node("Gather", [m.node("Shape", [x]), m.ints(i, scalar=True)], axis=0)
    def shape(*parts):
        parts = [m.node("Unsqueeze", [p, m.ints(0)]) if isinstance(p, str) else m.ints(p) for p in parts]
        return m.node("Concat", parts, axis=0)
    def conv1d(name, x, k, n):
        y = m.node("Reshape", [x, m.ints(-1, k)])
        y = m.node("Gemm", [y, m.weight(name + ".weight", k, n), m.weight(name + ".bias", n)])
        return m.node("Reshape", [y, shape(size(x, 0), size(x, 1), n)])
    ids = m.input("input_ids", ["batch", t], INT64)
    x = m.node("Gather", [m.weight("wte.weight", words, d), ids])
    positions = m.node("Range", [m.ints(0, scalar=True), size(ids, 1), m.ints(1, scalar=True)])
    p = m.node("Gather", [m.weight("wpe.weight", t, d), m.node("Unsqueeze", [positions, m.ints(0)])])
    x = m.node("Add", [x, p])
    mask = m.fresh()
    m.inits.append(tensor(mask, [1, 1, t, t], 9))
    for i in range(12):
        y = conv1d(f"h.{i}.attn.c_attn", m.layer_norm(f"h.{i}.ln_1", x, d), d, 3 * d)
        parts = m.node("Split", [y, m.ints(d, d, d)], outs=3, axis=2)
        perms = [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]]
        q, k, v = [m.node("Transpose", [m.node("Reshape", [s, shape(size(s, 0), size(s, 1), heads, d // heads)])],
                          perm=perm) for s, perm in zip(parts, perms)]
        a = m.node("Div", [m.node("MatMul", [q, k]), m.scalar()])
        window = m.node("Slice", [mask, m.ints(0), size(ids, 1), m.ints(2)])
        a = m.node("Softmax", [m.node("Where", [window, a, m.scalar()])], axis=-1)
        y = m.node("Transpose", [m.node("MatMul", [a, v])], perm=[0, 2, 1, 3])
        y = m.node("Reshape", [y, shape(size(y, 0), size(y, 1), d)])
        x = m.node("Add", [conv1d(f"h.{i}.attn.c_proj", y, d, d), x])
        y = conv1d(f"h.{i}.mlp.c_fc", m.layer_norm(f"h.{i}.ln_2", x, d), d, 4 * d)
        cube = m.node("Mul", [m.node("Pow", [y, m.scalar()]), m.scalar()])
        gate = m.node("Tanh", [m.node("Mul", [m.node("Add", [y, cube]), m.scalar()])])
        y = m.node("Mul", [m.node("Mul", [y, m.scalar()]), m.node("Add", [gate, m.scalar()])])
        x = m.node("Add", [x, conv1d(f"h.{i}.mlp.c_proj", y, 4 * d, d)])
    x = m.layer_norm("ln_f", x, d)
    m.output(m.node("MatMul", [x, m.node("Transpose", ["wte.weight"], perm=[1, 0])], name="lm_head"))
    m.write("gpt2_small.onnx")


def vit_b_16():
    """torchvision's ViT-B/16: patches, a class token, position embeddings, heads split from one axis of 3."""
    d, heads, t = 768, 12, 197
    m = Model()
    x = m.input("input", ["batch", 3, 224, 224])
    x = m.conv("conv_proj", x, 3, d, 16, 16, pad=0, bias=True)
    x = m.node("Transpose", [m.node("Reshape", [x, m.ints(0, d, 196)])], perm=[0, 2, 1])
    token = m.node("Expand", [m.weight("class_token", 1, 1, d), m.ints(1, 1, 1)])
    x = m.node("Add", [m.node("Concat", [token, x], axis=1), m.weight("pos_embedding", 1, t, d)])
    for i in range(12):
        name = f"layer_{i}"
        y = m.dense(name + ".in_proj", m.layer_norm(name + ".ln_1", x, d, single=True), d, 3 * d)
        y = m.node("Transpose", [m.node("Reshape", [y, m.ints(0, t, 3, heads, d // heads)])], perm=[2, 0, 3, 1, 4])
        q, k, v = [m.node("Squeeze", [s, m.ints(0)]) for s in m.node("Split", [y], outs=3, axis=0)]
        a = m.node("MatMul", [q, m.node("Transpose", [k], perm=[0, 1, 3, 2])])
        a = m.node("Softmax", [m.node("Mul", [a, m.scalar()])], axis=-1)
        y = m.node("Transpose", [m.node("MatMul", [a, v])], perm=[0, 2, 1, 3])
        y = m.dense(name + ".out_proj", m.node("Reshape", [y, m.ints(0, t, d)]), d, d)
        x = m.node("Add", [y, x])
        y = m.gelu(m.dense(name + ".mlp.0", m.layer_norm(name + ".ln_2", x, d, single=True), d, 4 * d))
        x = m.node("Add", [x, m.dense(name + ".mlp.3", y, 4 * d, d)])
    x = m.layer_norm("ln", x, d, single=True)
    x = m.node("Gather", [x, m.ints(0, scalar=True)], axis=1)
    m.output(m.gemm("heads.head", x, d, 1000))
    m.write("vit_b_16.onnx")


for make in [resnet50, mobilenet_v2, googlenet, efficientnet_b0, transformer_encoder, gpt2_small, vit_b_16]:
    make()
