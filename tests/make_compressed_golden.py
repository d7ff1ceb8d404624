#!/usr/bin/env python3
"""Makes tests/lab/data/compressed: a tiny random Llama in the layouts of the package compressed-tensors.

    python3 make_compressed_golden.py [OUT]

Needs torch, transformers and compressed-tensors (0.20); the files are committed, so only a change of this script needs
it. Scales, codes, packing and config.json are the package's own; symmetric codes reach -128 and -8. One folder per scheme
with config.json and model.safetensors; weights.f32: what transformers decompresses them to, layer by layer in the order
of computation. ids.u16 [T] for all; logits.f32 [T, V] where the inputs stay float.
"""
import json, os, sys
import torch
import transformers
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationConfig, QuantizationScheme
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors.torch import save_file

SEED, WIDTH, FFN, VOCABULARY, POSITIONS = 11, 16, 20, 40, 24
CHANNEL8 = dict(num_bits=8, symmetric=True, strategy="channel")
GROUPS4 = dict(num_bits=4, symmetric=True, strategy="group", group_size=4)
TOKENS = dict(num_bits=8, symmetric=True, strategy="token", dynamic=True)
SCHEMES = {  # weights, inputs, dtype of the scales
    "w8": (CHANNEL8, None, torch.bfloat16),
    "w4": (dict(GROUPS4, strategy="channel", group_size=None), None, torch.float32),
    "w4-g4": (GROUPS4, None, torch.float16),
    "w4-g4-affine": (dict(GROUPS4, symmetric=False), None, torch.float32),
    "w8-affine": (dict(CHANNEL8, symmetric=False), None, torch.float32),
    "w8a8-dynamic-token": (CHANNEL8, TOKENS, torch.float32),
    "w8a8-static": (CHANNEL8, dict(num_bits=8, symmetric=True, strategy="tensor"), torch.float32),
    "w4a8": (dict(CHANNEL8, num_bits=4), TOKENS, torch.float32),
}
LAYERS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
          "mlp.down_proj"]


def compressed(weight, scheme, dtype):
    args = scheme.weights
    parts = weight.view(weight.shape[0], -1, args.group_size or weight.shape[1])
    low, high = parts.amin(-1), parts.amax(-1)
    scale, zero = calculate_qparams(low, high, args)
    scale = scale.to(dtype).float() if dtype != torch.float32 else scale
    state = {"weight": weight, "weight_scale": scale, "weight_zero_point": zero.to(torch.int8)}
    done = BaseCompressor.get_value_from_registry(scheme.format).compress(state, scheme)
    done["weight_scale"] = done["weight_scale"].to(dtype)
    if args.symmetric:
        done.pop("weight_zero_point", None)
    return done


def make(folder, model, name, weights, inputs, dtype, ids):
    os.makedirs(folder, exist_ok=True)
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**weights),
                                input_activations=inputs and QuantizationArgs(**inputs),
                                format="int-quantized" if inputs else "pack-quantized")
    state = {}
    for key, value in model.state_dict().items():
        layer = key.removesuffix(".weight")
        if not layer.endswith("_proj"):
            state[key] = value.clone()
            continue
        done = compressed(value, scheme, dtype)
        if inputs and inputs["strategy"] == "tensor":
            done["input_scale"] = torch.tensor([0.02 + 0.001 * len(layer)])
        state |= {f"{layer}.{part}": tensor.contiguous() for part, tensor in done.items()}
    save_file(state, os.path.join(folder, "model.safetensors"), {"format": "pt"})
    config = model.config.to_dict()
    config["quantization_config"] = json.loads(QuantizationConfig(
        config_groups={"group_0": scheme}, format=scheme.format, quantization_status="compressed",
        ignore=["lm_head"]).model_dump_json())
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file, indent=1)
    read = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, quantization_config=transformers.CompressedTensorsConfig(run_compressed=False)).eval()
    layers = dict(read.named_modules())
    found = [layers["model.layers.0." + layer].weight.data for layer in LAYERS]
    if dtype != torch.float32:  # the package rounds products to the type of the scale, and we do not
        read = read.float()
        found = [exact(state, "model.layers.0." + layer, found[i]) for i, layer in enumerate(LAYERS)]
        for layer, weight in zip(LAYERS, found):
            layers["model.layers.0." + layer].weight.data = weight
        for key, value in state.items():
            if key.endswith("norm.weight") or key.startswith(("lm_head", "model.embed")):
                layers[key.removesuffix(".weight")].weight.data = value.float()
    torch.cat([w.float().flatten() for w in found]).numpy().tofile(os.path.join(folder, "weights.f32"))
    lowest = min(int(torch.round(w / exact_scale(state, "model.layers.0." + layer, w)).min())
                 for layer, w in zip(LAYERS, found)) if weights["symmetric"] else "affine"
    print(f"{name}: lowest code {lowest}")
    if not inputs:
        with torch.no_grad():
            read(ids).logits[0].float().numpy().tofile(os.path.join(folder, "logits.f32"))


def exact_scale(state, layer, weight):
    scale = state[layer + ".weight_scale"].float()
    return scale.repeat_interleave(weight.shape[1] // scale.shape[1], 1)


def exact(state, layer, weight):
    """scale * code without rounding: of a code and a scale of at most 11 bits float32 has the product."""
    scale = exact_scale(state, layer, weight)
    product = torch.round(weight.float() / scale) * scale
    assert torch.equal(product.to(weight.dtype), weight)
    return product


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                             "lab", "data", "compressed")
    torch.set_num_threads(1)
    os.makedirs(out, exist_ok=True)
    config = transformers.LlamaConfig(
        hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, intermediate_size=FFN,
        vocab_size=VOCABULARY, max_position_embeddings=POSITIONS, rms_norm_eps=1e-5, tie_word_embeddings=False,
        architectures=["LlamaForCausalLM"], bos_token_id=1, eos_token_id=2)
    generator = torch.Generator().manual_seed(SEED)
    model = transformers.LlamaForCausalLM(config).eval().float()
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(1 + 0.3 * noise if "norm" in name else noise * (0.7 if "emb" in name else 1.2 / WIDTH**0.5))
    ids = torch.randint(0, VOCABULARY, (1, POSITIONS - 5), generator=generator)
    ids[0].numpy().astype("<u2").tofile(os.path.join(out, "ids.u16"))
    for name, (weights, inputs, dtype) in SCHEMES.items():
        make(os.path.join(out, name), model, name, weights, inputs, dtype, ids)


if __name__ == "__main__":
    main()
