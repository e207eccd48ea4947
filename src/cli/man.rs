//! `striate man`: the help as manual pages.

use std::path::PathBuf;

use clap::Args;
use clap_mangen::Man;
use serde_json::json;
use striate::io::commit;
use striate::{Error, Result};

use super::output::Outcome;

const EXAMPLES: &str = "\
Examples:
  striate man | man -l -
  striate man --out ~/.local/share/man/man1";

/// The options of `striate man`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ManArgs {
    /// An existing folder, for striate.1 and a page for each command: striate-fit.1 and so on.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Runs `striate man`.
pub fn run(args: &ManArgs) -> Result<Outcome> {
    let mut command = super::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &args.out else {
        let page = page(&Man::new(command))?;
        return Ok(Outcome::new(json!({"page": page}), page));
    };
    let subcommands: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    let mut written = Vec::new();
    for one in std::iter::once(command).chain(subcommands) {
        let man = Man::new(one);
        let file = folder.join(man.get_filename());
        commit::write(&file, page(&man)?.as_bytes())?;
        written.push(file);
    }
    let lines: String = written.iter().map(|file| format!("{}\n", file.display())).collect();
    Ok(Outcome::new(json!({"pages": written}), lines))
}

/// A command as a manual page.
fn page(man: &Man) -> Result<String> {
    let mut page = Vec::new();
    man.render(&mut page).map_err(|why| Error::internal("manual page", why))?;
    String::from_utf8(page).map_err(|why| Error::internal("manual page", why))
}
