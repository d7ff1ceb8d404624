#!/usr/bin/env python3
"""Makes tests/lab/data/gguf: a small GGUF file with every type that the laboratory reads, and its values.

    python3 make_gguf_golden.py [OUT]

Needs numpy and gguf (0.19); the files are committed, so only a change of this script needs it.
sample.gguf: metadata of every kind, one tensor per type. Blocks are random bytes with scales that a
quantizer would not choose too: subnormal, largest, negative zero, infinity, NaN. expected.f32: the tensors
in the order of the file, dequantized by the package gguf, one after another. expected.txt: name, type and shape of each.
"""
import os, sys
import numpy as np
import gguf
from gguf import GGMLQuantizationType as T, GGUFValueType as V

SEED = 7
SCALES = np.array([0.0, -0.0, 1.0, -0.37, 6e-8, 3e-5, 65504.0, 0.0101, np.inf, np.nan], dtype=np.float16)


def blocks(generator, rows, columns, qtype, scales):
    block, size = gguf.GGML_QUANT_SIZES[qtype]
    count = rows * columns // block
    raw = generator.integers(0, 256, (count, size), dtype=np.uint8)
    for i in range(scales):
        chosen = SCALES[(np.arange(count) * (1 + 2 * i) + i) % len(SCALES)]
        raw[:, 2 * i:2 * i + 2] = chosen.view(np.uint8).reshape(count, 2)
    raw[0, 2 * scales] = 0x80  # int8 -128; nibbles 0 and 8
    return raw.reshape(rows, columns // block * size)


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                             "lab", "data", "gguf")
    os.makedirs(out, exist_ok=True)
    path = os.path.join(out, "sample.gguf")
    generator = np.random.default_rng(SEED)
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_quantization_version(2)
    writer.add_key_value("test.u8", 200, V.UINT8)
    writer.add_key_value("test.i8", -100, V.INT8)
    writer.add_key_value("test.u16", 60000, V.UINT16)
    writer.add_key_value("test.i16", -30000, V.INT16)
    writer.add_key_value("test.u32", 4000000000, V.UINT32)
    writer.add_key_value("test.i32", -2000000000, V.INT32)
    writer.add_key_value("test.u64", 2**64 - 1, V.UINT64)
    writer.add_key_value("test.i64", -(2**63), V.INT64)
    writer.add_key_value("test.f32", 1e-5, V.FLOAT32)
    writer.add_key_value("test.f64", 0.125, V.FLOAT64)
    writer.add_bool("test.bool", True)
    writer.add_string("test.text", "caf\u00e9\n")
    writer.add_array("test.numbers", [3, 1, 4, 1, 5, 9])
    writer.add_array("test.words", ["a", "", "\u0120the"])

    floats = generator.standard_normal((3, 5)).astype(np.float32)
    floats[0, 0], floats[1, 1], floats[2, 2] = np.inf, -0.0, 1e-42
    writer.add_tensor("plain.f32", floats)
    halves = generator.standard_normal((2, 3, 4)).astype(np.float16)
    halves[0, 0, 0], halves[1, 1, 1] = 6e-8, -np.inf
    writer.add_tensor("plain.f16", halves)
    upper = (generator.standard_normal(11).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    writer.add_tensor("plain.bf16", upper.view(np.uint8), raw_dtype=T.BF16)
    writer.add_tensor("block.q8_0", blocks(generator, 2, 352, T.Q8_0, 1), raw_dtype=T.Q8_0)
    writer.add_tensor("block.q4_0", blocks(generator, 3, 352, T.Q4_0, 1), raw_dtype=T.Q4_0)
    writer.add_tensor("block.q4_1", blocks(generator, 11, 352, T.Q4_1, 2), raw_dtype=T.Q4_1)
    writer.add_tensor("plain.i8", np.array([-128, 0, 127], dtype=np.int8))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    expected, lines = [], []
    with np.errstate(invalid="ignore"):
        for t in gguf.GGUFReader(path).tensors:
            is_integer = t.tensor_type == T.I8
            values = t.data.astype(np.float32) if is_integer else gguf.dequantize(t.data, t.tensor_type)
            shape = [int(n) for n in reversed(t.shape.tolist())]
            expected.append(values.astype("<f4").ravel())
            lines.append(f"{t.name} {t.tensor_type.name} {shape}\n")
            print(lines[-1], end="")
    np.concatenate(expected).tofile(os.path.join(out, "expected.f32"))
    with open(os.path.join(out, "expected.txt"), "w") as file:
        file.writelines(lines)


if __name__ == "__main__":
    main()
