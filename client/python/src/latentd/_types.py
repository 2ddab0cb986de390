"""What the calls return: frozen dataclasses with numpy arrays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import numpy as np
from google.protobuf import timestamp_pb2
from numpy.typing import NDArray

from . import _errors
from .v1 import activation_pb2, cache_pb2, job_pb2, model_pb2, sae_pb2, server_pb2

Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]


def _time(stamp: timestamp_pb2.Timestamp) -> datetime | None:
    if not stamp.seconds and not stamp.nanos:
        return None
    return datetime.fromtimestamp(stamp.seconds + stamp.nanos / 1e9, tz=timezone.utc)


def _array(values: Sequence[Any], dtype: Any) -> NDArray[Any]:
    return np.fromiter(values, dtype=dtype, count=len(values))


@dataclass(frozen=True)
class ServerInfo:
    """The running server. `limits` and `components` hold what GetServerInfo calls them."""

    version: str
    device: str
    dtype: str
    resident_bytes: int
    limits: dict[str, int]
    capabilities: dict[str, list[str]]
    components: dict[str, bool]

    @classmethod
    def _from_pb(cls, pb: server_pb2.ServerInfo) -> ServerInfo:
        return cls(
            version=pb.version,
            device=pb.device.name,
            dtype=pb.device.dtype,
            resident_bytes=pb.device.resident_bytes,
            limits={d.name: getattr(pb.limits, d.name) for d in pb.limits.DESCRIPTOR.fields},
            capabilities={d.name: list(getattr(pb.capabilities, d.name)) for d in pb.capabilities.DESCRIPTOR.fields},
            components={c.component: c.serving for c in pb.components},
        )


@dataclass(frozen=True)
class Model:
    """A resident language model."""

    name: str
    family: str
    path: str
    format: str
    digest: str
    dtype: str
    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_mlp: int
    vocab: int
    context_length: int
    parameters: int
    resident_bytes: int
    hook_points: tuple[str, ...]
    bos_token_id: int | None
    eos_token_id: int | None

    @classmethod
    def _from_pb(cls, pb: model_pb2.Model) -> Model:
        plain = {
            name: getattr(pb, name)
            for name in cls.__dataclass_fields__
            if name not in ("hook_points", "bos_token_id", "eos_token_id")
        }
        return cls(
            **plain,
            hook_points=tuple(pb.hook_points),
            bos_token_id=pb.bos_token_id if pb.HasField("bos_token_id") else None,
            eos_token_id=pb.eos_token_id if pb.HasField("eos_token_id") else None,
        )


@dataclass(frozen=True)
class Tokens:
    """Tokens of one text, in parallel arrays. `byte_ranges` is `[tokens, 2]`, in bytes of the text's UTF-8."""

    ids: Int32
    strings: tuple[str, ...]
    byte_ranges: Int32
    special: NDArray[np.bool_]

    @classmethod
    def _from_pb(cls, pb: model_pb2.TokenSequence | activation_pb2.EncodedPrompt) -> Tokens:
        ranges = np.stack([_array(pb.byte_starts, np.int32), _array(pb.byte_ends, np.int32)], axis=1)
        return cls(_array(pb.ids, np.int32), tuple(pb.tokens), ranges, _array(pb.special, np.bool_))

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class SelfTest:
    """What an SAE did on the built-in text when it was loaded."""

    tokens: int
    l0: float
    fvu: float
    declared_l0: float | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Sae:
    """A resident sparse autoencoder."""

    name: str
    path: str
    format: str
    architecture: str
    hook_point: str
    declared_hook_point: str
    d_in: int
    d_sae: int
    k: int | None
    normalize_activations: str
    apply_b_dec_to_input: bool
    rescale_acts_by_decoder_norm: bool
    reshape_activations: str
    prepend_bos: bool
    context_length: int
    trained_on_model: str
    digest: str
    stored_dtype: str
    resident_bytes: int
    neuronpedia_id: str
    self_test: SelfTest

    @classmethod
    def _from_pb(cls, pb: sae_pb2.Sae) -> Sae:
        plain = {name: getattr(pb, name) for name in cls.__dataclass_fields__ if name not in ("k", "self_test")}
        test = pb.self_test
        return cls(
            **plain,
            k=pb.k if pb.HasField("k") else None,
            self_test=SelfTest(
                test.tokens,
                test.l0,
                test.fvu,
                test.declared_l0 if test.HasField("declared_l0") else None,
                tuple(test.warnings),
            ),
        )


