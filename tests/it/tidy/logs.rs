//! What people read, in logs and in messages, is words: no Rust debug text.

use super::{files, none, read};

/// Files whose debug text nobody reads: it is hashed.
const HASHED: [&str; 3] = [
    "nn/src/tokenizer/definition.rs",
    "store/src/explanations/list.rs",
    "provider/openai/score_text/mod.rs",
];

/// The macros that write to the log, or name a span in it.
const LOG: [&str; 8] = [
    "trace!(",
    "debug!(",
    "info!(",
    "warn!(",
    "error!(",
    "event!(",
    "span!(",
    "#[instrument(",
];

/// The server's sources without their tests.
fn sources() -> impl Iterator<Item = (String, String)> {
    let paths = files("rs").into_iter().filter(|path| {
        let path = path.to_string_lossy();
        path.starts_with("server/") && !path.contains("/tests/") && !path.contains("/bench/")
    });
    let sources = paths.map(|path| {
        let text = read(&path);
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        (path.display().to_string(), code.to_owned())
    });
    // What is left of a file that is all tests begins with one.
    sources.filter(|(_, code)| !code.contains("#[test]") && !code.contains("#[tokio::test"))
}

#[test]
fn messages_hold_no_debug_text() {
    let found = sources()
        .filter(|(path, _)| !HASHED.iter().any(|hashed| path.ends_with(hashed)))
        .filter(|(_, code)| code.contains(":?}") || code.contains(":#?}"))
        .map(|(path, _)| path);
    none(found.collect(), "messages are words, not `{:?}`");
}

#[test]
fn logs_hold_no_debug_text() {
    let mut found = Vec::new();
    for (path, code) in sources() {
        for name in LOG {
            for (start, _) in code.match_indices(name) {
                let call = call(&code[start + name.len()..]);
                if debugs(call) {
                    found.push(format!("{path}: {name}{call})"));
                }
            }
        }
    }
    none(found, "fields of the log are values or `%`, not `?`");
}

/// The arguments of a call, up to the parenthesis that ends it.
fn call(text: &str) -> &str {
    let mut depth = 1;
    let end = text.find(|c| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0
    });
    &text[..end.unwrap_or(text.len())]
}

/// Whether an argument is `?value` or `name = ?value`.
fn debugs(arguments: &str) -> bool {
    arguments.match_indices('?').any(|(at, _)| {
        let before = arguments[..at].trim_end();
        let after = arguments[at + 1..].chars().next();
        let begins = before.is_empty() || before.ends_with(['=', ',']);
        begins && after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}
