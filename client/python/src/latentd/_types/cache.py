"""Caches, and statistics of latents over one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..v1 import cache_pb2
from .record import Record, count, time_of


@dataclass(frozen=True, eq=False, repr=False)
class CachedSae(Record):
    """One SAE of a cache."""

    sae: str
    hook_point: str
    d_sae: int
    digest: str
    activations: int
    firing_latents: int
    above_range: int = 0
    """Activations above 65504, the largest number of f16, which is stored in their place."""
    below_range: int = 0
    """Activations that f16 would round to 0; its smallest number is stored in their place."""

    @classmethod
    def _from_pb(cls, pb: cache_pb2.CachedSae) -> CachedSae:
        names = ("sae", "hook_point", "d_sae", "digest", "activations", "firing_latents", "above_range", "below_range")
        return cls(**{name: getattr(pb, name) for name in names})


@dataclass(frozen=True, eq=False, repr=False)
class UploadedCorpus(Record):
    """A corpus that is stored on the server, named by its documents: the same documents, the same name."""

    name: str
    documents: int | None
    """Documents, blank ones included; None in lists, for which nothing is counted."""
    size_bytes: int
    expire_time: datetime | None
    """When it may be deleted, unless it is used before."""

    @classmethod
    def _from_pb(cls, pb: cache_pb2.UploadedCorpus) -> UploadedCorpus:
        documents = pb.documents if pb.HasField("documents") else None
        return cls(pb.name, documents, pb.size_bytes, time_of(pb.expire_time))

    def __repr__(self) -> str:
        size = count(self.size_bytes, "byte") if self.documents is None else count(self.documents, "document")
        return f"<UploadedCorpus {self.name}: {size}>"


@dataclass(frozen=True, eq=False, repr=False)
class Cache(Record):
    """Stored activations of a corpus. `state` is `building`, `ready` or `failed`."""

    name: str
    state: str
    model: str
    saes: tuple[CachedSae, ...]
    tokens: int
    rows: int
    documents: int
    context_length: int
    size_bytes: int
    manifest_digest: str
    job: str
    create_time: datetime | None
    seed: int
    pinned: bool = False
    """It is the one that is taken where a call names one of its SAEs and no cache."""
    data_folder: str = ""
    """Id of the data folder that has its files; empty if it is not known."""

    @classmethod
    def _from_pb(cls, pb: cache_pb2.Cache) -> Cache:
        names = ("name", "model", "tokens", "rows", "documents", "context_length", "size_bytes", "manifest_digest")
        return cls(
            **{name: getattr(pb, name) for name in names},
            state=cache_pb2.CacheState.Name(pb.state).removeprefix("CACHE_STATE_").lower(),
            saes=tuple(map(CachedSae._from_pb, pb.saes)),
            job=pb.job,
            create_time=time_of(pb.create_time),
            seed=pb.seed,
            pinned=pb.pinned,
            data_folder=pb.data_folder,
        )

    def __repr__(self) -> str:
        return (
            f"<Cache {self.name}: {self.state}, {count(self.tokens, 'token')} of {count(self.documents, 'document')}>"
        )
