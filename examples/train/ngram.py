#!/usr/bin/env python3
"""The baseline a language model has to beat: interpolated Kneser-Ney n-grams over the same tokens.

    python3 ngram.py --work WORK --text ../data/wikitext-2-raw/wiki.test.raw [--tokens 58e6] [--order 5]

An n-gram of up to 5 ids of 12 bits is one 64-bit key. The highest order counts occurrences, lower orders
count distinct left neighbours (Kneser & Ney 1995); one absolute discount per order, n1 / (n1 + 2 n2).
Scores the tokens that evaluate.py scores, with unlimited left context.
"""
import argparse, math, os
import numpy as np
from tokenizers import Tokenizer

BITS, CONTEXT = 12, 256


def keys(ids, n):
    key = np.zeros(len(ids) - n + 1, np.uint64)
    for i in range(n):
        key = (key << np.uint64(BITS)) | ids[i:len(ids) - n + 1 + i]
    return key


def lookup(table, values, query):
    at = np.minimum(np.searchsorted(table, query), len(table) - 1)
    return np.where(table[at] == query, values[at], 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--tokens", type=float, default=1e12)
    parser.add_argument("--order", type=int, default=5, choices=range(1, 6))
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(os.path.join(args.work, "tokenizer.json"))
    vocab = tokenizer.get_vocab_size()
    train = np.fromfile(os.path.join(args.work, "tokens.u16"), "<u2")[: int(args.tokens)].astype(np.uint64)
    test = np.array(tokenizer.encode(open(args.text, encoding="utf-8", newline="").read()).ids, np.uint64)

    p = np.full(len(test), 1.0 / vocab)  # order 0: uniform
    grams, counts = np.unique(keys(train, args.order), return_counts=True)
    tables = {args.order: (grams, counts)}
    for n in range(args.order - 1, 0, -1):  # distinct left neighbours: drop the first id of each (n+1)-gram
        mask = np.uint64((1 << (BITS * n)) - 1)
        tables[n] = np.unique(tables[n + 1][0] & mask, return_counts=True)
    for n in range(1, args.order + 1):
        grams, counts = tables[n]
        n1, n2 = np.count_nonzero(counts == 1), np.count_nonzero(counts == 2)
        discount = n1 / (n1 + 2 * n2) if n1 else 0.5
        contexts, first = np.unique(grams >> np.uint64(BITS), return_index=True)
        totals = np.add.reduceat(counts, first)
        kinds = np.diff(np.append(first, len(grams)))
        query = keys(test, n)
        count = lookup(grams, counts, query)
        total = lookup(contexts, totals, query >> np.uint64(BITS))
        kind = lookup(contexts, kinds, query >> np.uint64(BITS))
        seen = total > 0
        lower = p[n - 1:]
        safe = np.maximum(total, 1)
        p[n - 1:] = np.where(seen, np.maximum(count - discount, 0) / safe + discount * kind / safe * lower, lower)

    scored = np.arange(len(test)) % CONTEXT != 0
    scored[len(test) // CONTEXT * CONTEXT:] = False
    nats = -np.log(p[scored]).sum()
    size = sum(len(tokenizer.decode(test[i + 1:i + CONTEXT].tolist(), skip_special_tokens=False).encode())
               for i in range(0, len(test) // CONTEXT * CONTEXT, CONTEXT))
    print(f"{args.order}-gram Kneser-Ney on {len(train)} tokens: loss {nats / scored.sum():.4f} nats/token, "
          f"{nats / math.log(2) / size:.4f} bits per byte")


if __name__ == "__main__":
    main()
