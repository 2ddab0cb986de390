//! Latents on a command line: `17`, `17,99`, `100..120`, `0..`.

use std::str::FromStr;

/// Most latents that ranges are written out to; one range alone is not written out.
const MAX_LISTED: usize = 1 << 20;

/// One part of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// One latent.
    One(u32),
    /// Latents up to but not with the end; without an end, up to the last.
    Range(u32, Option<u32>),
}

/// Some latents, in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selection(pub(super) Vec<Part>);

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(part)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn part(text: &str) -> Result<Part, String> {
    let number = |text: &str| {
        text.parse::<u32>()
            .map_err(|_| format!("`{text}` is not a latent: a number, or a range such as 100..120"))
    };
    match text.split_once("..") {
        None => number(text).map(Part::One),
        Some((start, "")) => Ok(Part::Range(number(start)?, None)),
        Some((start, end)) => {
            let (start, end) = (number(start)?, number(end)?);
            if start < end {
                Ok(Part::Range(start, Some(end)))
            } else {
                Err(format!("the range `{text}` is empty"))
            }
        }
    }
}

/// One range, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// Start and end; an end of 0 is the last latent.
    Range(u32, u32),
    /// In this order.
    List(Vec<u32>),
}

/// All selections as one.
pub(super) fn choose(selections: &[Selection]) -> Result<Chosen, String> {
    let parts: Vec<Part> = selections
        .iter()
        .flat_map(|selection| selection.0.iter().copied())
        .collect();
    if let [Part::Range(start, end)] = parts.as_slice() {
        return Ok(Chosen::Range(*start, end.unwrap_or(0)));
    }
    let mut list = Vec::new();
    for part in parts {
        match part {
            Part::One(latent) => list.push(latent),
            Part::Range(start, Some(end))
                if list.len() + ((end - start) as usize) <= MAX_LISTED =>
            {
                list.extend(start..end);
            }
            Part::Range(_, Some(_)) => {
                return Err("too many latents: give one range alone".to_owned());
            }
            Part::Range(_, None) => return Err("a range without an end must be alone".to_owned()),
        }
    }
    Ok(Chosen::List(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(texts: &[&str]) -> Result<Chosen, String> {
        let selections: Result<Vec<Selection>, String> =
            texts.iter().map(|text| text.parse()).collect();
        choose(&selections?)
    }

    #[test]
    fn latents_and_ranges_are_read() {
        assert_eq!(chosen(&["3", "1,2"]), Ok(Chosen::List(vec![3, 1, 2])));
        assert_eq!(chosen(&["5..8"]), Ok(Chosen::Range(5, 8)));
        assert_eq!(chosen(&["0.."]), Ok(Chosen::Range(0, 0)));
        assert_eq!(chosen(&["9", "5..7"]), Ok(Chosen::List(vec![9, 5, 6])));
        for bad in [
            &["x"][..],
            &["5..5"],
            &["1,"],
            &["1", "2.."],
            &["1", "0..4294967295"],
            &["-1"],
        ] {
            assert!(chosen(bad).is_err(), "{bad:?}");
        }
    }
}
