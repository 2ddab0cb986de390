//! What there is in place of a name that is not known: the message of the error ends with it.

use latentd_domain::Reason;
use latentd_store::{jobs::Filter, page::Page};

use super::error::Error;
use crate::app::App;

/// Names that a message lists at most.
const SHOWN: u32 = 10;
/// Jobs that a message lists at most: there are many, and the newest are of interest.
const JOBS_SHOWN: u32 = 3;

/// The error, with the names there are if it is about one that is not. If they cannot be read, the error stays as it is.
pub(super) async fn listed(app: &App, error: Error) -> Error {
    if error.has("known") {
        return error;
    }
    match names(app, error.reason()).await {
        Some((label, names)) => error.known(label, names),
        None => error,
    }
}

/// Names of what the reason is about, and how they are introduced.
async fn names(app: &App, reason: Reason) -> Option<(&'static str, Vec<String>)> {
    let page = |size| Page {
        size,
        ..Page::default()
    };
    let store = &app.store;
    match reason {
        Reason::UnknownModel => {
            let models = &app.engine.catalog().models;
            Some(("loaded", models.keys().map(short).collect()))
        }
        Reason::UnknownSae => {
            let saes = &app.engine.catalog().saes;
            Some(("loaded", saes.keys().map(short).collect()))
        }
        Reason::UnknownCache => {
            let listed = store.caches().list(&page(SHOWN + 1)).await.ok()?;
            let ids = listed.items.iter().map(|cache| short(&cache.id));
            Some(("there are", ids.collect()))
        }
        Reason::UnknownCorpus => {
            let corpora = app.corpora.list().await.ok()?;
            let ids = corpora.iter().map(|corpus| short(&corpus.id));
            Some(("there are", ids.collect()))
        }
        Reason::UnknownProvider => {
            let listed = store.providers().list(&page(SHOWN + 1)).await.ok()?;
            let ids = listed.items.iter().map(|provider| short(&provider.id));
            Some(("there are", ids.collect()))
        }
        Reason::UnknownJob => {
            let page = page(JOBS_SHOWN);
            let listed = store.jobs().list(&Filter::default(), &page).await.ok()?;
            let ids = listed.items.iter().map(|job| short(&job.id));
            Some(("newest", ids.collect()))
        }
        _ => None,
    }
}

/// A name as commands take it.
fn short(name: &impl std::fmt::Display) -> String {
    format!("{name:#}")
}

impl Error {
    /// Adds names that are known to the message, and as `known` to the metadata.
    pub(super) fn known(self, label: &str, mut names: Vec<String>) -> Self {
        if names.is_empty() {
            return self.noting("there is none").with("known", "");
        }
        let shown = SHOWN as usize;
        let more = if names.len() > shown { ", …" } else { "" };
        names.truncate(shown);
        let names = names.join(", ");
        self.noting(&format!("{label}: {names}{more}"))
            .with("known", names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(names: &[&str]) -> String {
        let names = names.iter().map(ToString::to_string).collect();
        Error::new(Reason::UnknownCache, "there is no cache `x`")
            .known("there are", names)
            .to_string()
    }

    #[test]
    fn messages_end_with_what_there_is() {
        assert_eq!(error(&[]), "there is no cache `x` (there is none)");
        assert_eq!(
            error(&["a", "b"]),
            "there is no cache `x` (there are: a, b)"
        );
        let many = ["a"; 11];
        assert!(error(&many).ends_with("a, a, …)"), "{}", error(&many));
    }
}
