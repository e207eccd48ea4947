//! `striate predict`: a fitted readout over new images.

use std::path::PathBuf;

use clap::Args;
use striate::Result;
use striate::tasks::published;
use striate::tasks::{PredictRequest, predict};

use super::common::Common;
use super::output::{Outcome, lines, merged};
use super::source::{exclusive, missing};
use super::values;

const EXAMPLES: &str = "\
Examples:
  striate predict run --images new-images --out predictions.npy
  striate predict run --features new-feats.npy --out predictions.npy

Network, layer and preparation of the images, their size included, are those
of the fit. The array has the shape (neurons, images).";

const USAGE: &str = "striate predict RUN --images IMAGES|--features FILE --out FILE.npy [OPTIONS]";

/// The options of `striate predict`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub struct PredictArgs {
    /// The folder that `striate fit` wrote.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// New images: a folder of PNG, JPEG or TIFF files, a TIFF of several pages, or an array in a .npy, .npz,
    /// HDF5 or MATLAB file (FILE:NAME where it holds several).
    #[arg(long, value_name = "FOLDER|FILE")]
    pub images: Option<PathBuf>,
    /// Features of the new images, if the fit was to features: a .npy, .npz, HDF5 or MATLAB file (FILE:NAME
    /// where it holds several arrays).
    #[arg(long, value_name = "FILE")]
    pub features: Option<PathBuf>,
    /// The network's weights, if their file has moved since the fit.
    #[arg(long, value_parser = values::weights, value_name = "FILE|random:SEED")]
    pub weights: Option<String>,
    /// The .npy file to write.
    #[arg(long, value_name = "FILE.npy")]
    pub out: Option<PathBuf>,
}

/// Runs `striate predict`.
pub fn run(args: &PredictArgs, common: &Common) -> Result<Outcome> {
    if args.images.is_some() && args.features.is_some() {
        return Err(exclusive("--images"));
    }
    if args.images.is_none() && args.features.is_none() {
        return Err(missing("--images", "new images, or --features FILE.npy"));
    }
    let out = args.out.clone().ok_or_else(|| missing("--out", "the .npy file to write"))?;
    let request = PredictRequest {
        run: args.run.clone(),
        images: args.images.clone(),
        features: args.features.clone(),
        weights: args.weights.as_deref().map(published::locate).transpose()?,
        out,
    };
    // What cannot be read is said before an adapter is looked for.
    let images = request.open()?.images();
    let gpu = common.open_gpu()?;
    let mut progress = common.progress("", images);
    let summary = predict(&gpu, &request, &mut |step, share| progress.share(step, share))?;
    for note in &summary.notes {
        common.say(format_args!("warning: {note}"));
    }
    if !summary.covariates_at_mean.is_empty() {
        let names: Vec<&str> = summary.covariates_at_mean.iter().map(|one| one.name()).collect();
        common.say(format_args!(
            "warning: the readout has {} as further inputs; they are held at their means over training trials",
            names.join(" and ")
        ));
    }
    let text = lines(&[
        ("images", summary.n_images.to_string()),
        ("neurons", summary.n_neurons.to_string()),
        ("features", summary.n_features.to_string()),
        ("written", summary.out.display().to_string()),
    ]);
    Ok(Outcome::new(merged(serde_json::json!({}), &summary), text))
}
