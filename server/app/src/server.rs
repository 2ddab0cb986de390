//! The life of a server: bind, start the engine and the database, load what was resident, serve, drain, stop.
//!
//! [`Server::start`] is the whole server inside a process, for the binary and for tests; [`run`] adds the signals.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use latentd_engine::{Engine, Options as EngineOptions};
use latentd_store::{
    Database, Store,
    embedded::{self, Embedded},
    leases::Owner,
};
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::{App, Shared},
    buffers::Buffers,
    caches::OpenCaches,
    config::Config,
    corpora::{self, Corpora},
    data_folder,
    grpc::{
        self,
        layers::{EdgeLayer, MessageLimits},
    },
    health::{self, Health},
    jobs::{self, RunningJobs},
    lifecycle::{Lifecycle, Signals},
    listener,
    providers::Registry,
    residency,
};

/// Time that background tasks have to end once everything was told to stop at once.
const LAST_ORDERS: Duration = Duration::from_secs(5);
/// Calls that one connection may have under way.
const STREAMS: u32 = 1024;
/// Bytes of one call's messages that a client may send before the server has read them.
const STREAM_WINDOW: u32 = 64 << 10;
/// The same for all calls of a connection together; in truth their windows bound them, at 64 MB. It is this large because it
/// also decides how many small messages may wait to be read: h2 takes a connection for an attack, and ends it, when the frames
/// that nobody has read yet would waste more than half of this, counting 256 bytes for each that is smaller. [`STREAM_WINDOW`]
/// full of messages of 25 bytes wastes 0.6 MB, so that all [`STREAMS`] calls may write as far ahead as their windows allow.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// Time between two pings of an idle connection: a client that is gone is noticed, and its work dropped.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not this machine's.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data folder cannot be written, or its id cannot be read.
    #[error("cannot use the data folder {}", path.display())]
    DataFolder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no such device, or no thread for it.
    #[error("cannot start the engine")]
    Engine(#[source] latentd_engine::Error),
    /// The private Postgres does not start.
    #[error("cannot start the private database")]
    Embedded(#[source] Box<embedded::Error>),
    /// The database cannot be used.
    #[error("cannot use the database")]
    Database(#[source] latentd_store::Error),
    /// Signals cannot be handled.
    #[error("cannot handle signals")]
    Signals(#[source] std::io::Error),
    /// Reflection refused the API's own description.
    #[error("cannot describe the API")]
    Reflection(#[source] tonic_reflection::server::Error),
}

/// Why a server that ran ended badly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server crashed: {0}")]
pub struct Crashed(String);

/// Starts servers.
#[derive(Debug)]
pub struct Server;

/// A running server. Dropping it stops it at once.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    life: Lifecycle,
    end: Option<JoinHandle<Result<(), Crashed>>>,
}

impl Server {
    /// Starts a server and returns once it answers. What is configured to be loaded is loaded before; a failure of that does
    /// not keep the server from starting and is shown by GetServerInfo.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let address = config.listen;
        let bind = |source| StartError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let life = Lifecycle::default();
        let (engine, handle) =
            Engine::start(engine_options(&config)).map_err(StartError::Engine)?;
        let data_folder = data_folder(&config).await?;
        let (store, embedded) = database(&config).await?;
        let store = store.of_data_folder(&data_folder);
        let app = Arc::new(App {
            caches: OpenCaches::new(config.caches_dir()),
            corpora: Corpora::new(&config),
            providers: Registry::new(store.clone(), handle.clone(), config.keys.clone()),
            jobs: RunningJobs::default(),
            health: Health::new(handle.health()),
            buffers: Buffers::new(config.limits.buffer_bytes),
            engine: handle,
            store,
            life: life.clone(),
            start_time: SystemTime::now(),
            config,
        });
        prepare(&app, embedded.as_ref()).await;
        let closing = CancellationToken::new();
        let reporter = serve(&app, listener, closing.clone())?;
        work(&app);
        tracing::info!(address = %addr, "listening");
        let parts = Parts {
            app,
            engine,
            embedded,
            closing,
            reporter,
        };
        let end = TaskTracker::new().spawn(parts.supervise());
        Ok(Running {
            addr,
            life,
            end: Some(end),
        })
    }
}

impl Running {
    /// The address that is served, its port chosen if it was 0.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Asks the server to end: no new calls, those in progress finish. Returns at once.
    pub fn drain(&self) {
        self.life.drain();
    }

    /// Ends the server without waiting for calls in progress. Returns at once.
    pub fn abort(&self) {
        self.life.abort();
    }

    /// Waits until the server has ended, however that comes about. Fails if it crashed.
    pub async fn ended(&mut self) -> Result<(), Crashed> {
        match self.end.as_mut() {
            None => Ok(()),
            Some(end) => {
                let ended = end.await;
                self.end = None;
                ended.unwrap_or_else(|panic| Err(Crashed(panic.to_string())))
            }
        }
    }

    /// Drains and waits for the end.
    pub async fn stop(mut self) -> Result<(), Crashed> {
        self.drain();
        self.ended().await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.end.is_some() {
            self.life.abort();
        }
    }
}

/// How a server that had signals ended badly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It crashed.
    #[error(transparent)]
    Crashed(#[from] Crashed),
}

/// Serves until SIGTERM or Ctrl-C: the first drains, the second does not wait.
pub async fn run(config: Config) -> Result<(), RunError> {
    let mut signals = Signals::install().map_err(StartError::Signals)?;
    let drain_seconds = config.shutdown.drain_seconds;
    let mut running = tokio::select! {
        running = Server::start(config) => running?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped before the start was complete");
            return Ok(());
        }
    };
    tokio::select! {
        ended = running.ended() => return Ok(ended?),
        signal = signals.next() => tracing::info!(signal, drain_seconds, "shutting down"),
    }
    running.drain();
    tokio::select! {
        ended = running.ended() => return Ok(ended?),
        signal = signals.next() => tracing::warn!(signal, "shutting down without waiting"),
    }
    running.abort();
    Ok(running.ended().await?)
}

fn engine_options(config: &Config) -> EngineOptions {
    EngineOptions {
        device: config.device.index,
        dtype: config.device.dtype,
        batch_tokens: config.engine.batch_tokens,
        max_queued: config.engine.max_queued,
        threads: (config.device.threads > 0).then_some(config.device.threads),
        past_bytes: config.engine.past_bytes,
    }
}

async fn data_folder(config: &Config) -> Result<String, StartError> {
    let folder = config.data_dir.clone();
    let path = folder.clone();
    let found = tokio::task::spawn_blocking(move || data_folder::id(&folder)).await;
    found
        .unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
        .map_err(|source| StartError::DataFolder { path, source })
}

async fn database(config: &Config) -> Result<(Store, Option<Embedded>), StartError> {
    if let Some(url) = &config.database.url {
        let database = Database::from_url(url).map_err(StartError::Database)?;
        tracing::info!(%database, "connecting to the database");
        return Ok((
            Store::connect(&database)
                .await
                .map_err(StartError::Database)?,
            None,
        ));
    }
    let options = embedded::Options {
        binaries: config.database.binaries.clone(),
        ..embedded::Options::new(&config.data_dir)
    };
    let embedded = embedded::start(options)
        .await
        .map_err(|error| StartError::Embedded(Box::new(error)))?;
    let store = Store::connect(&embedded.database())
        .await
        .map_err(StartError::Database)?;
    Ok((store, Some(embedded)))
}

/// What comes before the first call and the first job: the end of leases that a crash left, residency, and deletions that a
/// crash interrupted.
async fn prepare(app: &App, embedded: Option<&Embedded>) {
    // Before this process gives its first sign of life, which would be taken for one of an earlier process.
    if embedded.is_some_and(Embedded::is_owner)
        && let Err(error) = app.store.leases().expire_others(Owner::new()).await
    {
        tracing::warn!(%error, "leases of earlier processes were not ended: their work waits until these run out");
    }
    residency::restore(app).await;
    match app.store.caches().deleting().await {
        Ok(caches) => {
            for cache in caches {
                if let Err(error) = grpc::remove_files(app, &cache).await {
                    tracing::warn!(cache = %cache.id, %error, "an interrupted deletion was not finished");
                }
            }
        }
        Err(error) => tracing::warn!(%error, "interrupted deletions were not looked for"),
    }
}

/// Answers calls until `closing`.
fn serve(
    app: &Shared,
    listener: TcpListener,
    closing: CancellationToken,
) -> Result<tonic_health::server::HealthReporter, StartError> {
    let (reporter, service) = tonic_health::server::health_reporter();
    let routes = grpc::routes(app, service).map_err(StartError::Reflection)?;
    let limits = app.config.limits;
    let incoming = listener::incoming(listener, limits, listener::room_for_connections());
    let server = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .layer(EdgeLayer {
            life: app.life.clone(),
            buffers: app.buffers.clone(),
            messages: MessageLimits {
                share: app.buffers.requests.clone(),
                max_bytes: limits.max_message_bytes,
                seconds: limits.message_seconds,
            },
        })
        .add_routes(routes);
    app.life.spawn_essential("grpc", async move {
        let closed = closing.cancelled_owned();
        if let Err(error) = server.serve_with_incoming_shutdown(incoming, closed).await {
            tracing::error!(%error, "the listener failed");
        }
    });
    Ok(reporter)
}

/// Starts what works in the background.
fn work(app: &Shared) {
    app.life.spawn_essential("jobs", jobs::run(Arc::clone(app)));
    app.life
        .spawn_essential("work items", jobs::Workers::run(Arc::clone(app)));
    let cleaning = Arc::clone(app);
    app.life.spawn_essential("uploaded corpora", async move {
        corpora::run(&cleaning).await;
    });
    let pinging = Arc::clone(app);
    app.life.spawn_essential("database ping", async move {
        tokio::select! {
            () = pinging.life.draining() => {}
            () = pinging.health.ping(&pinging.store) => {}
        }
    });
    let listening = Arc::clone(app);
    app.life
        .spawn_essential("database notifications", async move {
            tokio::select! {
                () = listening.life.draining() => {}
                () = listening.store.clone().listen() => {}
            }
        });
    let keeping = Arc::clone(app);
    app.life.spawn_essential("clock of leases", async move {
        tokio::select! {
            () = keeping.life.draining() => {}
            () = keeping.store.clone().keep_time() => {}
        }
    });
}

/// What has to be ended, in this order: calls and tasks, the engine, the store, the database.
struct Parts {
    app: Shared,
    engine: Engine,
    embedded: Option<Embedded>,
    closing: CancellationToken,
    reporter: tonic_health::server::HealthReporter,
}

impl Parts {
    async fn supervise(self) -> Result<(), Crashed> {
        let Self {
            app,
            engine,
            embedded,
            closing,
            reporter,
        } = self;
        // Returns when the server drains, with everything NOT_SERVING.
        health::report(&app, &reporter).await;
        closing.cancel();
        let drain = app.config.shutdown.drain();
        let drained = tokio::select! {
            () = app.life.aborted() => false,
            drained = timeout(drain, app.life.finished()) => drained.is_ok(),
        };
        if !drained {
            tracing::warn!(
                drain_seconds = drain.as_secs(),
                "calls or jobs in progress are cut off"
            );
            app.life.abort();
            let _ = timeout(LAST_ORDERS, app.life.finished()).await;
        }
        let stopped = tokio::task::spawn_blocking(move || engine.shutdown());
        if timeout(LAST_ORDERS, stopped).await.is_err() {
            tracing::warn!("the engine is still at work");
        }
        let _ = timeout(LAST_ORDERS, app.store.close()).await;
        if let Some(embedded) = embedded {
            embedded.stop().await;
        }
        tracing::info!("stopped");
        app.life
            .crash()
            .map_or(Ok(()), |what| Err(Crashed(what.to_owned())))
    }
}
