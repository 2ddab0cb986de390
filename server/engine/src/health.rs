//! Whether the engine can answer: a watch channel that the device thread writes and the server's health service reads.

use std::sync::Arc;

use tokio::sync::watch;

use crate::Error;

/// State of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Serving,
    /// A batch panicked. The engine goes on answering what it can, but should be restarted: what the device holds is in
    /// doubt.
    Unhealthy(Arc<str>),
    /// It was shut down, or its thread is gone; it answers nothing any more.
    Stopped(Arc<str>),
}

impl Health {
    /// Whether requests should be sent here.
    pub fn is_serving(&self) -> bool {
        matches!(self, Self::Serving)
    }

    /// Why not, in words; empty while serving.
    pub fn detail(&self) -> &str {
        match self {
            Self::Serving => "",
            Self::Unhealthy(detail) | Self::Stopped(detail) => detail,
        }
    }
}

/// The writing end. Health only ever falls: a restart makes a new engine.
#[derive(Debug)]
pub(crate) struct Reporter(watch::Sender<Health>);

impl Reporter {
    /// A healthy engine.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Health::Serving))
    }

    /// A new reading end.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Health> {
        self.0.subscribe()
    }

    /// Passes a result on; a panic makes the engine unhealthy. Failures that nn foresees do not: one text on which a model
    /// overflows is no reason to restart.
    pub(crate) fn observe<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.inspect_err(|error| {
            if let Error::Panic { detail } = error {
                self.unhealthy(detail);
            }
        })
    }

    /// Something failed that should not have; the first failure is the one that is kept.
    fn unhealthy(&self, detail: &str) {
        self.0.send_if_modified(|health| {
            let worse = health.is_serving();
            if worse {
                *health = Health::Unhealthy(detail.into());
            }
            worse
        });
    }

    /// Nothing will be answered any more.
    pub(crate) fn stopped(&self, detail: &str) {
        self.0.send_if_modified(|health| {
            let worse = !matches!(health, Health::Stopped(_));
            if worse {
                *health = Health::Stopped(detail.into());
            }
            worse
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_only_falls_and_keeps_the_first_cause() {
        let reporter = Reporter::new();
        let health = reporter.subscribe();
        assert!(health.borrow().is_serving());
        reporter.unhealthy("first");
        reporter.unhealthy("second");
        assert_eq!(health.borrow().detail(), "first");
        reporter.stopped("end");
        reporter.unhealthy("third");
        assert_eq!(*health.borrow(), Health::Stopped("end".into()));
    }
}
