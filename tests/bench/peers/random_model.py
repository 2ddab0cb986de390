"""Writes a llama model of SmolLM2-135M's shape with random weights, as a Hugging Face folder with a tokenizer of single bytes.

usage: random_model.py OUT_DIR
"""

import pathlib
import sys

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

out = pathlib.Path(sys.argv[1])
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=49152,
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    max_position_embeddings=2048,
    rope_theta=100000.0,
    tie_word_embeddings=True,
    bos_token_id=1,
    eos_token_id=2,
)
LlamaForCausalLM(config).save_pretrained(out)
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
vocab = {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2} | {c: i + 3 for i, c in enumerate(alphabet)}
tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.add_special_tokens(list(vocab)[:3])
tokenizer.save(str(out / "tokenizer.json"))
