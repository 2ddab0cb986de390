"""An SAE with calls of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from .. import _calls as calls
from .. import _types as t

if TYPE_CHECKING:
    from .client import Client


class SaeHandle(t.Sae):
    """A resident SAE, as `client.sae` describes it, whose calls need not name it again."""

    _client: Client

    @classmethod
    def _of(cls, client: Client, sae: t.Sae) -> SaeHandle:
        handle = cls(**{name: getattr(sae, name) for name in t.Sae.__dataclass_fields__})
        object.__setattr__(handle, "_client", client)
        return handle

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy elsewhere is the description alone.
        return t.Sae, tuple(getattr(self, name) for name in t.Sae.__dataclass_fields__)

    def encode(
        self,
        prompts: Sequence[calls.Prompt],
        *,
        top_k: int | None = None,
        latents: ArrayLike | None = None,
        prepend_bos: bool | None = None,
        special_tokens: calls.SpecialTokens = "mask",
        scale: t.Scale = "raw",
    ) -> t.Encoded:
        """Encodes prompts, each a text or token ids."""
        return self._client.encode(
            prompts,
            self.name,
            top_k=top_k,
            latents=latents,
            prepend_bos=prepend_bos,
            special_tokens=special_tokens,
            scale=scale,
        )

    def decode(self, encoded: t.Encoded) -> t.Float32:
        """Turns what was encoded back into dense vectors at the SAE's hook point, `[tokens, d_in]`."""
        return self._client.decode(
            self.name,
            encoded.row_offsets,
            encoded.latents,
            encoded.activations,
            scale=encoded.scale,
        )

    def latent(self, latent: int, *, count: int = 10) -> t.Latent:
        """Norms of a latent, the tokens it promotes and suppresses, and its nearest latents."""
        return self._client.latent(self.name, latent, count=count)

    def latent_stats(self, latents: ArrayLike | None = None, *, cache: str = "") -> t.LatentStats:
        """Statistics of latents over a cache, of all by default."""
        return self._client.latent_stats(self.name, latents, cache=cache)

    def examples(
        self,
        latents: ArrayLike | range,
        *,
        cache: str = "",
        mode: calls.Mode = "top",
        count: int = 0,
        groups: int = 0,
        window: int = 0,
        centring: calls.Centring = "peak",
        seed: int = 0,
    ) -> t.Examples:
        """Examples of one latent or several, read to the end; `client.examples` streams them."""
        found = self._client.examples(
            self.name,
            latents,
            cache=cache,
            mode=mode,
            count=count,
            groups=groups,
            window=window,
            centring=centring,
            seed=seed,
        )
        return t.Examples([example for example in found])

    def explain(self, latents: ArrayLike | range, **options: Any) -> t.Job:
        """Starts a job that explains latents; the options are those of `client.explain`."""
        return self._client.explain(self.name, latents, **options)

    def explanations(self, latents: ArrayLike | None = None, **options: Any) -> t.Explanations:
        """Explanations of the SAE's latents; the options are those of `client.explanations`."""
        found = self._client.explanations(self.name, latents, **options)
        return t.Explanations([explanation for explanation in found])

    def build_cache(self, paths: str | Sequence[str] = (), **options: Any) -> t.Job:
        """Starts a job that encodes a corpus with this SAE; the options are those of `client.build_cache`."""
        return self._client.build_cache(self.name, paths, **options)
