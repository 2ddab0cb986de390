"""Calls about caches and what they hold."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import ArrayLike

from .. import _types as t
from ..v1 import cache_pb2, cache_pb2_grpc
from .activations import SpecialTokens, special
from .call import Call, Pages, enum, given, ids, selector

Mode = Literal["top", "quantile", "bins", "random", "non_activating"]
Centring = Literal["peak", "grid", "middle"]
CorpusFormat = Literal["auto", "text", "lines", "jsonl", "parquet", "arrow"]


@dataclass(frozen=True, eq=False)
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


def one_corpus(paths: str | Sequence[str], texts: Iterable[str] | None, uploaded: str | t.UploadedCorpus) -> None:
    """Refuses a BuildCache that names no corpus, or several."""
    given = [name for name, there in (("paths", paths), ("texts", texts is not None), ("uploaded", uploaded)) if there]
    if len(given) != 1:
        raise ValueError(f"give one of paths, texts and uploaded, not {' and '.join(given) or 'none'}")


def build_cache(
    saes: Sequence[str], paths: str | Sequence[str], uploaded: str | t.UploadedCorpus, options: CacheOptions
) -> Call[t.Job]:
    """BuildCache of paths, or of an uploaded corpus by its name. The request id makes a repeated call the same call."""
    format: Any = cache_pb2.Corpus.Format
    name = uploaded if isinstance(uploaded, str) else uploaded.name
    where: dict[str, Any] = {"uploaded": name} if name else {"paths": [paths] if isinstance(paths, str) else paths}
    request = cache_pb2.BuildCacheRequest(
        cache_id=options.cache_id,
        saes=saes,
        corpus=cache_pb2.Corpus(
            format=enum(format, options.format, unset="auto"), text_field=options.text_field, **where
        ),
        context_length=options.context_length,
        max_tokens=options.max_tokens,
        seed=options.seed,
        special_tokens=special(options.special_tokens),
        activation_dtype=options.activation_dtype,
        request_id=str(uuid.uuid4()),
        **given(prepend_bos=options.prepend_bos),
    )
    return Call(cache_pb2_grpc.CacheServiceStub, "BuildCache", request, t.Job._from_pb)


def list_corpora() -> Pages[t.UploadedCorpus]:
    """ListCorpora."""
    return Pages(
        cache_pb2_grpc.CacheServiceStub,
        "ListCorpora",
        lambda token: cache_pb2.ListCorporaRequest(page_token=token),
        lambda reply: map(t.UploadedCorpus._from_pb, reply.corpora),
    )


def delete_corpus(corpus: str | t.UploadedCorpus) -> Call[int]:
    """DeleteCorpus."""
    request = cache_pb2.DeleteCorpusRequest(name=corpus if isinstance(corpus, str) else corpus.name)
    return Call(cache_pb2_grpc.CacheServiceStub, "DeleteCorpus", request, lambda reply: int(reply.freed_bytes))


def list_caches() -> Pages[t.Cache]:
    """ListCaches."""
    return Pages(
        cache_pb2_grpc.CacheServiceStub,
        "ListCaches",
        lambda token: cache_pb2.ListCachesRequest(page_token=token),
        lambda reply: map(t.Cache._from_pb, reply.caches),
    )


def get_cache(name: str = "", *, sae: str = "") -> Call[t.Cache]:
    """GetCache."""
    request = cache_pb2.GetCacheRequest(name=name, sae=sae)
    return Call(cache_pb2_grpc.CacheServiceStub, "GetCache", request, t.Cache._from_pb)


def pin_cache(name: str, pinned: bool) -> Call[t.Cache]:
    """PinCache."""
    request = cache_pb2.PinCacheRequest(name=name, unpin=not pinned)
    return Call(cache_pb2_grpc.CacheServiceStub, "PinCache", request, t.Cache._from_pb)


def delete_cache(name: str) -> Call[int]:
    """DeleteCache."""
    request = cache_pb2.DeleteCacheRequest(name=name)
    stub = cache_pb2_grpc.CacheServiceStub
    return Call(stub, "DeleteCache", request, lambda reply: int(reply.freed_bytes), retry=False)


@dataclass(frozen=True, eq=False)
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
    return cache_pb2.StreamExamplesRequest(
        cache=cache,
        sae=sae,
        mode=enum(cache_pb2.ExampleMode, options.mode, "EXAMPLE_MODE"),
        count=options.count,
        groups=options.groups,
        window=options.window,
        centring=enum(cache_pb2.Centring, options.centring, "CENTRING"),
        seed=options.seed,
        **selector(latents),
    )


def read_examples(reply: cache_pb2.StreamExamplesResponse) -> list[t.Example]:
    """The examples in one message of StreamExamples; none in its summary."""
    if reply.WhichOneof("event") != "latent":
        return []
    return [t.Example._from_pb(reply.latent.latent, example) for example in reply.latent.examples]


def windows(cache: str | t.Cache, ids: Sequence[str], sae: str, latent: int | None) -> Call[t.Windows]:
    """GetWindows."""
    if isinstance(ids, str):
        raise TypeError("windows is a sequence of ids; wrap a single one in a list")
    name = cache if isinstance(cache, str) else cache.name
    request = cache_pb2.GetWindowsRequest(cache=name, windows=list(ids), sae=sae, **given(latent=latent))
    stub = cache_pb2_grpc.CacheServiceStub
    return Call(stub, "GetWindows", request, lambda reply: t.Windows(map(t.Window._from_pb, reply.windows)))


def latent_stats(sae: str, cache: str, latents: ArrayLike | None) -> Pages[cache_pb2.LatentStats]:
    """ListLatentStats."""
    wanted = [] if latents is None else ids(latents)
    return Pages(
        cache_pb2_grpc.CacheServiceStub,
        "ListLatentStats",
        lambda token: cache_pb2.ListLatentStatsRequest(
            cache=cache, sae=sae, latents=wanted, page_token=token, page_size=1000
        ),
        lambda reply: reply.stats,
    )
