"""The calls of the API, described once for both clients: a stub and method, a request, and how to read the reply."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _requests as r
from . import _types as t
from .v1 import (
    activation_pb2,
    activation_pb2_grpc,
    cache_pb2,
    cache_pb2_grpc,
    job_pb2,
    job_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    sae_pb2,
    sae_pb2_grpc,
    server_pb2,
    server_pb2_grpc,
)

T = TypeVar("T")
R = TypeVar("R")

Prompt = str | Sequence[int] | NDArray[np.integer[Any]]
SpecialTokens = Literal["mask", "keep"]
Scale = Literal["raw", "decoder_norm"]
Mode = Literal["top", "quantile", "bins", "random", "non_activating"]
Centring = Literal["peak", "grid", "middle"]
CorpusFormat = Literal["auto", "text", "lines", "jsonl", "parquet"]


@dataclass(frozen=True)
class Call(Generic[T]):
    """One RPC with its request. Only calls that may be repeated without harm are tried again."""

    stub: Callable[[Any], Any]
    method: str
    request: Any
    read: Callable[[Any], T]
    retry: bool = True


@dataclass(frozen=True)
class Pages(Generic[T]):
    """A List call: `page` makes the request for a page token, `items` reads a reply."""

    stub: Callable[[Any], Any]
    method: str
    page: Callable[[str], Any]
    items: Callable[[Any], Iterable[T]]

    def call(self, token: str) -> Call[tuple[list[T], str]]:
        """The call for one page, which returns its items and the next page's token."""
        return Call(
            self.stub, self.method, self.page(token), lambda reply: (list(self.items(reply)), reply.next_page_token)
        )


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that are given; the server has its own defaults for the others."""
    return {name: value for name, value in fields.items() if value is not None}


def _enum(kind: Any, prefix: str, name: str) -> Any:
    """The value of an enum that the API calls `PREFIX_NAME`."""
    return kind.Value(f"{prefix}_{name.upper()}")


def _ids(values: ArrayLike) -> list[int]:
    ids: list[int] = np.asarray(values).astype(np.int64).ravel().tolist()
    return ids


def server_info() -> Call[t.ServerInfo]:
    """GetServerInfo."""
    request = server_pb2.GetServerInfoRequest()
    return Call(server_pb2_grpc.ServerServiceStub, "GetServerInfo", request, t.ServerInfo._from_pb)


def list_models() -> Pages[t.Model]:
    """ListModels."""
    return Pages(
        model_pb2_grpc.ModelServiceStub,
        "ListModels",
        lambda token: model_pb2.ListModelsRequest(page_token=token),
        lambda reply: map(t.Model._from_pb, reply.models),
    )


def get_model(name: str) -> Call[t.Model]:
    """GetModel."""
    request = model_pb2.GetModelRequest(name=name)
    return Call(model_pb2_grpc.ModelServiceStub, "GetModel", request, t.Model._from_pb)


def load_model(model_id: str, path: str, dtype: str) -> Call[t.Model]:
    """LoadModel."""
    request = model_pb2.LoadModelRequest(model_id=model_id, path=path, dtype=dtype)
    return Call(model_pb2_grpc.ModelServiceStub, "LoadModel", request, t.Model._from_pb)


def unload_model(name: str, force: bool) -> Call[int]:
    """UnloadModel."""
    request = model_pb2.UnloadModelRequest(name=name, force=force)
    stub = model_pb2_grpc.ModelServiceStub
    return Call(stub, "UnloadModel", request, lambda reply: int(reply.freed_bytes), retry=False)


def tokenize(model: str, texts: Sequence[str], prepend_bos: bool | None) -> Call[list[t.Tokens]]:
    """Tokenize."""
    request = model_pb2.TokenizeRequest(name=model, texts=texts, **_given(prepend_bos=prepend_bos))
    stub = model_pb2_grpc.ModelServiceStub
    return Call(stub, "Tokenize", request, lambda reply: [t.Tokens._from_pb(s) for s in reply.sequences])


def list_saes(model: str | None) -> Pages[t.Sae]:
    """ListSaes."""
    return Pages(
        sae_pb2_grpc.SaeServiceStub,
        "ListSaes",
        lambda token: sae_pb2.ListSaesRequest(parent=model or "", page_token=token),
        lambda reply: map(t.Sae._from_pb, reply.saes),
    )


def get_sae(name: str) -> Call[t.Sae]:
    """GetSae."""
    return Call(sae_pb2_grpc.SaeServiceStub, "GetSae", sae_pb2.GetSaeRequest(name=name), t.Sae._from_pb)


def load_sae(model: str, sae_id: str, path: str, *, norm_scaling_factor: float | None, hook_point: str) -> Call[t.Sae]:
    """LoadSae."""
    request = sae_pb2.LoadSaeRequest(
        parent=model, sae_id=sae_id, path=path, norm_scaling_factor=norm_scaling_factor, hook_point=hook_point
    )
    return Call(sae_pb2_grpc.SaeServiceStub, "LoadSae", request, t.Sae._from_pb)


def unload_sae(name: str) -> Call[int]:
    """UnloadSae."""
    request = sae_pb2.UnloadSaeRequest(name=name)
    stub = sae_pb2_grpc.SaeServiceStub
    return Call(stub, "UnloadSae", request, lambda reply: int(reply.freed_bytes), retry=False)


def get_latent(sae: str, latent: int, count: int) -> Call[t.Latent]:
    """GetLatent."""
    request = sae_pb2.GetLatentRequest(
        name=f"{sae}/latents/{latent}" if "saes/" in sae else f"{sae}/{latent}", count=count
    )
    return Call(sae_pb2_grpc.SaeServiceStub, "GetLatent", request, t.Latent._from_pb)


def _prompt(prompt: Prompt) -> activation_pb2.Prompt:
    if isinstance(prompt, str):
        return activation_pb2.Prompt(text=prompt)
    return activation_pb2.Prompt(token_ids=activation_pb2.TokenIds(ids=_ids(prompt)))


def _scale(scale: Scale) -> Any:
    return _enum(activation_pb2.ActivationScale, "ACTIVATION_SCALE", scale)


def _special(special_tokens: SpecialTokens) -> Any:
    return _enum(activation_pb2.SpecialTokens, "SPECIAL_TOKENS", special_tokens)


@dataclass(frozen=True)
class EncodeOptions:
    """What the encode calls share. At most one of `top_k` and `latents`; every latent that fires without them."""

    saes: Sequence[str]
    top_k: int | None
    latents: ArrayLike | None
    prepend_bos: bool | None
    special_tokens: SpecialTokens
    scale: Scale

    def request(self, prompts: Sequence[Prompt]) -> activation_pb2.EncodeRequest:
        """The request for a batch of prompts."""
        if isinstance(prompts, str):
            raise TypeError("prompts is a sequence of prompts; wrap a single one in a list")
        if self.top_k is not None and self.latents is not None:
            raise ValueError("give top_k or latents, not both")
        latents = None if self.latents is None else activation_pb2.LatentSet(latents=_ids(self.latents))
        return activation_pb2.EncodeRequest(
            prompts=[_prompt(p) for p in prompts],
            saes=self.saes,
            special_tokens=_special(self.special_tokens),
            scale=_scale(self.scale),
            **_given(prepend_bos=self.prepend_bos, top_k=self.top_k, latents=latents),
        )


def encode(prompts: Sequence[Prompt], options: EncodeOptions) -> Call[list[t.Encoded]]:
    """Encode."""
    stub = activation_pb2_grpc.ActivationServiceStub
    return Call(stub, "Encode", options.request(prompts), t.Encoded._from_pb)


def encode_stream(batches: Iterable[Sequence[Prompt]], options: EncodeOptions) -> Iterator[Any]:
    """The requests of an EncodeStream, numbered from 0."""
    for number, prompts in enumerate(batches):
        yield activation_pb2.EncodeStreamRequest(id=number, request=options.request(prompts))


def decode(
    sae: str, row_offsets: ArrayLike, latents: ArrayLike, activations: ArrayLike, scale: Scale
) -> Call[t.Float32]:
    """Decode."""
    request = activation_pb2.DecodeRequest(
        sae=sae,
        row_offsets=_ids(row_offsets),
        latents=_ids(latents),
        activations=np.asarray(activations, dtype=np.float32).ravel().tolist(),
        scale=_scale(scale),
    )

    def read(reply: activation_pb2.DecodeResponse) -> t.Float32:
        return np.array(reply.values, dtype=np.float32).reshape(reply.rows, reply.width)

    return Call(activation_pb2_grpc.ActivationServiceStub, "Decode", request, read)


@dataclass(frozen=True)
class CacheOptions:
    """What BuildCache is told besides the SAEs and the text; zeros and Nones take the server's defaults."""

    cache_id: str
    format: CorpusFormat
    text_field: str
    context_length: int
    max_tokens: int
    seed: int
    prepend_bos: bool | None
    special_tokens: SpecialTokens
    activation_dtype: str


