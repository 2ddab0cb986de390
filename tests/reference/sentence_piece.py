"""Writes a GGUF file with a SentencePiece tokenizer (tokens and scores, no merges), and the ids that transformers gives.

usage: sentence_piece.py OUT_DIR

Needs transformers 5 and gguf. The model around the tokenizer is as small as a llama can be.
"""

import json
import pathlib
import sys

import gguf
import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

TEXT = """the quick brown fox jumps over the lazy dog and the dog sleeps
she sells sea shells by the sea shore; the shells she sells are surely sea shells
how much wood would a woodchuck chuck if a woodchuck could chuck wood
Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich"""
LINES = [
    "the quick brown fox",
    " leading space",
    "two  spaces and\ta tab\n",
    "sea shells, by 1234 shores!",
    "Zwölf große Boxkämpfer",
    "unseen: 漢字 🙂 é",
    "<s>the dog</s>",
    "the<unk>dog",
    "",
    "▁already",
]
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6


def vocabulary() -> tuple[list[str], list[float], list[int]]:
    """Unknown, control and byte tokens, then pieces in the order in which BPE found them, scored by it."""
    learner = Tokenizer(models.BPE(unk_token="<unk>"))
    learner.pre_tokenizer = pre_tokenizers.Metaspace()
    learner.train_from_iterator(TEXT.split("\n"), trainers.BpeTrainer(vocab_size=140, special_tokens=["<unk>"]))
    found = sorted(learner.get_vocab().items(), key=lambda item: item[1])
    letters = [token for token, _ in found if len(token) == 1]
    pieces = [token for token, _ in found if len(token) > 1 and token != "<unk>"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces, *letters]
    kinds = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * (len(pieces) + len(letters))]
    scores = [0.0] * 259 + [-float(i) for i in range(len(pieces) + len(letters))]
    return tokens, scores, kinds


def main(out: pathlib.Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    tokens, scores, kinds = vocabulary()
    path = out / "sentencepiece.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(16)
    writer.add_embedding_length(2)
    writer.add_feed_forward_length(2)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    for name, shape in {
        "token_embd": (len(tokens), 2),
        "output_norm": (2,),
        "blk.0.attn_norm": (2,),
        "blk.0.ffn_norm": (2,),
        **{f"blk.0.{part}": (2, 2) for part in ("attn_q", "attn_k", "attn_v", "attn_output")},
        **{f"blk.0.{part}": (2, 2) for part in ("ffn_gate", "ffn_up", "ffn_down")},
    }.items():
        writer.add_tensor(f"{name}.weight", np.ones(shape, np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    tokenizer = AutoTokenizer.from_pretrained(out, gguf_file=path.name)
    cases = [{"text": line, "ids": tokenizer(line, add_special_tokens=False)["input_ids"]} for line in LINES]
    (out / "sentencepiece.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
