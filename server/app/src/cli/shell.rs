//! `latentd completions` and `latentd man`: the command line, for shells and for `man`.

use std::{io, path::PathBuf};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Session};

#[derive(Args, Debug)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script that makes a shell complete the commands.
pub(super) fn completions(args: &CompletionsArgs, session: &Session) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "latentd", &mut script);
    session.out.text(&String::from_utf8_lossy(&script))
}

#[derive(Args, Debug)]
pub(super) struct ManArgs {
    /// Folder to write the pages into, such as ~/.local/share/man/man1; made if it is not there
    folder: PathBuf,
}

/// Writes a page for each command.
pub(super) fn man(args: &ManArgs, session: &Session) -> io::Result<()> {
    fs_err::create_dir_all(&args.folder)?;
    clap_mangen::generate_to(Cli::command(), &args.folder)?;
    let pages = fs_err::read_dir(&args.folder)?.count();
    let written = serde_json::json!({ "folder": args.folder, "pages": pages });
    session.out.show(&written, |_| {
        let folder = args.folder.display();
        format!("{pages} pages are in {folder}; `man {folder}/latentd.1` shows the first")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "latentd", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("max-density"), "{shell}");
        }
    }

    #[test]
    fn every_command_gets_a_page() {
        let dir = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(Cli::command(), dir.path()).unwrap();
        for page in ["latentd.1", "latentd-encode.1", "latentd-cache-build.1"] {
            assert!(dir.path().join(page).is_file(), "{page}");
        }
    }
}
