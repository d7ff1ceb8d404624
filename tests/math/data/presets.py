#!/usr/bin/env python3
"""Makes tests/math/data/presets.json: what the frameworks themselves compute, for math/presets.hpp.

    pip install torch onnx onnxruntime ai-edge-litert flatbuffers gguf compressed-tensors
    python3 presets.py [FILE]

Floats are the 32 bits of a float as an integer, so that infinities and denormals pass through JSON.
Nothing here is computed by formulas of ours: every number comes out of a package.
"""
import json
import os
import sys
import warnings
from importlib.metadata import version

import flatbuffers
import numpy as np
import onnx
import onnxruntime
import torch
from ai_edge_litert import _pywrap_tensorflow_lite_calibration_wrapper as tflite_calibration
from ai_edge_litert import schema_py_generated as tfl
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import quantize as ct_quantize
from compressed_tensors.quantization.utils.helpers import calculate_qparams
from gguf import GGMLQuantizationType, quants
from onnx import TensorProto, helper
from onnxruntime.quantization.quant_utils import compute_data_quant_params, quantize_nparray
from torch.ao.quantization import MinMaxObserver
from torch.ao.quantization.observer import (default_weight_observer,
                                            weight_observer_range_neg_127_to_127)

warnings.filterwarnings("ignore")
f32 = np.float32
SEED = 20
LARGEST = float(np.finfo(f32).max)


def bits(values):
    return [int(b) for b in np.atleast_1d(np.asarray(values, f32)).view(np.uint32)]


def integers(values):
    return [int(v) for v in np.asarray(values).ravel()]


# --- inputs ---------------------------------------------------------------------------------------

def ranges(rng):
    """Only zero, one-sided, denormal, wider than a float holds, and ordinary ones."""
    fixed = [(0.0, 0.0), (-0.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.3, 1.0), (-1.0, -0.5), (-1e-40, 0),
             (0, 1e-40), (-1e-45, 0), (0, 1e-45), (-1e-38, 1e-38), (-1e-7, 2e-7), (-1e-5, 1e-5), (-1e-3, 0), (-1.0, 1.0),
             (-127.5, 127.5), (-128.0, 127.0), (-3e38, 3e38), (0.0, LARGEST), (-0.5, 254.5)]
    ordinary = [(-abs(a), abs(b)) for a, b in rng.standard_normal((24, 2)) * 3]
    return [(f32(a), f32(b)) for a, b in fixed + ordinary]


def values(rng, scale, zero_point):
    """Ties of the grid -128 .. 127, the floats beside them, zeros, denormals, saturating values."""
    k = np.concatenate([[-129, -128, -2, -1, 0, 1, 126, 127], rng.integers(-128, 127, 16)])
    ties = ((k + 0.5 - zero_point) * np.float64(scale)).astype(f32)
    near = [ties, np.nextafter(ties, f32(np.inf)), np.nextafter(ties, f32(-np.inf))]
    odd = [0.0, -0.0, 1e-40, -1e-40, 1e9 * scale, -1e9 * scale, scale, -scale, 0.273939937]
    ordinary = rng.standard_normal(12) * 60 * scale
    return np.concatenate(near + [np.asarray(odd, f32), ordinary.astype(f32)]).astype(f32)


# --- onnxruntime ----------------------------------------------------------------------------------

def onnx_run(op, inputs, x, outputs, constants=()):
    graph = helper.make_graph(
        [helper.make_node(op, inputs, [name for name, _, _ in outputs])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None])],
        [helper.make_tensor_value_info(*o) for o in outputs],
        [helper.make_tensor(name, kind, [], [value]) for name, kind, value in constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})


def quantize_linear(x, scale, zero_point, kind):
    constants = [("s", TensorProto.FLOAT, float(scale)), ("z", kind, zero_point)]
    return onnx_run("QuantizeLinear", ["x", "s", "z"], x, [("y", kind, [None])], constants)[0]


def dynamic_quantize_linear(x):
    return onnx_run("DynamicQuantizeLinear", ["x"], x,
                    [("y", TensorProto.UINT8, [None]), ("s", TensorProto.FLOAT, []),
                     ("z", TensorProto.UINT8, [])])


