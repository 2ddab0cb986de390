//! Where the log goes: lines for people on a terminal, JSON objects otherwise, always on standard error.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Log, LogFormat};

/// Starts logging for the process. A second call changes nothing, so that servers can share a process.
pub fn init(log: &Log) {
    // The database driver passes on every notice of Postgres; a directive of the operator's own goes before this one.
    let filter = EnvFilter::builder().parse_lossy(format!("sqlx=warn,{}", log.level));
    let terminal = std::io::stderr().is_terminal();
    let human = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = if human {
        layer.with_ansi(terminal).with_target(false).boxed()
    } else {
        layer
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed()
    };
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init();
}
