"""Uploads: what is sent, and what becomes of failures in the caller's own documents."""

from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import numpy as np
import pandas as pd
import pytest

from latentd import AsyncClient, Client, ResourceExhaustedError
from latentd.v1 import cache_pb2, cache_pb2_grpc, job_pb2


class Caches(cache_pb2_grpc.CacheServiceServicer):
    """Keeps what it was sent."""

    def __init__(self) -> None:
        self.messages: list[list[str]] = []
        self.ended = False
        self.deleted: list[str] = []
        self.build: Any = None

    def UploadCorpus(self, requests: Any, context: Any) -> cache_pb2.UploadedCorpus:
        for request in requests:
            self.messages.append(list(request.documents))
            if request.documents[0] == "too much":
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the disk is full")
        self.ended = True
        documents = sum(map(len, self.messages))
        return cache_pb2.UploadedCorpus(name="corpora/abc", documents=documents, size_bytes=9)

    def ListCorpora(self, request: Any, context: Any) -> cache_pb2.ListCorporaResponse:
        first = not request.page_token
        corpus = cache_pb2.UploadedCorpus(name="corpora/a" if first else "corpora/b", size_bytes=9)
        return cache_pb2.ListCorporaResponse(corpora=[corpus], next_page_token="more" if first else "")

    def DeleteCorpus(self, request: Any, context: Any) -> cache_pb2.DeleteCorpusResponse:
        self.deleted.append(request.name)
        return cache_pb2.DeleteCorpusResponse(freed_bytes=9)

    def BuildCache(self, request: Any, context: Any) -> job_pb2.Job:
        self.build = request
        return job_pb2.Job(name="jobs/j", state=job_pb2.JOB_STATE_QUEUED)


@pytest.fixture
def server() -> Iterator[tuple[Caches, str]]:
    caches, server = Caches(), grpc.server(futures.ThreadPoolExecutor(4))
    cache_pb2_grpc.add_CacheServiceServicer_to_server(caches, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield caches, f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_documents_are_sent_in_order_and_the_corpus_is_named(server: tuple[Caches, str]) -> None:
    caches, address = server
    documents = ["a", "", "x" * 700_000, "y" * 700_000, "🎉"]
    with Client(address) as client:
        uploaded = client.upload_corpus(iter(documents))
        assert (uploaded.name, uploaded.documents) == ("corpora/abc", 5)
        assert [text for message in caches.messages for text in message] == documents
        assert len(caches.messages) == 2
        client.build_cache("m/s", uploaded=uploaded.name, cache_id="c")
    assert caches.build.corpus == cache_pb2.Corpus(uploaded="corpora/abc")


def test_texts_are_uploaded_and_built_in_one_call(server: tuple[Caches, str]) -> None:
    caches, address = server
    column = pd.DataFrame({"text": ["a", "b", "c"], "n": [1, 2, 3]})["text"]
    with Client(address) as client:
        for texts in (["a", "b", "c"], (t for t in "abc"), np.array(["a", "b", "c"]), column):
            caches.messages.clear()
            client.build_cache("m/s", texts=texts)
            assert caches.messages == [["a", "b", "c"]] and caches.build.corpus.uploaded == "corpora/abc"
        client.build_cache("m/s", "/disk/folder")
        assert caches.build.corpus == cache_pb2.Corpus(paths=["/disk/folder"])
        client.build_cache("m/s", uploaded=client.upload_corpus(["a"]))
        assert caches.build.corpus.uploaded == "corpora/abc"
        with pytest.raises(ValueError, match="not paths and texts"):
            client.build_cache("m/s", "/disk/folder", texts=["a"])
        with pytest.raises(ValueError, match="not none"):
            client.build_cache("m/s")
        with pytest.raises(TypeError, match="document 1 is NoneType"):
            client.build_cache("m/s", texts=["a", None])  # type: ignore[list-item]


def test_what_fails_in_the_documents_is_raised_and_nothing_is_stored(server: tuple[Caches, str]) -> None:
    caches, address = server

    def broken() -> Iterator[str]:
        yield "x" * 2_000_000
        raise ValueError("no more")

    with Client(address) as client:
        with pytest.raises(ValueError, match="no more"):
            client.upload_corpus(broken())
        with pytest.raises(TypeError, match="a list of documents"):
            client.upload_corpus("one text")
        with pytest.raises(TypeError, match="document 1 is int, not str"):
            client.upload_corpus(["a", 1])  # type: ignore[list-item]
        with pytest.raises(ResourceExhaustedError, match="disk is full"):
            client.upload_corpus(["too much"])
    assert not caches.ended


def test_corpora_are_listed_and_deleted(server: tuple[Caches, str]) -> None:
    caches, address = server
    with Client(address) as client:
        corpora = list(client.corpora())
        assert [(corpus.name, corpus.documents) for corpus in corpora] == [("corpora/a", None), ("corpora/b", None)]
        assert repr(corpora[0]) == "<UploadedCorpus corpora/a: 9 bytes>"
        assert client.delete_corpus(corpora[0]) == client.delete_corpus("b") == 9
    assert caches.deleted == ["corpora/a", "b"]


async def test_the_asyncio_client_does_the_same(server: tuple[Caches, str]) -> None:
    _, address = server

    def broken() -> Iterator[str]:
        yield "x" * 2_000_000
        raise ValueError("no more")

    async with AsyncClient(address) as client:
        assert (await client.upload_corpus(["a", "b"])).documents == 2
        with pytest.raises(ValueError, match="no more"):
            await client.upload_corpus(broken())
        with pytest.raises(ResourceExhaustedError):
            await client.upload_corpus(["too much"])
