//! Latent indices in requests: a set is not empty, within the limit and without duplicates, and the SAE has all of them.

use latentd_domain::{Reason, SaeName, autointerp::Latents};
use latentd_proto::v1 as pb;

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
    let description = format!("{sae:#} has {d_sae} latents, numbered from 0; not {which}");
    violations.add(field, Reason::UnknownLatent, description);
    violations
        .check()
        .map_err(|error| error.with("d_sae", d_sae))
}

/// Field of listed latents.
const LISTED: &str = "latents.latents";

/// Latents as a request names them: the end of a range may be left to the SAE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Listed(Vec<u32>),
    Range { start: u32, end: Option<u32> },
}

impl Asked {
    /// Reads field `latents`.
    pub(super) fn listed(violations: &mut Violations, set: pb::LatentSet, max: usize) -> Self {
        check_set(violations, LISTED, &set.latents, max);
        Self::Listed(set.latents)
    }

    /// Reads field `range`.
    pub(super) fn range(violations: &mut Violations, range: pb::LatentRange) -> Self {
        let pb::LatentRange { start, end } = range;
        if end != 0 && end <= start {
            let description = format!("{end} is not above the start, {start}");
            violations.invalid("range.end", description);
        }
        Self::Range {
            start,
            end: (end != 0).then_some(end),
        }
    }

    /// The latents, if the SAE has all of them and they are not too many.
    pub(super) fn within(self, sae: &SaeName, d_sae: u32, max: usize) -> Result<Latents, Error> {
        match self {
            Self::Listed(latents) => {
                check_known(LISTED, &latents, sae, d_sae as usize)?;
                Ok(Latents::List(latents))
            }
            Self::Range { start, end } => {
                check_known("range.start", &[start], sae, d_sae as usize)?;
                let end = end.unwrap_or(d_sae);
                check_known("range.end", &[end.saturating_sub(1)], sae, d_sae as usize)?;
                let mut violations = Violations::default();
                let count = u64::from(end.saturating_sub(start));
                violations.at_most("range", count, (max as u64, "max_latents"));
                violations.check().map(|()| Latents::Range(start, end))
            }
        }
    }
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
    fn a_range_ends_with_the_sae_and_not_behind_it() {
        let sae = "m/a".parse().unwrap();
        let range = |start, end| {
            let mut violations = Violations::default();
            let asked = Asked::range(&mut violations, pb::LatentRange { start, end });
            violations.check()?;
            asked.within(&sae, 8, 5)
        };
        assert_eq!(range(4, 0).unwrap(), Latents::Range(4, 8));
        assert_eq!(range(2, 4).unwrap(), Latents::Range(2, 4));
        let reason = |start, end| range(start, end).unwrap_err().reason();
        assert_eq!(reason(4, 4), Reason::InvalidRequest);
        assert_eq!(reason(4, 9), Reason::UnknownLatent);
        assert_eq!(reason(8, 0), Reason::UnknownLatent);
        assert_eq!(reason(0, 0), Reason::BatchTooLarge);
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
