//! Names of explanations: `models/{model}/saes/{sae}/latents/{latent}/explanations/{explanation}`, or the id alone.

use std::{fmt, str::FromStr};

use latentd_domain::{ExplanationId, IdError, LatentName};

const FORM: &str = "models/{model}/saes/{sae}/latents/{latent}/explanations/{explanation}";

/// An explanation as a request names it. The id alone tells which it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ExplanationName {
    latent: Option<LatentName>,
    id: ExplanationId,
}

impl ExplanationName {
    /// The explanation `id` of `latent`.
    pub(super) fn new(latent: LatentName, id: ExplanationId) -> Self {
        Self {
            latent: Some(latent),
            id,
        }
    }

    /// The id.
    pub(super) fn into_id(self) -> ExplanationId {
        self.id
    }
}

impl FromStr for ExplanationName {
    type Err = IdError;

    fn from_str(name: &str) -> Result<Self, IdError> {
        let form = || IdError::Form {
            given: name.to_owned(),
            form: FORM,
        };
        let Some((latent, id)) = name.split_once("/explanations/") else {
            let id = name.parse().map_err(|error| match error {
                IdError::Form { .. } => form(),
                error @ IdError::Id(_) => error,
            })?;
            return Ok(Self { latent: None, id });
        };
        Ok(Self {
            latent: Some(latent.parse().map_err(|_| form())?),
            id: id.parse().map_err(|_| form())?,
        })
    }
}

impl fmt::Display for ExplanationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(latent) = &self.latent {
            write!(f, "{latent}/")?;
        }
        write!(f, "{}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_both_forms() {
        let full = "models/m/saes/a/latents/3/explanations/e1";
        let name: ExplanationName = full.parse().unwrap();
        assert_eq!(name.to_string(), full);
        assert_eq!(name.into_id().id(), "e1");
        let id: ExplanationName = "e1".parse().unwrap();
        assert_eq!(id.to_string(), "explanations/e1");
        for bad in [
            "",
            "a/b",
            "m/a/x/explanations/e1",
            "m/a/3/explanations/",
            "E",
        ] {
            assert!(bad.parse::<ExplanationName>().is_err(), "{bad}");
        }
    }
}
