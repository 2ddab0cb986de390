"""Calls about models."""

from __future__ import annotations

from collections.abc import Sequence

from .. import _types as t
from ..v1 import model_pb2, model_pb2_grpc
from .call import Call, Pages, given


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
    request = model_pb2.TokenizeRequest(name=model, texts=texts, **given(prepend_bos=prepend_bos))
    stub = model_pb2_grpc.ModelServiceStub
    return Call(stub, "Tokenize", request, lambda reply: [t.Tokens._from_pb(s) for s in reply.sequences])
