//! `striate simulate`: an experiment whose truth is known, as a folder of files.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use striate::Result;
use striate::simulate::{Settings, simulate, write};

use super::common::Common;
use super::output::{Outcome, lines};
use super::source::missing;

const EXAMPLES: &str = "\
Examples:
  striate simulate --out experiment
  striate simulate --images 1000 --neurons 200 --repeats 4 --seed 7 \\
      --out experiment

The folder holds images, responses with repeats, a split, and the truth: what
each neuron computes, and the best score that a model can reach. Its
README.txt says more.";

/// The files of a simulated experiment, each with what it is.
const FILES: [(&str, &str); 7] = [
    ("images.npy", "images, height, width"),
    ("responses.npy", "neurons, images, repeats; NaN where a repeat is missing"),
    ("split.csv", "which images train and which test"),
    ("neurons.csv", "what each neuron is"),
    ("truth.npy", "neurons, images: mean counts, the best prediction there is"),
    ("README.txt", "what all this is"),
    ("record.json", "the settings"),
];

/// The options of `striate simulate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = "striate simulate --out FOLDER [OPTIONS]")]
pub struct SimulateArgs {
    /// How many images [default: 320].
    #[arg(long, value_name = "N")]
    images: Option<usize>,
    /// Height and width of the images in pixels [default: 64].
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// How many neurons [default: 60].
    #[arg(long, value_name = "N")]
    neurons: Option<usize>,
    /// How often each image is shown [default: 10].
    #[arg(long, value_name = "N")]
    repeats: Option<usize>,
    /// The folder to write; an earlier simulation there is replaced.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Runs `striate simulate`.
pub fn run(args: &SimulateArgs, common: &Common) -> Result<Outcome> {
    let out = args.out.as_deref().ok_or_else(|| missing("--out", "the folder to write"))?;
    let usual = Settings::default();
    let settings = Settings {
        images: args.images.unwrap_or(usual.images),
        size: args.size.unwrap_or(usual.size),
        neurons: args.neurons.unwrap_or(usual.neurons),
        repeats: args.repeats.unwrap_or(usual.repeats),
        seed: common.seed,
        ..usual
    };
    let experiment = simulate(&settings)?;
    write(&experiment, out)?;
    let next = next_command(out);
    let what = format!(
        "{} images of {size} x {size} pixels, {} neurons, {} repeats",
        settings.images,
        settings.neurons,
        settings.repeats,
        size = settings.size
    );
    let mut text = format!("{what}\n\nWritten to {}:\n", out.display());
    text.push_str(&lines(&FILES.map(|(name, what)| (format!("  {name}"), what))));
    text.push_str(&format!("\nNext:\n{next}\n"));
    let files: Vec<PathBuf> = FILES.iter().map(|(name, _)| out.join(name)).collect();
    Ok(Outcome::new(json!({"settings": settings, "folder": out, "files": files, "next": next}), text))
}

fn next_command(folder: &Path) -> String {
    let [images, responses, split, out] =
        ["images.npy", "responses.npy", "split.csv", "run"].map(|name| quoted(&folder.join(name)));
    format!("striate fit --images {images} --responses {responses} --split {split} --net pixels --out {out}")
}

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
