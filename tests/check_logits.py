#!/usr/bin/env python3
"""Compares the logits of zp-lab with those of HuggingFace transformers.

    python3 check_logits.py path/to/zp-lab [MODEL_DIR...] [--tokens 64] [--tolerance 2e-5]

Needs torch and transformers (with safetensors). MODEL_DIR is a folder with safetensors of the families that zp-lab
reads; without one, the random configurations of make_golden.py with other numbers, in shards. Both sides compute in
float32 on the same ids, drawn with a fixed seed. Per model one line: the largest absolute difference, that over the
largest logit, and the positions whose likeliest token is the same.

Sums of n products in another order part by about sqrt(n) 2^-24 of their size in every layer; over the random models and
random weights in the shapes of gpt2, opt-125m and SmolLM2-135M that is 1.3e-6 of the largest logit at most. A model agrees when no logit is off by more than --tolerance times the
largest one, and the likeliest tokens are the same wherever transformers' first two are further apart than twice that.
Exit code 1 when a model does not agree, 2 when zp-lab cannot compute it.
"""
import argparse, os, subprocess, sys, tempfile
import numpy as np
import torch
import transformers
from make_golden import CASES, GPT2, LLAMA, OPT, randomise

FAMILIES = {"gpt2": (GPT2, transformers.GPT2Config), "opt": (OPT, transformers.OPTConfig),
            "llama": (LLAMA, transformers.LlamaConfig)}
SEED = 2  # not make_golden.py's


def make(name, folder):
    family, extra, _, _ = CASES[name]
    common, config = FAMILIES[family]
    model = transformers.AutoModelForCausalLM.from_config(config(**(common | extra))).float()
    randomise(model, torch.Generator().manual_seed(SEED))
    model.tie_weights()
    model.save_pretrained(folder, max_shard_size="8kB")


def of_zp_lab(zp_lab, model, ids, scratch):
    source, out = os.path.join(scratch, "ids.u16"), os.path.join(scratch, "logits.f32")
    ids.astype("<u2").tofile(source)
    run = subprocess.run([zp_lab, "logits", "--model", model, "--ids", source, "--out", out], capture_output=True,
                         text=True)
    if run.returncode != 0:
        print(f"{model}: {run.stderr.strip()}", file=sys.stderr)
        sys.exit(2)
    return np.fromfile(out, "<f4").reshape(len(ids), -1)


def agrees(zp_lab, name, folder, tokens, tolerance):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True,
                                                              attn_implementation="eager").eval()
    config = model.config
    tokens = min(tokens, config.max_position_embeddings)
    ids = np.random.default_rng(SEED).integers(0, min(config.vocab_size, 1 << 16), tokens)  # they travel as uint16
    with torch.no_grad():
        expected = model(torch.from_numpy(ids)[None]).logits[0].numpy()
    with tempfile.TemporaryDirectory() as scratch:
        ours = of_zp_lab(zp_lab, folder, ids, scratch)
    if ours.shape != expected.shape:
        print(f"{name}: logits {list(ours.shape)}, transformers has {list(expected.shape)}: DIFFERS")
        return False
    largest = float(np.abs(expected).max())
    difference = float(np.abs(ours - expected).max())  # a NaN anywhere is a NaN here
    second, first = np.partition(expected, -2, axis=1)[:, -2:].T
    same = ours.argmax(axis=1) == expected.argmax(axis=1)
    good = difference <= tolerance * largest and bool(np.all(same | (first - second <= 2 * tolerance * largest)))
    print(f"{name}: {config.model_type}, {tokens} tokens, {ours.shape[1]} logits each: at most {difference:.3g} apart, "
          f"{difference / largest:.2g} of the largest; the same likeliest token at {int(same.sum())} of {tokens}: "
          f"{'agrees' if good else 'DIFFERS'}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zp_lab", metavar="ZP_LAB")
    parser.add_argument("models", metavar="MODEL_DIR", nargs="*")
    parser.add_argument("--tokens", type=int, default=64, help="at most the model's positions (default: 64)")
    parser.add_argument("--tolerance", type=float, default=2e-5, help="over the largest logit (default: 2e-5)")
    o = parser.parse_args()
    if o.tokens < 1 or not o.tolerance >= 0:
        parser.error("expected --tokens of at least 1 and a --tolerance of at least 0")
    for folder in o.models:
        if not os.path.isfile(os.path.join(folder, "config.json")):
            parser.error(f"{folder}: holds no config.json; expected the folder of a model")
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}; float32, tolerance {o.tolerance:g} of "
          f"the largest logit")
    good = True
    if o.models:
        for folder in o.models:
            good &= agrees(o.zp_lab, os.path.basename(os.path.abspath(folder)), folder, o.tokens, o.tolerance)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            for name in CASES:
                folder = os.path.join(scratch, name)
                make(name, folder)
                good &= agrees(o.zp_lab, f"random {name}", folder, o.tokens, o.tolerance)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
