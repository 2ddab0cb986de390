//! Explanations that a request names, against the SAE and the latents that it is about.

use std::collections::{HashMap, HashSet};

use latentd_domain::{ExplanationId, Reason, SaeName, autointerp::Latents};
use latentd_store::explanations::Explanation;

use crate::grpc::{error::Error, parse::Violations};

/// The latents of the explanations `named`, each once: `found` are those of them that exist. All must be of `sae`, and of one of
/// `latents` if these were asked for.
pub(super) fn latents(
    named: &[ExplanationId],
    found: &[Explanation],
    sae: &SaeName,
    latents: Option<&Latents>,
) -> Result<Vec<u32>, Error> {
    let list: HashSet<u32> = match latents {
        Some(Latents::List(list)) => list.iter().copied().collect(),
        Some(Latents::Range(..)) | None => HashSet::new(),
    };
    let among = |latent: u32| match latents {
        None => true,
        Some(Latents::Range(start, end)) => (*start..*end).contains(&latent),
        Some(Latents::List(_)) => list.contains(&latent),
    };
    let found: HashMap<&ExplanationId, &Explanation> =
        found.iter().map(|found| (&found.id, found)).collect();
    let mut violations = Violations::default();
    let mut latents = Vec::with_capacity(named.len());
    for (index, id) in named.iter().enumerate() {
        let field = || format!("explanations[{index}]");
        match found.get(id) {
            None => {
                let error = latentd_store::Error::UnknownExplanation(id.clone());
                violations.add(field(), Reason::UnknownExplanation, error.to_string());
            }
            Some(one) if one.sae != *sae => {
                violations.invalid(field(), format!("is of {}", one.sae));
            }
            Some(one) if !among(one.latent) => {
                let description = format!("is of latent {}, which is not asked for", one.latent);
                violations.invalid(field(), description);
            }
            Some(one) => latents.push(one.latent),
        }
    }
    violations.check()?;
    latents.sort_unstable();
    latents.dedup();
    Ok(latents)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use latentd_store::explanations::{HAND, Provenance};

    use super::*;

    fn explanation(id: &str, sae: &str, latent: u32) -> Explanation {
        Explanation {
            id: id.parse().unwrap(),
            sae: sae.parse().unwrap(),
            latent,
            text: String::new(),
            explainer: HAND.to_owned(),
            provenance: Provenance::default(),
            scores: Vec::new(),
            create_time: time::OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn all_that_is_wrong_is_said() {
        let found = [
            explanation("a", "m/s", 4),
            explanation("b", "m/other", 4),
            explanation("c", "m/s", 9),
        ];
        let named = ["a", "b", "c", "d", "a"].map(|id| id.parse().unwrap());
        let sae = "m/s".parse().unwrap();
        let asked = Latents::List(vec![1, 4]);
        let error = latents(&named, &found, &sae, Some(&asked)).unwrap_err();
        for part in ["explanations[1]", "explanations[2]", "explanations[3]"] {
            assert!(format!("{error:?}").contains(part), "{error:?}");
        }
        let both = Latents::Range(0, 10);
        let named = [named[0].clone(), named[2].clone(), named[0].clone()];
        for asked in [None, Some(&both)] {
            assert_eq!(latents(&named, &found, &sae, asked).unwrap(), [4, 9]);
        }
    }

    /// A million latents and many explanations take a moment, and not the product of both.
    #[test]
    fn long_lists_are_compared_in_no_time() {
        let found: Vec<_> = (0..20_000)
            .map(|index| explanation(&format!("e{index}"), "m/s", 999_999 - index))
            .collect();
        let named: Vec<_> = found.iter().map(|found| found.id.clone()).collect();
        let asked = Latents::List((0..1_000_000).collect());
        let begun = Instant::now();
        let sae = "m/s".parse().unwrap();
        let all = latents(&named, &found, &sae, Some(&asked)).unwrap();
        assert_eq!(all.len(), 20_000);
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
