#!/usr/bin/env python3
"""Checks what zp-lab quantize writes for others with the packages that define the formats.

    python3 check_interchange.py path/to/zp-lab [MODEL_DIR...]

Needs torch, transformers, tokenizers, accelerate, gguf (0.19) and compressed-tensors (0.20), and exits with 77, skipped,
where one of them is missing; without llama-cpp-python (0.3) its part is left out. ctest runs it with the python3 that
CMake's ZP_PYTHON names. Without MODEL_DIR it makes a random GPT-2, Llama and OPT. For every model:

  gguf                every tensor has the bytes that gguf.quantize makes of the float weights; zp-lab computes the same
                      logits, bit for bit, from the file and from a float checkpoint of gguf.dequantize's values;
                      transformers' from_pretrained(gguf_file=...) the same to float32's rounding (Llama)
  llama.cpp           loads the files, with and without a tokenizer; its tokens are ours, its logits nearly
  compressed-tensors  transformers loads the folder; its decompressed weights are those of zp-lab's own format of the
                      same scheme, bit for bit; zp-lab computes the same logits from both
"""
import json, os, shutil, subprocess, sys, tempfile
try:
    import numpy as np
    import torch
    import transformers
    import accelerate, compressed_tensors  # through transformers
    import gguf
    import tokenizers
    from gguf import GGMLQuantizationType as T
    from safetensors.torch import load_file, save_file
except ImportError as missing:
    print(f"check_interchange.py: {missing} for {sys.executable}: skipped")
    sys.exit(77)
try:
    import llama_cpp
except ImportError:
    llama_cpp = None
from make_gguf_model import END, MERGES, NAMES, permute, vocabulary

TEXT = "the a12 the the 1\n" * 40
HARD = "  two   spaces\n\n\n aaaaaaa the    1\t12 caf\u00e9 \U0001f600 \u65e5 it's\r\n"
WIDTH, FFN, POSITIONS = 64, 160, 32
GGUF = {"q8_0": T.Q8_0, "q4_0": T.Q4_0}
COMPRESSED = ["w8", "w8-tensor", "w4", "w4-g32", "w4-g32-affine", "w4-g32-gptq", "w8-affine", "w8a8-dynamic",
              "w8a8-dynamic-token", "w8a8-static", "w4a8-g32"]
GPT2 = {"attn_norm": "ln_1", "attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj", "ffn_norm": "ln_2",
        "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"}


def zp_lab(*arguments):
    run = subprocess.run([ZP_LAB, *map(str, arguments)], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(map(str, run.args))}: exit code {run.returncode}\n{run.stderr}")


def window(vocab):
    return np.arange(POSITIONS - 1) * 7 % min(vocab, 260)


def logits(model, folder, vocab):
    ids, out = os.path.join(folder, "ids.u16"), os.path.join(folder, "logits.f32")
    window(vocab).astype("<u2").tofile(ids)
    zp_lab("logits", "--model", model, "--ids", ids, "--out", out)
    with open(out, "rb") as file:
        return file.read()


def make(folder, family):
    tokens = vocabulary()
    common = dict(vocab_size=len(tokens), bos_token_id=0, eos_token_id=0, pad_token_id=0)
    if family == "gpt2":
        config = transformers.GPT2Config(n_embd=WIDTH, n_layer=2, n_head=4, n_positions=POSITIONS, n_inner=FFN, **common)
    elif family == "opt":
        config = transformers.OPTConfig(hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, ffn_dim=FFN,
                                        max_position_embeddings=POSITIONS, word_embed_proj_dim=WIDTH, **common)
    else:
        config = transformers.LlamaConfig(hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4,
                                          num_key_value_heads=2, intermediate_size=FFN, max_position_embeddings=POSITIONS,
                                          tie_word_embeddings=False, rms_norm_eps=1e-5, **common)
    torch.manual_seed(5)
    model = transformers.AutoModelForCausalLM.from_config(config).float()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(p + 0.2 * torch.randn(p.shape))
    model.save_pretrained(folder)
    pre = tokenizers.pre_tokenizers
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE({t: i for i, t in enumerate(tokens)},
                                                     [tuple(m.split(" ")) for m in MERGES]))
    bpe.add_special_tokens([END])
    bpe.pre_tokenizer = pre.ByteLevel(add_prefix_space=False, use_regex=True)
    bpe.save(os.path.join(folder, "tokenizer.json"))
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump({"bos_token": END, "add_bos_token": False}, file)


def stripped(state):
    """Names without the prefix of the family."""
    result = {}
    for name, tensor in state.items():
        for prefix in ("transformer.", "model.decoder.", "decoder.", "model."):
            name = name.removeprefix(prefix)
        result[name] = tensor.float()
    return result


