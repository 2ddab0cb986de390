"""Language models that jobs may ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .. import _requests as r
from ..v1 import provider_pb2
from .record import Record, time_of


@dataclass(frozen=True, eq=False, repr=False)
class Provider(Record):
    """A language model that jobs may use. `kind` is `openai` or `local`.

    `key_source` says where the server finds the key, such as `env:NAME`; the key itself never travels.
    """

    name: str
    kind: str
    base_url: str
    model: str
    key_source: str
    limits: r.Limits
    prices: r.Prices
    json_schema: bool
    """It answers in JSON of a given schema."""
    chat_logprobs: bool
    """It gives the log-probabilities of the tokens that it generates."""
    prompt_logprobs: bool
    """It gives those of the tokens of a given text: simulation and surprisal need it."""
    context_length: int
    """Longest prompt and answer together, in tokens; 0 if it is not known."""
    refused: tuple[str, ...]
    """Parts of a request that it refuses and is therefore not sent, such as `system` or `seed`."""
    create_time: datetime | None
    probe_time: datetime | None

    @classmethod
    def _from_pb(cls, pb: provider_pb2.Provider) -> Provider:
        can = pb.capabilities
        return cls(
            name=pb.name,
            kind=provider_pb2.Provider.Kind.Name(pb.kind).lower(),
            base_url=pb.base_url,
            model=pb.model,
            key_source=pb.key_source,
            limits=r.Limits(**{name: getattr(pb.limits, name) for name in r.Limits.__dataclass_fields__}),
            prices=r.Prices(**{name: getattr(pb.prices, name) for name in r.Prices.__dataclass_fields__}),
            json_schema=can.json_schema,
            chat_logprobs=can.chat_logprobs,
            prompt_logprobs=can.prompt_logprobs,
            context_length=can.context_length,
            refused=tuple(can.refused),
            create_time=time_of(pb.create_time),
            probe_time=time_of(pb.probe_time),
        )

    def __repr__(self) -> str:
        place = f" at {self.base_url}" if self.base_url else ""
        return f"<Provider {self.name}: {self.kind}, {self.model}{place}>"
