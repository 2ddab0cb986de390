"""Calls about caches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import grpc
from numpy.typing import ArrayLike

from .. import _calls as calls
from .. import _errors
from .. import _types as t
from ..v1 import cache_pb2_grpc
from .connection import Connection


class CacheCalls(Connection):
    """Activations of a corpus."""

    def upload_corpus(self, documents: Iterable[str]) -> t.UploadedCorpus:
        """Stores texts on the server, in their order, for `build_cache(..., uploaded=...)`.

        `documents` may be a list, a generator or a column of texts. The same documents are stored once. They are kept
        for a week after their last use, unless the server is configured otherwise.
        """
        upload = calls.Upload(documents)
        stub = cache_pb2_grpc.CacheServiceStub(self._channel)
        try:
            return t.UploadedCorpus._from_pb(stub.UploadCorpus(iter(upload)))
        except calls.UPLOAD_FAILURES as error:
            raise upload.failure(error) from None

    def corpora(self) -> Iterator[t.UploadedCorpus]:
        """Uploaded corpora that the server has, by name."""
        return self._pages(calls.list_corpora())

    def delete_corpus(self, corpus: str | t.UploadedCorpus) -> int:
        """Deletes an uploaded corpus before its time; returns the bytes given back."""
        return self._call(calls.delete_corpus(corpus))

    def build_cache(
        self,
        saes: str | Sequence[str],
        paths: str | Sequence[str] = (),
        *,
        texts: Iterable[str] | None = None,
        uploaded: str | t.UploadedCorpus = "",
        cache_id: str = "",
        format: calls.CorpusFormat = "auto",
        text_field: str = "",
        context_length: int = 0,
        max_tokens: int = 0,
        seed: int = 0,
        prepend_bos: bool | None = None,
        special_tokens: calls.SpecialTokens = "mask",
        activation_dtype: str = "f16",
    ) -> t.Job:
        """Starts a job that encodes a corpus and stores what fires.

        The corpus is one of three: `paths`, files or folders on the server's disk; `texts`, which are uploaded and may
        be a list, a generator or a column of pandas or `datasets`; or `uploaded`, what `upload_corpus` has stored.
        """
        options = calls.CacheOptions(
            cache_id,
            format,
            text_field,
            context_length,
            max_tokens,
            seed,
            prepend_bos,
            special_tokens,
            activation_dtype,
        )
        saes = [saes] if isinstance(saes, str) else saes
        calls.one_corpus(paths, texts, uploaded)
        if texts is not None:
            uploaded = self.upload_corpus(texts)
        return self._call(calls.build_cache(saes, paths, uploaded, options))

    def caches(self) -> Iterator[t.Cache]:
        """All caches, by name."""
        return self._pages(calls.list_caches())

    def cache(self, name: str) -> t.Cache:
        """One cache."""
        return self._call(calls.get_cache(name))

    def cache_of(self, sae: str) -> t.Cache:
        """The cache that is taken where a call names `sae` and no cache: the only one, or the pinned one."""
        return self._call(calls.get_cache(sae=sae))

    def pin_cache(self, name: str, *, pinned: bool = True) -> t.Cache:
        """Chooses a cache as the one that is taken where a call names an SAE and no cache, or takes the choice back."""
        return self._call(calls.pin_cache(name, pinned))

    def delete_cache(self, name: str) -> int:
        """Deletes a cache and its files; returns the bytes given back."""
        return self._call(calls.delete_cache(name))

    def examples(
        self,
        sae: str,
        latents: ArrayLike | range,
        *,
        cache: str = "",
        mode: calls.Mode = "top",
        count: int = 0,
        groups: int = 0,
        window: int = 0,
        centring: calls.Centring = "peak",
        seed: int = 0,
    ) -> Iterator[t.Example]:
        """Streams examples of latents, latent by latent, from `cache` or else the one that holds the SAE."""
        options = calls.ExampleOptions(mode, count, groups, window, centring, seed)
        stub = cache_pb2_grpc.CacheServiceStub(self._channel)
        try:
            for reply in stub.StreamExamples(calls.examples(sae, cache, latents, options)):
                yield from calls.read_examples(reply)
        except grpc.RpcError as error:
            raise _errors.from_rpc_error(error) from None

    def latent_stats(self, sae: str, latents: ArrayLike | None = None, *, cache: str = "") -> t.LatentStats:
        """Statistics of latents, of all by default, over `cache` or else the one that holds the SAE."""
        return t.LatentStats._from_pb([s for s in self._pages(calls.latent_stats(sae, cache, latents))])

    def window(self, cache: str | t.Cache, window: str, *, sae: str = "", latent: int | None = None) -> t.Window:
        """What a window of a cache shows, by its id such as `38:2+32`; with `latent`, where that latent fires in it."""
        found = self._call(calls.windows(cache, [window], sae, latent))
        return found[0]

    def windows(
        self, cache: str | t.Cache, windows: Sequence[str], *, sae: str = "", latent: int | None = None
    ) -> t.Windows:
        """What windows of a cache show, by their ids, such as those of the examples behind a score."""
        return self._call(calls.windows(cache, windows, sae, latent))