def of_gguf(name, config):
    """Name in the checkpoint, whether it is transposed there, heads whose rows change places."""
    llama = config["model_type"] == "llama"
    whole = {"token_embd.weight": "embed_tokens.weight" if llama else "wte.weight", "position_embd.weight": "wpe.weight",
             "output_norm.weight": "norm.weight" if llama else "ln_f.weight", "output_norm.bias": "ln_f.bias",
             "output.weight": "lm_head.weight"}
    if name in whole:
        return whole[name], False, 0
    _, number, layer, kind = name.split(".")
    if not llama:
        return f"h.{number}.{GPT2[layer]}.{kind}", kind == "weight" and "norm" not in layer, 0
    heads = config["num_attention_heads"]
    turned = {"attn_q": heads, "attn_k": config.get("num_key_value_heads", heads)}
    return f"layers.{number}.{NAMES[layer]}.{kind}", False, turned.get(layer, 0)


def check_gguf(model, folder, config):
    state = stripped(load_file(os.path.join(model, "model.safetensors")))
    for scheme, qtype in GGUF.items():
        out = os.path.join(folder, scheme)
        zp_lab("quantize", "--model", model, "--format", "gguf", "--scheme", scheme, "-o", out)
        path = os.path.join(out, "model.gguf")
        values, used = {}, {}
        for t in gguf.GGUFReader(path).tensors:
            key, transposed, heads = of_gguf(t.name, config)
            weights = state[key].numpy()
            rows = weights.T if transposed else permute(weights, heads) if heads else weights
            matrix = rows.ndim == 2 and t.name != "position_embd.weight" and rows.shape[1] % 32 == 0  # whole blocks
            wanted = (T.Q8_0 if t.name in ("token_embd.weight", "output.weight") else qtype) if matrix else T.F32
            assert t.tensor_type == wanted, (t.name, t.tensor_type)
            expected = gguf.quantize(np.ascontiguousarray(rows), wanted)
            assert np.array_equal(t.data.reshape(-1).view(np.uint8), expected.reshape(-1).view(np.uint8)), t.name
            back = gguf.dequantize(t.data, t.tensor_type).reshape(rows.shape)
            if heads:  # (pair, half) to (half, pair)
                back = back.reshape(heads, back.shape[0] // heads // 2, 2, *back.shape[1:]).swapaxes(1, 2)
            values[key] = torch.from_numpy(np.ascontiguousarray(back.T if transposed else back.reshape(rows.shape)))
            used[wanted.name] = used.get(wanted.name, 0) + 1
        dense = os.path.join(out, "dequantized")
        os.makedirs(dense)
        head = {"lm_head.weight": values.pop("lm_head.weight")} if "lm_head.weight" in values else {}
        save_file(values | head, os.path.join(dense, "model.safetensors"))
        with open(os.path.join(dense, "config.json"), "w") as file:
            json.dump(config, file)
        found = logits(path, out, config["vocab_size"])
        assert found == logits(dense, out, config["vocab_size"])
        if config["model_type"] == "llama":  # of a GPT-2 it ignores context_length and feed_forward_length
            check_transformers(out, found, config["vocab_size"])
        print(f"  gguf {scheme}: {used}, bytes and logits equal")


def check_transformers(folder, found, vocab):
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file="model.gguf", dtype=torch.float32)
    with torch.no_grad():
        expected = loaded(torch.from_numpy(window(vocab))[None]).logits[0].numpy()
    ours = np.frombuffer(found, "<f4").reshape(expected.shape)
    assert np.abs(ours - expected).max() < 1e-5 * np.abs(expected).max()


def check_llama_cpp(model, folder, config):
    """llama.cpp rounds the inputs of a product to int8 in blocks of 32, a float program does not. A block's largest of 32
    normal values is some 2.1 standard deviations, so rounding adds 2.1 / 127 / sqrt(12) = 0.5 % to each product, and
    products behind one another add up to a few percent of the logits' spread. Weights in another order, or of another
    type, give much more: the two types of weights are the measure of that. Random weights have near ties, so a few of the
    likeliest tokens may differ."""
    vocab, ours, theirs = config["vocab_size"], {}, {}
    has_tokens = os.path.exists(os.path.join(model, "tokenizer.json"))
    zp_lab("quantize", "--model", model, "--format", "gguf", "--scheme", ",".join(GGUF), "-o", folder)
    for scheme in GGUF:
        path = os.path.join(folder, scheme, "model.gguf")
        engine = llama_cpp.Llama(model_path=path, n_ctx=POSITIONS, n_batch=POSITIONS, n_threads=1, logits_all=True,
                                 verbose=False)
        engine.eval(window(vocab).tolist())
        theirs[scheme] = np.array(engine.scores[:POSITIONS - 1])
        ours[scheme] = np.frombuffer(logits(path, folder, vocab), "<f4").reshape(theirs[scheme].shape)
        if has_tokens:
            text, ids = os.path.join(folder, "text"), os.path.join(folder, "text.u16")
            with open(text, "w", newline="") as file:
                file.write(HARD)
            zp_lab("tokenize", "--model", path, "--text", text, "--out", ids)
            assert engine.tokenize(HARD.encode(), add_bos=False) == np.fromfile(ids, "<u2").tolist()
        engine.close()
    apart = np.abs(ours["q8_0"] - ours["q4_0"]).mean()
    for scheme in GGUF:
        off, spread = np.abs(ours[scheme] - theirs[scheme]).mean(), ours[scheme].std()
        same = (ours[scheme].argmax(1) == theirs[scheme].argmax(1)).mean()
        assert off < 0.04 * spread and off < 0.5 * apart and same > 0.8, (scheme, off, spread, apart, same)
        kind = "" if has_tokens else " without a tokenizer"
        print(f"  llama.cpp {scheme}{kind}: mean difference {off / spread:.4f} of the logits' spread "
              f"(q8_0 to q4_0: {apart / spread:.4f}), likeliest token the same at {100 * same:.0f} %")


