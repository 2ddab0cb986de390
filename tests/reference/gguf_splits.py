"""Writes a GGUF file with a byte-level tokenizer, and the ids that llama.cpp gives for texts under many names of `tokenizer.ggml.pre`.

usage: gguf_splits.py OUT_DIR

Needs tokenizers, gguf and the wheel `xllamacpp`, which is llama.cpp's server in a Python module. Merges were learned on whole lines, so
that tokens reach over every place where a text may be split; some tokens are made by no merge, and are found only where merges are
ignored. The model around the tokenizer is as small as a llama can be.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

import gguf
import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

NAMES = """gpt-2 phi-2 mpt olmo jais trillion granite-docling exaone4 gigachat mellum modern-bert jina-es jina-v2-de starcoder refact
command-r codeshell exaone minerva-7b llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 dbrx smaug-bpe chatglm-bpe
qwen2 deepseek-r1-qwen megrez stablelm2 hunyuan tekken gpt-4o llama4 default""".split()
LINES = [
    "the cat sat on the mat, and the dog didn't; they've said we'll see",
    "In 2024 there were 12345 cats and 3.14 dogs -- 100% of $99+1=100!",
    "a  b   c    1    22     333\tand\ttabs \t mixed  \n\n\nthree lines\r\nwindows \n  indented",
    "DON'T SHOUT, I'M HERE. WE'LL see what they'd do, he's 7th",
    "if (x != 10) { return f(a[i], -1) || b<=c; } // done...",
    "one|two^three~four $$$ +++ === <<< >>>",
    "hello world hello  world",
    "x1y2z3 4a55b666c7777 0x1F 1,000,000.50",
]
# Letters without case, and those of other scripts: where llama.cpp's pattern for one name is not the original's, left to ASCII.
UNICODE = ["Zürich, naïve café", "漢字かな交じり文 123", "Привет, мир! 42", "🙂 👍🏽 ok", "½ ² Ⅻ ٣٤٥"]
ASCII_ONLY = {"tekken", "gpt-4o", "llama4"}
WHOLE = ["hello", " hello", " world", " 12345", "don't", " didn't"]


def tokenizer() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    learner = trainers.BpeTrainer(vocab_size=520, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), min_frequency=1)
    made.train_from_iterator([line for line in LINES + UNICODE for _ in range(2)] + [" ".join(LINES)] * 2, learner)
    return made


def spelled(text: str) -> str:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)[0][0]


def write(path: pathlib.Path, pre: str) -> None:
    definition = json.loads(tokenizer().to_str())["model"]
    vocab = definition["vocab"]
    tokens = [token for token, _ in sorted(vocab.items(), key=lambda item: item[1])]
    tokens += [spelled(text) for text in WHOLE if spelled(text) not in vocab] + ["<|end|>"]
    width = 32
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(2)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (len(tokens) - 1) + [3])
    writer.add_token_merges([" ".join(pair) for pair in definition["merges"]])
    writer.add_bos_token_id(len(tokens) - 1)
    writer.add_eos_token_id(len(tokens) - 1)
    for name, shape in {
        "token_embd": (len(tokens), width),
        "output_norm": (width,),
        "blk.0.attn_norm": (width,),
        "blk.0.ffn_norm": (width,),
        **{f"blk.0.{part}": (width, width) for part in ("attn_q", "attn_k", "attn_v", "attn_output")},
        "blk.0.ffn_gate": (2, width),
        "blk.0.ffn_up": (2, width),
        "blk.0.ffn_down": (width, 2),
    }.items():
        if len(shape) == 1:
            writer.add_tensor(f"{name}.weight", np.ones(shape, np.float32))
        elif name == "token_embd":
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(f"{name}.weight", gguf.quantize(np.ones(shape, np.float32), kind), raw_dtype=kind)
        else:
            writer.add_tensor(f"{name}.weight", np.ones(shape, np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def ask(path: str) -> None:
    """Prints the ids of every text; in a process of its own, since the server's threads do not end with it."""
    import os

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel, params.n_gpu_layers, params.port = 64, 1, 0, 0
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)

    def ids(text: str) -> list[int]:
        body = json.dumps({"content": text, "add_special": False, "parse_special": True}).encode()
        request = urllib.request.Request(f"{server.listening_address}/tokenize", body, {"content-type": "application/json"})
        return json.load(urllib.request.urlopen(request))["tokens"]

    print(json.dumps([ids(text) for text in LINES + UNICODE]), flush=True)
    os._exit(0)


def main(out: pathlib.Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write(out / "splits.gguf", "gpt-2")
    expected = {}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "a.gguf"
        for name in NAMES:
            write(path, name)
            asked = subprocess.run([sys.executable, __file__, "--ask", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
            found = json.loads(asked.stdout)
            ids = found[: len(LINES)] if name in ASCII_ONLY else found
            expected.setdefault(json.dumps(ids), []).append(name)
    texts = json.dumps(LINES + UNICODE, ensure_ascii=False)
    rows = ",\n".join(f'  {{"names": {json.dumps(names)}, "ids": {ids}}}' for ids, names in expected.items())
    (out / "splits.json").write_text(f'{{\n "texts": {texts},\n "expected": [\n{rows}\n ]\n}}\n')


if __name__ == "__main__":
    if sys.argv[1] == "--ask":
        ask(sys.argv[2])
    else:
        main(pathlib.Path(sys.argv[1]))
