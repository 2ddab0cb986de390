//! Resource names and their ids, in the manner of AIP-122: `models/{model}/saes/{sae}`, `caches/{cache}`, `jobs/{job}`.
//!
//! Requests may use short forms (`{model}/{sae}`, `{cache}`); replies always carry the full name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An id or a resource name that cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a valid id.
    #[error(
        "`{0}` is not an id: 1 to 63 lower-case letters, digits, `-`, `_` or `.`, the first a letter or digit"
    )]
    Id(String),
    /// Not the form of the resource.
    #[error("`{given}` is not of the form `{form}`")]
    Form {
        /// What was given.
        given: String,
        /// The full form.
        form: &'static str,
    },
}

fn check_id(id: &str) -> Result<&str, IdError> {
    let mut bytes = id.bytes();
    let first = bytes
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    if first && rest && id.len() <= 63 {
        Ok(id)
    } else {
        Err(IdError::Id(id.to_owned()))
    }
}

macro_rules! simple_name {
    ($(#[$doc:meta])* $type:ident, $collection:literal, $form:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The id alone.
            pub fn id(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = IdError;

            fn from_str(name: &str) -> Result<Self, IdError> {
                let id = name.strip_prefix($collection).unwrap_or(name);
                if id.contains('/') || id.is_empty() {
                    return Err(IdError::Form { given: name.to_owned(), form: $form });
                }
                check_id(id).map(|id| Self(id.to_owned()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if f.alternate() {
                    return f.write_str(&self.0);
                }
                write!(f, "{}{}", $collection, self.0)
            }
        }

        impl TryFrom<String> for $type {
            type Error = IdError;

            fn try_from(name: String) -> Result<Self, IdError> {
                name.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.to_string()
            }
        }
    };
}

simple_name!(
    /// Names a model: `models/{model}`.
    ModelId,
    "models/",
    "models/{model}"
);
simple_name!(
    /// Names a cache: `caches/{cache}`.
    CacheId,
    "caches/",
    "caches/{cache}"
);
simple_name!(
    /// Names a corpus that was uploaded: `corpora/{corpus}`.
    CorpusId,
    "corpora/",
    "corpora/{corpus}"
);
simple_name!(
    /// Names a job: `jobs/{job}`.
    JobId,
    "jobs/",
    "jobs/{job}"
);

simple_name!(
    /// Names a provider of a language model: `providers/{provider}`.
    ProviderId,
    "providers/",
    "providers/{provider}"
);
simple_name!(
    /// Names a score: `scores/{score}`.
    ScoreId,
    "scores/",
    "scores/{score}"
);
simple_name!(
    /// The id of an explanation; its resource name has the latent's before it.
    ExplanationId,
    "explanations/",
    "explanations/{explanation}"
);

/// Names an SAE: `models/{model}/saes/{sae}`, or in short `{model}/{sae}`, which `{:#}` writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SaeName {
    model: ModelId,
    sae: String,
}

impl SaeName {
    const FORM: &'static str = "models/{model}/saes/{sae}";

    /// The SAE `sae` of `model`.
    pub fn new(model: ModelId, sae: &str) -> Result<Self, IdError> {
        check_id(sae).map(|sae| Self {
            model,
            sae: sae.to_owned(),
        })
    }

    /// The model that the SAE belongs to.
    pub fn model(&self) -> &ModelId {
        &self.model
    }

    /// The SAE's own id, unique within its model.
    pub fn id(&self) -> &str {
        &self.sae
    }
}

impl FromStr for SaeName {
    type Err = IdError;

    fn from_str(name: &str) -> Result<Self, IdError> {
        let parts: Vec<&str> = name.split('/').collect();
        match parts.as_slice() {
            ["models", model, "saes", sae] | [model, sae] => Self::new(model.parse()?, sae),
            _ => Err(IdError::Form {
                given: name.to_owned(),
                form: Self::FORM,
            }),
        }
    }
}

impl fmt::Display for SaeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return write!(f, "{:#}/{}", self.model, self.sae);
        }
        write!(f, "{}/saes/{}", self.model, self.sae)
    }
}

impl TryFrom<String> for SaeName {
    type Error = IdError;

    fn try_from(name: String) -> Result<Self, IdError> {
        name.parse()
    }
}

impl From<SaeName> for String {
    fn from(name: SaeName) -> String {
        name.to_string()
    }
}

/// Names a latent: `models/{model}/saes/{sae}/latents/{latent}`, or in short `{model}/{sae}/{latent}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LatentName {
    /// The SAE.
    pub sae: SaeName,
    /// Index of the latent.
    pub latent: u32,
}

impl FromStr for LatentName {
    type Err = IdError;

    fn from_str(name: &str) -> Result<Self, IdError> {
        let form = || IdError::Form {
            given: name.to_owned(),
            form: "models/{model}/saes/{sae}/latents/{latent}",
        };
        let (sae, latent) = name.rsplit_once('/').ok_or_else(form)?;
        let sae = sae.strip_suffix("/latents").unwrap_or(sae);
        Ok(Self {
            sae: sae.parse()?,
            latent: latent.parse().map_err(|_| form())?,
        })
    }
}

impl fmt::Display for LatentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/latents/{}", self.sae, self.latent)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_and_full_forms_are_the_same_name() {
        let full: SaeName = "models/smollm2-135m/saes/l9".parse().unwrap();
        assert_eq!(full, "smollm2-135m/l9".parse().unwrap());
        assert_eq!(full.to_string(), "models/smollm2-135m/saes/l9");
        let latent: LatentName = "smollm2-135m/l9/17".parse().unwrap();
        assert_eq!(latent.to_string(), "models/smollm2-135m/saes/l9/latents/17");
        assert_eq!(latent, latent.to_string().parse().unwrap());
    }

    #[test]
    fn odd_ids_are_refused() {
        for bad in [
            "",
            "models/",
            "a/b/c",
            "UPPER",
            "-a",
            "a b",
            "é",
            &"x".repeat(64),
        ] {
            assert!(bad.parse::<ModelId>().is_err(), "{bad}");
        }
        for bad in [
            "",
            "/",
            "a/",
            "/b",
            "models/a/saes/",
            "models/a/b",
            "a/../b",
        ] {
            assert!(bad.parse::<SaeName>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn names_round_trip(model in "[a-z0-9][a-z0-9._-]{0,62}", sae in "[a-z0-9][a-z0-9._-]{0,62}") {
            let name = SaeName::new(model.parse().unwrap(), &sae).unwrap();
            prop_assert_eq!(name.to_string().parse::<SaeName>().unwrap(), name);
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = text.parse::<SaeName>();
            let _ = text.parse::<LatentName>();
            let _ = text.parse::<CacheId>();
        }
    }
}
