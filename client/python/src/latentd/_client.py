"""The synchronous client."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import TypeVar

import grpc
from numpy.typing import ArrayLike

from . import _calls as calls
from . import _errors
from . import _interp as i
from . import _interp_calls as interp
from . import _requests as r
from . import _types as t
from .v1 import activation_pb2_grpc, cache_pb2_grpc, explanation_pb2_grpc, job_pb2_grpc

T = TypeVar("T")


class Client:
    """A connection to a latentd server.

    `address` is `host:port`. `timeout` bounds each call that is not a stream, in seconds. Calls that may be repeated
    without harm are tried up to `retries` times more when the server cannot be reached or its queue is full.
    """

    def __init__(self, address: str = "localhost:50051", *, timeout: float | None = None, retries: int = 4) -> None:
        self._channel = grpc.insecure_channel(address, options=calls.CHANNEL_OPTIONS)
        self._timeout = timeout
        self._retries = retries

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    # === the server, models and SAEs ===

    def server_info(self) -> t.ServerInfo:
        """Versions, device, limits, and what the server supports."""
        return self._call(calls.server_info())

    def models(self) -> Iterator[t.Model]:
        """Resident models, by name."""
        return self._pages(calls.list_models())

    def model(self, name: str) -> t.Model:
        """One resident model."""
        return self._call(calls.get_model(name))

    def load_model(self, model_id: str, path: str, *, dtype: str = "") -> t.Model:
        """Makes a model resident, from a Hugging Face folder or GGUF file on the server's disk."""
        return self._call(calls.load_model(model_id, path, dtype))

    def unload_model(self, name: str, *, force: bool = False) -> int:
        """Removes a model, and with `force` its SAEs; returns the bytes given back."""
        return self._call(calls.unload_model(name, force))

    def tokenize(self, model: str, texts: Sequence[str], *, prepend_bos: bool | None = None) -> list[t.Tokens]:
        """The tokens that encode would see, for each text."""
        return self._call(calls.tokenize(model, texts, prepend_bos))

    def saes(self, model: str | None = None) -> Iterator[t.Sae]:
        """Resident SAEs, of one model or of all."""
        return self._pages(calls.list_saes(model))

    def sae(self, name: str) -> t.Sae:
        """One resident SAE, with the report of its self-test."""
        return self._call(calls.get_sae(name))

    def load_sae(
        self, model: str, sae_id: str, path: str, *, norm_scaling_factor: float | None = None, hook_point: str = ""
    ) -> t.Sae:
        """Makes an SAE resident beside its model, from a SAELens folder on the server's disk."""
        call = calls.load_sae(model, sae_id, path, norm_scaling_factor=norm_scaling_factor, hook_point=hook_point)
        return self._call(call)

    def unload_sae(self, name: str) -> int:
        """Removes an SAE; returns the bytes given back."""
        return self._call(calls.unload_sae(name))

    def latent(self, sae: str, latent: int, *, count: int = 10) -> t.Latent:
        """Norms of a latent, the tokens it promotes and suppresses, and its nearest latents."""
        return self._call(calls.get_latent(sae, latent, count))

    # === activations ===

    def encode(
        self,
        prompts: Sequence[calls.Prompt],
        sae: str,
        *,
        top_k: int | None = None,
        latents: ArrayLike | None = None,
        prepend_bos: bool | None = None,
        special_tokens: calls.SpecialTokens = "mask",
        scale: calls.Scale = "raw",
    ) -> t.Encoded:
        """Encodes prompts, each a text or token ids, with one SAE."""
        options = calls.EncodeOptions([sae], top_k, latents, prepend_bos, special_tokens, scale)
        return self._call(calls.encode(prompts, options))[0]

    def encode_many(
        self,
        prompts: Sequence[calls.Prompt],
        saes: Sequence[str],
        *,
        top_k: int | None = None,
        latents: ArrayLike | None = None,
        prepend_bos: bool | None = None,
        special_tokens: calls.SpecialTokens = "mask",
        scale: calls.Scale = "raw",
    ) -> list[t.Encoded]:
        """Encodes prompts with several SAEs of one model in one pass; one result for each SAE."""
        options = calls.EncodeOptions(saes, top_k, latents, prepend_bos, special_tokens, scale)
        return self._call(calls.encode(prompts, options))

    def encode_stream(
        self,
        batches: Iterable[Sequence[calls.Prompt]],
        sae: str,
        *,
        top_k: int | None = None,
        latents: ArrayLike | None = None,
        prepend_bos: bool | None = None,
        special_tokens: calls.SpecialTokens = "mask",
        scale: calls.Scale = "raw",
    ) -> Iterator[t.StreamResult]:
        """Encodes batches of prompts on one call, results in order; a batch that fails does not end the stream."""
        options = calls.EncodeOptions([sae], top_k, latents, prepend_bos, special_tokens, scale)
        stub = activation_pb2_grpc.ActivationServiceStub(self._channel)
        try:
            for reply in stub.EncodeStream(calls.encode_stream(batches, options)):
                if reply.WhichOneof("event") == "result":
                    yield t.StreamResult._from_pb(reply.result)
        except grpc.RpcError as error:
            raise _errors.from_rpc_error(error) from None

    def decode(
        self,
        sae: str,
        row_offsets: ArrayLike,
        latents: ArrayLike,
        activations: ArrayLike,
        *,
        scale: calls.Scale = "raw",
    ) -> t.Float32:
        """Turns compressed sparse rows of latents back into dense vectors, `[rows, d_in]`."""
        return self._call(calls.decode(sae, row_offsets, latents, activations, scale))

    # === caches ===

    def build_cache(
        self,
        saes: str | Sequence[str],
        paths: str | Sequence[str],
        *,
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
        """Starts a job that encodes the text at `paths`, on the server's disk, and stores what fires."""
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
        paths = [paths] if isinstance(paths, str) else paths
        return self._call(calls.build_cache(saes, paths, options))

    def caches(self) -> Iterator[t.Cache]:
        """All caches, by name."""
        return self._pages(calls.list_caches())

    def cache(self, name: str) -> t.Cache:
        """One cache."""
        return self._call(calls.get_cache(name))

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
        """Streams examples of latents, latent by latent, from `cache` or else the newest one that holds the SAE."""
        options = calls.ExampleOptions(mode, count, groups, window, centring, seed)
        stub = cache_pb2_grpc.CacheServiceStub(self._channel)
        try:
            for reply in stub.StreamExamples(calls.examples(sae, cache, latents, options)):
                yield from calls.read_examples(reply)
        except grpc.RpcError as error:
            raise _errors.from_rpc_error(error) from None

    def latent_stats(self, sae: str, latents: ArrayLike | None = None, *, cache: str = "") -> t.LatentStats:
        """Statistics of latents, of all by default, over `cache` or else the newest one that holds the SAE."""
        return t.LatentStats._from_pb(self._pages(calls.latent_stats(sae, cache, latents)))

    # === explanations and their scores ===

    def explain(
        self,
        sae: str,
        latents: ArrayLike | range,
        *,
        explainer: r.Explainer | r.ExplainerKind = "default",
        provider: str = "",
        scorers: Sequence[interp.ScorerLike] = (),
        cache: str = "",
        examples: r.ExamplePlan | None = None,
        budget: r.Budget | None = None,
        request_id: str = "",
    ) -> t.Job:
        """Starts a job that explains latents and, where scorers are given, scores the explanations.

        `provider` writes the explanations and is asked by the scorers that have none of their own. Examples come from
        `cache` or else the newest one that holds the SAE. `watch_job` shows what is done and what it costs, and
        `explanations(job=...)` lists what was written.
        """
        options = interp.JobOptions(provider, scorers, cache, examples, budget, request_id)
        return self._call(interp.explain(sae, latents, explainer, options))

    def score(
        self,
        sae: str,
        latents: ArrayLike | range | None = None,
        *,
        scorers: Sequence[interp.ScorerLike],
        explanations: Sequence[str] = (),
        provider: str = "",
        cache: str = "",
        examples: r.ExamplePlan | None = None,
        budget: r.Budget | None = None,
        request_id: str = "",
    ) -> t.Job:
        """Starts a job that scores explanations that exist: of all latents, or of some, or those that are named."""
        options = interp.JobOptions(provider, scorers, cache, examples, budget, request_id)
        return self._call(interp.score(sae, latents, explanations, options))

    def job_summary(self, name: str) -> i.JobSummary:
        """What a job that explains and scores has found so far."""
        return self._call(interp.job_summary(name))

    def explanations(
        self,
        sae: str = "",
        latents: ArrayLike | None = None,
        *,
        explainer: str = "",
        scorer: str = "",
        min_score: float | None = None,
        max_score: float | None = None,
        job: str = "",
    ) -> Iterator[i.Explanation]:
        """Explanations with their scores, by SAE, latent and time; `min_score` and `max_score` are of `scorer`."""
        only = interp.ExplanationFilter(sae, latents, explainer, scorer, min_score, max_score, job)
        return self._pages(interp.list_explanations(only))

    def explanation(self, name: str) -> i.Explanation:
        """One explanation with its scores, by its name or its id alone."""
        return self._call(interp.get_explanation(name))

    def search_explanations(
        self, query: str, *, sae: str = "", limit: int = 0, mode: interp.SearchMode = "auto"
    ) -> list[i.Explanation]:
        """Explanations by their words or their meaning, best first; by meaning where a sentence encoder is resident."""
        return self._call(interp.search_explanations(query, sae, limit, mode))

    def create_explanation(self, sae: str, latent: int, text: str, *, author: str = "") -> i.Explanation:
        """Stores an explanation that somebody wrote."""
        return self._call(interp.create_explanation(sae, latent, text, author))

    def delete_explanation(self, name: str) -> None:
        """Deletes an explanation with its scores."""
        self._call(interp.delete_explanation(name))

    def score_details(self, name: str) -> i.Score:
        """One score, with the examples that it was made of as arrays."""
        return self._call(interp.get_score(name))

    def export_explanations(self, sae: str = "", *, job: str = "", form: interp.ExportForm = "delphi") -> Iterator[str]:
        """Streams explanations and scores as lines of JSON, in the form of another tool."""
        stub = explanation_pb2_grpc.ExplanationServiceStub(self._channel)
        try:
            for reply in stub.ExportExplanations(interp.export_explanations(sae, job, form)):
                yield reply.line
        except grpc.RpcError as error:
            raise _errors.from_rpc_error(error) from None

    # === providers of language models ===

    def create_provider(
        self,
        provider_id: str,
        *,
        url: str = "",
        model: str = "",
        key: str = "",
        local: str = "",
        limits: r.Limits | None = None,
        prices: r.Prices | None = None,
        probe: bool = True,
    ) -> i.Provider:
        """Registers a provider, or replaces the one of that id, and finds out what it can do.

        It is an endpoint of OpenAI's API, by `url` and `model`, or with `local` a model that is resident in the server.
        `key` says where the server finds the key, as `env:NAME` or `file:/path`; a key itself is never sent.
        """
        options = interp.ProviderOptions(url, model, key, local, limits, prices, probe)
        return self._call(interp.create_provider(provider_id, options))

    def providers(self) -> Iterator[i.Provider]:
        """Providers, by name."""
        return self._pages(interp.list_providers())

    def provider(self, name: str) -> i.Provider:
        """One provider."""
        return self._call(interp.get_provider(name))

    def probe_provider(self, name: str) -> i.Provider:
        """Asks a provider again what it can do."""
        return self._call(interp.probe_provider(name))

    def delete_provider(self, name: str) -> None:
        """Forgets a provider; exchanges with it stay stored."""
        self._call(interp.delete_provider(name))

    # === jobs ===

    def jobs(self, *, states: Sequence[str] = (), kind: str = "") -> Iterator[t.Job]:
        """Jobs, newest first."""
        return self._pages(calls.list_jobs(states, kind))

    def job(self, name: str) -> t.Job:
        """One job."""
        return self._call(calls.get_job(name))

    def cancel_job(self, name: str) -> t.Job:
        """Asks a job to stop."""
        return self._call(calls.cancel_job(name))

    def pause_job(self, name: str) -> t.Job:
        """Asks a job that explains and scores to wait: what is under way is finished, nothing new begins."""
        return self._call(calls.pause_job(name))

    def resume_job(self, name: str, *, budget: r.Budget | None = None) -> t.Job:
        """Lets a paused job go on. What `budget` sets is the new limit of all that it may spend, from its start."""
        return self._call(calls.resume_job(name, budget))

    def watch_job(self, name: str) -> Iterator[t.Job]:
        """The job after each of its events until it ends. A lost connection is taken up after the last event seen."""
        seen, attempt = 0, 0
        while True:
            try:
                stub = job_pb2_grpc.JobServiceStub(self._channel)
                for event in stub.WatchJob(calls.watch_job(name, seen)):
                    seen, attempt = event.event_id, 0
                    job = t.Job._from_pb(event.job)
                    yield job
                    if job.ended:
                        return
            except grpc.RpcError as raised:
                error = _errors.from_rpc_error(raised)
                pause = _errors.pause_before_retry(error, attempt)
                if pause is None or attempt >= self._retries:
                    raise error from None
                attempt += 1
                time.sleep(pause)

    def wait(self, name: str) -> t.Job:
        """Waits until a job ends; raises its error if it failed or was cancelled, or paused by itself."""
        job = self.job(name)
        if not job.ended:
            for event in self.watch_job(name):
                job = event
                # The event may be an old one, of a job that was resumed since.
                if job.paused_itself and (now := self.job(name)).paused_itself:
                    raise _errors.job_paused(now.name, now.pause_reason, str(now.progress))
        if job.error is not None:
            raise job.error
        if job.state == "cancelled":
            raise _errors.CancelledError(grpc.StatusCode.CANCELLED, f"{name} was cancelled")
        return job

    # === how calls are made ===

    def _call(self, call: calls.Call[T]) -> T:
        method = getattr(call.stub(self._channel), call.method)
        attempt = 0
        while True:
            try:
                return call.read(method(call.request, timeout=self._timeout))
            except grpc.RpcError as raised:
                error = _errors.from_rpc_error(raised)
                pause = _errors.pause_before_retry(error, attempt)
                if pause is None or not call.retry or attempt >= self._retries:
                    raise error from None
                attempt += 1
                time.sleep(pause)

    def _pages(self, pages: calls.Pages[T]) -> Iterator[T]:
        token = ""
        while True:
            items, token = self._call(pages.call(token))
            yield from items
            if not token:
                return
