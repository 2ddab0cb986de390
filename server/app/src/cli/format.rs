//! Numbers, times and sizes for people.

use std::time::{Duration, SystemTime};

/// `1 234 567`
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A resource name as commands take it: `smollm2-135m/l9` for `models/smollm2-135m/saes/l9`, and ids alone.
pub(super) fn short(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        ["models", model, "saes", sae] => format!("{model}/{sae}"),
        ["models", model, "saes", sae, "latents", latent] => format!("{model}/{sae}/{latent}"),
        ["models" | "caches" | "jobs" | "providers" | "scores", id] | [.., "explanations", id] => {
            (*id).to_owned()
        }
        _ => name.to_owned(),
    }
}

/// `1 latent`, `2 latents`
pub(super) fn plural(number: u64, thing: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {thing}{ending}", count(number))
}

/// `98.4 MB`
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = UNITS.iter();
    let mut name = unit.next().copied().unwrap_or_default();
    for next in unit {
        // 999.95 would be shown as 1000.0.
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        name = next;
    }
    format!("{value:.1} {name}")
}

/// `$12.34`; what is less than ten cents with two digits that are not 0.
pub(super) fn dollars(dollars: f64) -> String {
    if dollars <= 0.0 || dollars >= 0.1 {
        return format!("${dollars:.2}");
    }
    let digits = (1.0 - dollars.log10().floor()).clamp(2.0, 8.0) as usize;
    format!("${dollars:.digits$}")
}

/// `45 s`, `3 min 20 s`, `2 h 5 min`
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.as_millis() > 0 => format!("{} ms", duration.as_millis()),
        0 if duration.as_micros() > 0 => format!("{} µs", duration.as_micros()),
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// How long ago, at `now`; `-` if it is not known.
pub(super) fn ago(time: Option<SystemTime>, now: SystemTime) -> String {
    let Some(time) = time else {
        return "-".to_owned();
    };
    let elapsed = now.duration_since(time).unwrap_or_default();
    match elapsed.as_secs() {
        0..5 => "just now".to_owned(),
        86_400.. => format!("{} d ago", elapsed.as_secs() / 86_400),
        _ => format!("{} ago", duration(elapsed)),
    }
}

/// How long until, at `now`; `-` if it is not known.
pub(super) fn left(time: Option<SystemTime>, now: SystemTime) -> String {
    let Some(time) = time else {
        return "-".to_owned();
    };
    let left = time.duration_since(now).unwrap_or_default();
    match left.as_secs() {
        86_400.. => format!("{} d", left.as_secs() / 86_400),
        _ => duration(left),
    }
}

/// `0.157 %`
pub(super) fn percent(share: f64) -> String {
    format!("{:.3} %", share * 100.0)
}

/// A histogram as one character a bucket, without the empty ends.
pub(super) fn sparkline(counts: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let Some(first) = counts.iter().position(|&count| count > 0) else {
        return String::new();
    };
    let last = counts.iter().rposition(|&count| count > 0).unwrap_or(first);
    let counts = counts.get(first..=last).unwrap_or_default();
    let max = counts.iter().copied().max().unwrap_or(1).max(1);
    counts
        .iter()
        .map(|&count| match count {
            0 => ' ',
            count => {
                let bar = (count as f64 / max as f64 * BARS.len() as f64).ceil() as usize;
                BARS.get(bar.clamp(1, BARS.len()) - 1)
                    .copied()
                    .unwrap_or(' ')
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count),
            ["0", "999", "1 000", "1 234 567"]
        );
    }

    #[test]
    fn names_are_as_commands_take_them() {
        let names = [
            "models/m",
            "models/m/saes/s",
            "models/m/saes/s/latents/7",
            "models/m/saes/s/latents/7/explanations/e",
            "caches/c",
            "jobs/j",
            "s",
        ];
        assert_eq!(names.map(short), ["m", "m/s", "m/s/7", "e", "c", "j", "s"]);
    }

    #[test]
    fn one_thing_is_not_many() {
        assert_eq!(
            [plural(1, "token"), plural(1000, "token")],
            ["1 token", "1 000 tokens"]
        );
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(98_362_432), "98.4 MB");
        assert_eq!(bytes(999_990), "1.0 MB");
        assert_eq!(bytes(u64::MAX), "18446.7 PB");
    }

    #[test]
    fn small_money_keeps_its_digits() {
        assert_eq!(
            [0.0, 12.345, 0.1, 0.0123, 0.000_456].map(dollars),
            ["$0.00", "$12.35", "$0.10", "$0.012", "$0.00046"]
        );
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration(Duration::from_micros(90)), "90 µs");
        assert_eq!(duration(Duration::from_millis(90)), "90 ms");
        assert_eq!(duration(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(duration(Duration::from_mins(125)), "2 h 5 min");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert_eq!(
            ago(Some(now - Duration::from_secs(61)), now),
            "1 min 1 s ago"
        );
        assert_eq!(ago(Some(now + Duration::from_secs(61)), now), "just now");
        assert_eq!(ago(None, now), "-");
    }

    #[test]
    fn histograms_lose_their_empty_ends() {
        assert_eq!(sparkline(&[0, 0, 1, 0, 8, 0]), "▁ █");
        assert_eq!(sparkline(&[0; 4]), "");
    }
}
