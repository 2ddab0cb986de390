from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ServerInfo(_message.Message):
    __slots__ = ("version", "api_versions", "device", "limits", "capabilities", "start_time", "components", "data_folder")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    API_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    DATA_FOLDER_FIELD_NUMBER: _ClassVar[int]
    version: str
    api_versions: _containers.RepeatedScalarFieldContainer[str]
    device: Device
    limits: Limits
    capabilities: Capabilities
    start_time: _timestamp_pb2.Timestamp
    components: _containers.RepeatedCompositeFieldContainer[ComponentHealth]
    data_folder: str
    def __init__(self, version: _Optional[str] = ..., api_versions: _Optional[_Iterable[str]] = ..., device: _Optional[_Union[Device, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., capabilities: _Optional[_Union[Capabilities, _Mapping]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., components: _Optional[_Iterable[_Union[ComponentHealth, _Mapping]]] = ..., data_folder: _Optional[str] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("name", "dtype", "threads", "resident_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    dtype: str
    threads: int
    resident_bytes: int
    def __init__(self, name: _Optional[str] = ..., dtype: _Optional[str] = ..., threads: _Optional[int] = ..., resident_bytes: _Optional[int] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_prompts", "max_tokens", "max_saes", "max_top_k", "max_latents", "max_examples", "max_window", "max_page_size", "max_message_bytes", "max_queued", "batch_tokens", "max_corpus_bytes")
    MAX_PROMPTS_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_SAES_FIELD_NUMBER: _ClassVar[int]
    MAX_TOP_K_FIELD_NUMBER: _ClassVar[int]
    MAX_LATENTS_FIELD_NUMBER: _ClassVar[int]
    MAX_EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    MAX_WINDOW_FIELD_NUMBER: _ClassVar[int]
    MAX_PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUED_FIELD_NUMBER: _ClassVar[int]
    BATCH_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_CORPUS_BYTES_FIELD_NUMBER: _ClassVar[int]
    max_prompts: int
    max_tokens: int
    max_saes: int
    max_top_k: int
    max_latents: int
    max_examples: int
    max_window: int
    max_page_size: int
    max_message_bytes: int
    max_queued: int
    batch_tokens: int
    max_corpus_bytes: int
    def __init__(self, max_prompts: _Optional[int] = ..., max_tokens: _Optional[int] = ..., max_saes: _Optional[int] = ..., max_top_k: _Optional[int] = ..., max_latents: _Optional[int] = ..., max_examples: _Optional[int] = ..., max_window: _Optional[int] = ..., max_page_size: _Optional[int] = ..., max_message_bytes: _Optional[int] = ..., max_queued: _Optional[int] = ..., batch_tokens: _Optional[int] = ..., max_corpus_bytes: _Optional[int] = ...) -> None: ...

class Capabilities(_message.Message):
    __slots__ = ("model_families", "model_formats", "sae_architectures", "sae_formats", "sites", "corpus_formats", "explainers", "scorers", "provider_kinds", "export_forms")
    MODEL_FAMILIES_FIELD_NUMBER: _ClassVar[int]
    MODEL_FORMATS_FIELD_NUMBER: _ClassVar[int]
    SAE_ARCHITECTURES_FIELD_NUMBER: _ClassVar[int]
    SAE_FORMATS_FIELD_NUMBER: _ClassVar[int]
    SITES_FIELD_NUMBER: _ClassVar[int]
    CORPUS_FORMATS_FIELD_NUMBER: _ClassVar[int]
    EXPLAINERS_FIELD_NUMBER: _ClassVar[int]
    SCORERS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KINDS_FIELD_NUMBER: _ClassVar[int]
    EXPORT_FORMS_FIELD_NUMBER: _ClassVar[int]
    model_families: _containers.RepeatedScalarFieldContainer[str]
    model_formats: _containers.RepeatedScalarFieldContainer[str]
    sae_architectures: _containers.RepeatedScalarFieldContainer[str]
    sae_formats: _containers.RepeatedScalarFieldContainer[str]
    sites: _containers.RepeatedScalarFieldContainer[str]
    corpus_formats: _containers.RepeatedScalarFieldContainer[str]
    explainers: _containers.RepeatedScalarFieldContainer[str]
    scorers: _containers.RepeatedScalarFieldContainer[str]
    provider_kinds: _containers.RepeatedScalarFieldContainer[str]
    export_forms: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model_families: _Optional[_Iterable[str]] = ..., model_formats: _Optional[_Iterable[str]] = ..., sae_architectures: _Optional[_Iterable[str]] = ..., sae_formats: _Optional[_Iterable[str]] = ..., sites: _Optional[_Iterable[str]] = ..., corpus_formats: _Optional[_Iterable[str]] = ..., explainers: _Optional[_Iterable[str]] = ..., scorers: _Optional[_Iterable[str]] = ..., provider_kinds: _Optional[_Iterable[str]] = ..., export_forms: _Optional[_Iterable[str]] = ...) -> None: ...

class ComponentHealth(_message.Message):
    __slots__ = ("component", "serving", "detail")
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    component: str
    serving: bool
    detail: str
    def __init__(self, component: _Optional[str] = ..., serving: bool = ..., detail: _Optional[str] = ...) -> None: ...
