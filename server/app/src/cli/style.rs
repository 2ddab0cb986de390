//! Colours, or none.

use owo_colors::{OwoColorize as _, XtermColors};

/// Backgrounds from weak to strong, all of them light: black text can be read on each, whatever the terminal's own colours.
const HEAT: [u8; 6] = [230, 229, 222, 215, 209, 203];
/// Black of the fixed part of the palette.
const BLACK: u8 = 16;

/// Whether text is decorated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    on: bool,
}

impl Style {
    pub(super) const fn new(on: bool) -> Self {
        Self { on }
    }

    /// Whether there are colours.
    pub(super) const fn is_on(self) -> bool {
        self.on
    }

    pub(super) fn bold(self, text: &str) -> String {
        if self.on {
            text.bold().to_string()
        } else {
            text.to_owned()
        }
    }

    pub(super) fn dim(self, text: &str) -> String {
        if self.on {
            text.dimmed().to_string()
        } else {
            text.to_owned()
        }
    }

    pub(super) fn good(self, text: &str) -> String {
        if self.on {
            text.green().to_string()
        } else {
            text.to_owned()
        }
    }

    pub(super) fn bad(self, text: &str) -> String {
        if self.on {
            text.red().bold().to_string()
        } else {
            text.to_owned()
        }
    }

    /// Text on a background as warm as `share`, which is between 0 (no background) and 1.
    pub(super) fn heat(self, text: &str, share: f32, peak: bool) -> String {
        if !self.on || share.is_nan() || share <= 0.0 {
            return text.to_owned();
        }
        let step = ((share.min(1.0) * HEAT.len() as f32).ceil() as usize).clamp(1, HEAT.len()) - 1;
        let background = HEAT.get(step).copied().unwrap_or(BLACK);
        let text = text.color(XtermColors::from(BLACK));
        let text = text.on_color(XtermColors::from(background));
        if peak {
            text.bold().underline().to_string()
        } else {
            text.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_grows_and_off_is_plain() {
        let on = Style::new(true);
        assert_eq!(on.heat("a", 0.0, true), "a");
        assert_eq!(on.heat("a", f32::NAN, false), "a");
        assert!(on.heat("a", 0.01, false).contains("48;5;230"));
        assert!(on.heat("a", 1.0, false).contains("48;5;203"));
        assert!(on.heat("a", 7.0, true).contains("48;5;203"));
        assert_eq!(Style::new(false).heat("a", 1.0, true), "a");
    }
}
