#!/usr/bin/env python3
"""Trains the two small language models of examples/models: one network, two layouts.

    python3 train.py --work WORK --out trunk --tokens 40e6 --decay 0 --save-state trunk.pt
    python3 train.py --work WORK --out ../models/gpt2-4m --layout gpt2 --tokens 10e6 --decay 1 --init trunk.pt
    python3 train.py --work WORK --out ../models/opt-4m  --layout opt  --tokens 10e6 --decay 1 --init trunk.pt

WORK comes from prepare.py. Pre-LN transformer, learned positions, tied head; GPT-2 has the tanh GELU and the
fused Conv1D attention [in, out], OPT has ReLU and separate Linear projections [out, in]. The learning
rate is warmed up, held, and lowered linearly to zero over the last --decay of the tokens, so that one
long run at the full rate (the trunk) can be finished in both layouts; a model's card says what it saw.
Hidden matrices are trained with Muon (momentum, orthogonalised), everything else with AdamW.
"""
import argparse, json, math, os, shutil, time
import numpy as np
import torch
import torch.nn.functional as F

VOCAB, WIDTH, LAYERS, HEADS, CONTEXT = 4096, 256, 4, 4, 256
SEED = 1  # of the order of the text; --seed is that of the weights


class Block(torch.nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.ln_1, self.ln_2 = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.q, self.k, self.v, self.o = (torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.fc, self.proj = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)
        self.activation = activation

    def forward(self, x):  # [B, T, C]
        B, T, C = x.shape
        h = self.ln_1(x)
        q, k, v = (f(h).view(B, T, HEADS, C // HEADS).transpose(1, 2) for f in (self.q, self.k, self.v))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(a.transpose(1, 2).reshape(B, T, C))
        h = self.fc(self.ln_2(x))
        h = F.relu(h) if self.activation == "relu" else F.gelu(h, approximate="tanh")
        return x + self.proj(h)


class Model(torch.nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.wte, self.wpe = torch.nn.Embedding(VOCAB, WIDTH), torch.nn.Embedding(CONTEXT, WIDTH)
        self.blocks = torch.nn.ModuleList(Block(activation) for _ in range(LAYERS))
        self.ln_f = torch.nn.LayerNorm(WIDTH)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                torch.nn.init.normal_(p, std=0.02 / (math.sqrt(2 * LAYERS) if ".o." in name or ".proj." in name else 1))
            elif name.endswith("bias"):
                torch.nn.init.zeros_(p)

    def forward(self, ids, targets):  # [B, T] each
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = self.ln_f(x) @ self.wte.weight.T
        return F.cross_entropy(logits.view(-1, VOCAB), targets.reshape(-1))


class Muon:
    """Momentum whose update is replaced by the nearest (semi-)orthogonal matrix, by five Newton-Schulz steps
    of the quintic of Jordan et al. 2024; scaled so that the root mean square of an update is 0.2 * lr."""

    def __init__(self, params):
        self.groups = {}
        for p in params:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.momentum = {shape: torch.zeros(len(ps), *shape) for shape, ps in self.groups.items()}

    @torch.no_grad()
    def step(self, lr, weight_decay=0.1, beta=0.95):
        for shape, ps in self.groups.items():
            g = torch.stack([p.grad for p in ps])
            m = self.momentum[shape].lerp_(g, 1 - beta)
            x = g.lerp(m, beta)
            if tall := shape[0] > shape[1]:
                x = x.mT
            x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
            for _ in range(5):
                s = x @ x.mT
                x = 3.4445 * x + (-4.7750 * s + 2.0315 * s @ s) @ x
            x = x.mT if tall else x
            for p, u in zip(ps, x):
                p.mul_(1 - lr * weight_decay).add_(u, alpha=-0.2 * lr * math.sqrt(max(shape)))


def export(model, layout, folder, work):
    from safetensors.torch import save_file
    w = {k: v.detach().clone() for k, v in model.state_dict().items()}
    out = {}
    if layout == "gpt2":
        out["transformer.wte.weight"], out["transformer.wpe.weight"] = w["wte.weight"], w["wpe.weight"]
        for i in range(LAYERS):
            a, b = f"transformer.h.{i}.", f"blocks.{i}."
            for n in ("ln_1", "ln_2"):
                for e in ("weight", "bias"):
                    out[f"{a}{n}.{e}"] = w[f"{b}{n}.{e}"]
            out[f"{a}attn.c_attn.weight"] = torch.cat([w[f"{b}{n}.weight"] for n in "qkv"]).T
            out[f"{a}attn.c_attn.bias"] = torch.cat([w[f"{b}{n}.bias"] for n in "qkv"])
            for n, t in (("attn.c_proj", "o"), ("mlp.c_fc", "fc"), ("mlp.c_proj", "proj")):
                out[f"{a}{n}.weight"], out[f"{a}{n}.bias"] = w[f"{b}{t}.weight"].T, w[f"{b}{t}.bias"]
        for e in ("weight", "bias"):
            out[f"transformer.ln_f.{e}"] = w[f"ln_f.{e}"]
        config = dict(architectures=["GPT2LMHeadModel"], model_type="gpt2", n_positions=CONTEXT, n_ctx=CONTEXT,
                      n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_inner=None, activation_function="gelu_new",
                      layer_norm_epsilon=1e-5, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
                      scale_attn_weights=True, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0)
    else:
        d = "model.decoder."
        out[f"{d}embed_tokens.weight"] = w["wte.weight"]
        out[f"{d}embed_positions.weight"] = torch.cat([torch.zeros(2, WIDTH), w["wpe.weight"]])
        for i in range(LAYERS):
            a, b = f"{d}layers.{i}.", f"blocks.{i}."
            for n, t in (("self_attn.q_proj", "q"), ("self_attn.k_proj", "k"), ("self_attn.v_proj", "v"),
                         ("self_attn.out_proj", "o"), ("fc1", "fc"), ("fc2", "proj"),
                         ("self_attn_layer_norm", "ln_1"), ("final_layer_norm", "ln_2")):
                for e in ("weight", "bias"):
                    out[f"{a}{n}.{e}"] = w[f"{b}{t}.{e}"]
        for e in ("weight", "bias"):
            out[f"{d}final_layer_norm.{e}"] = w[f"ln_f.{e}"]
        config = dict(architectures=["OPTForCausalLM"], model_type="opt", hidden_size=WIDTH, ffn_dim=4 * WIDTH,
                      num_hidden_layers=LAYERS, num_attention_heads=HEADS, max_position_embeddings=CONTEXT,
                      word_embed_proj_dim=WIDTH, do_layer_norm_before=True, activation_function="relu",
                      enable_bias=True, layer_norm_elementwise_affine=True, attention_dropout=0.0, dropout=0.0,
                      tie_word_embeddings=True, bos_token_id=0, eos_token_id=0, pad_token_id=0, prefix="<|endoftext|>")
    config |= dict(vocab_size=VOCAB, torch_dtype="float16")
    os.makedirs(folder, exist_ok=True)
    save_file({k: v.to(torch.float16).contiguous() for k, v in out.items()},
              os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    json.dump(config, open(os.path.join(folder, "config.json"), "w"), indent=2, sort_keys=True)
    json.dump(dict(tokenizer_class="GPT2TokenizerFast", bos_token="<|endoftext|>", eos_token="<|endoftext|>",
                   unk_token="<|endoftext|>", add_bos_token=layout == "opt", add_prefix_space=False,
                   model_max_length=CONTEXT), open(os.path.join(folder, "tokenizer_config.json"), "w"), indent=2)
    shutil.copy(os.path.join(work, "tokenizer.json"), folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="folder written by prepare.py")
    parser.add_argument("--out", required=True, help="model folder to write")
    parser.add_argument("--layout", choices=("gpt2", "opt"), default="gpt2")
    parser.add_argument("--tokens", type=float, default=50e6, help="tokens to train on")
    parser.add_argument("--decay", type=float, default=0.3, help="fraction of --tokens over which the rate falls")
    parser.add_argument("--init", help="state saved by --save-state: weights, optimizers and place in the text")
    parser.add_argument("--save-state", help="where to save that state, every 100 steps and at the end")
    parser.add_argument("--batch", type=int, default=8192, help="tokens per step")
    parser.add_argument("--micro", type=int, default=8, help="sequences per forward pass")
    parser.add_argument("--lr-muon", type=float, default=3e-3)
    parser.add_argument("--lr-adam", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_default_device(args.device)
    data = np.memmap(os.path.join(args.work, "tokens.u16"), dtype="<u2", mode="r")
    # Windows in random order: a step of consecutive windows would see two or three documents only.
    windows = np.random.default_rng(SEED).permutation((len(data) - 1) // CONTEXT)
    model = Model("relu" if args.layout == "opt" else "gelu")
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and n.startswith("blocks")]
    others = [p for n, p in model.named_parameters() if not (p.dim() == 2 and n.startswith("blocks"))]
    muon, adam = Muon(matrices), torch.optim.AdamW(others, lr=args.lr_adam, betas=(0.9, 0.98), weight_decay=0.0)
    position, warmup = 0, 100
    if args.init:
        state = torch.load(args.init, map_location=args.device)
        model.load_state_dict(state["model"])
        muon.momentum = {tuple(k): v for k, v in state["muon"]}
        adam.load_state_dict(state["adam"])
        position, warmup = state["position"], 1

    per_micro = args.micro * CONTEXT
    micros = max(1, args.batch // per_micro)
    steps = int(args.tokens // (micros * per_micro))
    stable = steps - int(steps * args.decay)
    start, smooth = time.time(), None
    first = position
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {steps} steps of {micros * per_micro} tokens, "
          f"{len(data)} tokens of text, seed {args.seed}", flush=True)
    for step in range(steps):
        rate = min(1.0, (step + 1) / warmup, (steps - step) / max(1, steps - stable))
        total = 0.0
        for _ in range(micros):
            if position + args.micro > len(windows):
                position = 0
            rows = [data[w * CONTEXT:(w + 1) * CONTEXT + 1] for w in windows[position:position + args.micro]]
            chunk = torch.from_numpy(np.stack(rows).astype(np.int64)).to(args.device)
            position += args.micro
            loss = model(chunk[:, :-1], chunk[:, 1:]) / micros
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        muon.step(args.lr_muon * rate)
        adam.param_groups[0]["lr"] = args.lr_adam * rate
        adam.step()
        model.zero_grad(set_to_none=True)
        smooth = total if smooth is None else smooth + 0.05 * (total - smooth)
        if step % 20 == 0 or step == steps - 1:
            done = (step + 1) * micros * per_micro
            speed = done / (time.time() - start)
            print(f"step {step} tokens {done / 1e6:.2f} M loss {total:.4f} smooth {smooth:.4f} rate {rate:.3f} "
                  f"{speed:.0f} tokens/s, {(steps - step) * micros * per_micro / speed / 60:.0f} min left", flush=True)
        if args.save_state and (step % 100 == 99 or step == steps - 1):
            torch.save(dict(model=model.state_dict(), muon=list(muon.momentum.items()), adam=adam.state_dict(),
                            position=position), args.save_state + ".part")
            os.replace(args.save_state + ".part", args.save_state)
            export(model, args.layout, args.out, args.work)
    export(model, args.layout, args.out, args.work)
    print(f"final smooth loss {smooth:.4f} nats/token; windows {first} to {position} of the shuffled text")


if __name__ == "__main__":
    main()
