"""Calls over the server's limits go out in parts, and the parts are joined."""

from dataclasses import replace

import numpy as np
import pytest

from latentd import AsyncClient, Client, InvalidRequestError
from latentd.v1 import server_pb2

from .fake_encode import FakeEncoder, encoding

PROMPTS = [" ".join("x" * (1 + (p * w) % 7) for w in range(1, 2 + p % 4)) for p in range(57)]


def test_more_prompts_than_the_server_takes() -> None:
    with encoding(large := FakeEncoder()) as address, Client(address) as client:
        whole = client.encode(PROMPTS, "m/s")
        client.encode(PROMPTS, "m/s")
    assert large.prompts == [57, 57] and large.refused == 0
    with encoding(small := FakeEncoder(max_prompts=10, max_tokens=40)) as address, Client(address) as client:
        joined = client.encode(PROMPTS, "m/s")
    assert joined == whole and len(joined.prompts) == 57 and joined.cost.tokens == whole.cost.tokens
    assert max(small.prompts) <= 10 and sum(small.prompts) == 57 and small.refused == 0
    np.testing.assert_array_equal(joined.to_dense(), whole.to_dense())


def test_what_was_thought_too_small_is_cut_again() -> None:
    told = server_pb2.Limits(max_prompts=1000, max_tokens=100_000)
    with encoding(FakeEncoder()) as address, Client(address) as client:
        whole = client.encode(PROMPTS, "m/s")
    with encoding(small := FakeEncoder(max_tokens=20, told=told)) as address, Client(address) as client:
        assert client.encode(PROMPTS, "m/s") == whole
    assert small.refused > 0 and sum(small.prompts) == 57


def test_a_server_without_packed_fields_is_understood() -> None:
    with encoding(FakeEncoder()) as address, Client(address) as client:
        packed = client.encode(PROMPTS, "m/s")
        dense = client.decode("m/s", packed.row_offsets, packed.latents, packed.activations)
    with encoding(old := FakeEncoder(packs=False)) as address, Client(address) as client:
        assert client.encode(PROMPTS, "m/s") == packed
        assert old.asked["Encode"].packed
        plain = client.decode("m/s", packed.row_offsets, packed.latents, packed.activations)
    np.testing.assert_array_equal(dense, plain)
    assert packed.latents.dtype == np.int32 and packed.latents.flags.writeable


def test_errors_name_the_prompt_of_the_whole_call() -> None:
    with encoding(FakeEncoder(max_prompts=10)) as address, Client(address, retries=0) as client:
        with pytest.raises(InvalidRequestError, match=r"EMPTY_BATCH.*\n  prompts\[34\]"):
            client.encode([*PROMPTS[:34], "", *PROMPTS[35:]], "m/s")
        with pytest.raises(InvalidRequestError, match="BATCH_TOO_LARGE"):
            client.encode(["x " * 2000], "m/s")


def test_rows_of_a_decode_go_out_in_parts() -> None:
    with encoding(fake := FakeEncoder(max_tokens=16)) as address, Client(address) as client:
        encoded = client.encode(PROMPTS, "m/s")
        dense = client.decode("m/s", encoded.row_offsets, encoded.latents, encoded.activations)
    assert dense.shape == (len(encoded), 2) and max(fake.rows) == 16 and sum(fake.rows) == len(encoded)
    sums = np.add.reduceat(encoded.activations, encoded.row_offsets[:-1])
    np.testing.assert_allclose(dense[:, 0], sums)


async def test_the_asynchronous_client_does_the_same() -> None:
    with encoding(FakeEncoder(max_prompts=10)) as address:
        with Client(address) as client:
            expected = client.encode(PROMPTS, "m/s")
        async with AsyncClient(address) as client:
            assert await client.encode(np.array(PROMPTS), "m/s") == replace(expected)


def test_windows_by_their_ids() -> None:
    with encoding(fake := FakeEncoder()) as address, Client(address) as client:
        window = client.window("c", "38:2+32")
        assert (window.id, window.text, len(window.activations)) == ("38:2+32", "a <b>", 0)
        assert not fake.asked["GetWindows"].HasField("latent")
        some = client.windows("c", ["38:2+32", "0:0+2"], sae="m/s", latent=0)
        assert fake.asked["GetWindows"].HasField("latent") and [w.id for w in some] == ["38:2+32", "0:0+2"]
        assert "&lt;b&gt;" in some._repr_html_() and "rgba" in some[0]._repr_html_()
        with pytest.raises(TypeError, match="wrap a single one"):
            client.windows("c", "38:2+32")
