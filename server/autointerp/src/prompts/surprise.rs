//! What stands before a text whose surprisal is measured.

use super::shots::SHOTS;

/// What stands in place of an explanation where there is none.
pub(crate) const NO_EXPLANATION: &str = "Texts of any kind.";

/// A page of descriptions with texts that fit each, which ends where the next text begins.
pub(crate) fn context(explanation: &str) -> String {
    let mut page = "Each description is followed by texts that it is true of.\n\n".to_owned();
    for shot in &SHOTS {
        section(&mut page, shot.explanation);
        for shown in shot.shown() {
            page.push_str(shown.text().trim());
            page.push('\n');
        }
        page.push('\n');
    }
    section(&mut page, explanation.trim());
    page
}

fn section(page: &mut String, explanation: &str) {
    page.push_str("Description: ");
    page.push_str(explanation);
    page.push_str("\nTexts:\n");
}
