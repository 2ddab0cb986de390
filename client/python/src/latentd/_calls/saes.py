"""Calls about SAEs."""

from __future__ import annotations

from .. import _types as t
from ..v1 import sae_pb2, sae_pb2_grpc
from .call import Call, Pages


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
