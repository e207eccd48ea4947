//! `striate features`: a network over images, features in files.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use striate::{Error, Result};

use super::common::Common;
use super::output::{Outcome, lines};
use super::source::{Extraction, NetworkArgs, Opened, missing};

const EXAMPLES: &str = "\
Examples:
  striate features --images images --net vgg19 --weights vgg19-dcbb9e9d.pth --layer relu3_1 \\
      --size 56 --pool 7 --out feats.npy
  striate features --images images --net alexnet --weights random:0 --layer relu1,relu2 --out feats/

One layer gives one file, images x features. Several give a folder with one file each: relu1.npy, relu2.npy.";

/// The options of `striate features`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct FeaturesArgs {
    /// The .npy file to write; with several layers the folder.
    #[arg(long, value_name = "FILE.npy|FOLDER")]
    pub out: Option<PathBuf>,
    /// Check everything and say what would be computed.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub network: NetworkArgs,
}

/// Runs `striate features`.
pub fn run(args: &FeaturesArgs, common: &Common) -> Result<Outcome> {
    let extraction = args.network.extraction(common.seed)?;
    let out =
        args.out.clone().ok_or_else(|| missing("--out", "a .npy file, or a folder for several layers"))?;
    // One file for each layer, in the order of the layers.
    let files: Vec<PathBuf> = match &extraction.layers[..] {
        [_] => vec![out],
        layers => layers.iter().map(|layer| out.join(format!("{}.npy", layer.name))).collect(),
    };
    let opened = extraction.open()?;
    if args.dry_run {
        return Ok(plan(&extraction, &opened, &files));
    }
    let gpu = common.open_gpu()?;
    let progress = common.progress("images", opened.images.len());
    // CONNECT: features of `opened.images` by `extraction`, on `gpu`, each layer into its file; `progress.at(done)`.
    progress.at(0);
    Err(Error::internal("striate features", format!("not connected yet to {}", gpu.report().name)))
}

fn plan(extraction: &Extraction, opened: &Opened, files: &[PathBuf]) -> Outcome {
    let forecast = &opened.forecast;
    let mut rows = vec![
        ("images".to_string(), format!("{} of {} pixels", forecast.images, forecast.input)),
        ("network".to_string(), extraction.network.name.to_string()),
    ];
    for (at, (layer, file)) in extraction.layers.iter().zip(files).enumerate() {
        let [channels, height, width] = forecast.maps[at];
        let features = forecast.features[at];
        let bytes = 4.0 * forecast.images as f64 * features as f64 / 1_048_576.0;
        let text = format!(
            "{channels} x {height} x {width}, {features} features, {bytes:.1} MiB to {}",
            file.display()
        );
        rows.push((layer.name.clone(), text));
    }
    let document = json!({
        "dry_run": true, "extraction": extraction, "forecast": forecast, "files": files,
    });
    Outcome::new(document, lines(&rows))
}
