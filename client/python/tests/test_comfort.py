"""Addresses, values of enums, progress, and SAEs with calls of their own."""

import asyncio
import copy
import io
import pickle
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from latentd import AsyncClient, Client, JobPausedError, LatentdError, Sae, SaeHandle
from latentd._calls import target
from latentd._progress import Line
from latentd.v1 import job_pb2

from .fake import Fake, job, paused, running
from .fake_encode import FakeEncoder, encoding
from .records import make


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("localhost:50051", "localhost:50051"),
        ("somewhere", "somewhere:50051"),
        ("http://somewhere", "somewhere:50051"),
        ("http://somewhere:7/", "somewhere:7"),
        ("grpc://10.0.0.1:7", "10.0.0.1:7"),
        ("[::1]:7", "[::1]:7"),
        ("http://[::1]", "[::1]:50051"),
        ("::1", "[::1]:50051"),
        ("unix:/tmp/socket", "unix:/tmp/socket"),
        ("unix:///tmp/socket", "unix:/tmp/socket"),
    ],
)
def test_addresses(given: str, expected: str) -> None:
    assert target(given) == expected


@pytest.mark.parametrize(
    "given", ["", "http://", "host:port", "host:0", "host:70000", "host/path", "ftp://host", "a b"]
)
def test_what_is_no_address(given: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match=r"address|port|known"):
            kind(given)


def test_tls_is_not_there_and_says_so() -> None:
    with pytest.raises(ValueError, match=r"has no TLS yet.*ssh -N -L"):
        Client("https://somewhere")


def test_unknown_values_list_those_that_are_allowed() -> None:
    calls: list[tuple[str, Any]] = [
        ("raw, decoder_norm", lambda c: c.encode(["a"], "m/s", scale="norm")),
        ("mask, keep", lambda c: c.encode(["a"], "m/s", special_tokens="drop")),
        ("top, quantile, bins, random, non_activating", lambda c: list(c.examples("m/s", [1], mode="best"))),
        ("peak, grid, middle", lambda c: list(c.examples("m/s", [1], centring="left"))),
        ("auto, text, jsonl, parquet, lines", lambda c: c.build_cache("m/s", "/x", format="csv")),
        ("queued, running, succeeded, failed, cancelled, paused", lambda c: list(c.jobs(states=["done"]))),
        ("auto, words, meaning", lambda c: c.search_explanations("x", mode="fuzzy")),
        ("delphi, neuronpedia", lambda c: list(c.export_explanations(form="csv"))),
        ("detection, fuzzing", lambda c: c.explain("m/s", [1], scorers=["recall"])),
        ("default, single_token", lambda c: c.explain("m/s", [1], explainer="best")),
    ]
    with Client("localhost:1", retries=0) as client:
        for allowed, call in calls:
            with pytest.raises(ValueError, match=rf"is none of .*{allowed}"):
                call(client)


def test_values_may_be_spelled_as_on_the_command_line() -> None:
    with encoding(fake := FakeEncoder()) as address, Client(address) as client:
        client.encode(["a"], "m/s", scale="decoder-norm")  # type: ignore[arg-type]
        assert fake.asked["Encode"].scale == 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_in_a_terminal() -> None:
    fake_out = Terminal()
    with running() as (fake, address), Client(address) as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", fake_out)
        fake.states = [job(state=job_pb2.JOB_STATE_RUNNING)]
        fake.events = [job(state=job_pb2.JOB_STATE_RUNNING), job(state=job_pb2.JOB_STATE_SUCCEEDED)]
        client.wait(client.job("jobs/j"), progress=True)
    lines = fake_out.getvalue().split("\r")
    assert fake_out.getvalue().count("\n") == 1 and fake_out.getvalue().endswith("\n")
    assert lines[1].startswith("j running: 12 of 50 items") and "j succeeded" in lines[-1]


def test_progress_is_a_few_lines_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with running() as (fake, address), Client(address) as client:
        fake.states = [job(state=job_pb2.JOB_STATE_RUNNING)]
        fake.events = [*[job(state=job_pb2.JOB_STATE_RUNNING)] * 9, job(state=job_pb2.JOB_STATE_SUCCEEDED)]
        client.wait("jobs/j", progress=True)
        assert len(capsys.readouterr().out.splitlines()) == 2
        client.wait("jobs/j")
        assert capsys.readouterr().out == ""


def test_progress_ends_with_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with running() as (fake, address), Client(address) as client:
        fake.states, fake.events = [paused("budget")], [paused("budget")]
        with pytest.raises(JobPausedError):
            client.wait("jobs/j", progress=True)
    assert "paused" in capsys.readouterr().out


def test_a_notebook_is_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    out = io.StringIO()
    line = Line(out)
    line.show(SimpleNamespace(name="jobs/j", state="running", progress=SimpleNamespace(unit="")))  # type: ignore[arg-type]
    line.end()
    assert out.getvalue() == "\rj running\n"


def handle(client: Client) -> SaeHandle:
    return SaeHandle._of(client, make(Sae))


def test_an_sae_has_calls_of_its_own() -> None:
    with encoding(FakeEncoder()) as address, Client(address) as client:
        sae = handle(client)
        encoded = sae.encode(["a bb", "ccc"])
        assert encoded == client.encode(["a bb", "ccc"], sae.name)
        assert sae.decode(encoded).shape == (3, 2)
        assert sae == handle(client) and hash(sae) == hash(handle(client)) and repr(sae).startswith("<SaeHandle text 1")
        assert pickle.loads(pickle.dumps(sae)) == make(Sae) == copy.copy(sae)


def test_errors_can_be_sent_to_another_process() -> None:
    with running() as (_, address), Client(address, retries=0) as client, pytest.raises(LatentdError) as caught:
        client.provider("absent")
    sent = pickle.loads(pickle.dumps(caught.value))
    assert type(sent) is type(caught.value) and str(sent) == str(caught.value) and sent.code == caught.value.code


async def test_handles_and_progress_of_the_asynchronous_client(capsys: pytest.CaptureFixture[str]) -> None:
    fake: Fake
    with running() as (fake, address):
        async with AsyncClient(address) as client:
            fake.states = [job(state=job_pb2.JOB_STATE_SUCCEEDED)]
            done = await asyncio.wait_for(client.wait("jobs/j", progress=True), 5)
            assert (await client.job_summary(done)).job == "jobs/j"
    assert "succeeded" in capsys.readouterr().out