def without_tokenizer(model, folder):
    for name in ("config.json", "model.safetensors"):
        shutil.copy(os.path.join(model, name), folder)
    return folder


def own_weights(folder):
    """The weights that a checkpoint of zp-lab's own format stands for, from its two files."""
    state, result = load_file(os.path.join(folder, "model.safetensors")), {}
    for name, codes in state.items():
        if not name.endswith(".weight_codes"):
            continue
        layer = name.removesuffix(".weight_codes")
        scales = state[layer + ".weight_scales"]
        zeros = state.get(layer + ".weight_zero_points", torch.zeros_like(scales, dtype=torch.int8))
        if codes.dtype == torch.uint8:
            codes = torch.stack([codes & 15, codes >> 4], -1).view(codes.shape[0], -1).to(torch.int16)
            codes = (codes ^ 8) - 8
        if scales.ndim == 2:
            group = codes.shape[1] // scales.shape[1]
            scales, zeros = (x.repeat_interleave(group, 1) for x in (scales, zeros))
        elif scales.numel() > 1:
            scales, zeros = scales[:, None], zeros[:, None]
        result[layer] = scales * (codes.float() - zeros.float())
    return stripped(result)


def check_compressed(model, folder, config):
    text = os.path.join(folder, "text")
    with open(text, "w") as file:
        file.write(TEXT)
    for scheme in COMPRESSED:
        out, own = os.path.join(folder, scheme), os.path.join(folder, scheme + "-own")
        for path, layout in ((out, "compressed-tensors"), (own, "zeropoint")):
            zp_lab("quantize", "--model", model, "--format", layout, "--scheme", scheme, "-o", path, "--calibration", text,
                   "--calibration-tokens", 256, "--threads", 1)
        plain = transformers.CompressedTensorsConfig(run_compressed=False)
        loaded = transformers.AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, quantization_config=plain)
        modules = {name: module for name, module in stripped_modules(loaded)}
        expected = own_weights(own)
        for layer, weights in expected.items():
            assert torch.equal(modules[layer].weight.data, weights), (scheme, layer)
        if scheme != "w8a8-static":  # its lowest code is -128 in this format, -127 in ours
            assert logits(out, folder, config["vocab_size"]) == logits(own, folder, config["vocab_size"]), scheme
        print(f"  compressed-tensors {scheme}: {len(expected)} layers equal")


def stripped_modules(model):
    for name, module in model.named_modules():
        for prefix in ("model.decoder.", "model."):
            name = name.removeprefix(prefix)
        yield name, module


def main():
    torch.set_num_threads(1)
    if not llama_cpp:
        print("llama_cpp is not here: its part is left out")
    with tempfile.TemporaryDirectory() as work:
        models = sys.argv[2:]
        for family in [] if models else ["gpt2", "llama", "opt"]:
            models.append(os.path.join(work, family))
            os.makedirs(models[-1])
            make(models[-1], family)
        for model in models:
            with open(os.path.join(model, "config.json")) as file:
                config = json.load(file)
            print(config["model_type"])
            folder = tempfile.mkdtemp(dir=work)
            if config["model_type"] != "opt":
                check_gguf(model, folder, config)
            if config["model_type"] != "opt" and llama_cpp:
                check_llama_cpp(model, tempfile.mkdtemp(dir=work), config)
                check_llama_cpp(without_tokenizer(model, tempfile.mkdtemp(dir=work)), tempfile.mkdtemp(dir=work), config)
            if config["model_type"] != "gpt2":
                check_compressed(model, folder, config)


if __name__ == "__main__":
    ZP_LAB = os.path.abspath(sys.argv[1])
    main()