# --- TFLite ---------------------------------------------------------------------------------------

def tensor(name, shape, kind, buffer=0, scale=None, zero_point=0):
    t = tfl.TensorT()
    t.name, t.shape, t.type, t.buffer = name, list(shape), kind, buffer
    if scale is not None:
        t.quantization = tfl.QuantizationParametersT()
        t.quantization.scale = np.atleast_1d(f32(scale))
        t.quantization.zeroPoint = np.atleast_1d(np.int64(zero_point))
    return t


def flat_model(op, options_type, options, tensors, inputs, buffers=(), op_version=1):
    """One operator; its input is tensor 0, its output the last."""
    m, code, node, graph = tfl.ModelT(), tfl.OperatorCodeT(), tfl.OperatorT(), tfl.SubGraphT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = op, op, op_version
    node.opcodeIndex, node.inputs, node.outputs = 0, inputs, [len(tensors) - 1]
    node.builtinOptionsType, node.builtinOptions = options_type, options
    graph.name, graph.tensors, graph.operators = "g", tensors, [node]
    graph.inputs, graph.outputs = [0], [len(tensors) - 1]
    m.version, m.description, m.operatorCodes, m.subgraphs = 3, "", [code], [graph]
    m.buffers = [tfl.BufferT()]
    for data in buffers:
        m.buffers.append(tfl.BufferT())
        m.buffers[-1].data = np.frombuffer(data, np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(m.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def interpreter(model, resolver):
    i = Interpreter(model_content=model, experimental_op_resolver_type=resolver)
    i.allocate_tensors()
    return i


def run_flat(model, x, resolver):
    i = interpreter(model, resolver)
    i.set_tensor(i.get_input_details()[0]["index"], x)
    i.invoke()
    return i.get_tensor(i.get_output_details()[0]["index"])


def tflite_quantize(x, scale, zero_point, resolver):
    tensors = [tensor("x", x.shape, tfl.TensorType.FLOAT32),
               tensor("y", x.shape, tfl.TensorType.INT8, 0, scale, zero_point)]
    return run_flat(flat_model(tfl.BuiltinOperator.QUANTIZE, tfl.BuiltinOptions.QuantizeOptions,
                               tfl.QuantizeOptionsT(), tensors, [0], op_version=2), x, resolver)


def tflite_converted(weights, x):
    """The converter's int8 of a fully connected layer: input (scale, zero point), weight scales, codes."""
    out, k = weights.shape
    tensors = [tensor("x", (1, k), tfl.TensorType.FLOAT32),
               tensor("w", weights.shape, tfl.TensorType.FLOAT32, 1),
               tensor("b", (out,), tfl.TensorType.FLOAT32, 2),
               tensor("y", (1, out), tfl.TensorType.FLOAT32)]
    model = flat_model(tfl.BuiltinOperator.FULLY_CONNECTED, tfl.BuiltinOptions.FullyConnectedOptions,
                       tfl.FullyConnectedOptionsT(), tensors, [0, 1, 2],
                       [weights.tobytes(), np.zeros(out, f32).tobytes()])
    calibration = tflite_calibration.CalibrationWrapper(model, [], [])
    calibration.Prepare()
    calibration.FeedTensor([x[None]])
    int8, int32 = np.dtype(np.int8).num, np.dtype(np.int32).num
    packed = calibration.QuantizeModel(int8, int8, False, int8, int32, False, False)
    quantized = tfl.ModelT.InitFromPackedBuf(packed, 0)
    by_name = {t.name.decode(): t for t in quantized.subgraphs[0].tensors}
    q = {name: t.quantization for name, t in by_name.items()}
    codes = np.asarray(quantized.buffers[by_name["w"].buffer].data, np.uint8).view(np.int8)
    return (q["x"].scale[0], q["x"].zeroPoint[0]), q["w"].scale, codes


def tflite_requantize(acc, scales, zero_point, resolver):
    """Accumulators through the biases of a fully connected layer whose input is all real zeros."""
    n, (s_in, s_w, s_out) = len(acc), scales
    tensors = [tensor("x", (1, 1), tfl.TensorType.INT8, 0, s_in, 0),
               tensor("w", (n, 1), tfl.TensorType.INT8, 1, s_w, 0),
               tensor("b", (n,), tfl.TensorType.INT32, 2, f32(s_in) * f32(s_w), 0),
               tensor("y", (1, n), tfl.TensorType.INT8, 0, s_out, zero_point)]
    model = flat_model(tfl.BuiltinOperator.FULLY_CONNECTED, tfl.BuiltinOptions.FullyConnectedOptions,
                       tfl.FullyConnectedOptionsT(), tensors, [0, 1, 2],
                       [np.ones(n, np.int8).tobytes(), np.asarray(acc, np.int32).tobytes()],
                       op_version=4)
    return run_flat(model, np.zeros((1, 1), np.int8), resolver)


# --- what is recorded -----------------------------------------------------------------------------

def params_of_ranges(rng):
    result = {}  # rule -> [[min, max, scale, zero point], ...]

    def add(rule, r, scale, zero_point):
        row = bits(r) + bits(scale) + [int(np.ravel(zero_point)[0])]
        result.setdefault(rule, []).append(row)

    for r in ranges(rng):
        data = np.asarray(r, f32)
        for rule, make in (("torch u8", MinMaxObserver),
                           ("torch u7", lambda: MinMaxObserver(reduce_range=True)),
                           ("torch s8", default_weight_observer),
                           ("torch s8 127", weight_observer_range_neg_127_to_127)):
            observer = make()
            observer(torch.from_numpy(data))
            add(rule, r, *[v.numpy() for v in observer.calculate_qparams()])
        for rule, kind, symmetric in (("onnx s8", TensorProto.INT8, True),
                                      ("onnx affine s8", TensorProto.INT8, False),
                                      ("onnx affine u8", TensorProto.UINT8, False),
                                      ("onnx u8", TensorProto.UINT8, True)):
            zero_point, scale = compute_data_quant_params(data, kind, symmetric)
            add(rule, r, scale, zero_point)
        add("onnx dynamic", r, *dynamic_quantize_linear(data)[1:])
        for rule, n, symmetric in (("ct s8", 8, True), ("ct affine", 8, False), ("ct s4", 4, True)):
            t = torch.from_numpy(data)
            args = QuantizationArgs(num_bits=n, symmetric=symmetric)
            add(rule, r, *[v.numpy() for v in calculate_qparams(t.min(), t.max(), args)])
        if np.isfinite(data[1] - data[0]):
            add("tflite activation", r, *tflite_converted(np.ones((1, 2), f32), data)[0])
    return result


def codes_of_values(rng):
    result = []
    for scale, zero_point in ((1.0, 0), (1.0, 3), (0.0078125, -7), (0.00214854861, 0),
                              (0.0123456, -128), (0.0371, 127), (3.1e-5, 54), (1.7, -101)):
        scale = f32(scale)
        x = values(rng, scale, zero_point)
        wild = np.concatenate([x, np.asarray([LARGEST, -LARGEST, np.inf, -np.inf], f32)])
        t, s, z = torch.from_numpy(wild[:-2]), float(scale), zero_point
        one = torch.tensor([s])
        args = QuantizationArgs(num_bits=8, symmetric=False)
        codes = {
            "torch tensor s8": torch.quantize_per_tensor(t, s, z, torch.qint8).int_repr(),
            "torch tensor u8": torch.quantize_per_tensor(t, s, z + 128, torch.quint8).int_repr(),
            "torch channel s8": torch.quantize_per_channel(
                t[None], one, torch.tensor([z]), 0, torch.qint8).int_repr(),
            "torch channel u8": torch.quantize_per_channel(
                t[None], one, torch.tensor([z + 128]), 0, torch.quint8).int_repr(),
            "onnx s8": quantize_linear(wild, scale, z, TensorProto.INT8),
            "onnx u8": quantize_linear(wild, scale, z + 128, TensorProto.UINT8),
            "onnx weights": quantize_nparray(TensorProto.INT8, wild, scale, z),
            "tflite": tflite_quantize(x, scale, z, OpResolverType.BUILTIN_REF),
            "tflite optimized": tflite_quantize(
                x, scale, z, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES),
            "ct": ct_quantize(torch.from_numpy(wild), one, torch.tensor([z], dtype=torch.int8),
                              args, dtype=torch.int8),
        }
        result.append({"scale": bits(scale)[0], "zero_point": zero_point, "x": bits(wild),
                       "codes": {rule: integers(c) for rule, c in codes.items()}})
    return result


def blocks_of_values(rng):
    cases = [np.zeros(32), -np.zeros(32), np.linspace(-1, 1, 32), np.linspace(0.25, 8, 32),
             np.arange(32) - 16.0, np.full(32, 0.7), np.full(32, 1e-6), np.arange(32) / 2.0,
             np.where(np.arange(32) == 5, -8.0, 0.5), np.where(np.arange(32) == 5, 8.0, 0.5),
             np.where(np.arange(32) == 5, 127.0, np.arange(32) - 15.5), np.full(32, -3.0)]
    cases += [rng.standard_normal(32) * 10.0 ** e for e in (-3, -2, 0, 0, 0, 2, 4)]
    result = []
    for x in cases:
        x = x.astype(f32)
        block = {"x": bits(x)}
        for name in ("Q8_0", "Q4_0", "Q4_1"):
            raw = quants.quantize(x, GGMLQuantizationType[name])
            head = 4 if name == "Q4_1" else 2
            block[name] = {"scales": integers(raw[:head].view(np.uint16)),
                           "real": bits(quants.dequantize(raw, GGMLQuantizationType[name]))}
            body = raw[head:]
            block[name]["codes"] = integers(
                body.view(np.int8) if name == "Q8_0" else np.concatenate([body & 15, body >> 4]))
        result.append(block)
    return result


def converted_weights(rng):
    w = (rng.standard_normal((8, 24)) * 0.3).astype(f32)
    w[0] = 0
    w[1, 0], w[1, 1:] = 127, np.arange(23) - 11.5
    w[2, 0], w[2, 1:] = -1, 0
    w[3] *= f32(1e-20)
    w[4] = np.abs(w[4])
    w[5, :2] = 0.272866, 0.273939937 / 2
    _, scales, codes = tflite_converted(w, np.asarray([-1.0] * 24, f32))
    return {"rows": 8, "x": bits(w.ravel()), "scales": bits(scales), "codes": integers(codes)}


def requantized(rng):
    """Where acc + zero_point leaves int32, the package overflows: left out for multipliers >= 1."""
    result = []
    for scales, z in (((0.5, 0.5, 1.0), 0), ((0.02, 0.003, 0.07), -5), ((0.1, 0.01, 0.3), 127),
                      ((0.0123, 0.0077, 0.00081), -128), ((1.0, 1.0, 1.0), 3), ((0.5, 0.5, 4.0), 9)):
        step = scales[2] / (scales[0] * scales[1])
        acc = [0, 1, -1] + ([2**31 - 1, -2**31, 2**30, -2**30] if step > 1 else [])
        acc += [round((k + 0.5) * step) for k in rng.integers(-140, 140, 30)]
        acc += integers(rng.integers(-150, 150, 30) * step)
        kernels = {"reference": OpResolverType.BUILTIN_REF,
                   "optimized": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                   "default": OpResolverType.BUILTIN}
        result.append({"scales": bits(scales), "zero_point": z, "acc": acc,
                       "codes": {name: integers(tflite_requantize(acc, scales, z, resolver))
                                 for name, resolver in kernels.items()}})
    return result


def main():
    rng = np.random.default_rng(SEED)
    packages = ("torch", "onnx", "onnxruntime", "ai-edge-litert", "gguf", "compressed-tensors",
                "numpy")
    golden = {"versions": {p: version(p) for p in packages}, "seed": SEED,
              "params": params_of_ranges(rng), "codes": codes_of_values(rng),
              "blocks": blocks_of_values(rng), "weights": converted_weights(rng),
              "requantized": requantized(rng)}
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__) or ".",
                                                              "presets.json")
    with open(path, "w", encoding="ascii") as file:
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")
    print(f"{path}: {os.path.getsize(path)} bytes", golden["versions"])


if __name__ == "__main__":
    main()
