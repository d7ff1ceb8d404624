#!/usr/bin/env python3
"""Makes tests/lab/data/golden: tiny random GPT-2, OPT and Llama checkpoints and the logits HuggingFace gives them.

    python3 make_golden.py [OUT]

Needs torch, transformers and safetensors; the files are committed, so only a change of this script needs
it. Eager attention, float32, one thread. Every parameter is random (also gains and biases, which
HuggingFace initialises to ones and zeros), so that none can be forgotten. Sizes are no multiple of a vector.
Per case: config.json, model.safetensors, ids.u16 [T], logits.f32 [T, V].
"""
import json, os, sys
import numpy as np
import torch
import transformers
from safetensors.torch import save_file

SEED, WIDTH, HEADS, LAYERS, VOCAB, POSITIONS = 1, 20, 4, 2, 53, 19

GPT2 = dict(n_embd=WIDTH, n_head=HEADS, n_layer=LAYERS, vocab_size=VOCAB, n_positions=POSITIONS,
            bos_token_id=0, eos_token_id=0)
OPT = dict(hidden_size=WIDTH, num_attention_heads=HEADS, num_hidden_layers=LAYERS, vocab_size=VOCAB,
           max_position_embeddings=POSITIONS, ffn_dim=3 * WIDTH, word_embed_proj_dim=WIDTH, bos_token_id=2,
           eos_token_id=2, pad_token_id=1)
LLAMA = dict(hidden_size=WIDTH, num_hidden_layers=LAYERS, vocab_size=VOCAB, max_position_embeddings=POSITIONS,
             intermediate_size=36, bos_token_id=0, eos_token_id=0)

# name: family, config, prefix in the file (HuggingFace's own is "transformer." or "model.decoder."), buffers
CASES = {
    "gpt2_tied": ("gpt2", dict(), "transformer.", True),
    "gpt2_untied": ("gpt2", dict(tie_word_embeddings=False, n_inner=28, scale_attn_by_inverse_layer_idx=True,
                                 activation_function="relu"), "", False),
    "opt_pre_norm": ("opt", dict(), "model.decoder.", False),
    "opt_post_norm": ("opt", dict(do_layer_norm_before=False, word_embed_proj_dim=12), "decoder.", False),
    "opt_untied": ("opt", dict(tie_word_embeddings=False, activation_function="gelu"), "model.", False),
    # heads of 6: 24 columns of q, 12 of k
    "llama_grouped": ("llama", dict(tie_word_embeddings=True, num_attention_heads=4, num_key_value_heads=2,
                                    head_dim=6, rms_norm_eps=1e-5,
                                    rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
                      "model.", False),
    "llama_untied": ("llama", dict(num_attention_heads=2, attention_bias=True, mlp_bias=True,
                                   rope_parameters=dict(rope_type="default", rope_theta=500.0)), "", False),
}


def randomise(model, generator):
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name or "ln_" in name:
                p.copy_(0.3 * noise + (1.0 if name.endswith("weight") else 0.0))
            elif p.dim() == 2:
                p.copy_(noise * (0.7 if "emb" in name or "wte" in name or "wpe" in name else 1.2 / WIDTH**0.5))
            else:
                p.copy_(0.2 * noise)


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                             "lab", "data", "golden")
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, seed {SEED}")
    for name, (family, extra, prefix, buffers) in CASES.items():
        generator = torch.Generator().manual_seed(SEED)
        if family == "gpt2":
            config = transformers.GPT2Config(**(GPT2 | extra), attn_implementation="eager")
            model, inner = transformers.GPT2LMHeadModel(config), "transformer."
        elif family == "llama":
            config = transformers.LlamaConfig(**(LLAMA | extra), attn_implementation="eager")
            model, inner = transformers.LlamaForCausalLM(config), "model."
        else:
            config = transformers.OPTConfig(**(OPT | extra), attn_implementation="eager")
            model, inner = transformers.OPTForCausalLM(config), "model.decoder."
        model = model.eval().float()
        randomise(model, generator)
        model.tie_weights()
        ids = torch.randint(0, VOCAB, (1, POSITIONS), generator=generator)
        with torch.no_grad():
            logits = model(ids).logits[0]
        tensors = {}
        for key, value in model.state_dict().items():
            if key == "lm_head.weight":
                if not config.tie_word_embeddings:
                    tensors[key] = value.contiguous()
                continue
            assert key.startswith(inner), key
            tensors[prefix + key[len(inner):]] = value.contiguous()
        if buffers:  # as old checkpoints carry them
            for i in range(LAYERS):
                mask = torch.tril(torch.ones(POSITIONS, POSITIONS)).to(torch.uint8)
                tensors[f"{prefix}h.{i}.attn.bias"] = mask.view(1, 1, POSITIONS, POSITIONS).contiguous()
                tensors[f"{prefix}h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
        folder = os.path.join(out, name)
        os.makedirs(folder, exist_ok=True)
        save_file(tensors, os.path.join(folder, "model.safetensors"))
        settings = config.to_dict()
        settings["architectures"] = [type(model).__name__]
        if name == "llama_untied":  # as files before transformers 5 say it
            settings["rope_theta"] = settings.pop("rope_parameters")["rope_theta"]
            settings["rope_scaling"] = None
        with open(os.path.join(folder, "config.json"), "w") as file:
            json.dump(settings, file, indent=1, sort_keys=True)
            file.write("\n")
        ids[0].numpy().astype("<u2").tofile(os.path.join(folder, "ids.u16"))
        logits.numpy().astype("<f4").tofile(os.path.join(folder, "logits.f32"))
        print(f"{name}: logits {list(logits.shape)}, standard deviation {logits.std():.3f}")


if __name__ == "__main__":
    main()
