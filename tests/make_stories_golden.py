#!/usr/bin/env python3
"""Makes tests/lab/data/stories260K/texts.jsonl: texts and the ids of the package tokenizers.

    python3 make_stories_golden.py

Needs tokenizers; the file is committed, so only a change of this script needs it. The folder itself is what
zp-lab convert makes of stories260K.bin and tok512.bin (karpathy/tinyllamas, MIT).
"""
import json, os
import tokenizers

TEXTS = ["", " ", "Once upon a time, there was a little girl", "  two  spaces ", "Lily's mom said, \"Yes!\"\n", "a\tb\r\n",
         "café 😀 日本", "▁ is▁a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "the the the", "\u0000x", "0123"]


def main():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lab", "data", "stories260K")
    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    with open(os.path.join(folder, "texts.jsonl"), "w") as file:
        for text in TEXTS:
            file.write(json.dumps({"text": text, "ids": tokenizer.encode(text).ids}) + "\n")


if __name__ == "__main__":
    main()
