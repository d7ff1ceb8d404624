#!/usr/bin/env python3
"""Makes tests/lab/data/gguf/llama.gguf and gpt2*.gguf, tiny random models with a tokenizer, and what others make
of them.

    python3 make_gguf_model.py [OUT]

Needs torch, transformers, tokenizers and gguf (0.19); the files are committed, so only a change of this
script needs it. A tensor of every float and block type; q and k permuted as llama.cpp's converter does it,
which reads (heads, 2, d/2) and writes (heads, d/2, 2). llama.ids.u16 [T], llama.logits.f32 [T, V]:
transformers on the file itself, which has its own way back; checked here against the weights before they
were permuted. llama.texts.jsonl: texts and the ids that the package tokenizers gives them under
Digits(individual_digits) and ByteLevel, "smollm" in the file. Two bytes have no token. gpt2.gguf, the same with a
GPT-2 in Q8_0, and gpt2_q4_0.gguf: keys and tensors in the order of zp-lab quantize --format gguf, whose files have to
be these, byte for byte. gpt2.ids.u16, gpt2.logits.f32: transformers on gpt2.gguf.
"""
import json, os, sys
import numpy as np
import torch
import transformers
import gguf
import tokenizers
from gguf import GGMLQuantizationType as T

SEED, WIDTH, HEADS, KV_HEADS, FFN, LAYERS, POSITIONS, EPS, THETA = 3, 32, 4, 2, 64, 2, 24, 1e-5, 2500.0
MISSING = (0x04, 0xFF)
MERGES = ["Ġ Ġ", "Ġ t", "t h", "h e", "Ġt he", "Ġ 1", "1 2", "a 1", "Ċ Ċ"]
END = "<|end|>"
TEXTS = ["", "the the", "a12 b", " 12  12\n\n3", "the1the 1", "x\u00bd\u0663\u2167y 7", "t\u0004he", "it's 1's", "  \n 1 \n",
         "caf\u00e9 \U0001f600 12"]
TYPES = {"attn_q": T.Q8_0, "attn_k": T.Q4_1, "attn_v": T.F16, "attn_output": T.Q4_0, "ffn_gate": T.Q4_1, "ffn_up": T.F32,
         "ffn_down": T.Q8_0}
NAMES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}


def vocabulary():
    symbols = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    others = [b for b in range(256) if b not in printable]
    symbol = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    assert sorted(symbol.values()) == sorted(symbols)
    tokens = [END] + [symbol[b] for b in range(256) if b not in MISSING]
    return tokens + [m.replace(" ", "") for m in MERGES]


