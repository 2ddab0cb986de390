from google.protobuf import timestamp_pb2 as _timestamp_pb2
from latentd.v1 import activation_pb2 as _activation_pb2
from latentd.v1 import cache_pb2 as _cache_pb2
from latentd.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEARCH_MODE_UNSPECIFIED: _ClassVar[SearchMode]
    SEARCH_MODE_WORDS: _ClassVar[SearchMode]
    SEARCH_MODE_MEANING: _ClassVar[SearchMode]
SEARCH_MODE_UNSPECIFIED: SearchMode
SEARCH_MODE_WORDS: SearchMode
SEARCH_MODE_MEANING: SearchMode

class ExamplePlan(_message.Message):
    __slots__ = ("n_train", "n_test", "n_non_activating", "n_quantiles", "train_sampler", "ratio_top", "non_activating", "window", "centring", "min_examples", "seed")
    class Sampler(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SAMPLER_UNSPECIFIED: _ClassVar[ExamplePlan.Sampler]
        TOP: _ClassVar[ExamplePlan.Sampler]
        RANDOM: _ClassVar[ExamplePlan.Sampler]
        QUANTILES: _ClassVar[ExamplePlan.Sampler]
        MIX: _ClassVar[ExamplePlan.Sampler]
    SAMPLER_UNSPECIFIED: ExamplePlan.Sampler
    TOP: ExamplePlan.Sampler
    RANDOM: ExamplePlan.Sampler
    QUANTILES: ExamplePlan.Sampler
    MIX: ExamplePlan.Sampler
    class NonActivating(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        NON_ACTIVATING_UNSPECIFIED: _ClassVar[ExamplePlan.NonActivating]
        RANDOM_WINDOWS: _ClassVar[ExamplePlan.NonActivating]
        NEIGHBOURS_CO_OCCURRENCE: _ClassVar[ExamplePlan.NonActivating]
        NEIGHBOURS_ENCODER: _ClassVar[ExamplePlan.NonActivating]
        NEIGHBOURS_DECODER: _ClassVar[ExamplePlan.NonActivating]
        SIMILAR_TEXT: _ClassVar[ExamplePlan.NonActivating]
    NON_ACTIVATING_UNSPECIFIED: ExamplePlan.NonActivating
    RANDOM_WINDOWS: ExamplePlan.NonActivating
    NEIGHBOURS_CO_OCCURRENCE: ExamplePlan.NonActivating
    NEIGHBOURS_ENCODER: ExamplePlan.NonActivating
    NEIGHBOURS_DECODER: ExamplePlan.NonActivating
    SIMILAR_TEXT: ExamplePlan.NonActivating
    N_TRAIN_FIELD_NUMBER: _ClassVar[int]
    N_TEST_FIELD_NUMBER: _ClassVar[int]
    N_NON_ACTIVATING_FIELD_NUMBER: _ClassVar[int]
    N_QUANTILES_FIELD_NUMBER: _ClassVar[int]
    TRAIN_SAMPLER_FIELD_NUMBER: _ClassVar[int]
    RATIO_TOP_FIELD_NUMBER: _ClassVar[int]
    NON_ACTIVATING_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    CENTRING_FIELD_NUMBER: _ClassVar[int]
    MIN_EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    n_train: int
    n_test: int
    n_non_activating: int
    n_quantiles: int
    train_sampler: ExamplePlan.Sampler
    ratio_top: float
    non_activating: ExamplePlan.NonActivating
    window: int
    centring: _cache_pb2.Centring
    min_examples: int
    seed: int
    def __init__(self, n_train: _Optional[int] = ..., n_test: _Optional[int] = ..., n_non_activating: _Optional[int] = ..., n_quantiles: _Optional[int] = ..., train_sampler: _Optional[_Union[ExamplePlan.Sampler, str]] = ..., ratio_top: _Optional[float] = ..., non_activating: _Optional[_Union[ExamplePlan.NonActivating, str]] = ..., window: _Optional[int] = ..., centring: _Optional[_Union[_cache_pb2.Centring, str]] = ..., min_examples: _Optional[int] = ..., seed: _Optional[int] = ...) -> None: ...

class Explainer(_message.Message):
    __slots__ = ("kind", "provider", "threshold", "chain_of_thought", "temperature", "max_tokens")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Explainer.Kind]
        DEFAULT: _ClassVar[Explainer.Kind]
        SINGLE_TOKEN: _ClassVar[Explainer.Kind]
        CONTRASTIVE: _ClassVar[Explainer.Kind]
        MAX_ACT_LOGITS: _ClassVar[Explainer.Kind]
        NONE: _ClassVar[Explainer.Kind]
        RANDOM_BASELINE: _ClassVar[Explainer.Kind]
        TOP_TOKENS: _ClassVar[Explainer.Kind]
        COMPLETION: _ClassVar[Explainer.Kind]
    KIND_UNSPECIFIED: Explainer.Kind
    DEFAULT: Explainer.Kind
    SINGLE_TOKEN: Explainer.Kind
    CONTRASTIVE: Explainer.Kind
    MAX_ACT_LOGITS: Explainer.Kind
    NONE: Explainer.Kind
    RANDOM_BASELINE: Explainer.Kind
    TOP_TOKENS: Explainer.Kind
    COMPLETION: Explainer.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    CHAIN_OF_THOUGHT_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    kind: Explainer.Kind
    provider: str
    threshold: float
    chain_of_thought: bool
    temperature: float
    max_tokens: int
    def __init__(self, kind: _Optional[_Union[Explainer.Kind, str]] = ..., provider: _Optional[str] = ..., threshold: _Optional[float] = ..., chain_of_thought: bool = ..., temperature: _Optional[float] = ..., max_tokens: _Optional[int] = ...) -> None: ...

class Scorer(_message.Message):
    __slots__ = ("kind", "provider", "examples_per_prompt", "calibration", "threshold", "temperature", "encoder", "max_tokens")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Scorer.Kind]
        DETECTION: _ClassVar[Scorer.Kind]
        FUZZING: _ClassVar[Scorer.Kind]
        FUZZING_ACTIVE: _ClassVar[Scorer.Kind]
        SIMULATION: _ClassVar[Scorer.Kind]
        SIMULATION_JSON: _ClassVar[Scorer.Kind]
        SURPRISAL: _ClassVar[Scorer.Kind]
        EMBEDDING: _ClassVar[Scorer.Kind]
        EXAMPLE_EMBEDDING: _ClassVar[Scorer.Kind]
        INTRUDER: _ClassVar[Scorer.Kind]
    KIND_UNSPECIFIED: Scorer.Kind
    DETECTION: Scorer.Kind
    FUZZING: Scorer.Kind
    FUZZING_ACTIVE: Scorer.Kind
    SIMULATION: Scorer.Kind
    SIMULATION_JSON: Scorer.Kind
    SURPRISAL: Scorer.Kind
    EMBEDDING: Scorer.Kind
    EXAMPLE_EMBEDDING: Scorer.Kind
    INTRUDER: Scorer.Kind
    class Calibration(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CALIBRATION_UNSPECIFIED: _ClassVar[Scorer.Calibration]
        UNCALIBRATED: _ClassVar[Scorer.Calibration]
        LINEAR: _ClassVar[Scorer.Calibration]
        PERCENTILE: _ClassVar[Scorer.Calibration]
    CALIBRATION_UNSPECIFIED: Scorer.Calibration
    UNCALIBRATED: Scorer.Calibration
    LINEAR: Scorer.Calibration
    PERCENTILE: Scorer.Calibration
    KIND_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_PER_PROMPT_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    kind: Scorer.Kind
    provider: str
    examples_per_prompt: int
    calibration: Scorer.Calibration
    threshold: float
    temperature: float
    encoder: str
    max_tokens: int
    def __init__(self, kind: _Optional[_Union[Scorer.Kind, str]] = ..., provider: _Optional[str] = ..., examples_per_prompt: _Optional[int] = ..., calibration: _Optional[_Union[Scorer.Calibration, str]] = ..., threshold: _Optional[float] = ..., temperature: _Optional[float] = ..., encoder: _Optional[str] = ..., max_tokens: _Optional[int] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("calls", "tokens", "dollars")
    CALLS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    DOLLARS_FIELD_NUMBER: _ClassVar[int]
    calls: int
    tokens: int
    dollars: float
    def __init__(self, calls: _Optional[int] = ..., tokens: _Optional[int] = ..., dollars: _Optional[float] = ...) -> None: ...

class ExplainLatentsRequest(_message.Message):
    __slots__ = ("sae", "cache", "latents", "range", "explainer", "scorers", "examples", "budget", "request_id")
    SAE_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    EXPLAINER_FIELD_NUMBER: _ClassVar[int]
    SCORERS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    sae: str
    cache: str
    latents: _activation_pb2.LatentSet
    range: _cache_pb2.LatentRange
    explainer: Explainer
    scorers: _containers.RepeatedCompositeFieldContainer[Scorer]
    examples: ExamplePlan
    budget: Budget
    request_id: str
    def __init__(self, sae: _Optional[str] = ..., cache: _Optional[str] = ..., latents: _Optional[_Union[_activation_pb2.LatentSet, _Mapping]] = ..., range: _Optional[_Union[_cache_pb2.LatentRange, _Mapping]] = ..., explainer: _Optional[_Union[Explainer, _Mapping]] = ..., scorers: _Optional[_Iterable[_Union[Scorer, _Mapping]]] = ..., examples: _Optional[_Union[ExamplePlan, _Mapping]] = ..., budget: _Optional[_Union[Budget, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ScoreExplanationsRequest(_message.Message):
    __slots__ = ("sae", "cache", "latents", "range", "explanations", "scorers", "examples", "budget", "request_id")
    SAE_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    EXPLANATIONS_FIELD_NUMBER: _ClassVar[int]
    SCORERS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    sae: str
    cache: str
    latents: _activation_pb2.LatentSet
    range: _cache_pb2.LatentRange
    explanations: _containers.RepeatedScalarFieldContainer[str]
    scorers: _containers.RepeatedCompositeFieldContainer[Scorer]
    examples: ExamplePlan
    budget: Budget
    request_id: str
    def __init__(self, sae: _Optional[str] = ..., cache: _Optional[str] = ..., latents: _Optional[_Union[_activation_pb2.LatentSet, _Mapping]] = ..., range: _Optional[_Union[_cache_pb2.LatentRange, _Mapping]] = ..., explanations: _Optional[_Iterable[str]] = ..., scorers: _Optional[_Iterable[_Union[Scorer, _Mapping]]] = ..., examples: _Optional[_Union[ExamplePlan, _Mapping]] = ..., budget: _Optional[_Union[Budget, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("name", "latent", "text", "explainer", "provenance", "scores", "create_time", "relevance")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LATENT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    EXPLAINER_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    RELEVANCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    latent: int
    text: str
    explainer: str
    provenance: Provenance
    scores: _containers.RepeatedCompositeFieldContainer[Score]
    create_time: _timestamp_pb2.Timestamp
    relevance: float
    def __init__(self, name: _Optional[str] = ..., latent: _Optional[int] = ..., text: _Optional[str] = ..., explainer: _Optional[str] = ..., provenance: _Optional[_Union[Provenance, _Mapping]] = ..., scores: _Optional[_Iterable[_Union[Score, _Mapping]]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., relevance: _Optional[float] = ...) -> None: ...

class Provenance(_message.Message):
    __slots__ = ("job", "provider", "provider_model", "prompt_version", "sae_digest", "cache", "examples", "seed", "exchange", "author")
    JOB_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_VERSION_FIELD_NUMBER: _ClassVar[int]
    SAE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    job: str
    provider: str
    provider_model: str
    prompt_version: str
    sae_digest: str
    cache: str
    examples: _containers.RepeatedScalarFieldContainer[str]
    seed: int
    exchange: str
    author: str
    def __init__(self, job: _Optional[str] = ..., provider: _Optional[str] = ..., provider_model: _Optional[str] = ..., prompt_version: _Optional[str] = ..., sae_digest: _Optional[str] = ..., cache: _Optional[str] = ..., examples: _Optional[_Iterable[str]] = ..., seed: _Optional[int] = ..., exchange: _Optional[str] = ..., author: _Optional[str] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("name", "explanation", "scorer", "value", "n", "n_failed", "ci_low", "ci_high", "metrics", "job", "provider", "provider_model", "prompt_version", "examples", "create_time", "latent", "calibration")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    SCORER_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    N_FAILED_FIELD_NUMBER: _ClassVar[int]
    CI_LOW_FIELD_NUMBER: _ClassVar[int]
    CI_HIGH_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_VERSION_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    LATENT_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    explanation: str
    scorer: str
    value: float
    n: int
    n_failed: int
    ci_low: float
    ci_high: float
    metrics: _containers.ScalarMap[str, float]
    job: str
    provider: str
    provider_model: str
    prompt_version: str
    examples: _containers.RepeatedCompositeFieldContainer[ScoreExample]
    create_time: _timestamp_pb2.Timestamp
    latent: int
    calibration: str
    def __init__(self, name: _Optional[str] = ..., explanation: _Optional[str] = ..., scorer: _Optional[str] = ..., value: _Optional[float] = ..., n: _Optional[int] = ..., n_failed: _Optional[int] = ..., ci_low: _Optional[float] = ..., ci_high: _Optional[float] = ..., metrics: _Optional[_Mapping[str, float]] = ..., job: _Optional[str] = ..., provider: _Optional[str] = ..., provider_model: _Optional[str] = ..., prompt_version: _Optional[str] = ..., examples: _Optional[_Iterable[_Union[ScoreExample, _Mapping]]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., latent: _Optional[int] = ..., calibration: _Optional[str] = ...) -> None: ...

class ScoreExample(_message.Message):
    __slots__ = ("example", "quantile", "label", "prediction", "probability", "value", "choice", "chosen", "truth", "predicted", "marked", "distance", "failure", "exchange")
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    QUANTILE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    TRUTH_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FIELD_NUMBER: _ClassVar[int]
    MARKED_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    example: str
    quantile: int
    label: bool
    prediction: bool
    probability: float
    value: float
    choice: int
    chosen: int
    truth: _containers.RepeatedScalarFieldContainer[float]
    predicted: _containers.RepeatedScalarFieldContainer[float]
    marked: _containers.RepeatedScalarFieldContainer[int]
    distance: float
    failure: str
    exchange: str
    def __init__(self, example: _Optional[str] = ..., quantile: _Optional[int] = ..., label: bool = ..., prediction: bool = ..., probability: _Optional[float] = ..., value: _Optional[float] = ..., choice: _Optional[int] = ..., chosen: _Optional[int] = ..., truth: _Optional[_Iterable[float]] = ..., predicted: _Optional[_Iterable[float]] = ..., marked: _Optional[_Iterable[int]] = ..., distance: _Optional[float] = ..., failure: _Optional[str] = ..., exchange: _Optional[str] = ...) -> None: ...

class GetExplanationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListExplanationsRequest(_message.Message):
    __slots__ = ("sae", "latents", "explainer", "scorer", "min_score", "max_score", "job", "page_size", "page_token")
    SAE_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    EXPLAINER_FIELD_NUMBER: _ClassVar[int]
    SCORER_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    MAX_SCORE_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    sae: str
    latents: _containers.RepeatedScalarFieldContainer[int]
    explainer: str
    scorer: str
    min_score: float
    max_score: float
    job: str
    page_size: int
    page_token: str
    def __init__(self, sae: _Optional[str] = ..., latents: _Optional[_Iterable[int]] = ..., explainer: _Optional[str] = ..., scorer: _Optional[str] = ..., min_score: _Optional[float] = ..., max_score: _Optional[float] = ..., job: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListExplanationsResponse(_message.Message):
    __slots__ = ("explanations", "next_page_token")
    EXPLANATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    explanations: _containers.RepeatedCompositeFieldContainer[Explanation]
    next_page_token: str
    def __init__(self, explanations: _Optional[_Iterable[_Union[Explanation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SearchExplanationsRequest(_message.Message):
    __slots__ = ("query", "sae", "limit", "mode")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    SAE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    query: str
    sae: str
    limit: int
    mode: SearchMode
    def __init__(self, query: _Optional[str] = ..., sae: _Optional[str] = ..., limit: _Optional[int] = ..., mode: _Optional[_Union[SearchMode, str]] = ...) -> None: ...

class SearchExplanationsResponse(_message.Message):
    __slots__ = ("explanations", "mode")
    EXPLANATIONS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    explanations: _containers.RepeatedCompositeFieldContainer[Explanation]
    mode: SearchMode
    def __init__(self, explanations: _Optional[_Iterable[_Union[Explanation, _Mapping]]] = ..., mode: _Optional[_Union[SearchMode, str]] = ...) -> None: ...

class CreateExplanationRequest(_message.Message):
    __slots__ = ("sae", "latent", "text", "author")
    SAE_FIELD_NUMBER: _ClassVar[int]
    LATENT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    sae: str
    latent: int
    text: str
    author: str
    def __init__(self, sae: _Optional[str] = ..., latent: _Optional[int] = ..., text: _Optional[str] = ..., author: _Optional[str] = ...) -> None: ...

class DeleteExplanationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteExplanationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetScoreRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ExportExplanationsRequest(_message.Message):
    __slots__ = ("sae", "job", "form")
    class Form(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        FORM_UNSPECIFIED: _ClassVar[ExportExplanationsRequest.Form]
        DELPHI: _ClassVar[ExportExplanationsRequest.Form]
        NEURONPEDIA: _ClassVar[ExportExplanationsRequest.Form]
    FORM_UNSPECIFIED: ExportExplanationsRequest.Form
    DELPHI: ExportExplanationsRequest.Form
    NEURONPEDIA: ExportExplanationsRequest.Form
    SAE_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    FORM_FIELD_NUMBER: _ClassVar[int]
    sae: str
    job: str
    form: ExportExplanationsRequest.Form
    def __init__(self, sae: _Optional[str] = ..., job: _Optional[str] = ..., form: _Optional[_Union[ExportExplanationsRequest.Form, str]] = ...) -> None: ...

class ExportExplanationsResponse(_message.Message):
    __slots__ = ("line",)
    LINE_FIELD_NUMBER: _ClassVar[int]
    line: str
    def __init__(self, line: _Optional[str] = ...) -> None: ...

class GetJobSummaryRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class JobSummary(_message.Message):
    __slots__ = ("job", "latents", "explained", "dead", "skipped", "failed", "scorers", "spent", "explainers", "reasons", "cache", "reduced")
    JOB_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    EXPLAINED_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    SCORERS_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    EXPLAINERS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    REDUCED_FIELD_NUMBER: _ClassVar[int]
    job: str
    latents: int
    explained: int
    dead: int
    skipped: int
    failed: int
    scorers: _containers.RepeatedCompositeFieldContainer[ScorerSummary]
    spent: _job_pb2.Spent
    explainers: _containers.RepeatedCompositeFieldContainer[ExplainerSummary]
    reasons: _containers.RepeatedCompositeFieldContainer[_job_pb2.ItemReason]
    cache: str
    reduced: Reduced
    def __init__(self, job: _Optional[str] = ..., latents: _Optional[int] = ..., explained: _Optional[int] = ..., dead: _Optional[int] = ..., skipped: _Optional[int] = ..., failed: _Optional[int] = ..., scorers: _Optional[_Iterable[_Union[ScorerSummary, _Mapping]]] = ..., spent: _Optional[_Union[_job_pb2.Spent, _Mapping]] = ..., explainers: _Optional[_Iterable[_Union[ExplainerSummary, _Mapping]]] = ..., reasons: _Optional[_Iterable[_Union[_job_pb2.ItemReason, _Mapping]]] = ..., cache: _Optional[str] = ..., reduced: _Optional[_Union[Reduced, _Mapping]] = ...) -> None: ...

class Reduced(_message.Message):
    __slots__ = ("latents", "n_train", "n_train_asked", "n_test", "n_test_asked", "examples")
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    N_TRAIN_FIELD_NUMBER: _ClassVar[int]
    N_TRAIN_ASKED_FIELD_NUMBER: _ClassVar[int]
    N_TEST_FIELD_NUMBER: _ClassVar[int]
    N_TEST_ASKED_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    latents: int
    n_train: int
    n_train_asked: int
    n_test: int
    n_test_asked: int
    examples: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, latents: _Optional[int] = ..., n_train: _Optional[int] = ..., n_train_asked: _Optional[int] = ..., n_test: _Optional[int] = ..., n_test_asked: _Optional[int] = ..., examples: _Optional[_Iterable[int]] = ...) -> None: ...

class ExplainerSummary(_message.Message):
    __slots__ = ("scorer", "explainer", "own", "latents", "mean", "median", "n", "n_failed")
    SCORER_FIELD_NUMBER: _ClassVar[int]
    EXPLAINER_FIELD_NUMBER: _ClassVar[int]
    OWN_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    N_FAILED_FIELD_NUMBER: _ClassVar[int]
    scorer: str
    explainer: str
    own: bool
    latents: int
    mean: float
    median: float
    n: int
    n_failed: int
    def __init__(self, scorer: _Optional[str] = ..., explainer: _Optional[str] = ..., own: bool = ..., latents: _Optional[int] = ..., mean: _Optional[float] = ..., median: _Optional[float] = ..., n: _Optional[int] = ..., n_failed: _Optional[int] = ...) -> None: ...

class ScorerSummary(_message.Message):
    __slots__ = ("scorer", "latents", "mean", "median", "n", "n_failed", "true_positives", "false_positives", "true_negatives", "false_negatives", "f1", "frequency_weighted_f1", "balanced_accuracy", "reasons")
    SCORER_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    N_FAILED_FIELD_NUMBER: _ClassVar[int]
    TRUE_POSITIVES_FIELD_NUMBER: _ClassVar[int]
    FALSE_POSITIVES_FIELD_NUMBER: _ClassVar[int]
    TRUE_NEGATIVES_FIELD_NUMBER: _ClassVar[int]
    FALSE_NEGATIVES_FIELD_NUMBER: _ClassVar[int]
    F1_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_WEIGHTED_F1_FIELD_NUMBER: _ClassVar[int]
    BALANCED_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    scorer: str
    latents: int
    mean: float
    median: float
    n: int
    n_failed: int
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    f1: float
    frequency_weighted_f1: float
    balanced_accuracy: float
    reasons: _containers.RepeatedCompositeFieldContainer[ExampleReason]
    def __init__(self, scorer: _Optional[str] = ..., latents: _Optional[int] = ..., mean: _Optional[float] = ..., median: _Optional[float] = ..., n: _Optional[int] = ..., n_failed: _Optional[int] = ..., true_positives: _Optional[int] = ..., false_positives: _Optional[int] = ..., true_negatives: _Optional[int] = ..., false_negatives: _Optional[int] = ..., f1: _Optional[float] = ..., frequency_weighted_f1: _Optional[float] = ..., balanced_accuracy: _Optional[float] = ..., reasons: _Optional[_Iterable[_Union[ExampleReason, _Mapping]]] = ...) -> None: ...

class ExampleReason(_message.Message):
    __slots__ = ("reason", "examples", "detail", "latents")
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    examples: int
    detail: str
    latents: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, reason: _Optional[str] = ..., examples: _Optional[int] = ..., detail: _Optional[str] = ..., latents: _Optional[_Iterable[int]] = ...) -> None: ...
