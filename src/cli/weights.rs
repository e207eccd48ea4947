//! `striate weights`: published weights, where to get them, and which are in the cache.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use striate::Result;
use striate::tasks::published::{self, PublishedFile};

use super::output::Outcome;

const EXAMPLES: &str = "\
Examples:
  striate weights
          what is published, where, and what is in the cache
  curl -fLO https://download.pytorch.org/models/vgg19-dcbb9e9d.pth
  striate weights add vgg19-dcbb9e9d.pth        checks the file and keeps it
  striate features --images images --net vgg19 --weights vgg19 \\
      --layer relu3_1 --out feats.npy

Striate itself never opens a connection. Files are kept in striate/weights in
the user's cache folder.";

/// The options of `striate weights`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct WeightsArgs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Checks a downloaded file by its SHA-256 and copies it to where --weights NAME finds it.
    Add {
        /// The downloaded file, under any name.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Runs `striate weights`.
pub fn run(args: &WeightsArgs) -> Result<Outcome> {
    if let Some(Action::Add { file }) = &args.action {
        let added = published::add(file)?;
        let text = format!("{} is the published one; kept as {}\n", file.display(), added.path.display());
        return Ok(Outcome::new(json!({"added": added}), text));
    }
    let files = published::list()?;
    Ok(Outcome::new(json!({"folder": published::folder()?, "files": files}), table(&files)))
}

fn table(files: &[PublishedFile]) -> String {
    let mut text = String::from("network   MiB    SHA-256      here  address\n");
    for file in files {
        let here = if file.is_there { "yes" } else { "no" };
        let PublishedFile { network, mebibytes, sha256, address, .. } = file;
        text.push_str(&format!("{network:<8}  {mebibytes:>5.1}  {sha256}...  {here:<4}  {address}\n"));
    }
    let mut licences: Vec<&str> = files.iter().map(|file| file.licence.as_str()).collect();
    licences.dedup();
    for licence in licences {
        text.push_str(&format!("\nLicence: {licence}.\n"));
    }
    text
}
