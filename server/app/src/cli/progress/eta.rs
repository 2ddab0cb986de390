//! The time that a job has to go, as it is shown: it counts down, and follows what the server tells without jumping.

use std::time::{Duration, Instant};

/// The first seconds of a phase tell little of the others.
const SILENT: Duration = Duration::from_secs(4);
/// A new estimate is believed this slowly: after so much time, by two thirds.
const SETTLE: Duration = Duration::from_secs(15);

/// What was shown last.
#[derive(Debug, Default)]
pub(super) struct Eta {
    phase: String,
    begun: Option<Instant>,
    last: Option<(Instant, f64)>,
}

impl Eta {
    /// The time to go to show at `now`, when the server tells `told` in `phase`.
    pub(super) fn show(
        &mut self,
        phase: &str,
        told: Option<Duration>,
        now: Instant,
    ) -> Option<Duration> {
        if self.phase != phase {
            *self = Self {
                phase: phase.to_owned(),
                begun: Some(now),
                last: None,
            };
        }
        let told = told?.as_secs_f64();
        if self.begun.is_some_and(|begun| now - begun < SILENT) {
            return None;
        }
        let value = match self.last {
            None => told,
            Some((at, value)) => {
                let passed = (now - at).as_secs_f64();
                let expected = (value - passed).max(0.0);
                let belief = 1.0 - (-passed / SETTLE.as_secs_f64()).exp();
                expected + belief * (told - expected)
            }
        };
        self.last = Some((now, value));
        Some(Duration::from_secs(rounded(value)))
    }
}

/// Seconds, as exactly as they are known.
fn rounded(seconds: f64) -> u64 {
    let step = match seconds {
        ..20.0 => 1.0,
        20.0..90.0 => 5.0,
        _ => 10.0,
    };
    ((seconds / step).ceil() * step) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown each second, when the truth is 100 s and estimates are off by as much as half of it.
    fn shown(noise: impl Fn(u32) -> f64) -> Vec<i64> {
        let mut eta = Eta::default();
        let start = Instant::now();
        let each = (0..80).filter_map(|second| {
            let told = (100.0 - f64::from(second)) * noise(second);
            let now = start + Duration::from_secs(second.into());
            eta.show("encoding", Some(Duration::from_secs_f64(told)), now)
        });
        each.map(|shown| shown.as_secs() as i64).collect()
    }

    #[test]
    fn it_counts_down() {
        let shown = shown(|_| 1.0);
        assert_eq!(shown.first(), Some(&100), "after four silent seconds");
        assert!(shown.is_sorted_by(|a, b| a >= b), "{shown:?}");
        assert_eq!(shown.last(), Some(&25), "21 s are to go");
    }

    #[test]
    fn it_does_not_jump() {
        let shown = shown(|second| if second % 2 == 0 { 1.5 } else { 0.5 });
        let jumps = shown.windows(2).map(|pair| (pair[1] - pair[0]).abs());
        assert!(jumps.max().unwrap() <= 10, "{shown:?}");
        let off = (shown.last().unwrap() - 21).abs();
        assert!(off <= 10, "{shown:?}");
    }

    #[test]
    fn another_phase_begins_anew() {
        let mut eta = Eta::default();
        let now = Instant::now();
        let told = Some(Duration::from_secs(50));
        assert_eq!(eta.show("a", told, now), None);
        assert!(eta.show("a", told, now + SILENT).is_some());
        assert_eq!(eta.show("b", told, now + SILENT), None);
        assert_eq!(eta.show("b", None, now + 2 * SILENT), None);
    }
}
