#!/usr/bin/env python3
"""Turns the training text into a byte-level BPE of 4,096 tokens and one stream of uint16 ids.

    python3 prepare.py --text DIR --out WORK

DIR holds *.xz files (see README.md: Wikipedia and novels). A third of the Wikipedia documents stay as they
are; two thirds get the spacing of WikiText (Moses tokens: " , ", " @-@ ", " 's"), because the
perplexity is measured on WikiText-2 and clean text never looks like that. Documents are shuffled with a
fixed seed and separated by <|endoftext|> (id 0).
"""
import argparse, glob, lzma, os, random, re, time
import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|endoftext|>"
SEED = 1


def wikitext_spacing(text):
    """Approximates the spacing of WikiText raw: tokens split off their words, lines with outer spaces."""
    text = re.sub(r"(?<=\w)-(?=\w)", " @-@ ", text)
    text = re.sub(r"(?<=\d),(?=\d)", " @,@ ", text)
    text = re.sub(r"(?<=\d)\.(?=\d)", " @.@ ", text)
    text = re.sub(r"(?<=\w)('s|'t|'re|'ve|'m|'ll|'d)\b", r" \1", text)
    text = re.sub(r"(?<![@ ])([,;:!?()\[\]\"])(?![@])", r" \1", text)
    text = re.sub(r"(?<!@)([,;:!?()\[\]\"])(?![@ \n])", r"\1 ", text)
    text = re.sub(r"(?<=[^\s.@])\.(?=\s|$)", " .", text)
    lines = []
    for line in (re.sub(" +", " ", line.strip()) for line in text.split("\n")):
        if re.fullmatch(r"=+ .* =+", line):  # "== History ==" is " = = History = = " between blank lines
            marks, title = re.match(r"(=+) (.*) =+", line).groups()
            spaced = " ".join(marks)
            lines += [" ", f" {spaced} {title} {spaced} ", " "]
        elif line:
            lines.append(f" {line} ")
    return "\n".join(lines) + "\n"


def documents(folder):
    rng = random.Random(SEED)
    for path in sorted(glob.glob(os.path.join(folder, "**", "*.xz"), recursive=True)):
        text = lzma.open(path, "rt", encoding="utf-8").read()
        if "wikipedia" in path:
            for doc in text.split("\n\n\n"):
                doc = doc.strip()
                if doc:
                    yield wikitext_spacing(doc) if rng.random() < 2 / 3 else doc
        else:  # novels: pieces of about 8,000 characters, so that the shuffle mixes them
            paragraphs, piece = text.split("\n\n"), ""
            for paragraph in paragraphs:
                piece += paragraph + "\n\n"
                if len(piece) > 8000:
                    yield piece.strip()
                    piece = ""
            if piece.strip():
                yield piece.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True, help="folder with the *.xz training text")
    parser.add_argument("--out", required=True, help="folder for tokenizer.json and tokens.u16")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    start = time.time()
    docs = list(documents(args.text))
    random.Random(SEED).shuffle(docs)
    print(f"{len(docs)} documents, {sum(map(len, docs)) / 1e6:.1f} M characters, {time.time() - start:.0f} s")

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=4096, special_tokens=[END], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(docs[: len(docs) // 5], trainer)
    tokenizer.save(os.path.join(args.out, "tokenizer.json"))
    print(f"tokenizer: {tokenizer.get_vocab_size()} tokens, {time.time() - start:.0f} s")

    end, total = tokenizer.token_to_id(END), 0
    with open(os.path.join(args.out, "tokens.u16"), "wb") as out:
        for i in range(0, len(docs), 512):
            for encoding in tokenizer.encode_batch(docs[i:i + 512]):
                ids = np.array([end] + encoding.ids, dtype="<u2")
                total += len(ids)
                out.write(ids.tobytes())
    print(f"{total} tokens, {time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