def permute(weights, heads):
    return weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def write(path, model, tokens):
    """Returns the state dict as the file holds it, before permutation."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_quantization_version(2)
    writer.add_block_count(LAYERS)
    writer.add_context_length(POSITIONS)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(THETA)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(EPS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if t == END else 1 for t in tokens])
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
    state, held = model.state_dict(), {}

    def add(name, key, qtype, heads=0):
        weights = state[key].numpy()
        stored = gguf.quantize(np.ascontiguousarray(permute(weights, heads) if heads else weights), qtype)
        writer.add_tensor(name, stored, raw_dtype=qtype)
        held[key] = torch.from_numpy(gguf.dequantize(gguf.quantize(weights, qtype), qtype).reshape(weights.shape).copy())

    add("token_embd.weight", "model.embed_tokens.weight", T.Q8_0)
    for i in range(LAYERS):
        for name, key in NAMES.items():
            heads = {"attn_q": HEADS, "attn_k": KV_HEADS}.get(name, 0)
            add(f"blk.{i}.{name}.weight", f"model.layers.{i}.{key}.weight", TYPES.get(name, T.F32), heads)
    add("output_norm.weight", "model.norm.weight", T.F32)
    add("output.weight", "lm_head.weight", T.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return held


def write_gpt2(path, model, tokens, qtype):
    """Returns the state dict as the file holds it, Conv1D weights [in, out] as ever."""
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_block_count(1)
    writer.add_context_length(POSITIONS)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(4 * WIDTH)
    writer.add_head_count(HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_layer_norm_eps(EPS)
    writer.add_name("tiny")
    writer.add_file_type(7 if qtype == T.Q8_0 else 2)
    writer.add_quantization_version(2)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if t == END else 1 for t in tokens])
    writer.add_token_merges(MERGES)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    state, held = model.state_dict(), {}

    def add(name, key, qtype):
        turned = name.startswith("blk") and state[key].ndim == 2
        weights = state[key].numpy().T if turned else state[key].numpy()
        stored = gguf.quantize(np.ascontiguousarray(weights), qtype)
        writer.add_tensor(name, stored, raw_dtype=qtype)
        values = gguf.dequantize(stored, qtype).reshape(weights.shape)
        held[key] = torch.from_numpy((values.T if turned else values).copy())

    add("token_embd.weight", "transformer.wte.weight", T.Q8_0)
    add("position_embd.weight", "transformer.wpe.weight", T.F32)
    for name, key in {"attn_norm": "ln_1", "attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj",
                      "ffn_norm": "ln_2", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"}.items():
        add(f"blk.0.{name}.weight", f"transformer.h.0.{key}.weight", T.F32 if "norm" in name else qtype)
        add(f"blk.0.{name}.bias", f"transformer.h.0.{key}.bias", T.F32)
    add("output_norm.weight", "transformer.ln_f.weight", T.F32)
    add("output_norm.bias", "transformer.ln_f.bias", T.F32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return held | {"lm_head.weight": held["transformer.wte.weight"]}


def make_gpt2(out, tokens):
    config = transformers.GPT2Config(
        n_embd=WIDTH, n_layer=1, n_head=HEADS, n_positions=POSITIONS, vocab_size=len(tokens), layer_norm_epsilon=EPS,
        activation_function="gelu_new", attn_implementation="eager")
    generator = torch.Generator().manual_seed(SEED)
    model = transformers.GPT2LMHeadModel(config).eval().float()
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(1 + 0.3 * noise if "ln" in name and "weight" in name else noise * (0.7 if "wte" in name else 0.2))
    held = write_gpt2(os.path.join(out, "gpt2.gguf"), model, tokens, T.Q8_0)
    write_gpt2(os.path.join(out, "gpt2_q4_0.gguf"), model, tokens, T.Q4_0)
    compare(out, "gpt2", model, held, len(tokens), generator)


def compare(out, name, model, held, vocabulary, generator):
    """Logits of transformers on the file itself, checked against the weights that were put into it.
    The config is given: of a gpt2 file transformers does not read the number of positions."""
    ids = torch.randint(0, vocabulary, (1, POSITIONS - 5), generator=generator)
    read = transformers.AutoModelForCausalLM.from_pretrained(out, gguf_file=name + ".gguf", dtype=torch.float32,
                                                             config=model.config, attn_implementation="eager").eval()
    model.load_state_dict(held)
    with torch.no_grad():
        logits, expected = read(ids).logits[0], model(ids).logits[0]
    difference = float((logits - expected).abs().max() / expected.abs().max())
    print(f"{name}: logits {list(logits.shape)}, transformers on the file against the weights: {difference:.1e}")
    assert difference < 2e-6
    ids[0].numpy().astype("<u2").tofile(os.path.join(out, name + ".ids.u16"))
    logits.numpy().astype("<f4").tofile(os.path.join(out, name + ".logits.f32"))


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                             "lab", "data", "gguf")
    torch.set_num_threads(1)
    tokens = vocabulary()
    config = transformers.LlamaConfig(
        hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
        intermediate_size=FFN, vocab_size=len(tokens), max_position_embeddings=POSITIONS, rms_norm_eps=EPS,
        tie_word_embeddings=False, rope_parameters=dict(rope_type="default", rope_theta=THETA),
        attn_implementation="eager")
    generator = torch.Generator().manual_seed(SEED)
    model = transformers.LlamaForCausalLM(config).eval().float()
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(1 + 0.3 * noise if "norm" in name else noise * (0.7 if "emb" in name else 1.2 / WIDTH**0.5))
    held = write(os.path.join(out, "llama.gguf"), model, tokens)
    compare(out, "llama", model, held, len(tokens), generator)
    make_gpt2(out, tokens)

    pre = tokenizers.pre_tokenizers
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE({t: i for i, t in enumerate(tokens)},
                                                     [tuple(m.split(" ")) for m in MERGES]))
    bpe.pre_tokenizer = pre.Sequence([pre.Digits(individual_digits=True),
                                      pre.ByteLevel(add_prefix_space=False, use_regex=True)])
    with open(os.path.join(out, "llama.texts.jsonl"), "w") as file:
        for text in TEXTS:
            file.write(json.dumps({"text": text, "ids": bpe.encode(text).ids}) + "\n")


if __name__ == "__main__":
    main()
