//! `latentd errors`: the pages about errors, which are part of this program.

use clap::Args;
use latentd_domain::Reason;
use latentd_proto::ERROR_PAGES;

use super::{
    Session,
    failure::Usage,
    output::Output,
    table::{Table, wrapped},
};

/// Widest line of a page: longer ones are hard to read.
const WIDTH: usize = 100;

#[derive(Args, Debug)]
pub(super) struct ErrorsArgs {
    /// The reason that an error gives, such as UNKNOWN_SAE; without one, all are listed
    reason: Option<String>,
}

/// One page, for scripts.
#[derive(serde::Serialize)]
struct Page<'a> {
    reason: &'a str,
    page: &'a str,
}

/// Prints a page, or lists them.
pub(super) fn run(args: ErrorsArgs, session: &Session) -> anyhow::Result<()> {
    let out = &session.out;
    let pages: Vec<Page> = ERROR_PAGES
        .iter()
        .map(|&(reason, page)| Page { reason, page })
        .collect();
    let Some(asked) = args.reason else {
        out.list(&pages, |pages| {
            let mut table = Table::new(["reason", "what happened"]);
            for page in pages {
                table.row([page.reason.to_owned(), first_sentence(page.page).to_owned()]);
            }
            table.render(out.style, out.width)
        })?;
        return Ok(());
    };
    let name = asked.replace('-', "_").to_uppercase();
    let Some(page) = pages.into_iter().find(|page| page.reason == name) else {
        return Err(Usage(unknown(&asked, &name)).into());
    };
    out.show(&page, |page| readable(page.page, out))?;
    Ok(())
}

fn unknown(asked: &str, name: &str) -> String {
    let near: Vec<&str> = Reason::ALL
        .iter()
        .map(|reason| reason.as_str())
        .filter(|reason| {
            reason
                .split('_')
                .any(|word| name.split('_').any(|w| w == word))
        })
        .collect();
    let near = match near.as_slice() {
        [] => String::new(),
        near => format!("; did you mean {}?", near.join(", ")),
    };
    format!("`{asked}` is not the reason of an error{near} `latentd errors` lists them all")
}

/// What happened, in a sentence.
fn first_sentence(page: &str) -> &str {
    let (_, text) = page.split_once("## What happened\n").unwrap_or(("", page));
    let line = text.trim().lines().next().unwrap_or_default();
    line.split_inclusive(". ").next().unwrap_or(line).trim_end()
}

/// Markdown as a terminal shows it: headings without their signs, in lines that fit.
fn readable(page: &str, out: &Output) -> String {
    let width = out.width.min(WIDTH);
    let lines = page.lines().map(|line| {
        if line.starts_with('#') {
            return out.style.bold(line.trim_start_matches('#').trim());
        }
        let indent = if line.starts_with("- ") { "\n  " } else { "\n" };
        wrapped(line, width - 2).join(indent)
    });
    lines.map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_page_in_the_program() {
        let reasons: Vec<&str> = ERROR_PAGES.iter().map(|(reason, _)| *reason).collect();
        for reason in Reason::ALL {
            assert!(reasons.contains(&reason.as_str()), "{reason}");
        }
        for (reason, page) in ERROR_PAGES {
            let sentence = first_sentence(page);
            assert!(sentence.len() > 10, "{reason}: {sentence}");
        }
    }

    #[test]
    fn what_is_misspelled_is_guessed() {
        let text = unknown("unknown_seas", "UNKNOWN_SEAS");
        assert!(text.contains("UNKNOWN_SAE"), "{text}");
    }
}
