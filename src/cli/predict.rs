//! `striate predict`: a fitted readout over new images.

use std::path::{Path, PathBuf};

use clap::Args;
use striate::io::commit::RECORD;
use striate::io::images::Images;
use striate::{Error, Kind, Result};

use super::common::Common;
use super::fit::exclusive;
use super::output::Outcome;
use super::source::{feature_array, missing};

const EXAMPLES: &str = "\
Examples:
  striate predict run --images new-images --out predictions.npy
  striate predict run --features new-feats.npy --out predictions.npy

Network, layer and preparation of the images are those of the fit. The array has the shape (neurons, images).";

/// The options of `striate predict`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PredictArgs {
    /// The folder that `striate fit` wrote.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// New images: a folder of PNG, JPEG or TIFF files, or a .npy or .npz.
    #[arg(long, value_name = "FOLDER|FILE")]
    pub images: Option<PathBuf>,
    /// Features of the new images, where the fit was to features too.
    #[arg(long, value_name = "FILE.npy")]
    pub features: Option<PathBuf>,
    /// The .npy file to write.
    #[arg(long, value_name = "FILE.npy")]
    pub out: Option<PathBuf>,
}

/// What the new stimuli are.
#[derive(Debug, Clone, Copy)]
pub enum Stimuli<'a> {
    /// Images, as the fit had.
    Images(&'a Path),
    /// Features, as the fit had.
    Features(&'a Path),
}

impl PredictArgs {
    /// Checks the options against each other.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming the option that is missing or superfluous; [`Kind::Input`] without a run.
    pub fn plan(&self) -> Result<(Stimuli<'_>, &Path)> {
        let stimuli = match (&self.images, &self.features) {
            (Some(_), Some(_)) => return Err(exclusive("--images")),
            (Some(images), None) => Stimuli::Images(images),
            (None, Some(features)) => Stimuli::Features(features),
            (None, None) => return Err(missing("--images", "new images, or --features FILE.npy")),
        };
        let out = self.out.as_deref().ok_or_else(|| missing("--out", "the .npy file to write"))?;
        let about = std::fs::metadata(&self.run).map_err(|why| Error::unreadable(&self.run, &why))?;
        if !about.is_dir() || !self.run.join(RECORD).is_file() {
            let found = format!("is no run of striate fit (no {RECORD} in it)");
            let wanted = "the folder that striate fit wrote";
            return Err(Error::new(Kind::Input, self.run.display(), found, wanted, "Check the path"));
        }
        Ok((stimuli, out))
    }
}

/// Runs `striate predict`.
pub fn run(args: &PredictArgs, common: &Common) -> Result<Outcome> {
    let (stimuli, out) = args.plan()?;
    let count = match stimuli {
        Stimuli::Images(images) => Images::open(images)?.len(),
        Stimuli::Features(file) => feature_array(file)?.0,
    };
    let gpu = common.open_gpu()?;
    let progress = common.progress("images", count);
    // CONNECT: the readout in `args.run` over `stimuli`, predictions (neurons, images) to `out`.
    progress.at(0);
    let found = format!("not connected yet: {} on {}", out.display(), gpu.report().name);
    Err(Error::internal("striate predict", found))
}
