from google.protobuf import timestamp_pb2 as _timestamp_pb2
from latentd.v1 import activation_pb2 as _activation_pb2
from latentd.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CacheState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CACHE_STATE_UNSPECIFIED: _ClassVar[CacheState]
    CACHE_STATE_BUILDING: _ClassVar[CacheState]
    CACHE_STATE_READY: _ClassVar[CacheState]
    CACHE_STATE_FAILED: _ClassVar[CacheState]

class ExampleMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXAMPLE_MODE_UNSPECIFIED: _ClassVar[ExampleMode]
    EXAMPLE_MODE_TOP: _ClassVar[ExampleMode]
    EXAMPLE_MODE_QUANTILE: _ClassVar[ExampleMode]
    EXAMPLE_MODE_BINS: _ClassVar[ExampleMode]
    EXAMPLE_MODE_RANDOM: _ClassVar[ExampleMode]
    EXAMPLE_MODE_NON_ACTIVATING: _ClassVar[ExampleMode]

class Centring(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CENTRING_UNSPECIFIED: _ClassVar[Centring]
    CENTRING_PEAK: _ClassVar[Centring]
    CENTRING_GRID: _ClassVar[Centring]
    CENTRING_MIDDLE: _ClassVar[Centring]
CACHE_STATE_UNSPECIFIED: CacheState
CACHE_STATE_BUILDING: CacheState
CACHE_STATE_READY: CacheState
CACHE_STATE_FAILED: CacheState
EXAMPLE_MODE_UNSPECIFIED: ExampleMode
EXAMPLE_MODE_TOP: ExampleMode
EXAMPLE_MODE_QUANTILE: ExampleMode
EXAMPLE_MODE_BINS: ExampleMode
EXAMPLE_MODE_RANDOM: ExampleMode
EXAMPLE_MODE_NON_ACTIVATING: ExampleMode
CENTRING_UNSPECIFIED: Centring
CENTRING_PEAK: Centring
CENTRING_GRID: Centring
CENTRING_MIDDLE: Centring

class Cache(_message.Message):
    __slots__ = ("name", "state", "model", "saes", "tokens", "rows", "documents", "context_length", "size_bytes", "manifest_digest", "job", "create_time", "seed", "model_digest", "pinned", "data_folder")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SAES_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LENGTH_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    DATA_FOLDER_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: CacheState
    model: str
    saes: _containers.RepeatedCompositeFieldContainer[CachedSae]
    tokens: int
    rows: int
    documents: int
    context_length: int
    size_bytes: int
    manifest_digest: str
    job: str
    create_time: _timestamp_pb2.Timestamp
    seed: int
    model_digest: str
    pinned: bool
    data_folder: str
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[CacheState, str]] = ..., model: _Optional[str] = ..., saes: _Optional[_Iterable[_Union[CachedSae, _Mapping]]] = ..., tokens: _Optional[int] = ..., rows: _Optional[int] = ..., documents: _Optional[int] = ..., context_length: _Optional[int] = ..., size_bytes: _Optional[int] = ..., manifest_digest: _Optional[str] = ..., job: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., seed: _Optional[int] = ..., model_digest: _Optional[str] = ..., pinned: bool = ..., data_folder: _Optional[str] = ...) -> None: ...

class CachedSae(_message.Message):
    __slots__ = ("sae", "hook_point", "d_sae", "digest", "activations", "firing_latents", "above_range", "below_range")
    SAE_FIELD_NUMBER: _ClassVar[int]
    HOOK_POINT_FIELD_NUMBER: _ClassVar[int]
    D_SAE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ACTIVATIONS_FIELD_NUMBER: _ClassVar[int]
    FIRING_LATENTS_FIELD_NUMBER: _ClassVar[int]
    ABOVE_RANGE_FIELD_NUMBER: _ClassVar[int]
    BELOW_RANGE_FIELD_NUMBER: _ClassVar[int]
    sae: str
    hook_point: str
    d_sae: int
    digest: str
    activations: int
    firing_latents: int
    above_range: int
    below_range: int
    def __init__(self, sae: _Optional[str] = ..., hook_point: _Optional[str] = ..., d_sae: _Optional[int] = ..., digest: _Optional[str] = ..., activations: _Optional[int] = ..., firing_latents: _Optional[int] = ..., above_range: _Optional[int] = ..., below_range: _Optional[int] = ...) -> None: ...

