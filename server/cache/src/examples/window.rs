//! Where a window lies around a token.

use std::ops::Range;

use latentd_domain::{Centring, ExampleQuery};

/// How windows are placed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    /// Tokens of a window; at least 1.
    window: u32,
    centring: Centring,
}

/// A window of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    /// The row.
    pub(crate) row: u32,
    /// Its first token, by position in the row.
    pub(crate) start: u32,
    /// Its tokens.
    pub(crate) len: u32,
    /// Position of its peak in the row.
    pub(crate) peak_position: u32,
    /// Activation at its peak; 0 if the latent does not fire in it.
    pub(crate) peak: f32,
}

impl Placement {
    pub(crate) fn new(query: &ExampleQuery) -> Self {
        let window = u32::try_from(query.window).unwrap_or(u32::MAX).max(1);
        Self {
            window,
            centring: query.centring,
        }
    }

    /// The window of a token at `position` in a row of `row_len` tokens. It always holds the token; it is shorter than
    /// asked only where the row is, or at the end of the row with grid placement.
    pub(crate) fn around(self, position: u32, row_len: u32) -> Range<u32> {
        let window = self.window;
        let before = match self.centring {
            Centring::Grid => {
                let start = position - position % window;
                return start..start.saturating_add(window).min(row_len);
            }
            // Three quarters of the window lie before the peak: delphi's centred examples.
            Centring::Peak => (window - window / 4).min(window - 1),
            Centring::Middle => window / 2,
        };
        let len = window.min(row_len);
        let start = position.saturating_sub(before).min(row_len - len);
        start..start + len
    }
}

#[cfg(test)]
mod tests {
    use latentd_domain::ExampleMode;
    use proptest::prelude::*;

    use super::*;

    fn placement(window: usize, centring: Centring) -> Placement {
        let query = ExampleQuery {
            mode: ExampleMode::Top,
            count: 1,
            groups: 1,
            window,
            centring,
            seed: 0,
        };
        Placement::new(&query)
    }

    #[test]
    fn the_peak_lies_where_it_is_asked_to() {
        assert_eq!(placement(32, Centring::Peak).around(100, 256), 76..108);
        assert_eq!(placement(32, Centring::Middle).around(100, 256), 84..116);
        assert_eq!(placement(32, Centring::Grid).around(100, 256), 96..128);
        // At the ends of a row the window shifts, and in a short row it is the row.
        assert_eq!(placement(32, Centring::Peak).around(3, 256), 0..32);
        assert_eq!(placement(32, Centring::Peak).around(255, 256), 224..256);
        assert_eq!(placement(32, Centring::Peak).around(5, 9), 0..9);
        assert_eq!(placement(32, Centring::Grid).around(33, 40), 32..40);
    }

    proptest! {
        #[test]
        fn a_window_holds_its_token(
            window in 0..100_usize, position in 0..300_u32, beyond in 1..300_u32, centring in 0..3_usize,
        ) {
            let centring = [Centring::Peak, Centring::Grid, Centring::Middle][centring];
            let row_len = position + beyond;
            let range = placement(window, centring).around(position, row_len);
            prop_assert!(range.contains(&position) && range.end <= row_len);
            let full = (window.max(1) as u32).min(row_len);
            prop_assert!(range.len() as u32 == full || centring == Centring::Grid);
        }
    }
}
