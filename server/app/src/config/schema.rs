//! The settings, as data: key, what it accepts, default, and the words that the example configuration explains it with.

use latentd_domain::{HookPoint, ModelId, SaeName};

use super::{check::Kind, keys};

/// One setting.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    /// Key in the file; a section and a name, or a name alone.
    pub key: &'static str,
    /// What it accepts.
    pub kind: Kind,
    /// Default, as TOML; `None` leaves it unset.
    pub default: Option<&'static str>,
    /// What it does, and for a setting without default, an example behind `e.g.`.
    pub doc: &'static str,
}

impl Setting {
    /// The variable that sets it: `LATENTD_LOG_LEVEL` for `log.level`.
    pub(super) fn variable(&self) -> String {
        format!("LATENTD_{}", self.key.replace('.', "_").to_uppercase())
    }

    /// The section that it is in, and its name there.
    pub(super) fn split(&self) -> (Option<&'static str>, &'static str) {
        self.key
            .split_once('.')
            .map_or((None, self.key), |(section, name)| (Some(section), name))
    }
}

const fn int(min: i64, max: i64) -> Kind {
    Kind::Int { min, max }
}

/// Every setting but the models, in the order of the example configuration.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        kind: Kind::Text(address),
        default: Some("\"127.0.0.1:50051\""),
        doc: "Address that gRPC is served on; port 0 takes a free one.",
    },
    Setting {
        key: "insecure",
        kind: Kind::Bool,
        default: Some("false"),
        doc: "Clients are not authenticated and connections are not encrypted. For that reason the server refuses to listen on an \
              address that other machines can reach, unless this is true.",
    },
    Setting {
        key: "data_dir",
        kind: Kind::Text(not_empty),
        default: None,
        doc: "Folder for the private database, the caches and what the demo downloads. Default: $XDG_DATA_HOME/latentd, else \
              ~/.local/share/latentd. e.g. \"/var/lib/latentd\"",
    },
    Setting {
        key: "database.url",
        kind: Kind::Text(postgres_url),
        default: None,
        doc: "Postgres 15 or later; also read from DATABASE_URL. Without it the server starts its own Postgres in its data \
              folder. e.g. \"postgres://latentd@localhost/latentd\"",
    },
    Setting {
        key: "database.binaries",
        kind: Kind::Text(not_empty),
        default: None,
        doc: "Folder with the Postgres programs (initdb, postgres) that the server starts itself. Without it the server looks for \
              them in the usual places. \
              e.g. \"/usr/lib/postgresql/15/bin\"",
    },
    Setting {
        key: "device.index",
        kind: int(0, 255),
        default: Some("0"),
        doc: "Number of the GPU to use, in a build with CUDA.",
    },
    Setting {
        key: "device.dtype",
        kind: Kind::Choice(&["f32", "bf16"]),
        default: Some("\"f32\""),
        doc: "Number format of models on the device: \"f32\", or on a GPU \"bf16\".",
    },
    Setting {
        key: "device.threads",
        kind: int(0, 1024),
        default: Some("0"),
        doc: "Threads that compute on the CPU; 0 takes one for each core.",
    },
    Setting {
        key: "engine.batch_tokens",
        kind: int(1, 1 << 20),
        default: Some("4096"),
        doc: "Most tokens that one forward pass computes. A larger value takes more memory and gives more throughput. A CPU takes at \
              most 1024.",
    },
    Setting {
        key: "engine.max_queued",
        kind: int(1, 1 << 20),
        default: Some("1024"),
        doc: "Most requests that may wait for the device; further ones are refused with reason QUEUE_FULL.",
    },
    Setting {
        key: "engine.past_bytes",
        kind: int(0, 1 << 44),
        default: Some("1073741824"),
        doc: "Most memory for the KV cache of text generation, in bytes. It holds the answers that are being written and the \
              beginnings of prompts, which later prompts can reuse. With less memory, fewer answers are written at once.",
    },
    Setting {
        key: "paths.roots",
        kind: Kind::Text(folders),
        default: None,
        doc: "Folders, separated by colons, in which the models, SAEs and corpora of requests must lie. Without it a request may name \
              any file that the server may read, but for /proc, /sys, /dev, this file and the private database. \
              e.g. \"/srv/models:/srv/corpora\"",
    },
    Setting {
        key: "limits.max_prompts",
        kind: int(1, 1 << 20),
        default: Some("1024"),
        doc: "Prompts in one Encode, texts in one Tokenize.",
    },
    Setting {
        key: "limits.max_tokens",
        kind: int(1, 1 << 24),
        default: Some("65536"),
        doc: "Tokens in one Encode or Tokenize, all texts together.",
    },
    Setting {
        key: "limits.max_saes",
        kind: int(1, 1024),
        default: Some("32"),
        doc: "SAEs in one Encode or BuildCache.",
    },
    Setting {
        key: "limits.max_top_k",
        kind: int(1, 1 << 20),
        default: Some("4096"),
        doc: "Largest top_k of an Encode.",
    },
    Setting {
        key: "limits.max_latents",
        kind: int(1, 1 << 24),
        default: Some("1048576"),
        doc: "Latents in one StreamExamples, ExplainLatents or ScoreExplanations.",
    },
    Setting {
        key: "limits.max_examples",
        kind: int(1, 1 << 20),
        default: Some("1000"),
        doc: "Examples for each latent in one StreamExamples, and each of the numbers of examples in one ExamplePlan.",
    },
    Setting {
        key: "limits.max_window",
        kind: int(1, 1 << 20),
        default: Some("4096"),
        doc: "Tokens in the window of one example.",
    },
    Setting {
        key: "limits.max_page_size",
        kind: int(1, 1 << 20),
        default: Some("1000"),
        doc: "Entries on one page of a List call.",
    },
    Setting {
        key: "limits.max_message_bytes",
        kind: int(1 << 16, 1 << 31),
        default: Some("67108864"),
        doc: "Bytes of one message, in either direction.",
    },
    Setting {
        key: "limits.max_corpus_bytes",
        kind: int(1, 1 << 44),
        default: Some("8589934592"),
        doc: "Bytes of one corpus that is uploaded.",
    },
    Setting {
        key: "limits.buffer_bytes",
        kind: int(1 << 20, 1 << 34),
        default: Some("1073741824"),
        doc: "Bytes of memory for the messages of all clients together: half for large requests that are being received, a quarter \
              for large replies that clients have not taken yet, a quarter for examples that are read ahead. What finds no room \
              waits, and after a while is refused with reason BUFFERS_FULL.",
    },
    Setting {
        key: "limits.message_seconds",
        kind: int(1, 86400),
        default: Some("60"),
        doc: "Seconds that a client may be silent in the midst of a message, and that the whole message may take, with one more \
              for each 64 KiB of it. Then the call ends with reason MESSAGE_UNFINISHED.",
    },
    Setting {
        key: "limits.max_connections",
        kind: int(1, 1 << 20),
        default: Some("1024"),
        doc: "Connections at once; further ones are closed. Connections never take more than half of the files that the \
              process may have open (ulimit -n).",
    },
    Setting {
        key: "limits.handshake_seconds",
        kind: int(1, 3600),
        default: Some("10"),
        doc: "Seconds that a new connection has to begin HTTP/2; then it is closed.",
    },
    Setting {
        key: "corpora.max_bytes",
        kind: int(1, 1 << 50),
        default: Some("68719476736"),
        doc: "Bytes of all uploaded corpora together. For a new one those are deleted that were unused the longest.",
    },
    Setting {
        key: "corpora.keep_hours",
        kind: int(1, 87600),
        default: Some("168"),
        doc: "Hours that an uploaded corpus is kept after it was last used. One that a job still has to read is kept longer.",
    },
    Setting {
        key: "jobs.max_running",
        kind: int(1, 64),
        default: Some("1"),
        doc: "Most jobs that build a cache at the same time; further ones wait. They share one device.",
    },
    Setting {
        key: "jobs.batch_tokens",
        kind: int(0, 1 << 20),
        default: Some("0"),
        doc: "Tokens that a job sends to the device at once. Prompts of other clients wait until they are computed. 0 takes 1024 \
              on a CPU, where more is no faster, and engine.batch_tokens on a GPU.",
    },
    Setting {
        key: "jobs.shard_bytes",
        kind: int(1 << 20, 1 << 44),
        default: Some("4294967296"),
        doc: "Bytes of memory for the activations of one shard of a BuildCache, 16 for each, of all its SAEs together; two shards \
              are held at once. A build whose SAEs fire so often that they need more fails with reason BATCH_TOO_LARGE.",
    },
    Setting {
        key: "providers.keys",
        kind: Kind::Text(keys::check),
        default: Some(keys::WELL_KNOWN),
        doc: "Keys that providers may have, and the hosts that each may be sent to: entries env:NAME=host or file:/path=host, with \
              spaces between them. Several hosts are separated by commas; host:port allows one port, and * any host. A path that \
              ends in / stands for every file in that folder.",
    },
    Setting {
        key: "interp.max_items",
        kind: int(1, 1 << 16),
        default: Some("512"),
        doc: "Explanations and scores that this server works on at the same time. The number of calls to a provider is limited by \
              the provider's own limits.",
    },
    Setting {
        key: "interp.retry_seconds",
        kind: int(1, 86400),
        default: Some("600"),
        doc: "Seconds that a call to a provider may take, repetitions included, before the work goes back into the queue.",
    },
    Setting {
        key: "shutdown.drain_seconds",
        kind: int(0, 86400),
        default: Some("30"),
        doc: "Seconds that running calls have to finish after SIGTERM or Ctrl-C. A second signal stops the server at once.",
    },
    Setting {
        key: "log.format",
        kind: Kind::Choice(&["auto", "human", "json"]),
        default: Some("\"auto\""),
        doc: "\"human\", \"json\" (one object on each line), or \"auto\": human on a terminal, else json.",
    },
    Setting {
        key: "log.level",
        kind: Kind::Text(directives),
        default: Some("\"info\""),
        doc: "A level (error, warn, info, debug, trace), or levels for single modules: \"info,latentd=debug\".",
    },
];

