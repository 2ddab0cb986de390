"""Resident SAEs and their latents."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest

from .. import _html as html
from ..v1 import sae_pb2
from .record import Record, cut


@dataclass(frozen=True, eq=False, repr=False)
class SelfTest(Record):
    """What an SAE did on the built-in text when it was loaded."""

    tokens: int
    l0: float
    fvu: float
    declared_l0: float | None
    warnings: tuple[str, ...]
    dense_latents: dict[int, float] = field(default_factory=dict)
    """Latents that fire on more than 2 % of the tokens, with that share; the 1024 densest if there are more."""


@dataclass(frozen=True, eq=False, repr=False)
class Sae(Record):
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
                {dense.latent: dense.density for dense in test.dense_latents},
            ),
        )

    def __repr__(self) -> str:
        k = f" {self.k}" if self.k is not None else ""
        return f"<{type(self).__name__} {self.name}: {self.architecture}{k}, {self.d_sae} latents at {self.hook_point}>"


@dataclass(frozen=True, eq=False, repr=False)
class Latent(Record):
    """One direction of an SAE; logits as `(token, logit)`, neighbours as `(latent, cosine)`, strongest first."""

    name: str
    latent: int
    encoder_norm: float
    decoder_norm: float
    encoder_decoder_cosine: float | None
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
            pb.encoder_decoder_cosine if pb.HasField("encoder_decoder_cosine") else None,
            pb.encoder_bias,
            pb.threshold if pb.HasField("threshold") else None,
            tuple((t.token, t.logit) for t in pb.top_logits),
            tuple((t.token, t.logit) for t in pb.bottom_logits),
            tuple((n.latent, n.cosine) for n in pb.neighbours),
        )

    def __repr__(self) -> str:
        promoted = ", ".join(repr(token) for token, _ in self.top_logits[:5])
        return f"<Latent {self.name}: promotes {promoted}>"

    def _repr_html_(self) -> str:
        rows = zip_longest(self.top_logits, self.bottom_logits, self.neighbours, fillvalue=("", None))
        cells = [
            (cut(repr(up), 24), gain, cut(repr(down), 24) if down != "" else "", loss, neighbour, cosine)
            for (up, gain), (down, loss), (neighbour, cosine) in rows
        ]
        norms = f"encoder norm {self.encoder_norm:.3g}, decoder norm {self.decoder_norm:.3g}"
        head = ("promotes", "logit", "suppresses", "logit", "neighbour", "cosine")
        return html.page(html.title(f"latent {self.latent}", norms), html.table(head, cells))