def build_cache(saes: Sequence[str], paths: Sequence[str], options: CacheOptions) -> Call[t.Job]:
    """BuildCache. The request id makes a repeated call the same call."""
    name = "FORMAT_UNSPECIFIED" if options.format == "auto" else options.format.upper()
    format: Any = cache_pb2.Corpus.Format.Value(name)
    request = cache_pb2.BuildCacheRequest(
        cache_id=options.cache_id,
        saes=saes,
        corpus=cache_pb2.Corpus(paths=paths, format=format, text_field=options.text_field),
        context_length=options.context_length,
        max_tokens=options.max_tokens,
        seed=options.seed,
        special_tokens=_special(options.special_tokens),
        activation_dtype=options.activation_dtype,
        request_id=str(uuid.uuid4()),
        **_given(prepend_bos=options.prepend_bos),
    )
    return Call(cache_pb2_grpc.CacheServiceStub, "BuildCache", request, t.Job._from_pb)


def list_caches() -> Pages[t.Cache]:
    """ListCaches."""
    return Pages(
        cache_pb2_grpc.CacheServiceStub,
        "ListCaches",
        lambda token: cache_pb2.ListCachesRequest(page_token=token),
        lambda reply: map(t.Cache._from_pb, reply.caches),
    )


def get_cache(name: str) -> Call[t.Cache]:
    """GetCache."""
    return Call(cache_pb2_grpc.CacheServiceStub, "GetCache", cache_pb2.GetCacheRequest(name=name), t.Cache._from_pb)


