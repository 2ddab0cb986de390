from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Provider(_message.Message):
    __slots__ = ("name", "kind", "base_url", "model", "key_source", "limits", "prices", "capabilities", "create_time", "probe_time")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Provider.Kind]
        OPENAI: _ClassVar[Provider.Kind]
        LOCAL: _ClassVar[Provider.Kind]
    KIND_UNSPECIFIED: Provider.Kind
    OPENAI: Provider.Kind
    LOCAL: Provider.Kind
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KEY_SOURCE_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    PROBE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: Provider.Kind
    base_url: str
    model: str
    key_source: str
    limits: ProviderLimits
    prices: ProviderPrices
    capabilities: ProviderCapabilities
    create_time: _timestamp_pb2.Timestamp
    probe_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[Provider.Kind, str]] = ..., base_url: _Optional[str] = ..., model: _Optional[str] = ..., key_source: _Optional[str] = ..., limits: _Optional[_Union[ProviderLimits, _Mapping]] = ..., prices: _Optional[_Union[ProviderPrices, _Mapping]] = ..., capabilities: _Optional[_Union[ProviderCapabilities, _Mapping]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., probe_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ProviderLimits(_message.Message):
    __slots__ = ("max_in_flight", "requests_per_minute", "tokens_per_minute", "timeout_seconds", "max_tokens")
    MAX_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    max_in_flight: int
    requests_per_minute: int
    tokens_per_minute: int
    timeout_seconds: int
    max_tokens: int
    def __init__(self, max_in_flight: _Optional[int] = ..., requests_per_minute: _Optional[int] = ..., tokens_per_minute: _Optional[int] = ..., timeout_seconds: _Optional[int] = ..., max_tokens: _Optional[int] = ...) -> None: ...

class ProviderPrices(_message.Message):
    __slots__ = ("prompt_per_million", "completion_per_million")
    PROMPT_PER_MILLION_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_PER_MILLION_FIELD_NUMBER: _ClassVar[int]
    prompt_per_million: float
    completion_per_million: float
    def __init__(self, prompt_per_million: _Optional[float] = ..., completion_per_million: _Optional[float] = ...) -> None: ...

class ProviderCapabilities(_message.Message):
    __slots__ = ("json_schema", "chat_logprobs", "prompt_logprobs", "context_length", "refused")
    JSON_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    CHAT_LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LENGTH_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    json_schema: bool
    chat_logprobs: bool
    prompt_logprobs: bool
    context_length: int
    refused: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, json_schema: bool = ..., chat_logprobs: bool = ..., prompt_logprobs: bool = ..., context_length: _Optional[int] = ..., refused: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateProviderRequest(_message.Message):
    __slots__ = ("provider_id", "provider", "skip_probe")
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SKIP_PROBE_FIELD_NUMBER: _ClassVar[int]
    provider_id: str
    provider: Provider
    skip_probe: bool
    def __init__(self, provider_id: _Optional[str] = ..., provider: _Optional[_Union[Provider, _Mapping]] = ..., skip_probe: bool = ...) -> None: ...

class GetProviderRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListProvidersRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListProvidersResponse(_message.Message):
    __slots__ = ("providers", "next_page_token")
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    providers: _containers.RepeatedCompositeFieldContainer[Provider]
    next_page_token: str
    def __init__(self, providers: _Optional[_Iterable[_Union[Provider, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ProbeProviderRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteProviderRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteProviderResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
