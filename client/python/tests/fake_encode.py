"""A server that encodes without a model: a token is a word, and two latents fire on it. It has limits."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from latentd.v1 import activation_pb2, activation_pb2_grpc, cache_pb2, cache_pb2_grpc, server_pb2, server_pb2_grpc

D_SAE = 50


@dataclass
class FakeEncoder(
    activation_pb2_grpc.ActivationServiceServicer,
    server_pb2_grpc.ServerServiceServicer,
    cache_pb2_grpc.CacheServiceServicer,
):
    """`told` is what GetServerInfo says of the limits, which are those that hold unless it is set."""

    max_prompts: int = 100
    max_tokens: int = 1000
    packs: bool = True
    told: server_pb2.Limits | None = None
    prompts: list[int] = field(default_factory=list)
    """Prompts of each Encode that was answered."""
    rows: list[int] = field(default_factory=list)
    """Rows of each Decode that was answered."""
    refused: int = 0
    asked: dict[str, Any] = field(default_factory=dict)

    def GetServerInfo(self, request: Any, context: Any) -> server_pb2.ServerInfo:
        limits = self.told or server_pb2.Limits(max_prompts=self.max_prompts, max_tokens=self.max_tokens)
        return server_pb2.ServerInfo(limits=limits)

    def Encode(self, request: Any, context: Any) -> activation_pb2.EncodeResponse:
        self.asked["Encode"] = request
        texts = [prompt.text.split() for prompt in request.prompts]
        if len(texts) > self.max_prompts:
            self._refuse(context, "prompts", "BATCH_TOO_LARGE")
        if sum(map(len, texts)) > self.max_tokens:
            self._refuse(context, "prompts", "BATCH_TOO_LARGE")
        for index, words in enumerate(texts):
            if not words:
                self._refuse(context, f"prompts[{index}]", "EMPTY_BATCH")
        self.prompts.append(len(texts))
        words = [word for text in texts for word in text]
        offsets = np.arange(len(words) + 1, dtype=np.uint32) * 2
        latents = np.array([number for word in words for number in (len(word), 20 + len(word))], dtype=np.uint32)
        values = np.array([number for word in words for number in (0.5, len(word))], dtype=np.float32)
        dense = [
            activation_pb2.LatentDensity(latent=1, density=0.05),
            activation_pb2.LatentDensity(latent=21, density=0.9),
        ]
        sae = activation_pb2.SaeActivations(sae=request.saes[0], d_sae=D_SAE, dense_latents=dense)
        if self.packs and request.packed:
            sae.packed_row_offsets, sae.packed_latents = offsets.tobytes(), latents.tobytes()
            sae.packed_activations = values.tobytes()
        else:
            sae.row_offsets.extend(offsets.tolist())
            sae.latents.extend(latents.tolist())
            sae.activations.extend(values.tolist())
        prompts = [
            activation_pb2.EncodedPrompt(ids=map(len, text), tokens=text, special=[False] * len(text)) for text in texts
        ]
        cost = activation_pb2.Cost(queue_micros=1000, tokens=len(words))
        return activation_pb2.EncodeResponse(prompts=prompts, activations=[sae], cost=cost)

    def Decode(self, request: Any, context: Any) -> activation_pb2.DecodeResponse:
        rows = len(request.row_offsets) - 1
        if rows > self.max_tokens:
            self._refuse(context, "row_offsets", "BATCH_TOO_LARGE")
        self.rows.append(rows)
        starts = zip(request.row_offsets, request.row_offsets[1:], strict=False)
        sums = np.array([sum(request.activations[start:end]) for start, end in starts], dtype=np.float32)
        values = np.repeat(sums, 2)
        packed = values.tobytes() if self.packs and request.packed else b""
        plain = [] if packed else values.tolist()
        return activation_pb2.DecodeResponse(rows=rows, width=2, values=plain, packed_values=packed)

    def GetWindows(self, request: Any, context: Any) -> cache_pb2.GetWindowsResponse:
        self.asked["GetWindows"] = request
        firing = [0.0, 2.0] if request.HasField("latent") else []
        windows = [
            cache_pb2.Window(id=id, document=4, ids=[1, 2], tokens=["a ", "<b>"], activations=firing)
            for id in request.windows
        ]
        return cache_pb2.GetWindowsResponse(windows=windows)

    def _refuse(self, context: Any, where: str, reason: str) -> None:
        self.refused += 1
        status = status_pb2.Status(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], message="refused")
        bad = error_details_pb2.BadRequest()
        bad.field_violations.add(field=where, description="is too much")
        for detail in (error_details_pb2.ErrorInfo(reason=reason, domain="latentd"), bad):
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "refused")


@contextmanager
def encoding(fake: FakeEncoder) -> Iterator[str]:
    """The address where a fake serves."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    activation_pb2_grpc.add_ActivationServiceServicer_to_server(fake, server)
    server_pb2_grpc.add_ServerServiceServicer_to_server(fake, server)
    cache_pb2_grpc.add_CacheServiceServicer_to_server(fake, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
