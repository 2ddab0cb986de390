//! Latent indices in requests: a set is not empty, within the limit and without duplicates, and the SAE has all of them.

use latentd_domain::{Reason, SaeName};

use super::{
    error::Error,
    parse::{Violations, listed},
};

/// Notes what is wrong with a set of latents, whatever SAE it is for. Returns them sorted.
pub(super) fn check_set(
    violations: &mut Violations,
    field: &str,
    latents: &[u32],
    max_latents: usize,
) -> Vec<u32> {
    if latents.is_empty() {
        violations.invalid(field, "at least one latent is needed");
    }
    let limit = (max_latents as u64, "max_latents");
    violations.at_most(field, latents.len() as u64, limit);
    let mut sorted = latents.to_vec();
    sorted.sort_unstable();
    let pairs = sorted.iter().zip(sorted.iter().skip(1));
    let mut twice: Vec<u32> = pairs.filter(|(a, b)| a == b).map(|(&a, _)| a).collect();
    twice.dedup();
    if !twice.is_empty() {
        violations.invalid(field, format!("these are there twice: {}", listed(&twice)));
    }
    sorted
}

/// Refuses latents that the SAE does not have, naming them.
pub(super) fn check_known(
    field: &str,
    latents: &[u32],
    sae: &SaeName,
    d_sae: usize,
) -> Result<(), Error> {
    let unknown = |latent: &u32| *latent as usize >= d_sae;
    let beyond: Vec<u32> = latents.iter().copied().filter(unknown).collect();
    if beyond.is_empty() {
        return Ok(());
    }
    let mut violations = Violations::default();
    let which = listed(&beyond);
    let description = format!("{sae} has {d_sae} latents, numbered from 0; not {which}");
    violations.add(field, Reason::UnknownLatent, description);
    violations
        .check()
        .map_err(|error| error.with("d_sae", d_sae))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_checked_and_sorted() {
        let mut violations = Violations::default();
        assert_eq!(
            check_set(&mut violations, "latents", &[9, 2, 5], 3),
            [2, 5, 9]
        );
        assert!(violations.check().is_ok());
        for (latents, reason) in [
            (&[][..], Reason::InvalidRequest),
            (&[1, 1], Reason::InvalidRequest),
            (&[1, 2, 3, 4], Reason::BatchTooLarge),
        ] {
            let mut violations = Violations::default();
            check_set(&mut violations, "latents", latents, 3);
            assert_eq!(violations.check().unwrap_err().reason(), reason);
        }
    }

    #[test]
    fn unknown_latents_are_named() {
        let sae = "m/a".parse().unwrap();
        assert!(check_known("latents", &[0, 7], &sae, 8).is_ok());
        let error = check_known("latents", &[1, 8, 9], &sae, 8).unwrap_err();
        assert_eq!(error.reason(), Reason::UnknownLatent);
        assert!(error.to_string().contains("8, 9"), "{error}");
    }
}
