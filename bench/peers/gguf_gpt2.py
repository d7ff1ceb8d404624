"""A GPT-2 checkpoint in the HuggingFace layout as a float16 GGUF, by the package gguf: what llama.cpp quantizes.

No vocabulary, only its size: ids go in and out. Conv1D weights [in, out] become [out, in].
"""
import json, os
import gguf, numpy
from safetensors.numpy import load_file

NAMES = {"ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "ln_2": "ffn_norm",
         "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
OTHERS = {"wte.weight": "token_embd.weight", "wpe.weight": "position_embd.weight", "ln_f.weight": "output_norm.weight",
          "ln_f.bias": "output_norm.bias"}


def stored_name(name):
    if not name.startswith("h."):
        return OTHERS[name]
    _, layer, rest = name.split(".", 2)
    module, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{NAMES[module]}.{kind}"


def convert(folder, path):
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_block_count(config["n_layer"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    for name, values in load_file(os.path.join(folder, "model.safetensors")).items():
        name = name.removeprefix("transformer.")
        if values.ndim == 2 and name.startswith("h."):
            values = values.T
        kind = numpy.float16 if values.ndim == 2 and name != "wpe.weight" else numpy.float32
        writer.add_tensor(stored_name(name), numpy.ascontiguousarray(values, kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
