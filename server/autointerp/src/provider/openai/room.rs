//! How long an answer may be, where an endpoint refuses one of the length that was asked for.

/// Fewest tokens that are asked for, where the endpoint has less room than a call wants.
const FEWEST: u32 = 16;

/// The longest answer that fits, where a refusal says that `asked` tokens are too many.
pub(super) fn room(text: &str, asked: u32) -> Option<u32> {
    let is_of_length = [
        "max_tokens",
        "max_completion_tokens",
        "max_new_tokens",
        "context length",
        "context window",
        "completion tokens",
    ]
    .iter()
    .any(|name| text.contains(name));
    let is_too_much = [
        "too large",
        "at most",
        "maximum",
        "exceed",
        "reduce",
        "less than",
        "must be <=",
        " > ",
        "greater than",
        "limited",
    ]
    .iter()
    .any(|name| text.contains(name));
    if !is_of_length || !is_too_much {
        return None;
    }
    let numbers: Vec<u32> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    // What the prompt takes of the context, where both are told.
    let before = |words: &str| {
        let front = text
            .split(words)
            .next()
            .filter(|front| front.len() < text.len())?;
        let digits = front.trim_end_matches([' ', '`']);
        let from = digits
            .rfind(|c: char| !c.is_ascii_digit())
            .map_or(0, |at| at + 1);
        digits.get(from..)?.parse::<u32>().ok()
    };
    let prompt = [
        "input tokens",
        "in the messages",
        "in your prompt",
        "inputs` tokens",
        "prompt tokens",
    ]
    .iter()
    .find_map(|words| before(words));
    let longer = |than: u32| {
        numbers
            .iter()
            .copied()
            .filter(|&number| number > than)
            .min()
    };
    let shorter = numbers.iter().copied().filter(|&number| number < asked);
    let fits = match prompt {
        Some(prompt) => longer(asked.max(prompt))?.checked_sub(prompt)?,
        None => shorter.max().unwrap_or(asked / 2),
    };
    (FEWEST..asked).contains(&fits).then_some(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_says_how_much_room_it_has() {
        for (asked, text, fits) in [
            (
                6000,
                "max_tokens is too large: 6000. This model supports at most 4096 completion tokens, whereas you provided 6000.",
                Some(4096),
            ),
            (
                8192,
                "This model's maximum context length is 131072 tokens. However, you requested 131134 tokens (122942 in the messages, 8192 in the completion). Please reduce the length of the messages or completion.",
                Some(8130),
            ),
            (
                4096,
                "'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum context length is 4100 tokens and your request has 14 input tokens (4096 > 4100 - 14).",
                Some(4086),
            ),
            (
                10000,
                "max_tokens: 10000 > 8192, which is the maximum allowed number of output tokens",
                Some(8192),
            ),
            (
                16384,
                "`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens`",
                Some(8192),
            ),
            (4096, "max_tokens is limited for this model", Some(2048)),
            (
                500,
                "This model's maximum context length is 2048 tokens. However, your request has 3000 input tokens.",
                None,
            ),
            (
                500,
                "Unsupported parameter: 'max_tokens' is not supported with this model.",
                None,
            ),
        ] {
            let found = room(&text.to_lowercase(), asked);
            assert_eq!(found, fits, "{text}");
        }
    }
}
