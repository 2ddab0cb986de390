//! Reading requests: every field is looked at, and all that is wrong comes back at once.

use std::{
    collections::HashSet, fmt::Display, hash::Hash, ops::RangeInclusive, path::PathBuf,
    str::FromStr,
};

use latentd_domain::{Centring, IdError, Reason, Scale, SpecialTokens};
use latentd_proto::v1 as pb;

use super::error::{Error, Violation};

/// Violations that are noted: a message of empty prompts may hold millions.
const MAX_VIOLATIONS: usize = 1000;

/// What is wrong with a request, as it is found.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<Violation>);

impl Violations {
    /// Notes that a field is malformed.
    pub(crate) fn invalid(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.add(field, Reason::InvalidRequest, description);
    }

    /// Notes that a field is wrong for a reason of its own.
    pub(crate) fn add(
        &mut self,
        field: impl Into<String>,
        reason: Reason,
        description: impl Into<String>,
    ) {
        if self.0.len() < MAX_VIOLATIONS {
            let (field, description) = (field.into(), description.into());
            self.0.push(Violation {
                field,
                description,
                reason,
            });
        }
    }

    /// Parses a name or an id; one that is missing is said to be.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(
        &mut self,
        field: &str,
        text: &str,
    ) -> Option<T> {
        if text.is_empty() {
            self.invalid(field, "must be set");
            return None;
        }
        text.parse()
            .map_err(|error: T::Err| self.invalid(field, error.to_string()))
            .ok()
    }

    /// Reads a path on the server's disk and makes it absolute, so that it means the same after a restart.
    pub(crate) fn path(&mut self, field: &str, text: &str) -> Option<PathBuf> {
        let path = std::path::absolute(text).ok();
        if path.is_none() {
            self.invalid(field, "must be set");
        }
        path
    }

    /// Parses what may be left out.
    pub(crate) fn optional<T: FromStr<Err: Display>>(
        &mut self,
        field: &str,
        text: &str,
    ) -> Option<T> {
        if text.is_empty() {
            None
        } else {
            self.parsed(field, text)
        }
    }

    /// Parses a list of names without duplicates.
    pub(crate) fn names<T>(&mut self, field: &str, texts: &[String]) -> Vec<T>
    where
        T: FromStr<Err = IdError> + Clone + Eq + Hash,
    {
        let mut seen = HashSet::new();
        let mut out = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let Some(name) = self.parsed::<T>(&format!("{field}[{index}]"), text) else {
                continue;
            };
            if !seen.insert(name.clone()) {
                self.invalid(
                    format!("{field}[{index}]"),
                    format!("`{text}` is there twice"),
                );
            }
            out.push(name);
        }
        out
    }

    /// Notes a number over a limit of GetServerInfo.
    pub(crate) fn at_most(&mut self, field: &str, given: u64, (limit, name): (u64, &str)) {
        if given > limit {
            let description = format!("{given} is over the limit {name} of {limit}");
            self.add(field, Reason::BatchTooLarge, description);
        }
    }

    /// Ends a check: nothing was wrong, or all of it.
    pub(crate) fn check(self) -> Result<(), Error> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::violations(self.0))
        }
    }

    /// Ends a parse. `value` is missing only if something was wrong.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Error> {
        self.check()?;
        value.ok_or_else(|| Error::internal("a parser refused a request without a violation"))
    }

    /// Reads a value of the enumeration `name`; one that it does not have is taken as unspecified.
    pub(crate) fn choice<T: TryFrom<i32> + Default>(
        &mut self,
        field: &str,
        value: i32,
        name: &str,
    ) -> T {
        T::try_from(value).unwrap_or_else(|_| {
            self.invalid(field, format!("{value} is no value of {name}"));
            T::default()
        })
    }

    /// Notes a number that is not in the range; infinity and NaN never are.
    pub(crate) fn within(&mut self, field: &str, given: f64, range: RangeInclusive<f64>) {
        if !range.contains(&given) {
            let description = format!(
                "{given} is not a number from {} to {}",
                range.start(),
                range.end()
            );
            self.invalid(field, description);
        }
    }

    /// Where a window lies around its peak.
    pub(crate) fn centring(&mut self, field: &str, value: i32) -> Centring {
        match self.choice(field, value, "Centring") {
            pb::Centring::Unspecified | pb::Centring::Peak => Centring::Peak,
            pb::Centring::Grid => Centring::Grid,
            pb::Centring::Middle => Centring::Middle,
        }
    }

    /// What becomes of special tokens.
    pub(crate) fn special_tokens(&mut self, field: &str, value: i32) -> SpecialTokens {
        match pb::SpecialTokens::try_from(value) {
            Ok(pb::SpecialTokens::Unspecified | pb::SpecialTokens::Mask) => SpecialTokens::Mask,
            Ok(pb::SpecialTokens::Keep) => SpecialTokens::Keep,
            Err(_) => {
                self.invalid(field, format!("{value} is no value of SpecialTokens"));
                SpecialTokens::Mask
            }
        }
    }

    /// The unit of activations.
    pub(crate) fn scale(&mut self, field: &str, value: i32) -> Scale {
        match pb::ActivationScale::try_from(value) {
            Ok(pb::ActivationScale::Unspecified | pb::ActivationScale::Raw) => Scale::Raw,
            Ok(pb::ActivationScale::DecoderNorm) => Scale::DecoderNorm,
            Err(_) => {
                self.invalid(field, format!("{value} is no value of ActivationScale"));
                Scale::Raw
            }
        }
    }
}

/// Indices in a list, shortened for a message: the first few, and how many there are.
pub(crate) fn listed<T: Display>(items: &[T]) -> String {
    const SHOWN: usize = 20;
    let mut text: Vec<String> = items.iter().take(SHOWN).map(ToString::to_string).collect();
    if items.len() > SHOWN {
        text.push(format!("… ({} in all)", items.len()));
    }
    text.join(", ")
}

#[cfg(test)]
mod tests {
    use latentd_domain::SaeName;

    use super::*;

    #[test]
    fn names_report_every_bad_one() {
        let mut violations = Violations::default();
        let texts = ["m/a", "", "M/a", "m/a"].map(str::to_owned);
        let names: Vec<SaeName> = violations.names("saes", &texts);
        assert_eq!(names.len(), 2);
        let error = violations.check().unwrap_err();
        let fields: Vec<String> =
            tonic_types::StatusExt::get_details_bad_request(&tonic::Status::from(error))
                .unwrap()
                .field_violations
                .into_iter()
                .map(|violation| violation.field)
                .collect();
        assert_eq!(fields, ["saes[1]", "saes[2]", "saes[3]"]);
    }

    #[test]
    fn unknown_enum_values_are_violations() {
        let mut violations = Violations::default();
        violations.scale("scale", 99);
        violations.special_tokens("special_tokens", -1);
        assert!(violations.check().is_err());
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed(&[1, 2]), "1, 2");
        assert!(listed(&(0..100).collect::<Vec<u32>>()).ends_with("(100 in all)"));
    }
}
