//! Why a request failed, as clients see it: the `reason` of `google.rpc.ErrorInfo`.
//!
//! Every reason has a page in `proto/errors/<REASON>.md`, and every page a reason; a test holds it.

/// An error that has a reason that clients may see.
pub trait HasReason: std::error::Error {
    /// The reason of this error.
    fn reason(&self) -> Reason;
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why a request failed. The spelling of [`Reason::as_str`] is part of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of their definition.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The name that clients see, in UPPER_SNAKE_CASE.
            pub const fn as_str(self) -> &'static str {
                match self { $(Reason::$variant => $name,)* }
            }

            /// The reason with this name.
            pub fn parse(name: &str) -> Option<Reason> {
                match name { $($name => Some(Reason::$variant),)* _ => None }
            }
        }
    };
}

reasons! {
    /// One or more fields are missing or malformed; all of them are listed.
    InvalidRequest = "INVALID_REQUEST",
    /// The request holds nothing to do: no prompts, no SAEs, or a prompt without tokens.
    EmptyBatch = "EMPTY_BATCH",
    /// The request is over a limit of GetServerInfo.
    BatchTooLarge = "BATCH_TOO_LARGE",
    /// A prompt has more tokens than the model's context.
    PromptTooLong = "PROMPT_TOO_LONG",
    /// A token id is not below the model's vocabulary size.
    UnknownToken = "UNKNOWN_TOKEN",
    /// No such model is resident.
    UnknownModel = "UNKNOWN_MODEL",
    /// No such SAE is resident.
    UnknownSae = "UNKNOWN_SAE",
    /// A latent index is not below `d_sae`.
    UnknownLatent = "UNKNOWN_LATENT",
    /// The hook point cannot be parsed, or lies outside the model.
    UnknownHookPoint = "UNKNOWN_HOOK_POINT",
    /// No such cache.
    UnknownCache = "UNKNOWN_CACHE",
    /// No such uploaded corpus, or no longer.
    UnknownCorpus = "UNKNOWN_CORPUS",
    /// Several caches hold the SAE, and none of them was named or pinned.
    AmbiguousCache = "AMBIGUOUS_CACHE",
    /// No such job.
    UnknownJob = "UNKNOWN_JOB",
    /// The id is taken by something else.
    AlreadyExists = "ALREADY_EXISTS",
    /// The request id was used before with a different request.
    RequestIdReused = "REQUEST_ID_REUSED",
    /// It cannot be removed while something uses it.
    ResourceInUse = "RESOURCE_IN_USE",
    /// The job has ended.
    JobEnded = "JOB_ENDED",
    /// The cache is still being built, or its job failed.
    CacheNotReady = "CACHE_NOT_READY",
    /// Another data folder has the files of the cache.
    CacheElsewhere = "CACHE_ELSEWHERE",
    /// The files of a cache do not match its manifest.
    CacheCorrupt = "CACHE_CORRUPT",
    /// The configuration does not let requests name this path.
    PathNotAllowed = "PATH_NOT_ALLOWED",
    /// A path does not exist on the server's disk, or cannot be read.
    PathNotReadable = "PATH_NOT_READABLE",
    /// A safetensors file is truncated or malformed.
    MalformedSafetensors = "MALFORMED_SAFETENSORS",
    /// A GGUF file is truncated or malformed, or uses a quantization that is not supported.
    MalformedGguf = "MALFORMED_GGUF",
    /// config.json or cfg.json is malformed or lacks a field.
    MalformedConfig = "MALFORMED_CONFIG",
    /// tokenizer.json, or the tokenizer of a GGUF file, is malformed.
    MalformedTokenizer = "MALFORMED_TOKENIZER",
    /// A tensor that the architecture needs is not in the files.
    MissingTensor = "MISSING_TENSOR",
    /// A tensor has another shape than the configuration says.
    ShapeMismatch = "SHAPE_MISMATCH",
    /// Weights hold NaN or infinity.
    NonFiniteWeights = "NON_FINITE_WEIGHTS",
    /// The model's architecture is not one that the server runs.
    UnsupportedModel = "UNSUPPORTED_MODEL",
    /// The SAE's architecture, activation function or normalisation is not one that the server knows.
    UnsupportedSae = "UNSUPPORTED_SAE",
    /// The SAE normalises by a dataset's average norm and the factor is not given.
    MissingNormFactor = "MISSING_NORM_FACTOR",
    /// The SAE failed the test at load.
    SelfTestFailed = "SELF_TEST_FAILED",
    /// A corpus file is malformed: broken JSON, a missing field, or not Parquet.
    MalformedCorpus = "MALFORMED_CORPUS",
    /// A corpus file holds bytes that are not UTF-8.
    CorpusNotUtf8 = "CORPUS_NOT_UTF8",
    /// The corpus holds no text.
    EmptyCorpus = "EMPTY_CORPUS",
    /// No provider is registered under this id.
    UnknownProvider = "UNKNOWN_PROVIDER",
    /// No such explanation.
    UnknownExplanation = "UNKNOWN_EXPLANATION",
    /// No such score.
    UnknownScore = "UNKNOWN_SCORE",
    /// The job is not one that can be paused.
    JobNotPausable = "JOB_NOT_PAUSABLE",
    /// The job is not paused.
    JobNotPaused = "JOB_NOT_PAUSED",
    /// The provider cannot do what is asked of it, such as log-probabilities of a given text.
    ProviderLacksCapability = "PROVIDER_LACKS_CAPABILITY",
    /// The variable or the file that should hold the provider's key is not there.
    ProviderKeyMissing = "PROVIDER_KEY_MISSING",
    /// The configuration does not let the provider's key be used, or be sent to this host.
    KeyNotAllowed = "KEY_NOT_ALLOWED",
    /// The provider cannot be reached, or broke off its answer.
    ProviderUnreachable = "PROVIDER_UNREACHABLE",
    /// The provider refused the key.
    ProviderUnauthorized = "PROVIDER_UNAUTHORIZED",
    /// The provider does not know the model or the path.
    ProviderNotFound = "PROVIDER_NOT_FOUND",
    /// The provider refused the request as malformed or too long.
    ProviderRejected = "PROVIDER_REJECTED",
    /// The provider said too often that it is asked too much.
    ProviderRateLimited = "PROVIDER_RATE_LIMITED",
    /// The provider failed, also when asked again.
    ProviderFailed = "PROVIDER_FAILED",
    /// The provider did not answer in time.
    ProviderTimeout = "PROVIDER_TIMEOUT",
    /// The provider's reply is not of its API: HTML, broken JSON, or a field is missing.
    ProviderMalformedReply = "PROVIDER_MALFORMED_REPLY",
    /// The language model declined to answer.
    AnswerRefused = "ANSWER_REFUSED",
    /// The language model's answer is not of the form that was asked for.
    AnswerNotParsed = "ANSWER_NOT_PARSED",
    /// The language model's answer ended at its longest length before it was complete.
    AnswerCutOff = "ANSWER_CUT_OFF",
    /// The language model gave another number of answers than it was asked for.
    AnswerCount = "ANSWER_COUNT",
    /// The latent has too few examples to be explained or scored.
    TooFewExamples = "TOO_FEW_EXAMPLES",
    /// The latent never fires in the cache.
    LatentNeverFires = "LATENT_NEVER_FIRES",
    /// No item of a job gave a result.
    NothingSucceeded = "NOTHING_SUCCEEDED",
    /// Each server that worked on an item alone died meanwhile.
    ServerDied = "SERVER_DIED",
    /// What was to be scored has no explanation.
    NoExplanation = "NO_EXPLANATION",
    /// No sentence encoder is resident.
    NoSentenceEncoder = "NO_SENTENCE_ENCODER",
    /// The resident model is of another kind than the request needs: a sentence encoder, or a language model.
    WrongModelKind = "WRONG_MODEL_KIND",
    /// The disk is full.
    DiskFull = "DISK_FULL",
    /// The server could not read or write its own files.
    StorageFailed = "STORAGE_FAILED",
    /// The database does not answer.
    DatabaseUnavailable = "DATABASE_UNAVAILABLE",
    /// Too many requests wait for the device.
    QueueFull = "QUEUE_FULL",
    /// The messages of all clients together take all the memory that there is for them.
    BuffersFull = "BUFFERS_FULL",
    /// A message was begun and its rest did not come.
    MessageUnfinished = "MESSAGE_UNFINISHED",
    /// The server has as many files and connections open as the system lets it.
    TooManyOpenFiles = "TOO_MANY_OPEN_FILES",
    /// The deadline passed before the answer was ready.
    DeadlineExceeded = "DEADLINE_EXCEEDED",
    /// The caller or an operator cancelled the work.
    Cancelled = "CANCELLED",
    /// The device stopped working; the server needs a restart.
    EngineUnavailable = "ENGINE_UNAVAILABLE",
    /// The device has no memory left, even for a single sequence.
    OutOfDeviceMemory = "OUT_OF_DEVICE_MEMORY",
    /// The server is shutting down.
    ShuttingDown = "SHUTTING_DOWN",
    /// A defect of the server. Details are in its log, under the request id.
    Internal = "INTERNAL",
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn names_round_trip() {
        for &reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
        assert_eq!(Reason::parse("NO_SUCH_REASON"), None);
    }
}
