from google.protobuf import timestamp_pb2 as _timestamp_pb2
from latentd.v1 import activation_pb2 as _activation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Sae(_message.Message):
    __slots__ = ("name", "path", "format", "architecture", "hook_point", "declared_hook_point", "d_in", "d_sae", "k", "normalize_activations", "apply_b_dec_to_input", "rescale_acts_by_decoder_norm", "reshape_activations", "prepend_bos", "context_length", "trained_on_model", "digest", "stored_dtype", "resident_bytes", "self_test", "load_time", "neuronpedia_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    HOOK_POINT_FIELD_NUMBER: _ClassVar[int]
    DECLARED_HOOK_POINT_FIELD_NUMBER: _ClassVar[int]
    D_IN_FIELD_NUMBER: _ClassVar[int]
    D_SAE_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_ACTIVATIONS_FIELD_NUMBER: _ClassVar[int]
    APPLY_B_DEC_TO_INPUT_FIELD_NUMBER: _ClassVar[int]
    RESCALE_ACTS_BY_DECODER_NORM_FIELD_NUMBER: _ClassVar[int]
    RESHAPE_ACTIVATIONS_FIELD_NUMBER: _ClassVar[int]
    PREPEND_BOS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LENGTH_FIELD_NUMBER: _ClassVar[int]
    TRAINED_ON_MODEL_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    STORED_DTYPE_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    SELF_TEST_FIELD_NUMBER: _ClassVar[int]
    LOAD_TIME_FIELD_NUMBER: _ClassVar[int]
    NEURONPEDIA_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    path: str
    format: str
    architecture: str
    hook_point: str
    declared_hook_point: str
    d_in: int
    d_sae: int
    k: int
    normalize_activations: str
    apply_b_dec_to_input: bool
    rescale_acts_by_decoder_norm: bool
    reshape_activations: str
    prepend_bos: bool
    context_length: int
    trained_on_model: str
    digest: str
    stored_dtype: str
    resident_bytes: int
    self_test: SelfTest
    load_time: _timestamp_pb2.Timestamp
    neuronpedia_id: str
    def __init__(self, name: _Optional[str] = ..., path: _Optional[str] = ..., format: _Optional[str] = ..., architecture: _Optional[str] = ..., hook_point: _Optional[str] = ..., declared_hook_point: _Optional[str] = ..., d_in: _Optional[int] = ..., d_sae: _Optional[int] = ..., k: _Optional[int] = ..., normalize_activations: _Optional[str] = ..., apply_b_dec_to_input: bool = ..., rescale_acts_by_decoder_norm: bool = ..., reshape_activations: _Optional[str] = ..., prepend_bos: bool = ..., context_length: _Optional[int] = ..., trained_on_model: _Optional[str] = ..., digest: _Optional[str] = ..., stored_dtype: _Optional[str] = ..., resident_bytes: _Optional[int] = ..., self_test: _Optional[_Union[SelfTest, _Mapping]] = ..., load_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., neuronpedia_id: _Optional[str] = ...) -> None: ...

class SelfTest(_message.Message):
    __slots__ = ("tokens", "l0", "fvu", "declared_l0", "warnings", "dense_latents")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    L0_FIELD_NUMBER: _ClassVar[int]
    FVU_FIELD_NUMBER: _ClassVar[int]
    DECLARED_L0_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    DENSE_LATENTS_FIELD_NUMBER: _ClassVar[int]
    tokens: int
    l0: float
    fvu: float
    declared_l0: float
    warnings: _containers.RepeatedScalarFieldContainer[str]
    dense_latents: _containers.RepeatedCompositeFieldContainer[_activation_pb2.LatentDensity]
    def __init__(self, tokens: _Optional[int] = ..., l0: _Optional[float] = ..., fvu: _Optional[float] = ..., declared_l0: _Optional[float] = ..., warnings: _Optional[_Iterable[str]] = ..., dense_latents: _Optional[_Iterable[_Union[_activation_pb2.LatentDensity, _Mapping]]] = ...) -> None: ...

class ListSaesRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSaesResponse(_message.Message):
    __slots__ = ("saes", "next_page_token")
    SAES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    saes: _containers.RepeatedCompositeFieldContainer[Sae]
    next_page_token: str
    def __init__(self, saes: _Optional[_Iterable[_Union[Sae, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetSaeRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class LoadSaeRequest(_message.Message):
    __slots__ = ("parent", "sae_id", "path", "norm_scaling_factor", "hook_point")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SAE_ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    NORM_SCALING_FACTOR_FIELD_NUMBER: _ClassVar[int]
    HOOK_POINT_FIELD_NUMBER: _ClassVar[int]
    parent: str
    sae_id: str
    path: str
    norm_scaling_factor: float
    hook_point: str
    def __init__(self, parent: _Optional[str] = ..., sae_id: _Optional[str] = ..., path: _Optional[str] = ..., norm_scaling_factor: _Optional[float] = ..., hook_point: _Optional[str] = ...) -> None: ...

class UnloadSaeRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class UnloadSaeResponse(_message.Message):
    __slots__ = ("freed_bytes",)
    FREED_BYTES_FIELD_NUMBER: _ClassVar[int]
    freed_bytes: int
    def __init__(self, freed_bytes: _Optional[int] = ...) -> None: ...

class GetLatentRequest(_message.Message):
    __slots__ = ("name", "count")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class Latent(_message.Message):
    __slots__ = ("name", "latent", "encoder_norm", "decoder_norm", "encoder_decoder_cosine", "encoder_bias", "threshold", "top_logits", "bottom_logits", "neighbours")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LATENT_FIELD_NUMBER: _ClassVar[int]
    ENCODER_NORM_FIELD_NUMBER: _ClassVar[int]
    DECODER_NORM_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DECODER_COSINE_FIELD_NUMBER: _ClassVar[int]
    ENCODER_BIAS_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    TOP_LOGITS_FIELD_NUMBER: _ClassVar[int]
    BOTTOM_LOGITS_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOURS_FIELD_NUMBER: _ClassVar[int]
    name: str
    latent: int
    encoder_norm: float
    decoder_norm: float
    encoder_decoder_cosine: float
    encoder_bias: float
    threshold: float
    top_logits: _containers.RepeatedCompositeFieldContainer[TokenLogit]
    bottom_logits: _containers.RepeatedCompositeFieldContainer[TokenLogit]
    neighbours: _containers.RepeatedCompositeFieldContainer[Neighbour]
    def __init__(self, name: _Optional[str] = ..., latent: _Optional[int] = ..., encoder_norm: _Optional[float] = ..., decoder_norm: _Optional[float] = ..., encoder_decoder_cosine: _Optional[float] = ..., encoder_bias: _Optional[float] = ..., threshold: _Optional[float] = ..., top_logits: _Optional[_Iterable[_Union[TokenLogit, _Mapping]]] = ..., bottom_logits: _Optional[_Iterable[_Union[TokenLogit, _Mapping]]] = ..., neighbours: _Optional[_Iterable[_Union[Neighbour, _Mapping]]] = ...) -> None: ...

class TokenLogit(_message.Message):
    __slots__ = ("id", "token", "logit")
    ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    LOGIT_FIELD_NUMBER: _ClassVar[int]
    id: int
    token: str
    logit: float
    def __init__(self, id: _Optional[int] = ..., token: _Optional[str] = ..., logit: _Optional[float] = ...) -> None: ...

class Neighbour(_message.Message):
    __slots__ = ("latent", "cosine")
    LATENT_FIELD_NUMBER: _ClassVar[int]
    COSINE_FIELD_NUMBER: _ClassVar[int]
    latent: int
    cosine: float
    def __init__(self, latent: _Optional[int] = ..., cosine: _Optional[float] = ...) -> None: ...