def delete_cache(name: str) -> Call[int]:
    """DeleteCache."""
    request = cache_pb2.DeleteCacheRequest(name=name)
    stub = cache_pb2_grpc.CacheServiceStub
    return Call(stub, "DeleteCache", request, lambda reply: int(reply.freed_bytes), retry=False)


@dataclass(frozen=True)
class ExampleOptions:
    """How examples are chosen and cut; zeros take the server's defaults."""

    mode: Mode
    count: int
    groups: int
    window: int
    centring: Centring
    seed: int


def examples(sae: str, cache: str, latents: ArrayLike | range, options: ExampleOptions) -> Any:
    """The request of StreamExamples."""
    if isinstance(latents, range) and latents.step == 1:
        selector: dict[str, Any] = {"range": cache_pb2.LatentRange(start=latents.start, end=latents.stop)}
    else:
        selector = {"latents": activation_pb2.LatentSet(latents=_ids(latents))}
    return cache_pb2.StreamExamplesRequest(
        cache=cache,
        sae=sae,
        mode=_enum(cache_pb2.ExampleMode, "EXAMPLE_MODE", options.mode),
        count=options.count,
        groups=options.groups,
        window=options.window,
        centring=_enum(cache_pb2.Centring, "CENTRING", options.centring),
        seed=options.seed,
        **selector,
    )


def read_examples(reply: cache_pb2.StreamExamplesResponse) -> list[t.Example]:
    """The examples in one message of StreamExamples; none in its summary."""
    if reply.WhichOneof("event") != "latent":
        return []
    return [t.Example._from_pb(reply.latent.latent, example) for example in reply.latent.examples]


def latent_stats(sae: str, cache: str, latents: ArrayLike | None) -> Pages[cache_pb2.LatentStats]:
    """ListLatentStats."""
    wanted = [] if latents is None else _ids(latents)
    return Pages(
        cache_pb2_grpc.CacheServiceStub,
        "ListLatentStats",
        lambda token: cache_pb2.ListLatentStatsRequest(
            cache=cache, sae=sae, latents=wanted, page_token=token, page_size=1000
        ),
        lambda reply: reply.stats,
    )


def get_job(name: str) -> Call[t.Job]:
    """GetJob."""
    return Call(job_pb2_grpc.JobServiceStub, "GetJob", job_pb2.GetJobRequest(name=name), t.Job._from_pb)


def list_jobs(states: Sequence[str], kind: str) -> Pages[t.Job]:
    """ListJobs."""
    wanted = [_enum(job_pb2.JobState, "JOB_STATE", state) for state in states]
    return Pages(
        job_pb2_grpc.JobServiceStub,
        "ListJobs",
        lambda token: job_pb2.ListJobsRequest(page_token=token, states=wanted, kind=kind),
        lambda reply: map(t.Job._from_pb, reply.jobs),
    )


def cancel_job(name: str) -> Call[t.Job]:
    """CancelJob."""
    stub = job_pb2_grpc.JobServiceStub
    return Call(stub, "CancelJob", job_pb2.CancelJobRequest(name=name), t.Job._from_pb, retry=False)


def pause_job(name: str) -> Call[t.Job]:
    """PauseJob."""
    stub = job_pb2_grpc.JobServiceStub
    return Call(stub, "PauseJob", job_pb2.PauseJobRequest(name=name), t.Job._from_pb, retry=False)


def resume_job(name: str, budget: r.Budget | None) -> Call[t.Job]:
    """ResumeJob."""
    more = budget or r.Budget()
    request = job_pb2.ResumeJobRequest(
        name=name, budget_calls=more.calls, budget_tokens=more.tokens, budget_dollars=more.dollars
    )
    return Call(job_pb2_grpc.JobServiceStub, "ResumeJob", request, t.Job._from_pb, retry=False)


def watch_job(name: str, after_event_id: int) -> Any:
    """The request of WatchJob."""
    return job_pb2.WatchJobRequest(name=name, after_event_id=after_event_id)


CHANNEL_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_receive_message_length", 256 << 20),
    ("grpc.max_send_message_length", 256 << 20),
    ("grpc.keepalive_time_ms", 30_000),
)
"""Encode replies of many tokens are larger than grpc's default of 4 MiB."""
