"""Serves a GGUF file with llama.cpp, or checks how log-probabilities of given text are got out of it.

usage: llama_cpp.py GGUF_FILE [--threads N] [--check]

Needs the wheel `xllamacpp`, which is llama.cpp's server in a Python module. The first line of the output is the address; the server
ends with its standard input.

With --check: llama.cpp reports the log-probabilities of tokens that it generates only, so `latentd` forces the text's own tokens by
a grammar of token ids (server/autointerp/src/provider/openai/score_text/llama_cpp.rs). The check asks for the same tokens one by
one, each as the likeliest of the whole vocabulary after all before it, and prints the largest difference.
"""

import argparse
import json
import os
import sys
import urllib.request

import xllamacpp

CONTEXT = "The quick brown fox"
TEXT = " jumps over the lazy dog\tunknown\nand naïve 🙂 hello, over and over."
TOLERANCE = 1e-2  # the same tokens in batches of other lengths, in the arithmetic of quantized weights


def serve(gguf, threads):
    params = xllamacpp.CommonParams()
    params.model.path = gguf
    params.n_ctx = 16384  # over all slots together
    params.n_parallel = 4
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = threads
    params.port = 0
    params.use_jinja = True
    return xllamacpp.Server(params)


def post(address, path, body):
    request = urllib.request.Request(
        address + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def check(address):
    def tokens(text, special):
        body = {"content": text, "add_special": special, "parse_special": False}
        return post(address, "/tokenize", body)["tokens"]

    context, text = tokens(CONTEXT, True), tokens(TEXT, False)
    grammar = "root ::= " + " ".join(f"<[{token}]>" for token in text)
    ask = {"temperature": 0, "samplers": []}
    body = ask | {"prompt": context, "n_predict": len(text), "n_probs": 1, "grammar": grammar}
    forced = post(address, "/completion", body)["completion_probabilities"]
    assert [token["id"] for token in forced] == text, "other tokens than the grammar allows"
    vocab = json.load(urllib.request.urlopen(address + "/v1/models"))["data"][0]["meta"]["n_vocab"]
    worst = 0.0
    for at, token in enumerate(text):
        body = ask | {"prompt": context + text[:at], "n_predict": 1, "n_probs": vocab}
        top = post(address, "/completion", body)["completion_probabilities"][0]["top_logprobs"]
        alone = next(one["logprob"] for one in top if one["id"] == token)
        worst = max(worst, abs(alone - forced[at]["logprob"]))
    print(f"{len(text)} tokens, largest difference {worst:.2e} nats")
    assert worst < TOLERANCE


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gguf")
    # More threads than idle cores make llama.cpp slow: they wait for each other.
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    server = serve(arguments.gguf, arguments.threads)
    print(server.listening_address, flush=True)
    if arguments.check:
        check(server.listening_address)
    else:
        sys.stdin.read()
    # The server has threads of its own that do not end with the interpreter.
    os._exit(0)


main()