@dataclass(frozen=True)
class Latent:
    """One direction of an SAE; logits as `(token, logit)`, neighbours as `(latent, cosine)`, strongest first."""

    name: str
    latent: int
    encoder_norm: float
    decoder_norm: float
    encoder_decoder_cosine: float
    encoder_bias: float
    threshold: float | None
    top_logits: tuple[tuple[str, float], ...]
    bottom_logits: tuple[tuple[str, float], ...]
    neighbours: tuple[tuple[int, float], ...]

    @classmethod
    def _from_pb(cls, pb: sae_pb2.Latent) -> Latent:
        return cls(
            pb.name,
            pb.latent,
            pb.encoder_norm,
            pb.decoder_norm,
            pb.encoder_decoder_cosine,
            pb.encoder_bias,
            pb.threshold if pb.HasField("threshold") else None,
            tuple((t.token, t.logit) for t in pb.top_logits),
            tuple((t.token, t.logit) for t in pb.bottom_logits),
            tuple((n.latent, n.cosine) for n in pb.neighbours),
        )


@dataclass(frozen=True)
class Cost:
    """What a call cost, in seconds and tokens; calls that shared a pass report the whole pass each."""

    queue_seconds: float
    compute_seconds: float
    tokens: int
    batch_tokens: int
    batch_requests: int

    @classmethod
    def _from_pb(cls, pb: activation_pb2.Cost) -> Cost:
        return cls(pb.queue_micros / 1e6, pb.compute_micros / 1e6, pb.tokens, pb.batch_tokens, pb.batch_requests)


@dataclass(frozen=True)
class Encoded:
    """Prompts encoded with one SAE: compressed sparse rows, one row for each token of all prompts in order.

    Row `t` holds `latents[row_offsets[t]:row_offsets[t + 1]]` with the activation of each; the rows of prompt `p` are
    `prompt_offsets[p]` up to `prompt_offsets[p + 1]`.
    """

    sae: str
    hook_point: str
    d_sae: int
    prompts: tuple[Tokens, ...]
    prompt_offsets: Int32
    row_offsets: Int32
    latents: Int32
    activations: Float32
    scale: str
    model_digest: str
    sae_digest: str
    cost: Cost = field(compare=False)

    @classmethod
    def _from_pb(cls, pb: activation_pb2.EncodeResponse) -> list[Encoded]:
        prompts = tuple(Tokens._from_pb(p) for p in pb.prompts)
        offsets = np.cumsum([0, *(len(p) for p in prompts)], dtype=np.int32)
        return [
            cls(
                sae=a.sae,
                hook_point=a.hook_point,
                d_sae=a.d_sae,
                prompts=prompts,
                prompt_offsets=offsets,
                row_offsets=_array(a.row_offsets, np.int32),
                latents=_array(a.latents, np.int32),
                activations=_array(a.activations, np.float32),
                scale="decoder_norm" if a.scale == activation_pb2.ACTIVATION_SCALE_DECODER_NORM else "raw",
                model_digest=pb.model_digest,
                sae_digest=a.sae_digest,
                cost=Cost._from_pb(pb.cost),
            )
            for a in pb.activations
        ]

    @property
    def tokens(self) -> tuple[tuple[str, ...], ...]:
        """The token strings of each prompt."""
        return tuple(p.strings for p in self.prompts)

    def __len__(self) -> int:
        """Number of tokens, all prompts together."""
        return len(self.row_offsets) - 1

    def row(self, token: int) -> tuple[Int32, Float32]:
        """Latents and activations of one token, counted over all prompts."""
        start, end = self.row_offsets[token], self.row_offsets[token + 1]
        return self.latents[start:end], self.activations[start:end]

    def to_dense(self) -> Float32:
        """All activations as `[tokens, d_sae]`, zeros where nothing fires."""
        dense = np.zeros((len(self), self.d_sae), dtype=np.float32)
        rows = np.repeat(np.arange(len(self)), np.diff(self.row_offsets))
        dense[rows, self.latents] = self.activations
        return dense

    def top(self, count: int = 10) -> Int32:
        """The strongest latents by their highest activation over all tokens, strongest first."""
        peak = np.zeros(self.d_sae, dtype=np.float32)
        np.maximum.at(peak, self.latents, self.activations)
        order = np.argsort(-peak, kind="stable")[:count]
        strongest: Int32 = order[peak[order] > 0].astype(np.int32)
        return strongest


