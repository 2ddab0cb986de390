//! The end of the demonstration: how to keep the server running, and how to call it.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{super::style::Style, USUAL_PORT};
use crate::demo::{self, MODEL_ID, SAE_ID};

/// Widest line: as wide as the narrowest usual terminal.
const WIDTH: usize = 80;

/// What was shown that is worth a closer look.
pub(super) struct Shown {
    /// A latent.
    pub(super) latent: u32,
    /// Id of the cache.
    pub(super) cache: String,
}

/// Where this program and its server are, as commands name them.
pub(super) struct Place {
    program: String,
    address: SocketAddr,
    data_dir: Option<PathBuf>,
    shown: Shown,
}

impl Place {
    /// `data_dir` is the one that was given, if one was.
    pub(super) fn new(address: SocketAddr, data_dir: Option<&Path>, shown: Shown) -> Self {
        Self {
            program: program(),
            address,
            data_dir: data_dir.map(Path::to_owned),
            shown,
        }
    }

    fn serve(&self) -> String {
        let mut command = format!("{} serve", self.program);
        if let Some(folder) = &self.data_dir {
            let _ = write!(command, " --data-dir {}", folder.display());
        }
        command
    }

    /// Options of all commands: the address, where it is not the usual one.
    fn options(address: SocketAddr) -> Vec<String> {
        if address.port() == USUAL_PORT {
            Vec::new()
        } else {
            vec!["--address".to_owned(), address.to_string()]
        }
    }
}

/// This program as it can be typed: from the current folder if it lies there.
fn program() -> String {
    let Ok(path) = std::env::current_exe() else {
        return "latentd".to_owned();
    };
    let near = std::env::current_dir()
        .ok()
        .and_then(|folder| Some(path.strip_prefix(folder).ok()?.to_owned()));
    let path = near.unwrap_or(path).display().to_string();
    // A shell does not look into the current folder for a bare name.
    if path.contains('/') {
        path
    } else {
        format!("./{path}")
    }
}

/// What to do with a server that was stopped.
pub(super) fn stopped(place: &Place, style: Style) -> String {
    let usual = SocketAddr::from(([127, 0, 0, 1], USUAL_PORT));
    format!(
        "\n{}\n\n  {}\n\nIt loads {MODEL_ID} and {MODEL_ID}/{SAE_ID} again by itself.\n{}",
        style.bold("The server has stopped. To run it again:"),
        place.serve(),
        calls(place, usual, "Then call it:")
    )
}

/// How to call a server that runs.
pub(super) fn serving(place: &Place, style: Style) -> String {
    format!(
        "\n{}\n{}",
        style.bold(&format!(
            "The server keeps running on {} until Ctrl-C.",
            place.address
        )),
        calls(place, place.address, "Call it from another terminal:")
    )
}

fn calls(place: &Place, address: SocketAddr, lead: &str) -> String {
    let sae = format!("{MODEL_ID}/{SAE_ID}");
    let commands = demo::commands(&sae, place.shown.latent, &place.shown.cache);
    let commands: Vec<String> = commands
        .into_iter()
        .map(|command| {
            let program = std::iter::once(place.program.clone());
            let words: Vec<String> = program
                .chain(Place::options(address))
                .chain(command)
                .collect();
            typed(&words)
        })
        .collect();
    format!(
        "{lead}

{}

From Python (pip install ./client/python):

  from latentd import Client
  with Client(\"{address}\") as client:
      text = \"The capital of France is Paris\"
      result = client.encode([text], sae=\"{sae}\", top_k=8)
      top = result.top(5)
      for example in client.examples(
          sae=\"{sae}\", cache=\"{}\", latents=top
      ):
          print(example)
",
        commands.join("\n"),
        place.shown.cache
    )
}

/// A command as it is typed, in lines that fit; what a shell would split is quoted, and an option stays with its value.
fn typed(words: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,".contains(c);
    let mut parts: Vec<String> = Vec::new();
    for word in words {
        let word = if word.chars().all(plain) {
            word.clone()
        } else {
            format!("\"{word}\"")
        };
        match parts.last_mut() {
            Some(option) if option.starts_with("--") && !option.contains(' ') => {
                option.push(' ');
                option.push_str(&word);
            }
            _ => parts.push(word),
        }
    }
    let mut text = String::from(" ");
    let mut used = text.len();
    for part in parts {
        // Room for the sign that the line goes on.
        if used + part.len() + 3 > WIDTH {
            text.push_str(" \\\n     ");
            used = 5;
        }
        text.push(' ');
        text.push_str(&part);
        used += part.len() + 1;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_what_is_unusual() {
        let usual = Place {
            program: "latentd".into(),
            address: "127.0.0.1:50051".parse().unwrap(),
            data_dir: None,
            shown: Shown {
                latent: 17,
                cache: "demo-brown-40000".into(),
            },
        };
        let style = Style::new(false);
        let text = stopped(&usual, style);
        assert!(
            text.contains("\n  latentd serve\n") && !text.contains("--address"),
            "{text}"
        );
        let unusual = Place {
            address: "127.0.0.1:7".parse().unwrap(),
            data_dir: Some("/d".into()),
            ..usual
        };
        assert!(stopped(&unusual, style).contains("latentd serve --data-dir /d\n"));
        let text = serving(&unusual, style);
        assert!(
            text.contains("latentd --address 127.0.0.1:7 encode"),
            "{text}"
        );
        assert!(text.contains("Client(\"127.0.0.1:7\")"), "{text}");
        let far = Place {
            program: "target/release/latentd".into(),
            ..unusual
        };
        let text = serving(&far, style);
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest.unwrap() <= WIDTH, "{text}");
    }
}
