//! Keys of providers in the environment: the only secrets that the server takes from there. They are never shown.

use std::{collections::BTreeMap, fmt};

use super::Environment;

/// Variables that may hold keys. Whoever may register a provider chooses both the endpoint and the variable that is sent to
/// it, so other variables (the address of the database, say) must not be in reach.
#[derive(Clone, Default)]
pub struct Keys(BTreeMap<String, String>);

impl Keys {
    /// Those of an environment.
    pub(super) fn of(environment: &Environment) -> Self {
        let variables = environment.0.iter();
        let keys = variables.filter(|(name, _)| Self::may_hold(name));
        Self(
            keys.map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    /// Whether a variable of this name may hold a key.
    pub fn may_hold(name: &str) -> bool {
        name.contains("KEY") || name.contains("TOKEN")
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(withheld)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_are_kept_and_none_is_shown() {
        let environment = Environment::from_iter([
            ("OPENROUTER_API_KEY", "secret"),
            ("HF_TOKEN", "secret"),
            ("DATABASE_URL", "postgres://secret@h/d"),
        ]);
        let keys = Keys::of(&environment);
        assert_eq!(keys.get("OPENROUTER_API_KEY").as_deref(), Some("secret"));
        assert_eq!(keys.get("HF_TOKEN").as_deref(), Some("secret"));
        assert_eq!(keys.get("DATABASE_URL"), None);
        assert!(!format!("{keys:?}").contains("secret"));
    }
}
