//! Parts of a request that an endpoint refuses: no two endpoints that call themselves compatible take the same.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A part of a request that a call can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Rules in a message of their own.
    System,
    /// Seed of sampling.
    Seed,
    /// A form that answers are held to.
    ResponseFormat,
    /// Log-probabilities of the answer's tokens.
    Logprobs,
    /// Alternatives to each token.
    TopLogprobs,
    /// Sampling temperature.
    Temperature,
    /// Longest answer, under its older name.
    MaxTokens,
    /// Longest answer, under its newer name.
    MaxCompletionTokens,
    /// That the answer is to come at once.
    Stream,
    /// Text at which an answer ends.
    Stop,
}

impl Field {
    /// Every field.
    pub const ALL: [Field; 10] = [
        Self::System,
        Self::Seed,
        Self::ResponseFormat,
        Self::Logprobs,
        Self::TopLogprobs,
        Self::Temperature,
        Self::MaxTokens,
        Self::MaxCompletionTokens,
        Self::Stream,
        Self::Stop,
    ];

    /// The name that requests have it under; `system` for the message of that role.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Seed => "seed",
            Self::ResponseFormat => "response_format",
            Self::Logprobs => "logprobs",
            Self::TopLogprobs => "top_logprobs",
            Self::Temperature => "temperature",
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::Stream => "stream",
            Self::Stop => "stop",
        }
    }
}

/// A set of fields. Stored as the list of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Refused(u16);

impl Refused {
    /// The set of what [`Refused::bits`] gave.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The set as a number.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether `field` is in it.
    pub const fn has(self, field: Field) -> bool {
        self.0 & (1 << field as u16) != 0
    }

    /// The set with `field`.
    #[must_use]
    pub const fn with(self, field: Field) -> Self {
        Self(self.0 | (1 << field as u16))
    }

    /// Its fields.
    pub fn fields(self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(move |field| self.has(*field))
    }
}

impl Serialize for Refused {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.fields().map(Field::as_str))
    }
}

impl<'de> Deserialize<'de> for Refused {
    /// A name that is not known, of another version, is passed over: it is learned again.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let named = Field::ALL
            .into_iter()
            .filter(|field| names.iter().any(|name| name == field.as_str()));
        Ok(named.fold(Self::default(), Self::with))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_a_list_of_names() {
        let set = Refused::default().with(Field::System).with(Field::Stop);
        let text = serde_json::to_string(&set).unwrap();
        assert_eq!(text, r#"["system","stop"]"#);
        assert_eq!(serde_json::from_str::<Refused>(&text).unwrap(), set);
        let other = serde_json::from_str::<Refused>(r#"["stop","new"]"#).unwrap();
        assert!(other.has(Field::Stop) && other.fields().count() == 1);
    }
}
