"""Writes the tiny random models of tests/golden/models, and what transformers computes with them.

usage: models.py OUT_DIR

Needs torch, transformers 5, tokenizers, safetensors and gguf. Each model is a Hugging Face folder; beside its weights lies
`expected.safetensors` with the values at every hook point and the logits. Two models are also written as GGUF files whose
dequantized weights are those of the folder, bit for bit, so that one file of expected values serves both.
"""

import json
import pathlib
import sys

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

PROMPTS = ["The cat sat.", "Déjà vu 42\n"]
TEXT = ["the cat sat on the mat", "the rat and the hat that the cat ate", "an answer in time", "on and on in the end"]
BOS = "<|endoftext|>"
VOCAB = 272


def tokenizer() -> Tokenizer:
    """Byte-level BPE with BOS at id 0 and a handful of merges."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        TEXT * 4, trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=[BOS], initial_alphabet=alphabet)
    )
    assert made.get_vocab_size() == VOCAB and made.token_to_id(BOS) == 0
    return made


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Weights large enough that every part of the model shows in its output; norms near 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim == 1:
                is_norm = name.endswith("weight")
                parameter.copy_(1 + 0.2 * noise if is_norm else 0.2 * noise)
            else:
                parameter.copy_(noise * (1.0 if "wte" in name or "embed" in name else 0.3))


def hook_points(model: torch.nn.Module) -> list[tuple[str, torch.nn.Module, bool]]:
    """TransformerLens' name, the module, and whether its input is meant (else its output)."""
    if isinstance(model, GPT2LMHeadModel):
        points = [("hook_embed", model.transformer.wte, False)]
        for i, block in enumerate(model.transformer.h):
            points += [
                (f"blocks.{i}.hook_resid_pre", block, True),
                (f"blocks.{i}.attn.hook_z", block.attn.c_proj, True),
                (f"blocks.{i}.hook_attn_out", block.attn, False),
                (f"blocks.{i}.hook_resid_mid", block.ln_2, True),
                (f"blocks.{i}.mlp.hook_post", block.mlp.c_proj, True),
                (f"blocks.{i}.hook_mlp_out", block.mlp, False),
                (f"blocks.{i}.hook_resid_post", block, False),
            ]
        return points
    points = [("hook_embed", model.model.embed_tokens, False)]
    for i, block in enumerate(model.model.layers):
        points += [
            (f"blocks.{i}.hook_resid_pre", block, True),
            (f"blocks.{i}.attn.hook_z", block.self_attn.o_proj, True),
            (f"blocks.{i}.hook_attn_out", block.self_attn, False),
            (f"blocks.{i}.hook_resid_mid", block.post_attention_layernorm, True),
            (f"blocks.{i}.mlp.hook_post", block.mlp.down_proj, True),
            (f"blocks.{i}.hook_mlp_out", block.mlp, False),
            (f"blocks.{i}.hook_resid_post", block, False),
        ]
    return points


def run(model: torch.nn.Module, ids: list[int]) -> dict[str, torch.Tensor]:
    """Values at every hook point and the logits, `[tokens, width]`."""
    values, handles = {}, []

    def first(value):
        return (value[0] if isinstance(value, tuple) else value)[0].detach().float().contiguous().clone()

    for name, module, is_input in hook_points(model):

        def before(_module, args, kwargs, name=name):
            values[name] = first(args or kwargs["hidden_states"])

        def after(_module, _args, output, name=name):
            values[name] = first(output)

        handles.append(
            module.register_forward_pre_hook(before, with_kwargs=True)
            if is_input
            else module.register_forward_hook(after)
        )
    with torch.no_grad():
        values["logits"] = model(torch.tensor([ids])).logits[0].float().contiguous()
    for handle in handles:
        handle.remove()
    return values


