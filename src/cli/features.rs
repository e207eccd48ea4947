//! `striate features`: a network over images, features in files.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use striate::Result;
use striate::doctor::matrix_speed;
use striate::gpu::Gpu;
use striate::tasks::{ExtractRequest, ExtractSummary, Input, extract};

use super::common::{Common, OUTPUT};
use super::output::{Outcome, lines, mebibytes, merged};
use super::source::{NetworkArgs, announce, missing};

const EXAMPLES: &str = "\
Examples:
  striate features --images images --net vgg19 --weights vgg19-dcbb9e9d.pth \\
      --layer relu3_1 --size 56 --pool 7 --out feats.npy
  striate features --images images --net alexnet --weights random:0 \\
      --layer relu1,relu2 --out feats/

One layer gives one file, images x features. Several give a folder with one
file each: relu1.npy, relu2.npy.";

const USAGE: &str = "\
striate features --images IMAGES --net NAME --weights FILE --layer NAME,...
                        --out FILE.npy|FOLDER [OPTIONS]";

/// The options of `striate features`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub struct FeaturesArgs {
    #[command(flatten)]
    pub network: NetworkArgs,
    /// The .npy file to write; with several layers the folder.
    #[arg(long, value_name = "FILE.npy|FOLDER", help_heading = OUTPUT)]
    pub out: Option<PathBuf>,
    /// Check everything and say what would be computed.
    #[arg(long, help_heading = OUTPUT)]
    pub dry_run: bool,
}

/// Runs `striate features`.
pub fn run(args: &FeaturesArgs, common: &Common) -> Result<Outcome> {
    let input = args.network.input(common.seed)?;
    let out =
        args.out.clone().ok_or_else(|| missing("--out", "a .npy file, or a folder for several layers"))?;
    // What cannot be read is said before an adapter is looked for.
    input.open()?;
    let gpu = common.open_gpu()?;
    let request = ExtractRequest { input, out };
    if args.dry_run {
        let summary = request.plan(&gpu)?;
        let seconds = estimate(&gpu, summary.operations)?;
        return Ok(outcome(&summary, json!({"dry_run": true, "estimated_seconds": seconds}), Some(seconds)));
    }
    announce(&Input::Network(request.input.clone()), &gpu, common)?;
    let mut progress = common.progress("", request.plan(&gpu)?.n_images);
    let summary = extract(&gpu, &request, &mut |step, share| progress.share(step, share))?;
    Ok(outcome(&summary, json!({"dry_run": false, "adapter": gpu.describe()}), None))
}

/// Seconds that operations should take, by the speed of a matrix product measured now.
///
/// # Errors
/// As [`matrix_speed`].
pub fn estimate(gpu: &Gpu, operations: f64) -> Result<f64> {
    Ok(operations / (1e9 * matrix_speed(gpu)?))
}

fn outcome(summary: &ExtractSummary, more: Value, seconds: Option<f64>) -> Outcome {
    let mut rows = vec![("images".to_string(), summary.n_images.to_string())];
    for layer in &summary.layers {
        let [channels, height, width] = layer.shape;
        let text = format!(
            "{} features of {channels} x {height} x {width}, {}",
            layer.n_features,
            mebibytes(layer.file_bytes)
        );
        rows.push((layer.layer.clone(), text));
    }
    if let Some(seconds) = seconds {
        let [used, budget] = [summary.gpu_bytes, summary.gpu_budget_bytes].map(mebibytes);
        rows.push(("GPU memory".into(), format!("{used} of a budget of {budget}")));
        rows.push(("operations".into(), format!("{:.1} GFLOP", summary.operations / 1e9)));
        rows.push(("time".into(), format!("about {seconds:.1} s")));
        rows.push(("would write".into(), summary.out.display().to_string()));
    } else {
        rows.push(("written".into(), summary.out.display().to_string()));
    }
    Outcome::new(merged(more, summary), lines(&rows))
}
