//! Text from outside, made fit for Postgres, which cannot store NUL characters in text.

/// Longest text of an error, in characters.
const MAX_ERROR: usize = 2000;

/// The text with NUL characters replaced.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The text of an error, storable, and cut where it is very long.
pub(crate) fn short(text: &str) -> String {
    storable(text).chars().take(MAX_ERROR).collect()
}

/// An array of numbers as Postgres reads it. Arrays of arrays of unequal length do not exist there, so a column of arrays travels
/// as a column of text. Numbers are written in their shortest exact form.
pub(crate) fn array<T: std::fmt::Display>(numbers: &[T]) -> String {
    let mut text = String::with_capacity(2 + numbers.len() * 8);
    text.push('{');
    for (index, number) in numbers.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&number.to_string());
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_every_bit() {
        assert_eq!(array::<f32>(&[]), "{}");
        assert_eq!(
            array(&[0.1f32, f32::NAN, -1e-30]),
            format!("{{0.1,NaN,{}}}", -1e-30f32)
        );
        assert_eq!(array(&[1u32, 2]), "{1,2}");
    }
}