def save_expected(folder: pathlib.Path, prompts: list[list[int]]) -> None:
    """Of the model as it is read back: what was written may be rounded."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tensors = {f"{i}.{name}": value for i, ids in enumerate(prompts) for name, value in run(model, ids).items()}
    save_file(tensors, folder / "expected.safetensors")


def save_folder(model: torch.nn.Module, folder: pathlib.Path, made: Tokenizer, dtype: torch.dtype, shard: str) -> None:
    """A folder as `save_pretrained` makes it. The weights of the model are rounded to `dtype` too."""
    fast = PreTrainedTokenizerFast(tokenizer_object=made, bos_token=BOS, eos_token=BOS)
    fast.save_pretrained(folder)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    model.to(torch.float32)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tokenizer_json = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json, ensure_ascii=False, separators=(",", ":")))


def write_vocabulary(writer: gguf.GGUFWriter, made: Tokenizer) -> None:
    definition = json.loads(made.to_str())
    tokens = sorted(definition["model"]["vocab"].items(), key=lambda item: item[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for token, _ in tokens])
    writer.add_token_types([3 if token == BOS else 1 for token, _ in tokens])
    writer.add_token_merges([" ".join(pair) for pair in definition["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)


def quantized(weights: torch.Tensor, kind: gguf.GGMLQuantizationType) -> np.ndarray:
    return gguf.quantize(weights.numpy(), kind)


def round_through(weights: torch.nn.Parameter, kind: gguf.GGMLQuantizationType) -> None:
    """What is left of the weights after they were written as `kind`."""
    with torch.no_grad():
        weights.copy_(torch.from_numpy(gguf.dequantize(quantized(weights.detach(), kind), kind)).reshape(weights.shape))


LLAMA_KINDS = {
    "embed_tokens": gguf.GGMLQuantizationType.Q8_0,
    "q_proj": gguf.GGMLQuantizationType.Q8_0,
    "k_proj": gguf.GGMLQuantizationType.Q5_1,
    "v_proj": gguf.GGMLQuantizationType.F16,
    "o_proj": gguf.GGMLQuantizationType.Q5_0,
    "gate_proj": gguf.GGMLQuantizationType.Q4_1,
    "up_proj": gguf.GGMLQuantizationType.Q4_0,
    "down_proj": gguf.GGMLQuantizationType.BF16,
}
LLAMA_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
GPT2_NAMES = {
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}


def gguf_name(name: str, names: dict[str, str], blocks: str) -> str:
    stem, kind = name.rsplit(".", 1)
    if stem.startswith(blocks):
        layer, stem = stem[len(blocks) :].split(".", 1)
        return f"blk.{layer}.{names[stem]}.{kind}"
    return f"{names[stem]}.{kind}"


def permuted(weights: torch.Tensor, heads: int) -> torch.Tensor:
    """llama.cpp's order of the rows of queries and keys (`LlamaModel.permute` of its converter)."""
    shape = weights.shape
    return weights.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def write_llama(model: LlamaForCausalLM, made: Tokenizer, path: pathlib.Path) -> None:
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    write_vocabulary(writer, made)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, weights in model.named_parameters():
        part = name.split(".")[-2]
        weights = weights.detach()
        if part in heads:
            weights = permuted(weights, heads[part])
        kind = LLAMA_KINDS.get(part)
        target = gguf_name(name, LLAMA_NAMES, "model.layers.")
        if kind is None:
            writer.add_tensor(target, weights.numpy())
        else:
            writer.add_tensor(target, quantized(weights.contiguous(), kind), raw_dtype=kind)
    finish(writer)


def write_gpt2(model: GPT2LMHeadModel, made: Tokenizer, path: pathlib.Path) -> None:
    config = model.config
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_block_count(config.n_layer)
    writer.add_context_length(config.n_positions)
    writer.add_embedding_length(config.n_embd)
    writer.add_feed_forward_length(config.n_inner)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    write_vocabulary(writer, made)
    for name, weights in model.named_parameters():
        weights = weights.detach()
        if weights.ndim == 2 and ".h." in name:
            weights = weights.T.contiguous()
        dtype = np.float16 if weights.ndim == 2 else np.float32
        writer.add_tensor(gguf_name(name, GPT2_NAMES, "transformer.h."), weights.numpy().astype(dtype))
    finish(writer)


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama(rope: dict, **more) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        rope_parameters=rope,
        bos_token_id=0,
        eos_token_id=0,
        **more,
    )
    return LlamaForCausalLM(config).eval()


def main(out: pathlib.Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    made = tokenizer()
    prompts = [[0, *made.encode(text).ids] for text in PROMPTS]
    listed = [{"text": text, "ids": ids} for text, ids in zip(PROMPTS, prompts)]
    (out / "prompts.json").write_text(json.dumps(listed, indent=1) + "\n")

    tied = llama({"rope_type": "default", "rope_theta": 10000.0}, tie_word_embeddings=True)
    randomise(tied, 1)
    for name, parameter in tied.named_parameters():
        if (kind := LLAMA_KINDS.get(name.split(".")[-2])) is not None:
            round_through(parameter, kind)
    save_folder(tied, out / "llama", made, torch.float32, "1GB")
    save_expected(out / "llama", prompts)
    write_llama(tied, made, out / "llama.gguf")

    scaling = {"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
    untied = llama({"rope_type": "llama3", "rope_theta": 500.0, **scaling}, attention_bias=True, head_dim=16)
    randomise(untied, 2)
    save_folder(untied, out / "llama-sharded", made, torch.bfloat16, "40KB")
    save_expected(out / "llama-sharded", prompts)

    config = GPT2Config(
        vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4, n_inner=64, n_positions=64, bos_token_id=0, eos_token_id=0
    )
    gpt2 = GPT2LMHeadModel(config).eval()
    randomise(gpt2, 3)
    save_folder(gpt2, out / "gpt2", made, torch.float16, "1GB")
    save_expected(out / "gpt2", prompts)
    write_gpt2(gpt2, made, out / "gpt2.gguf")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