@dataclass(frozen=True)
class StreamResult:
    """The answer to one batch of an encode stream: `encoded`, or the `error` that the batch met."""

    id: int
    encoded: Encoded | None
    error: _errors.LatentdError | None

    @classmethod
    def _from_pb(cls, pb: activation_pb2.EncodeStreamResult) -> StreamResult:
        if pb.WhichOneof("outcome") == "error":
            return cls(pb.id, None, _errors.from_status(pb.error))
        return cls(pb.id, Encoded._from_pb(pb.response)[0], None)

    def unwrap(self) -> Encoded:
        """The encoded batch; raises its error if it met one."""
        if self.encoded is None:
            assert self.error is not None
            raise self.error
        return self.encoded


@dataclass(frozen=True)
class Example:
    """A window of text, and how a latent fires in it."""

    latent: int
    document: int
    row: int
    start: int
    ids: Int32
    tokens: tuple[str, ...]
    activations: Float32
    peak: float
    peak_index: int | None
    quantile: int | None
    bin: tuple[float, float] | None

    @classmethod
    def _from_pb(cls, latent: int, pb: cache_pb2.Example) -> Example:
        return cls(
            latent,
            pb.document,
            pb.row,
            pb.start,
            _array(pb.ids, np.int32),
            tuple(pb.tokens),
            _array(pb.activations, np.float32),
            pb.peak,
            pb.peak_index if pb.HasField("peak_index") else None,
            pb.quantile if pb.HasField("quantile") else None,
            (pb.bin_min, pb.bin_max) if pb.HasField("bin_max") else None,
        )

    def __str__(self) -> str:
        """The text with the peak marked, on one line."""
        parts = [f"<<{t}>>" if i == self.peak_index else t for i, t in enumerate(self.tokens)]
        text = "".join(parts).replace("\n", "⏎")
        return f"{self.latent:>6} {self.peak:8.3f}  {text}"


@dataclass(frozen=True)
class LatentStats:
    """Statistics of latents over a cache, in parallel arrays of length `[latents]`; `histogram` is `[latents, 64]`."""

    latents: Int32
    counts: NDArray[np.int64]
    densities: NDArray[np.float64]
    max: Float32
    mean: NDArray[np.float64]
    mean_square: NDArray[np.float64]
    histogram: NDArray[np.int64]

    @classmethod
    def _from_pb(cls, stats: Iterable[cache_pb2.LatentStats]) -> LatentStats:
        rows = list(stats)
        return cls(
            np.array([s.latent for s in rows], dtype=np.int32),
            np.array([s.count for s in rows], dtype=np.int64),
            np.array([s.density for s in rows], dtype=np.float64),
            np.array([s.max for s in rows], dtype=np.float32),
            np.array([s.mean for s in rows], dtype=np.float64),
            np.array([s.mean_square for s in rows], dtype=np.float64),
            np.array([list(s.histogram) for s in rows], dtype=np.int64),
        )


@dataclass(frozen=True)
class CachedSae:
    """One SAE of a cache."""

    sae: str
    hook_point: str
    d_sae: int
    digest: str
    activations: int
    firing_latents: int


