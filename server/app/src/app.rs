//! What every handler and job needs: the engine, the database, open caches, the limits, and the life of the server.

use std::{sync::Arc, time::SystemTime};

use latentd_engine::Handle;
use latentd_store::Store;

use crate::{
    buffers::Buffers, caches::OpenCaches, config::Config, corpora::Corpora, health::Health,
    jobs::RunningJobs, lifecycle::Lifecycle, providers::Registry,
};

/// The parts of a running server, shared by everything that works for it.
pub(crate) type Shared = Arc<App>;

/// The parts of a running server.
pub(crate) struct App {
    /// What the server was told from outside.
    pub(crate) config: Config,
    /// The way to the device.
    pub(crate) engine: Handle,
    /// The database.
    pub(crate) store: Store,
    /// Caches that are open for reading.
    pub(crate) caches: OpenCaches,
    /// Corpora that were uploaded.
    pub(crate) corpora: Corpora,
    /// Providers of language models that were used lately.
    pub(crate) providers: Registry,
    /// Jobs that this process works on.
    pub(crate) jobs: RunningJobs,
    /// State of the parts.
    pub(crate) health: Health,
    /// Memory for what is received, sent and read ahead.
    pub(crate) buffers: Buffers,
    /// How the server ends.
    pub(crate) life: Lifecycle,
    /// When the server started.
    pub(crate) start_time: SystemTime,
}
