from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SpecialTokens(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPECIAL_TOKENS_UNSPECIFIED: _ClassVar[SpecialTokens]
    SPECIAL_TOKENS_MASK: _ClassVar[SpecialTokens]
    SPECIAL_TOKENS_KEEP: _ClassVar[SpecialTokens]

class ActivationScale(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTIVATION_SCALE_UNSPECIFIED: _ClassVar[ActivationScale]
    ACTIVATION_SCALE_RAW: _ClassVar[ActivationScale]
    ACTIVATION_SCALE_DECODER_NORM: _ClassVar[ActivationScale]
SPECIAL_TOKENS_UNSPECIFIED: SpecialTokens
SPECIAL_TOKENS_MASK: SpecialTokens
SPECIAL_TOKENS_KEEP: SpecialTokens
ACTIVATION_SCALE_UNSPECIFIED: ActivationScale
ACTIVATION_SCALE_RAW: ActivationScale
ACTIVATION_SCALE_DECODER_NORM: ActivationScale

class Prompt(_message.Message):
    __slots__ = ("text", "token_ids")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    text: str
    token_ids: TokenIds
    def __init__(self, text: _Optional[str] = ..., token_ids: _Optional[_Union[TokenIds, _Mapping]] = ...) -> None: ...

class TokenIds(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, ids: _Optional[_Iterable[int]] = ...) -> None: ...

class LatentSet(_message.Message):
    __slots__ = ("latents",)
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    latents: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, latents: _Optional[_Iterable[int]] = ...) -> None: ...

class AllFiring(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EncodeRequest(_message.Message):
    __slots__ = ("prompts", "saes", "prepend_bos", "special_tokens", "all_firing", "top_k", "latents", "scale", "packed")
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    SAES_FIELD_NUMBER: _ClassVar[int]
    PREPEND_BOS_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIRING_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    PACKED_FIELD_NUMBER: _ClassVar[int]
    prompts: _containers.RepeatedCompositeFieldContainer[Prompt]
    saes: _containers.RepeatedScalarFieldContainer[str]
    prepend_bos: bool
    special_tokens: SpecialTokens
    all_firing: AllFiring
    top_k: int
    latents: LatentSet
    scale: ActivationScale
    packed: bool
    def __init__(self, prompts: _Optional[_Iterable[_Union[Prompt, _Mapping]]] = ..., saes: _Optional[_Iterable[str]] = ..., prepend_bos: bool = ..., special_tokens: _Optional[_Union[SpecialTokens, str]] = ..., all_firing: _Optional[_Union[AllFiring, _Mapping]] = ..., top_k: _Optional[int] = ..., latents: _Optional[_Union[LatentSet, _Mapping]] = ..., scale: _Optional[_Union[ActivationScale, str]] = ..., packed: bool = ...) -> None: ...

class EncodeResponse(_message.Message):
    __slots__ = ("prompts", "activations", "model_digest", "cost")
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    ACTIVATIONS_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    prompts: _containers.RepeatedCompositeFieldContainer[EncodedPrompt]
    activations: _containers.RepeatedCompositeFieldContainer[SaeActivations]
    model_digest: str
    cost: Cost
    def __init__(self, prompts: _Optional[_Iterable[_Union[EncodedPrompt, _Mapping]]] = ..., activations: _Optional[_Iterable[_Union[SaeActivations, _Mapping]]] = ..., model_digest: _Optional[str] = ..., cost: _Optional[_Union[Cost, _Mapping]] = ...) -> None: ...

class EncodedPrompt(_message.Message):
    __slots__ = ("ids", "tokens", "byte_starts", "byte_ends", "special")
    IDS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    BYTE_STARTS_FIELD_NUMBER: _ClassVar[int]
    BYTE_ENDS_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    tokens: _containers.RepeatedScalarFieldContainer[str]
    byte_starts: _containers.RepeatedScalarFieldContainer[int]
    byte_ends: _containers.RepeatedScalarFieldContainer[int]
    special: _containers.RepeatedScalarFieldContainer[bool]
    def __init__(self, ids: _Optional[_Iterable[int]] = ..., tokens: _Optional[_Iterable[str]] = ..., byte_starts: _Optional[_Iterable[int]] = ..., byte_ends: _Optional[_Iterable[int]] = ..., special: _Optional[_Iterable[bool]] = ...) -> None: ...

class SaeActivations(_message.Message):
    __slots__ = ("sae", "hook_point", "sae_digest", "d_sae", "row_offsets", "latents", "activations", "scale", "packed_row_offsets", "packed_latents", "packed_activations", "dense_latents")
    SAE_FIELD_NUMBER: _ClassVar[int]
    HOOK_POINT_FIELD_NUMBER: _ClassVar[int]
    SAE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    D_SAE_FIELD_NUMBER: _ClassVar[int]
    ROW_OFFSETS_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    ACTIVATIONS_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    PACKED_ROW_OFFSETS_FIELD_NUMBER: _ClassVar[int]
    PACKED_LATENTS_FIELD_NUMBER: _ClassVar[int]
    PACKED_ACTIVATIONS_FIELD_NUMBER: _ClassVar[int]
    DENSE_LATENTS_FIELD_NUMBER: _ClassVar[int]
    sae: str
    hook_point: str
    sae_digest: str
    d_sae: int
    row_offsets: _containers.RepeatedScalarFieldContainer[int]
    latents: _containers.RepeatedScalarFieldContainer[int]
    activations: _containers.RepeatedScalarFieldContainer[float]
    scale: ActivationScale
    packed_row_offsets: bytes
    packed_latents: bytes
    packed_activations: bytes
    dense_latents: _containers.RepeatedCompositeFieldContainer[LatentDensity]
    def __init__(self, sae: _Optional[str] = ..., hook_point: _Optional[str] = ..., sae_digest: _Optional[str] = ..., d_sae: _Optional[int] = ..., row_offsets: _Optional[_Iterable[int]] = ..., latents: _Optional[_Iterable[int]] = ..., activations: _Optional[_Iterable[float]] = ..., scale: _Optional[_Union[ActivationScale, str]] = ..., packed_row_offsets: _Optional[bytes] = ..., packed_latents: _Optional[bytes] = ..., packed_activations: _Optional[bytes] = ..., dense_latents: _Optional[_Iterable[_Union[LatentDensity, _Mapping]]] = ...) -> None: ...

class LatentDensity(_message.Message):
    __slots__ = ("latent", "density")
    LATENT_FIELD_NUMBER: _ClassVar[int]
    DENSITY_FIELD_NUMBER: _ClassVar[int]
    latent: int
    density: float
    def __init__(self, latent: _Optional[int] = ..., density: _Optional[float] = ...) -> None: ...

class Cost(_message.Message):
    __slots__ = ("queue_micros", "compute_micros", "tokens", "batch_tokens", "batch_requests")
    QUEUE_MICROS_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_MICROS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    BATCH_TOKENS_FIELD_NUMBER: _ClassVar[int]
    BATCH_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    queue_micros: int
    compute_micros: int
    tokens: int
    batch_tokens: int
    batch_requests: int
    def __init__(self, queue_micros: _Optional[int] = ..., compute_micros: _Optional[int] = ..., tokens: _Optional[int] = ..., batch_tokens: _Optional[int] = ..., batch_requests: _Optional[int] = ...) -> None: ...

class EncodeStreamRequest(_message.Message):
    __slots__ = ("id", "request")
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    id: int
    request: EncodeRequest
    def __init__(self, id: _Optional[int] = ..., request: _Optional[_Union[EncodeRequest, _Mapping]] = ...) -> None: ...

class EncodeStreamResponse(_message.Message):
    __slots__ = ("result", "summary")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    result: EncodeStreamResult
    summary: EncodeStreamSummary
    def __init__(self, result: _Optional[_Union[EncodeStreamResult, _Mapping]] = ..., summary: _Optional[_Union[EncodeStreamSummary, _Mapping]] = ...) -> None: ...

class EncodeStreamResult(_message.Message):
    __slots__ = ("id", "response", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: int
    response: EncodeResponse
    error: _status_pb2.Status
    def __init__(self, id: _Optional[int] = ..., response: _Optional[_Union[EncodeResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class EncodeStreamSummary(_message.Message):
    __slots__ = ("succeeded", "failed", "tokens")
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    succeeded: int
    failed: int
    tokens: int
    def __init__(self, succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., tokens: _Optional[int] = ...) -> None: ...

class DecodeRequest(_message.Message):
    __slots__ = ("sae", "row_offsets", "latents", "activations", "scale", "packed")
    SAE_FIELD_NUMBER: _ClassVar[int]
    ROW_OFFSETS_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    ACTIVATIONS_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    PACKED_FIELD_NUMBER: _ClassVar[int]
    sae: str
    row_offsets: _containers.RepeatedScalarFieldContainer[int]
    latents: _containers.RepeatedScalarFieldContainer[int]
    activations: _containers.RepeatedScalarFieldContainer[float]
    scale: ActivationScale
    packed: bool
    def __init__(self, sae: _Optional[str] = ..., row_offsets: _Optional[_Iterable[int]] = ..., latents: _Optional[_Iterable[int]] = ..., activations: _Optional[_Iterable[float]] = ..., scale: _Optional[_Union[ActivationScale, str]] = ..., packed: bool = ...) -> None: ...

class DecodeResponse(_message.Message):
    __slots__ = ("hook_point", "rows", "width", "values", "packed_values")
    HOOK_POINT_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    PACKED_VALUES_FIELD_NUMBER: _ClassVar[int]
    hook_point: str
    rows: int
    width: int
    values: _containers.RepeatedScalarFieldContainer[float]
    packed_values: bytes
    def __init__(self, hook_point: _Optional[str] = ..., rows: _Optional[int] = ..., width: _Optional[int] = ..., values: _Optional[_Iterable[float]] = ..., packed_values: _Optional[bytes] = ...) -> None: ...
