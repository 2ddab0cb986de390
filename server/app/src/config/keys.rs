//! Keys of providers: the only secrets that the server takes from its environment, and where each of them may be sent.
//!
//! Whoever may register a provider chooses the endpoint and the key. So the configuration lists the keys, each with the hosts that
//! it is for: nobody can have another secret of the server sent to an address of their choice.

use std::{collections::BTreeMap, fmt, path::Path, str::FromStr};

use latentd_autointerp::provider::key::KeySource;

use super::Environment;

/// Keys of well-known endpoints, and the hosts that they are for: the default of `providers.keys`.
pub(super) const WELL_KNOWN: &str = "\"env:OPENAI_API_KEY=api.openai.com env:OPENROUTER_API_KEY=openrouter.ai \
     env:ANTHROPIC_API_KEY=api.anthropic.com env:GEMINI_API_KEY=generativelanguage.googleapis.com \
     env:MISTRAL_API_KEY=api.mistral.ai env:DEEPSEEK_API_KEY=api.deepseek.com env:GROQ_API_KEY=api.groq.com \
     env:TOGETHER_API_KEY=api.together.xyz env:FIREWORKS_API_KEY=api.fireworks.ai env:XAI_API_KEY=api.x.ai \
     env:CEREBRAS_API_KEY=api.cerebras.ai env:NEBIUS_API_KEY=api.studio.nebius.com\"";

/// A key that may be used, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Allowed {
    source: KeySource,
    /// `host`, `host:port`, or `*` for any.
    hosts: Vec<String>,
}

/// The keys that providers may have, with the values of variables. They are never shown.
#[derive(Clone, Default)]
pub struct Keys {
    allowed: Vec<Allowed>,
    values: BTreeMap<String, String>,
}

impl Keys {
    /// Those that the setting `providers.keys` lists, with the values of an environment.
    pub(super) fn new(setting: &str, environment: &Environment) -> Self {
        let allowed: Vec<Allowed> = entries(setting).filter_map(Result::ok).collect();
        let values = allowed.iter().filter_map(|one| match &one.source {
            KeySource::Env(name) => Some((name.clone(), environment.0.get(name)?.clone())),
            KeySource::File(_) => None,
        });
        Self {
            values: values.collect(),
            allowed,
        }
    }

    /// Whether the configuration lets this key be sent to the host, at this port.
    pub fn may_be_sent(&self, source: &KeySource, host: &str, port: Option<u16>) -> bool {
        let with_port = port.map(|port| format!("{host}:{port}"));
        let fits = |allowed: &String| {
            allowed == "*"
                || allowed.eq_ignore_ascii_case(host)
                || with_port
                    .as_ref()
                    .is_some_and(|with_port| allowed.eq_ignore_ascii_case(with_port))
        };
        let of_source = self
            .allowed
            .iter()
            .filter(|one| covers(&one.source, source));
        of_source.flat_map(|one| &one.hosts).any(fits)
    }

    /// The value of a variable that is listed.
    pub fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }
}

/// Whether what is listed is the key, or the folder of its file.
fn covers(listed: &KeySource, source: &KeySource) -> bool {
    match (listed, source) {
        (KeySource::File(listed), KeySource::File(file)) => {
            let folder = listed.as_os_str().as_encoded_bytes().ends_with(b"/");
            listed == file || (folder && file.parent() == Some(Path::new(listed)))
        }
        _ => listed == source,
    }
}

/// What is wrong with the setting, if anything.
pub(super) fn check(setting: &str) -> Result<(), String> {
    entries(setting).try_for_each(|entry| entry.map(|_| ()))
}

fn entries(setting: &str) -> impl Iterator<Item = Result<Allowed, String>> {
    setting.split_whitespace().map(Allowed::from_str)
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            "expects entries such as env:NAME=host or file:/path=host:port,other-host, with spaces between them"
                .to_owned()
        };
        // The last one: a path may hold the sign too.
        let (source, hosts) = text.rsplit_once('=').ok_or_else(expected)?;
        let source = source.parse().map_err(|_| expected())?;
        let hosts: Vec<String> = hosts.split(',').map(str::to_owned).collect();
        if hosts.iter().any(String::is_empty) {
            return Err(expected());
        }
        Ok(Self { source, hosts })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(setting: &str) -> Keys {
        let environment = Environment::from_iter([
            ("OPENROUTER_API_KEY", "secret-1"),
            ("MONKEY", "secret-2"),
            ("DATABASE_URL", "postgres://secret-3@h/d"),
        ]);
        Keys::new(setting, &environment)
    }

    fn source(text: &str) -> KeySource {
        text.parse().unwrap()
    }

    #[test]
    fn only_listed_keys_are_kept_and_none_is_shown() {
        let keys = keys(WELL_KNOWN.trim_matches('"'));
        assert_eq!(keys.get("OPENROUTER_API_KEY").as_deref(), Some("secret-1"));
        assert_eq!(keys.get("MONKEY"), None);
        assert_eq!(keys.get("DATABASE_URL"), None);
        assert!(!format!("{keys:?}").contains("secret-1"));
        assert_eq!(check(WELL_KNOWN.trim_matches('"')), Ok(()));
    }

    #[test]
    fn a_key_goes_to_its_hosts_alone() {
        let keys = keys(
            "env:OPENROUTER_API_KEY=openrouter.ai file:/run/keys/=localhost:8000,10.0.0.5 file:/k=*",
        );
        let may = |text, host, port| keys.may_be_sent(&source(text), host, port);
        assert!(may("env:OPENROUTER_API_KEY", "OpenRouter.ai", Some(443)));
        assert!(!may(
            "env:OPENROUTER_API_KEY",
            "openrouter.ai.evil.org",
            Some(443)
        ));
        assert!(!may("env:OPENROUTER_API_KEY", "127.0.0.1", Some(9)));
        assert!(!may("env:MONKEY", "openrouter.ai", None));
        assert!(may("file:/run/keys/one", "localhost", Some(8000)));
        assert!(!may("file:/run/keys/one", "localhost", Some(8001)));
        assert!(may("file:/run/keys/one", "10.0.0.5", Some(1)));
        assert!(!may("file:/run/keys/../one", "10.0.0.5", Some(1)));
        assert!(!may("file:/etc/shadow", "10.0.0.5", Some(1)));
        assert!(may("file:/k", "anything", None));
    }

    #[test]
    fn a_list_that_is_not_understood_is_refused() {
        for text in [
            "OPENAI_API_KEY=api.openai.com",
            "env:A",
            "env:A=",
            "env:A=h,",
            "file:k=h",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
        assert_eq!(check(""), Ok(()));
    }
}