/// Keys of a `[[model]]` entry. Those with `default: Some(_)` must be given.
pub(super) const MODEL: &[Setting] = &[
    Setting {
        key: "id",
        kind: Kind::Text(model_id),
        default: Some("\"smollm2-135m\""),
        doc: "Id of the model in requests.",
    },
    Setting {
        key: "path",
        kind: Kind::Text(not_empty),
        default: Some("\"/srv/models/smollm2-135m\""),
        doc: "Hugging Face folder or GGUF file.",
    },
    Setting {
        key: "dtype",
        kind: Kind::Choice(&["f32", "bf16"]),
        default: None,
        doc: "Number format on the device; by default device.dtype. e.g. \"f32\"",
    },
];

/// Keys of a `[[model.sae]]` entry. Those with `default: Some(_)` must be given.
pub(super) const SAE: &[Setting] = &[
    Setting {
        key: "id",
        kind: Kind::Text(sae_id),
        default: Some("\"l9\""),
        doc: "Id of the SAE; requests name it as smollm2-135m/l9.",
    },
    Setting {
        key: "path",
        kind: Kind::Text(not_empty),
        default: Some("\"/srv/saes/smollm2-135m-l9\""),
        doc: "SAELens folder.",
    },
    Setting {
        key: "norm_scaling_factor",
        kind: Kind::Float,
        default: None,
        doc: "Factor of the normalisation expected_average_only_in, if the file does not have it. e.g. 0.25",
    },
    Setting {
        key: "hook_point",
        kind: Kind::Text(hook_point),
        default: None,
        doc: "Hook point to use instead of the one in the file. e.g. \"blocks.9.hook_resid_post\"",
    },
];

