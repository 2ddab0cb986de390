"""Every call of the synchronous client, against a real server with a real model."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from latentd import (
    Client,
    Encoded,
    InvalidRequestError,
    LatentdError,
    NotFoundError,
    PreconditionError,
    UnavailableError,
)
from latentd.v1 import activation_pb2, activation_pb2_grpc

from .conftest import SAE

PROMPTS = ["The capital of France is Paris", "He signed the contract last week."]


def test_server_info(client: Client) -> None:
    info = client.server_info()
    assert "llama" in info.capabilities["model_families"]
    assert "detection" in info.capabilities["scorers"] and "local" in info.capabilities["provider_kinds"]
    assert info.limits["max_prompts"] > 0
    assert {"engine", "database"} <= set(info.components) and all(info.components.values())


def test_models_and_saes(client: Client) -> None:
    model = client.model("smollm2-135m")
    assert model in list(client.models())
    assert (model.family, model.n_layers, model.d_model) == ("llama", 30, 576)
    assert "blocks.9.hook_resid_post" in model.hook_points
    sae = client.sae(SAE)
    assert sae in list(client.saes("smollm2-135m"))
    assert (sae.architecture, sae.k, sae.d_sae) == ("topk", 32, 4608)
    assert sae.self_test.l0 <= 32 and 0 < sae.self_test.fvu < 0.5


def test_loading_again_changes_nothing_and_other_ids_come_and_go(client: Client) -> None:
    sae = client.sae(SAE)
    again = client.load_sae("smollm2-135m", "l9", sae.path)
    assert again.digest == sae.digest
    second = client.load_sae("smollm2-135m", "copy", sae.path)
    assert second.digest == sae.digest
    assert client.unload_sae(second.name) > 0
    with pytest.raises(NotFoundError, match="UNKNOWN_SAE"):
        client.sae(second.name)
    model = client.load_model("second", client.model("smollm2-135m").path)
    assert client.unload_model(model.name) > 0


def test_tokenize(client: Client) -> None:
    text = "The café in Paris"
    (tokens,) = client.tokenize("smollm2-135m", [text], prepend_bos=True)
    assert tokens.special[0] and not tokens.special[1:].any()
    pieces = [text.encode()[start:end] for start, end in tokens.byte_ranges]
    assert b"".join(pieces).decode() == text
    (bare,) = client.tokenize("smollm2-135m", [text], prepend_bos=False)
    assert bare.ids.tolist() == tokens.ids[1:].tolist()


def test_encode(client: Client) -> None:
    result = client.encode(PROMPTS, SAE, top_k=8)
    assert len(result) == sum(len(p) for p in result.prompts) == result.prompt_offsets[-1]
    assert result.latents.dtype == np.int32 and result.activations.dtype == np.float32
    latents, activations = result.row(0)
    assert len(latents) == 0, "the beginning-of-sequence token is masked"
    latents, activations = result.row(1)
    assert len(latents) == 8 and (np.diff(activations) <= 0).all()
    dense = result.to_dense()
    assert dense.shape == (len(result), 4608)
    assert np.count_nonzero(dense) == len(result.latents)
    assert result.top(3, max_density=1)[0] == dense.max(axis=0).argmax()
    assert result.dense_latents == client.sae(SAE).self_test.dense_latents
    assert 1386 in result.top(3, max_density=1) and 1386 not in result.top(20), "it fires on every token"


def test_selections_agree(client: Client) -> None:
    every = client.encode(PROMPTS, SAE)
    some = every.top(5)
    subset = client.encode(PROMPTS, SAE, latents=some)
    np.testing.assert_array_equal(subset.to_dense()[:, some], every.to_dense()[:, some])
    kept = client.encode([every.prompts[0].ids], SAE, special_tokens="keep")
    assert len(kept.row(0)[0]) > 0
    scaled = client.encode(PROMPTS, SAE, scale="decoder_norm")
    assert scaled.scale == "decoder_norm" and len(scaled.latents) == len(every.latents)
    (many,) = client.encode_many(PROMPTS, [SAE])
    np.testing.assert_array_equal(many.latents, every.latents)


def test_decode(client: Client) -> None:
    result = client.encode(PROMPTS[:1], SAE)
    dense = client.decode(SAE, result.row_offsets, result.latents, result.activations)
    assert dense.shape == (len(result), 576)
    zero = client.decode(SAE, [0, 0], [], [])
    assert np.isfinite(dense).all() and not np.allclose(dense[1], zero[0])


def test_encode_stream(client: Client) -> None:
    batches = [[PROMPTS[0]], [""], [PROMPTS[1]]]
    results = list(client.encode_stream(batches, SAE, prepend_bos=False))
    assert [r.id for r in results] == [0, 1, 2]
    assert results[1].error is not None and results[1].error.reason == "EMPTY_BATCH"
    single = client.encode(batches[2], SAE, prepend_bos=False)
    np.testing.assert_array_equal(results[2].unwrap().activations, single.activations)


def test_encode_stream_takes_batches_as_results_are_taken(client: Client) -> None:
    taken = 0

    def batches() -> Iterator[list[str]]:
        nonlocal taken
        for _ in range(100_000):
            taken += 1
            yield ["word"]

    results = client.encode_stream(batches(), SAE)
    for number in range(20):
        assert next(results).id == number
        assert taken <= number + 1 + 64 + 1
    results.close()


def test_latent(client: Client) -> None:
    latent = client.latent(SAE, 1847, count=5)
    assert len(latent.top_logits) == len(latent.neighbours) == 5
    assert latent.neighbours[0][1] >= latent.neighbours[-1][1]
    assert latent.decoder_norm > 0


def test_cache_job_examples_and_statistics(client: Client, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("\n".join('{"text": "He signed the contract, and the lawyer kept it."}' for _ in range(8)))
    tmp_path.chmod(0o755)
    job = client.build_cache(SAE, str(corpus), context_length=32)
    states = [event.state for event in client.watch_job(job.name)]
    assert states[-1] == "succeeded"
    done = client.wait(job.name)
    assert done == client.job(job.name) and done.name in [j.name for j in client.jobs(kind="build_cache")]
    cache = client.cache(done.result)
    assert cache.state == "ready" and cache.documents == 8 and cache in list(client.caches())
    stats = client.latent_stats(SAE, cache=cache.name)
    assert len(stats.latents) == 4608 and stats.counts.sum() == cache.saes[0].activations
    firing = stats.latents[stats.counts > 0]
    for mode in ("top", "quantile", "bins", "random", "non_activating"):
        found = list(client.examples(SAE, firing[:3], cache=cache.name, mode=mode, count=4, window=8, seed=7))
        assert all(len(e.tokens) == len(e.activations) <= 8 for e in found)
        if mode != "non_activating":
            assert found and all(e.peak == e.activations.max() for e in found)
        else:
            assert all(e.peak == 0 for e in found)
    assert {e.latent for e in client.examples(SAE, range(0, 64), cache=cache.name)} <= set(range(64))
    with pytest.raises(Exception, match="JOB_ENDED"):
        client.cancel_job(job.name)
    assert client.delete_cache(cache.name) > 0


def test_windows_are_what_examples_showed(client: Client) -> None:
    cache = next(cache.name for cache in client.caches() if cache.name.startswith("caches/demo-"))
    stats = client.latent_stats(SAE, cache=cache)
    latent = stats.latents[stats.counts.argmax()]
    found = list(client.examples(SAE, [latent], cache=cache, count=3, window=8))
    windows = client.windows(cache, [example.window for example in found], sae=SAE, latent=int(latent))
    for example, window in zip(found, windows, strict=True):
        assert (window.id, window.tokens, window.document) == (example.window, example.tokens, example.document)
        np.testing.assert_array_equal(window.activations, example.activations)
    assert client.window(cache, found[0].window).text == found[0].text
    with pytest.raises(InvalidRequestError, match="INVALID_REQUEST"):
        client.window(cache, "9999999:0+4")


def test_handles(client: Client) -> None:
    cache = next(cache.name for cache in client.caches() if cache.name.startswith("caches/demo-"))
    sae = client.sae(SAE)
    result = sae.encode(PROMPTS)
    assert result == client.encode(PROMPTS, SAE)
    assert sae.decode(result).shape == (len(result), 576)
    assert sae.latent(1847) == client.latent(SAE, 1847)
    assert sae.latent_stats([7, 9], cache=cache).latents.tolist() == [7, 9]
    assert len(sae.examples(result.top(3)[1:], cache=cache, count=2)) > 0


def test_clients_that_know_no_packed_fields_are_served(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        stub = activation_pb2_grpc.ActivationServiceStub(channel)
        request = activation_pb2.EncodeRequest(prompts=[activation_pb2.Prompt(text=PROMPTS[0])], saes=[SAE])
        plain = stub.Encode(request)
        request.packed = True
        packed = stub.Encode(request)
    assert plain.activations[0].latents and not plain.activations[0].packed_latents
    assert packed.activations[0].packed_latents and not packed.activations[0].latents
    assert Encoded._from_pb(plain) == Encoded._from_pb(packed)


def test_explanations_by_hand(client: Client) -> None:
    written = client.create_explanation(SAE, 1847, "contracts that somebody signed", author="a test")
    assert (written.latent, written.explainer, written.provenance.author) == (1847, "hand", "a test")
    assert client.explanation(written.name) == written
    assert written in list(client.explanations(SAE, [1847], explainer="hand"))
    found = client.search_explanations('"signed" contracts', sae=SAE, mode="words")
    assert written.name in [hit.name for hit in found] and all(hit.relevance is not None for hit in found)
    assert any("contracts that somebody signed" in line for line in client.export_explanations(SAE))
    client.delete_explanation(written.name)
    with pytest.raises(NotFoundError, match="UNKNOWN_EXPLANATION"):
        client.explanation(written.name)


def test_providers_and_jobs_that_cannot_begin(client: Client) -> None:
    key = "env:OPENAI_API_KEY"
    made = client.create_provider("absent", url="https://api.openai.com/v1", model="m", key=key, probe=False)
    assert (made.kind, made.key_source, made.prompt_logprobs) == ("openai", key, False)
    with pytest.raises(LatentdError, match="KEY_NOT_ALLOWED"):
        client.create_provider("thief", url="http://127.0.0.1:9/v1", model="m", key=key, probe=False)
    assert made.name in [provider.name for provider in client.providers()]
    with pytest.raises(PreconditionError, match="PROVIDER_LACKS_CAPABILITY"):
        client.explain(SAE, [1847], provider="absent", scorers=["simulation"])
    client.delete_provider("absent")
    with pytest.raises(NotFoundError, match="UNKNOWN_PROVIDER"):
        client.explain(SAE, [1847], provider="absent")


def test_errors_carry_the_reason(client: Client) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.encode(PROMPTS, "smollm2-135m/nothing")
    assert caught.value.reason == "UNKNOWN_SAE"
    with pytest.raises(InvalidRequestError) as invalid:
        client.encode([], SAE)
    assert invalid.value.reason == "EMPTY_BATCH"
    with pytest.raises(TypeError):
        client.encode("one prompt", SAE)  # type: ignore[arg-type]


def test_an_absent_server_is_an_error_and_not_a_wait() -> None:
    with Client("127.0.0.1:1", retries=0) as client, pytest.raises(UnavailableError):
        client.server_info()
