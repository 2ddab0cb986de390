//! Whether the server can answer: the engine's own word, a ping of the database, and what failed at the start. Feeds
//! grpc.health.v1 and GetServerInfo.

use std::{collections::BTreeMap, time::Duration};

use latentd_engine::Health as EngineHealth;
use latentd_proto::{DESCRIPTORS, v1 as pb};
use latentd_store::Store;
use prost::Message;
use prost_types::FileDescriptorSet;
use tokio::sync::watch;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::app::App;

/// Time between two pings of a database that answers.
const CALM: Duration = Duration::from_secs(2);
/// Time between two pings of one that does not.
const ALARMED: Duration = Duration::from_millis(500);
/// Longest answer to a ping.
const PATIENCE: Duration = Duration::from_secs(3);
/// The package of the API.
const PACKAGE: &str = "latentd.v1";

/// State of the parts.
pub(crate) struct Health {
    engine: watch::Receiver<EngineHealth>,
    /// Why the database is away; empty while it answers.
    database: watch::Sender<String>,
    /// Models and SAEs that could not be loaded again, and why: each is there once, until it is resident.
    startup: watch::Sender<BTreeMap<String, String>>,
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

    /// Notes that a model or an SAE could not be loaded again, and why.
    pub(crate) fn not_loaded(&self, what: String, why: String) {
        self.startup.send_modify(|failures| {
            failures.insert(what, why);
        });
    }

    /// Notes that it is resident after all.
    pub(crate) fn loaded(&self, what: &str) {
        self.startup
            .send_if_modified(|failures| failures.remove(what).is_some());
    }

    /// The state of each part, for GetServerInfo.
    pub(crate) fn components(&self) -> Vec<pb::ComponentHealth> {
        let engine = self.engine.borrow().clone();
        let database = self.database.borrow().clone();
        let startup: Vec<String> = self
            .startup
            .borrow()
            .iter()
            .map(|(what, why)| format!("{what}: {why}"))
            .collect();
        let startup = startup.join("; ");
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

/// What a service cannot answer without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needs {
    engine: bool,
    database: bool,
}

impl Needs {
    /// The whole server, and any service that nothing else is said of, needs both.
    fn of(service: &str) -> Self {
        let (engine, database) = match service {
            pb::server_service_server::SERVICE_NAME => (false, false),
            pb::activation_service_server::SERVICE_NAME
            | pb::model_service_server::SERVICE_NAME
            | pb::sae_service_server::SERVICE_NAME => (true, false),
            pb::cache_service_server::SERVICE_NAME
            | pb::explanation_service_server::SERVICE_NAME
            | pb::job_service_server::SERVICE_NAME
            | pb::provider_service_server::SERVICE_NAME => (false, true),
            _ => (true, true),
        };
        Self { engine, database }
    }
}

/// The services of the API, from its description, and the empty name, which stands for the whole server.
fn services() -> Vec<String> {
    // The description is compiled in and whole.
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default();
    let api = set.file.iter().filter(|file| file.package() == PACKAGE);
    let services = api.flat_map(|file| &file.service);
    let mut names: Vec<String> = services
        .map(|service| format!("{PACKAGE}.{}", service.name()))
        .collect();
    names.push(String::new());
    names
}

/// Keeps grpc.health.v1 up to date until the server drains; then everything is NOT_SERVING.
pub(crate) async fn report(app: &App, reporter: &HealthReporter) {
    let mut engine = app.health.engine.clone();
    let mut database = app.health.database.subscribe();
    let mut engine_lives = true;
    let services = services();
    while !app.life.is_draining() {
        let engine_serves = engine.borrow_and_update().is_serving();
        let database_serves = database.borrow_and_update().is_empty();
        for service in &services {
            let needs = Needs::of(service);
            let serves = (engine_serves || !needs.engine) && (database_serves || !needs.database);
            set(reporter, service, serves).await;
        }
        tokio::select! {
            () = app.life.draining() => {}
            changed = engine.changed(), if engine_lives => engine_lives = changed.is_ok(),
            _ = database.changed() => {}
        }
    }
    for service in &services {
        set(reporter, service, false).await;
    }
}

async fn set(reporter: &HealthReporter, service: &str, serving: bool) {
    let status = if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    reporter.set_service_status(service, status).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health::new(watch::Sender::new(EngineHealth::Serving).subscribe())
    }

    fn startup(health: &Health) -> pb::ComponentHealth {
        let mut components = health.components().into_iter();
        components
            .find(|component| component.component == "startup")
            .unwrap()
    }

    #[test]
    fn what_fails_again_and_again_is_told_once_and_recovers() {
        let health = health();
        for _ in 0..100 {
            health.not_loaded("models/a".into(), "no file".into());
        }
        health.not_loaded("models/b".into(), "no file".into());
        let told = startup(&health);
        assert_eq!(told.detail, "models/a: no file; models/b: no file");
        assert!(!told.serving);
        health.loaded("models/a");
        health.loaded("models/b");
        health.loaded("models/c");
        assert!(startup(&health).serving, "{}", startup(&health).detail);
    }

    #[test]
    fn every_service_of_the_api_has_its_health_told() {
        let services = services();
        assert!(services.len() > 8, "{services:?}");
        let both = Needs {
            engine: true,
            database: true,
        };
        for service in services.iter().filter(|service| !service.is_empty()) {
            assert_ne!(Needs::of(service), both, "{service}: say what it needs");
        }
        assert_eq!(Needs::of(""), both);
    }
}
