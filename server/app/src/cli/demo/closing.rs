//! The end of the demonstration: how to keep the server running, and how to call it.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{super::style::Style, USUAL_PORT};
use crate::demo::{MODEL_ID, SAE_ID};

/// Where this program and its server are, as commands name them.
pub(super) struct Place {
    program: String,
    address: SocketAddr,
    data_dir: Option<PathBuf>,
    latent: u32,
}

impl Place {
    /// `data_dir` is the one that was given, if one was; `latent` one that is worth a look.
    pub(super) fn new(address: SocketAddr, data_dir: Option<&Path>, latent: Option<u32>) -> Self {
        Self {
            program: program(),
            address,
            data_dir: data_dir.map(Path::to_owned),
            latent: latent.unwrap_or_default(),
        }
    }

    fn serve(&self) -> String {
        let mut command = format!("{} serve", self.program);
        if let Some(folder) = &self.data_dir {
            let _ = write!(command, " --data-dir {}", folder.display());
        }
        command
    }

    /// The address that commands have to be given.
    fn option(address: SocketAddr) -> String {
        if address.port() == USUAL_PORT {
            String::new()
        } else {
            format!("--address {address} ")
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
    near.unwrap_or(path).display().to_string()
}

/// What to do with a server that was stopped.
pub(super) fn stopped(place: &Place, style: Style) -> String {
    let usual = SocketAddr::from(([127, 0, 0, 1], USUAL_PORT));
    format!(
        "\n{}\n\n  {}\n\nIt loads {MODEL_ID} and {MODEL_ID}/{SAE_ID} again by itself. {}",
        style.bold("The server has stopped. To run it again:"),
        place.serve(),
        calls(place, usual, "Then call it:")
    )
}

/// How to call a server that runs.
pub(super) fn serving(place: &Place, style: Style) -> String {
    format!(
        "\n{} {}",
        style.bold(&format!(
            "The server keeps running on {} until Ctrl-C.",
            place.address
        )),
        calls(place, place.address, "Call it from another terminal:")
    )
}

fn calls(place: &Place, address: SocketAddr, lead: &str) -> String {
    let (program, latent) = (&place.program, place.latent);
    let option = Place::option(address);
    let sae = format!("{MODEL_ID}/{SAE_ID}");
    format!(
        "{lead}

  {program} {option}encode --sae {sae} \"The capital of France is Paris\"
  {program} {option}examples --sae {sae} {latent} --mode quantile
  {program} {option}cache stats --sae {sae} --sort max
  {program} {option}explain {sae} --latents {latent} --provider local --scorer detection

From Python (pip install ./client/python):

  from latentd import Client
  with Client(\"{address}\") as client:
      result = client.encode([\"The capital of France is Paris\"], sae=\"{sae}\", top_k=8)
      for example in client.examples(sae=\"{sae}\", latents=result.top(5), mode=\"top\", count=20):
          print(example)
"
    )
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
            latent: 17,
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
    }
}
