//! Where the key of a provider is: in a variable of the server's environment or in a file, never in a request, a row or a log.

use std::{fmt, path::PathBuf, str::FromStr};

use latentd_domain::{HasReason, Reason};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};

/// Bytes of the longest key.
const MAX_KEY: u64 = 64 * 1024;

/// Where a key is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A variable of the server's environment: `env:NAME`.
    Env(String),
    /// A file on the server's disk: `file:/path`.
    File(PathBuf),
}

/// Text that does not say where a key is. The text itself is left out: it may be the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected env:NAME, a variable of the server's environment, or file:/path, an absolute path; a key itself is not accepted"
)]
pub struct InvalidKeySource;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The variable is not set, or is empty.
    #[error("the variable {0} is not set in the server's environment")]
    NotSet(String),
    /// The file cannot be read.
    #[error("the key's file {} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What is there is no key.
    #[error("{0} holds no key: expected one line of visible ASCII characters")]
    NotAKey(KeySource),
}

impl HasReason for KeyError {
    fn reason(&self) -> Reason {
        Reason::ProviderKeyMissing
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl FromStr for KeySource {
    type Err = InvalidKeySource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(name) = text.strip_prefix("env:") {
            let is_name = |name: &str| {
                name.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                    && name
                        .bytes()
                        .next()
                        .is_some_and(|byte| !byte.is_ascii_digit())
            };
            return is_name(name)
                .then(|| Self::Env(name.to_owned()))
                .ok_or(InvalidKeySource);
        }
        let path = PathBuf::from(text.strip_prefix("file:").ok_or(InvalidKeySource)?);
        if path.is_absolute() {
            Ok(Self::File(path))
        } else {
            Err(InvalidKeySource)
        }
    }
}

/// The key. `environment` looks up a variable.
pub async fn resolve(
    source: &KeySource,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<SecretString, KeyError> {
    let mut text = match source {
        KeySource::Env(name) => environment(name)
            .filter(|value| !value.trim().is_empty())
            .ok_or_else(|| KeyError::NotSet(name.clone()))?,
        KeySource::File(path) => read(path.clone()).await.map_err(|source| KeyError::File {
            path: path.clone(),
            source,
        })?,
    };
    let key = SecretString::from(text.trim());
    text.zeroize();
    let exposed = key.expose_secret();
    if exposed.is_empty() || !exposed.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(KeyError::NotAKey(source.clone()));
    }
    Ok(key)
}

async fn read(path: PathBuf) -> std::io::Result<String> {
    let read = move || latentd_files::read_text(&path, MAX_KEY);
    Ok(tokio::task::spawn_blocking(read).await??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_round_trip() {
        for text in ["env:OPENROUTER_API_KEY", "file:/run/secrets/key"] {
            assert_eq!(text.parse::<KeySource>().unwrap().to_string(), text);
        }
        for text in [
            "", "sk-123", "env:", "env:A B", "env:1A", "file:", "file:key", "env:A=B",
        ] {
            assert_eq!(text.parse::<KeySource>(), Err(InvalidKeySource), "{text}");
        }
    }

    #[test]
    fn an_error_does_not_repeat_what_may_be_a_key() {
        let error = "sk-or-v1-secret".parse::<KeySource>().unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }

    #[tokio::test]
    async fn a_variable_holds_a_key() {
        let environment = |name: &str| match name {
            "KEY" => Some("sk-1\n".to_owned()),
            "EMPTY" => Some(" ".to_owned()),
            "LINES" => Some("sk-1\nsk-2".to_owned()),
            _ => None,
        };
        let key = |name: &str| resolve_owned(KeySource::Env(name.to_owned()), environment);
        let found = key("KEY").await.unwrap();
        assert_eq!(found.expose_secret(), "sk-1");
        assert!(!format!("{found:?}").contains("sk-1"));
        for name in ["EMPTY", "ABSENT"] {
            assert!(
                matches!(key(name).await, Err(KeyError::NotSet(_))),
                "{name}"
            );
        }
        let error = key("LINES").await.unwrap_err();
        assert!(!error.to_string().contains("sk-"), "{error}");
    }

    async fn resolve_owned(
        source: KeySource,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<SecretString, KeyError> {
        resolve(&source, environment).await
    }

    #[tokio::test]
    async fn a_file_holds_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs_err::write(&path, "sk-2\n").unwrap();
        let key = resolve(&KeySource::File(path), |_| None).await.unwrap();
        assert_eq!(key.expose_secret(), "sk-2");
        let absent = KeySource::File(folder.path().join("absent"));
        let error = resolve(&absent, |_| None).await.unwrap_err();
        assert_eq!(error.reason(), Reason::ProviderKeyMissing);
    }
}
