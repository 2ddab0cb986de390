"""The asyncio client answers as the synchronous one does, and covers the same calls."""

import asyncio
import inspect

import numpy as np
import pytest

from latentd import AsyncClient, Client, NotFoundError

from .conftest import SAE


def test_both_clients_have_the_same_calls() -> None:
    def calls(kind: type) -> dict[str, list[str]]:
        members = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(f).parameters) for name, f in members if not name.startswith("_")}

    assert calls(Client) == calls(AsyncClient)


async def test_many_calls_at_once(aclient: AsyncClient, client: Client) -> None:
    prompts = [f"Number {i} is written here" for i in range(16)]
    results = await asyncio.gather(*(aclient.encode([prompt], SAE) for prompt in prompts))
    for prompt, result in zip(prompts, results, strict=True):
        alone = client.encode([prompt], SAE)
        np.testing.assert_array_equal(alone.latents, result.latents)
        np.testing.assert_array_equal(alone.activations, result.activations)


async def test_streams_and_errors(aclient: AsyncClient) -> None:
    result = await aclient.encode(["He signed the contract"], SAE, top_k=4)
    examples = [e async for e in aclient.examples(SAE, result.top(2), count=3)]
    assert examples and all(e.peak_index is not None for e in examples)
    streamed = [r async for r in aclient.encode_stream([["one"], ["two"]], SAE)]
    assert [r.id for r in streamed] == [0, 1]
    assert [m.name async for m in aclient.models()]
    with pytest.raises(NotFoundError):
        await aclient.job("jobs/nothing")
