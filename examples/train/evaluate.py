#!/usr/bin/env python3
"""Bits per byte of a model folder on a text, through transformers: proof that the folder loads as it is.

    python3 evaluate.py --model ../models/gpt2-4m --text ../data/wikitext-2-raw/wiki.test.raw

Disjoint windows of the model's context; in each, every token but the first is scored (protocol "chunk" of
zp-lab). Bits per byte divides by the bytes of the scored tokens.
"""
import argparse, math
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--text", required=True)
    args = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    text = open(args.text, encoding="utf-8", newline="").read()
    ids = torch.tensor(tokenizer(text, add_special_tokens=False)["input_ids"])
    window = getattr(model.config, "n_positions", None) or model.config.max_position_embeddings
    windows = ids[: len(ids) // window * window].view(-1, window)
    total, count, size = 0.0, 0, 0
    with torch.no_grad():
        for batch in windows.split(16):
            logits = model(batch).logits[:, :-1]
            total += torch.nn.functional.cross_entropy(
                logits.reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1), reduction="sum").item()
            count += batch[:, 1:].numel()
            size += sum(len(tokenizer.decode(row, clean_up_tokenization_spaces=False).encode())
                        for row in batch[:, 1:].tolist())
    print(f"{len(ids)} tokens, {count} scored, loss {total / count:.4f} nats/token, "
          f"perplexity {math.exp(total / count):.2f}, {total / math.log(2) / size:.4f} bits per byte")


if __name__ == "__main__":
    main()