fn address(text: &str) -> Result<(), String> {
    match text.parse::<std::net::SocketAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err("expects an address and a port, such as \"127.0.0.1:50051\"".to_owned()),
    }
}

fn not_empty(text: &str) -> Result<(), String> {
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else {
        Ok(())
    }
}

fn folders(text: &str) -> Result<(), String> {
    let mut folders = text.split(':').filter(|folder| !folder.is_empty());
    match folders.find(|folder| !std::path::Path::new(folder).is_absolute()) {
        Some(folder) => Err(format!(
            "expects absolute paths separated by colons; `{folder}` is none"
        )),
        None if text.is_empty() => Err("must not be empty".to_owned()),
        None => Ok(()),
    }
}

fn postgres_url(text: &str) -> Result<(), String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        Ok(())
    } else {
        Err("expects postgres://user@host/database".to_owned())
    }
}

fn directives(text: &str) -> Result<(), String> {
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("expects a level or directives: {error}")),
    }
}

fn model_id(text: &str) -> Result<(), String> {
    text.parse::<ModelId>()
        .map(|_| ())
        .map_err(|error| error.to_string())
}

fn sae_id(text: &str) -> Result<(), String> {
    // Any model id will do to check the SAE's.
    format!("m/{text}")
        .parse::<SaeName>()
        .map(|_| ())
        .map_err(|error| error.to_string())
}

fn hook_point(text: &str) -> Result<(), String> {
    text.parse::<HookPoint>()
        .map(|_| ())
        .map_err(|error| error.to_string())
}
