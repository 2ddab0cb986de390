"""Texts of windows of tokens, with characters that several tokens spell.

Usage: characters.py GOLDEN_DIR

Writes GOLDEN_DIR/tokenizer/characters.json: for the tokenizer of `models/llama` (bytes) every window of some texts, for
`tokenizer/sentencepiece.gguf` (bytes where it lacks a character) the whole texts, each with what `decode` makes of it.
Needs transformers 5 and gguf.
"""

import json
import sys
from pathlib import Path

from transformers import AutoTokenizer

TEXTS = ["🎉 window 東京 é", "a👩‍🚀b", "naïve — “café”", "日本語と한국어", "ﷺ\u0301 x", "plain words"]


def decode(tokenizer, ids):
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


golden = Path(sys.argv[1])
cases = []
tokenizer = AutoTokenizer.from_pretrained(golden / "models/llama")
for text in TEXTS:
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert decode(tokenizer, ids) == text
    for start in range(0, len(ids), 3):
        for end in (start + 1, start + 5, start + 8, len(ids)):
            if start < end <= len(ids):
                cases.append({"model": "models/llama", "ids": ids[start:end], "text": decode(tokenizer, ids[start:end])})
tokenizer = AutoTokenizer.from_pretrained(golden / "tokenizer", gguf_file="sentencepiece.gguf")
for text in TEXTS:
    ids = tokenizer(text, add_special_tokens=False).input_ids
    cases.append({"model": "tokenizer/sentencepiece.gguf", "ids": ids, "text": decode(tokenizer, ids)})
out = golden / "tokenizer/characters.json"
out.write_text("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]\n")
print(len(cases), "windows")