class UploadCorpusRequest(_message.Message):
    __slots__ = ("documents",)
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, documents: _Optional[_Iterable[str]] = ...) -> None: ...

class UploadedCorpus(_message.Message):
    __slots__ = ("name", "documents", "size_bytes", "expire_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    documents: int
    size_bytes: int
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., documents: _Optional[int] = ..., size_bytes: _Optional[int] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListCorporaRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCorporaResponse(_message.Message):
    __slots__ = ("corpora", "next_page_token")
    CORPORA_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    corpora: _containers.RepeatedCompositeFieldContainer[UploadedCorpus]
    next_page_token: str
    def __init__(self, corpora: _Optional[_Iterable[_Union[UploadedCorpus, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteCorpusRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteCorpusResponse(_message.Message):
    __slots__ = ("freed_bytes",)
    FREED_BYTES_FIELD_NUMBER: _ClassVar[int]
    freed_bytes: int
    def __init__(self, freed_bytes: _Optional[int] = ...) -> None: ...

class Corpus(_message.Message):
    __slots__ = ("paths", "format", "text_field", "uploaded")
    class Format(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        FORMAT_UNSPECIFIED: _ClassVar[Corpus.Format]
        TEXT: _ClassVar[Corpus.Format]
        JSONL: _ClassVar[Corpus.Format]
        PARQUET: _ClassVar[Corpus.Format]
        LINES: _ClassVar[Corpus.Format]
        ARROW: _ClassVar[Corpus.Format]
    FORMAT_UNSPECIFIED: Corpus.Format
    TEXT: Corpus.Format
    JSONL: Corpus.Format
    PARQUET: Corpus.Format
    LINES: Corpus.Format
    ARROW: Corpus.Format
    PATHS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_FIELD_NUMBER: _ClassVar[int]
    UPLOADED_FIELD_NUMBER: _ClassVar[int]
    paths: _containers.RepeatedScalarFieldContainer[str]
    format: Corpus.Format
    text_field: str
    uploaded: str
    def __init__(self, paths: _Optional[_Iterable[str]] = ..., format: _Optional[_Union[Corpus.Format, str]] = ..., text_field: _Optional[str] = ..., uploaded: _Optional[str] = ...) -> None: ...

class BuildCacheRequest(_message.Message):
    __slots__ = ("cache_id", "saes", "corpus", "context_length", "max_tokens", "seed", "prepend_bos", "special_tokens", "activation_dtype", "request_id")
    CACHE_ID_FIELD_NUMBER: _ClassVar[int]
    SAES_FIELD_NUMBER: _ClassVar[int]
    CORPUS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    PREPEND_BOS_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ACTIVATION_DTYPE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    cache_id: str
    saes: _containers.RepeatedScalarFieldContainer[str]
    corpus: Corpus
    context_length: int
    max_tokens: int
    seed: int
    prepend_bos: bool
    special_tokens: _activation_pb2.SpecialTokens
    activation_dtype: str
    request_id: str
    def __init__(self, cache_id: _Optional[str] = ..., saes: _Optional[_Iterable[str]] = ..., corpus: _Optional[_Union[Corpus, _Mapping]] = ..., context_length: _Optional[int] = ..., max_tokens: _Optional[int] = ..., seed: _Optional[int] = ..., prepend_bos: bool = ..., special_tokens: _Optional[_Union[_activation_pb2.SpecialTokens, str]] = ..., activation_dtype: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ListCachesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCachesResponse(_message.Message):
    __slots__ = ("caches", "next_page_token")
    CACHES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    caches: _containers.RepeatedCompositeFieldContainer[Cache]
    next_page_token: str
    def __init__(self, caches: _Optional[_Iterable[_Union[Cache, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetCacheRequest(_message.Message):
    __slots__ = ("name", "sae")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SAE_FIELD_NUMBER: _ClassVar[int]
    name: str
    sae: str
    def __init__(self, name: _Optional[str] = ..., sae: _Optional[str] = ...) -> None: ...

class PinCacheRequest(_message.Message):
    __slots__ = ("name", "unpin")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNPIN_FIELD_NUMBER: _ClassVar[int]
    name: str
    unpin: bool
    def __init__(self, name: _Optional[str] = ..., unpin: bool = ...) -> None: ...

class DeleteCacheRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteCacheResponse(_message.Message):
    __slots__ = ("freed_bytes",)
    FREED_BYTES_FIELD_NUMBER: _ClassVar[int]
    freed_bytes: int
    def __init__(self, freed_bytes: _Optional[int] = ...) -> None: ...

class LatentRange(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class StreamExamplesRequest(_message.Message):
    __slots__ = ("cache", "sae", "latents", "range", "mode", "count", "groups", "window", "centring", "seed", "omit_token_text")
    CACHE_FIELD_NUMBER: _ClassVar[int]
    SAE_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    CENTRING_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    OMIT_TOKEN_TEXT_FIELD_NUMBER: _ClassVar[int]
    cache: str
    sae: str
    latents: _activation_pb2.LatentSet
    range: LatentRange
    mode: ExampleMode
    count: int
    groups: int
    window: int
    centring: Centring
    seed: int
    omit_token_text: bool
    def __init__(self, cache: _Optional[str] = ..., sae: _Optional[str] = ..., latents: _Optional[_Union[_activation_pb2.LatentSet, _Mapping]] = ..., range: _Optional[_Union[LatentRange, _Mapping]] = ..., mode: _Optional[_Union[ExampleMode, str]] = ..., count: _Optional[int] = ..., groups: _Optional[int] = ..., window: _Optional[int] = ..., centring: _Optional[_Union[Centring, str]] = ..., seed: _Optional[int] = ..., omit_token_text: bool = ...) -> None: ...

class StreamExamplesResponse(_message.Message):
    __slots__ = ("latent", "summary")
    LATENT_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    latent: LatentExamples
    summary: ExamplesSummary
    def __init__(self, latent: _Optional[_Union[LatentExamples, _Mapping]] = ..., summary: _Optional[_Union[ExamplesSummary, _Mapping]] = ...) -> None: ...

class LatentExamples(_message.Message):
    __slots__ = ("latent", "firing_tokens", "max_activation", "examples", "density")
    LATENT_FIELD_NUMBER: _ClassVar[int]
    FIRING_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_ACTIVATION_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    DENSITY_FIELD_NUMBER: _ClassVar[int]
    latent: int
    firing_tokens: int
    max_activation: float
    examples: _containers.RepeatedCompositeFieldContainer[Example]
    density: float
    def __init__(self, latent: _Optional[int] = ..., firing_tokens: _Optional[int] = ..., max_activation: _Optional[float] = ..., examples: _Optional[_Iterable[_Union[Example, _Mapping]]] = ..., density: _Optional[float] = ...) -> None: ...

class Example(_message.Message):
    __slots__ = ("document", "row", "start", "ids", "tokens", "activations", "peak", "peak_index", "quantile", "bin_min", "bin_max")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    ACTIVATIONS_FIELD_NUMBER: _ClassVar[int]
    PEAK_FIELD_NUMBER: _ClassVar[int]
    PEAK_INDEX_FIELD_NUMBER: _ClassVar[int]
    QUANTILE_FIELD_NUMBER: _ClassVar[int]
    BIN_MIN_FIELD_NUMBER: _ClassVar[int]
    BIN_MAX_FIELD_NUMBER: _ClassVar[int]
    document: int
    row: int
    start: int
    ids: _containers.RepeatedScalarFieldContainer[int]
    tokens: _containers.RepeatedScalarFieldContainer[str]
    activations: _containers.RepeatedScalarFieldContainer[float]
    peak: float
    peak_index: int
    quantile: int
    bin_min: float
    bin_max: float
    def __init__(self, document: _Optional[int] = ..., row: _Optional[int] = ..., start: _Optional[int] = ..., ids: _Optional[_Iterable[int]] = ..., tokens: _Optional[_Iterable[str]] = ..., activations: _Optional[_Iterable[float]] = ..., peak: _Optional[float] = ..., peak_index: _Optional[int] = ..., quantile: _Optional[int] = ..., bin_min: _Optional[float] = ..., bin_max: _Optional[float] = ...) -> None: ...

class ExamplesSummary(_message.Message):
    __slots__ = ("latents", "examples", "silent_latents", "cache")
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    SILENT_LATENTS_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    latents: int
    examples: int
    silent_latents: int
    cache: str
    def __init__(self, latents: _Optional[int] = ..., examples: _Optional[int] = ..., silent_latents: _Optional[int] = ..., cache: _Optional[str] = ...) -> None: ...

class GetWindowsRequest(_message.Message):
    __slots__ = ("cache", "windows", "sae", "latent")
    CACHE_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    SAE_FIELD_NUMBER: _ClassVar[int]
    LATENT_FIELD_NUMBER: _ClassVar[int]
    cache: str
    windows: _containers.RepeatedScalarFieldContainer[str]
    sae: str
    latent: int
    def __init__(self, cache: _Optional[str] = ..., windows: _Optional[_Iterable[str]] = ..., sae: _Optional[str] = ..., latent: _Optional[int] = ...) -> None: ...

class GetWindowsResponse(_message.Message):
    __slots__ = ("windows",)
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    windows: _containers.RepeatedCompositeFieldContainer[Window]
    def __init__(self, windows: _Optional[_Iterable[_Union[Window, _Mapping]]] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("id", "document", "row", "start", "ids", "tokens", "activations")
    ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    ACTIVATIONS_FIELD_NUMBER: _ClassVar[int]
    id: str
    document: int
    row: int
    start: int
    ids: _containers.RepeatedScalarFieldContainer[int]
    tokens: _containers.RepeatedScalarFieldContainer[str]
    activations: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, id: _Optional[str] = ..., document: _Optional[int] = ..., row: _Optional[int] = ..., start: _Optional[int] = ..., ids: _Optional[_Iterable[int]] = ..., tokens: _Optional[_Iterable[str]] = ..., activations: _Optional[_Iterable[float]] = ...) -> None: ...

class ListLatentStatsRequest(_message.Message):
    __slots__ = ("cache", "sae", "page_size", "page_token", "latents", "omit_histogram")
    CACHE_FIELD_NUMBER: _ClassVar[int]
    SAE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    OMIT_HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    cache: str
    sae: str
    page_size: int
    page_token: str
    latents: _containers.RepeatedScalarFieldContainer[int]
    omit_histogram: bool
    def __init__(self, cache: _Optional[str] = ..., sae: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., latents: _Optional[_Iterable[int]] = ..., omit_histogram: bool = ...) -> None: ...

class ListLatentStatsResponse(_message.Message):
    __slots__ = ("stats", "next_page_token", "cache")
    STATS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    stats: _containers.RepeatedCompositeFieldContainer[LatentStats]
    next_page_token: str
    cache: str
    def __init__(self, stats: _Optional[_Iterable[_Union[LatentStats, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., cache: _Optional[str] = ...) -> None: ...

class LatentStats(_message.Message):
    __slots__ = ("latent", "count", "density", "max", "mean", "mean_square", "histogram")
    LATENT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    DENSITY_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    MEAN_SQUARE_FIELD_NUMBER: _ClassVar[int]
    HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    latent: int
    count: int
    density: float
    max: float
    mean: float
    mean_square: float
    histogram: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, latent: _Optional[int] = ..., count: _Optional[int] = ..., density: _Optional[float] = ..., max: _Optional[float] = ..., mean: _Optional[float] = ..., mean_square: _Optional[float] = ..., histogram: _Optional[_Iterable[int]] = ...) -> None: ...