@dataclass(frozen=True)
class Cache:
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

    @classmethod
    def _from_pb(cls, pb: cache_pb2.Cache) -> Cache:
        names = ("name", "model", "tokens", "rows", "documents", "context_length", "size_bytes", "manifest_digest")
        saes = (CachedSae(s.sae, s.hook_point, s.d_sae, s.digest, s.activations, s.firing_latents) for s in pb.saes)
        return cls(
            **{name: getattr(pb, name) for name in names},
            state=cache_pb2.CacheState.Name(pb.state).removeprefix("CACHE_STATE_").lower(),
            saes=tuple(saes),
            job=pb.job,
            create_time=_time(pb.create_time),
            seed=pb.seed,
        )


@dataclass(frozen=True)
class Spent:
    """What a job cost. `reused` exchanges were taken from the store instead of calling a provider again."""

    calls: int
    reused: int
    prompt_tokens: int
    completion_tokens: int
    dollars: float

    @classmethod
    def _from_pb(cls, pb: job_pb2.Spent) -> Spent:
        return cls(pb.calls, pb.reused, pb.prompt_tokens, pb.completion_tokens, pb.dollars)

    @property
    def tokens(self) -> int:
        """Tokens of prompts and answers together."""
        return self.prompt_tokens + self.completion_tokens

    def __str__(self) -> str:
        """Calls, tokens and, where there are prices, dollars."""
        reused = f" ({self.reused} reused)" if self.reused else ""
        dollars = f", ${self.dollars:.4f}" if self.dollars else ""
        return f"{self.calls} calls{reused}, {self.tokens} tokens{dollars}"


@dataclass(frozen=True)
class Progress:
    """How far a job is. `eta_seconds` is None while it cannot be told.

    `unit` is `tokens`, or `items` of a job that explains and scores: an item is the explanation of one latent, or one
    scorer's work on it. Only such a job has `spent`.
    """

    phase: str
    unit: str
    done: int
    total: int
    rate: float
    eta_seconds: float | None
    failed: int
    skipped: int
    spent: Spent | None

    @classmethod
    def _from_pb(cls, pb: job_pb2.Progress) -> Progress:
        return cls(
            pb.phase,
            pb.unit,
            pb.done,
            pb.total,
            pb.rate,
            pb.eta_seconds if pb.HasField("eta_seconds") else None,
            pb.failed,
            pb.skipped,
            Spent._from_pb(pb.spent) if pb.HasField("spent") else None,
        )

    def __str__(self) -> str:
        """What is done, what is left and what it cost, on one line."""
        parts = [f"{self.done} of {self.total} {self.unit}" if self.total else f"{self.done} {self.unit}"]
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.skipped} left out"] if self.skipped else []
        parts += [f"{self.eta_seconds:.0f} s to go"] if self.eta_seconds is not None else []
        parts += [str(self.spent)] if self.spent is not None else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Job:
    """A piece of long work. `state` is `queued`, `running`, `paused`, `succeeded`, `failed` or `cancelled`.

    While it is paused, `pause_reason` is `requested`, `budget`, or `provider` where every call would fail.
    """

    name: str
    kind: str
    state: str
    result: str
    progress: Progress
    error: _errors.LatentdError | None
    create_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    attempts: int
    spec: dict[str, Any]
    pause_reason: str

    @classmethod
    def _from_pb(cls, pb: job_pb2.Job) -> Job:
        return cls(
            name=pb.name,
            kind=pb.kind,
            state=job_pb2.JobState.Name(pb.state).removeprefix("JOB_STATE_").lower(),
            result=pb.result,
            progress=Progress._from_pb(pb.progress),
            error=_errors.from_status(pb.error) if pb.HasField("error") else None,
            create_time=_time(pb.create_time),
            start_time=_time(pb.start_time),
            end_time=_time(pb.end_time),
            attempts=pb.attempts,
            spec=json.loads(pb.spec_json) if pb.spec_json else {},
            pause_reason=pb.pause_reason,
        )

    @property
    def ended(self) -> bool:
        """Whether the job is in a state that it does not leave."""
        return self.state in ("succeeded", "failed", "cancelled")

    @property
    def paused_itself(self) -> bool:
        """Whether its budget is spent or a provider refuses every call; it goes on only if somebody resumes it."""
        return self.state == "paused" and self.pause_reason != "requested"
