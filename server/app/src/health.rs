//! Whether the server can answer: the engine's own word, a ping of the database, and what failed at the start. Feeds
//! grpc.health.v1 and GetServerInfo.

use std::time::Duration;

use latentd_engine::Health as EngineHealth;
use latentd_proto::v1 as pb;
use latentd_store::Store;
use tokio::sync::watch;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::app::App;

/// Time between two pings of a database that answers.
const CALM: Duration = Duration::from_secs(2);
/// Time between two pings of one that does not.
const ALARMED: Duration = Duration::from_millis(500);
/// Longest answer to a ping.
const PATIENCE: Duration = Duration::from_secs(3);

/// State of the parts.
pub(crate) struct Health {
    engine: watch::Receiver<EngineHealth>,
    /// Why the database is away; empty while it answers.
    database: watch::Sender<String>,
    /// Models and SAEs that were not loaded at the start, and why.
    startup: watch::Sender<Vec<String>>,
}

impl Health {
    /// All well, until told otherwise.
    pub(crate) fn new(engine: watch::Receiver<EngineHealth>) -> Self {
        Self {
            engine,
            database: watch::Sender::new(String::new()),
            startup: watch::Sender::default(),
        }
    }

    /// Notes what could not be loaded at the start.
    pub(crate) fn startup_failed(&self, what: String) {
        self.startup.send_modify(|failures| failures.push(what));
    }

    /// The state of each part, for GetServerInfo.
    pub(crate) fn components(&self) -> Vec<pb::ComponentHealth> {
        let engine = self.engine.borrow().clone();
        let database = self.database.borrow().clone();
        let startup = self.startup.borrow().join("; ");
        let component = |component: &str, serving, detail: String| pb::ComponentHealth {
            component: component.to_owned(),
            serving,
            detail,
        };
        vec![
            component("engine", engine.is_serving(), engine.detail().to_owned()),
            component("database", database.is_empty(), database),
            component("startup", startup.is_empty(), startup),
        ]
    }

    /// Pings the database, forever.
    pub(crate) async fn ping(&self, store: &Store) {
        loop {
            let answer = tokio::time::timeout(PATIENCE, store.ping()).await;
            let detail = match answer {
                Ok(Ok(())) => String::new(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!(
                    "the database did not answer within {} s",
                    PATIENCE.as_secs()
                ),
            };
            let pause = if detail.is_empty() { CALM } else { ALARMED };
            self.database.send_if_modified(|known| {
                let changed = known.is_empty() != detail.is_empty();
                if changed && detail.is_empty() {
                    tracing::info!("the database answers again");
                } else if changed {
                    tracing::warn!(%detail, "the database is away");
                }
                *known = detail;
                changed
            });
            tokio::time::sleep(pause).await;
        }
    }
}

/// Services that need the engine, and those that need the database.
const ENGINE: [&str; 3] = [
    pb::activation_service_server::SERVICE_NAME,
    pb::model_service_server::SERVICE_NAME,
    pb::sae_service_server::SERVICE_NAME,
];
const DATABASE: [&str; 2] = [
    pb::cache_service_server::SERVICE_NAME,
    pb::job_service_server::SERVICE_NAME,
];
const NEITHER: [&str; 1] = [pb::server_service_server::SERVICE_NAME];

/// Keeps grpc.health.v1 up to date until the server drains; then everything is NOT_SERVING.
pub(crate) async fn report(app: &App, reporter: &HealthReporter) {
    let mut engine = app.health.engine.clone();
    let mut database = app.health.database.subscribe();
    let mut engine_lives = true;
    while !app.life.is_draining() {
        let engine_serves = engine.borrow_and_update().is_serving();
        let database_serves = database.borrow_and_update().is_empty();
        set(reporter, &ENGINE, engine_serves).await;
        set(reporter, &DATABASE, database_serves).await;
        set(reporter, &NEITHER, true).await;
        set(reporter, &[""], engine_serves && database_serves).await;
        tokio::select! {
            () = app.life.draining() => {}
            changed = engine.changed(), if engine_lives => engine_lives = changed.is_ok(),
            _ = database.changed() => {}
        }
    }
    for services in [&ENGINE[..], &DATABASE, &NEITHER, &[""]] {
        set(reporter, services, false).await;
    }
}

async fn set(reporter: &HealthReporter, services: &[&str], serving: bool) {
    let status = if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    for service in services {
        reporter.set_service_status(service, status).await;
    }
}
