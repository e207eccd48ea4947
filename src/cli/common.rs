//! Options that every subcommand takes.

use std::cell::OnceCell;
use std::path::PathBuf;

use clap::Args;
use striate::Result;
use striate::gpu::{AdapterChoice, Family, Gpu, Options, Tuning};

use super::output::say;
use super::progress::Progress;
use super::values;

/// What stands above groups of options, in this order.
pub const INPUT: &str = "Input";
/// The network that runs over images.
pub const NETWORK: &str = "Network";
/// What is written.
pub const OUTPUT: &str = "Output";
/// The kind of readout, and how it is fitted.
pub const READOUT: &str = "Readout";
/// What chooses and what tests.
pub const VALIDATION: &str = "Validation";

/// Options that every subcommand takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Which GPU: part of its name, its number or its PCI address in `striate doctor`, or cpu [default: the
    /// fastest kind].
    #[arg(
        long,
        global = true,
        env = "STRIATE_ADAPTER",
        hide_env_values = true,
        value_name = "NAME|INDEX|pci:ADDRESS|cpu"
    )]
    pub adapter: Option<String>,
    /// GPU memory that may be used: 2G, 512M, or bytes [default: three quarters of a discrete GPU's memory,
    /// half of the host's free memory otherwise].
    #[arg(long, global = true, value_parser = values::bytes, value_name = "BYTES")]
    pub max_memory: Option<u64>,
    /// This process's share of the default memory, where several use one GPU at the same time: 1/4 for four
    /// of them, or .25.
    #[arg(long, global = true, value_parser = values::share, value_name = "SHARE", conflicts_with = "max_memory")]
    pub memory_share: Option<f64>,
    /// Choose the tiles of GPU kernels by a fixed rule instead of timing them once and keeping what was
    /// fastest; results are the same.
    #[arg(long, global = true)]
    pub no_tuning: bool,
    /// The same seed gives the same result.
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// One JSON document on stdout instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// Nothing on stderr but errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// A TOML file with options of this subcommand under their names here; paths are relative to the current
    /// folder. Options on the command line win.
    #[arg(long, global = true, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
}

impl Common {
    /// One line on stderr, unless `--quiet`.
    pub fn say(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            say(line);
        }
    }

    /// A progress bar over `total` things called `unit`; nothing where nobody would see it.
    pub fn progress(&self, unit: &'static str, total: usize) -> Progress {
        Progress::new(unit, total, self.quiet)
    }

    /// A progress bar over shares of a whole, with a sentence.
    pub fn shares(&self) -> Progress {
        Progress::shares(self.quiet)
    }

    /// How the adapter shall be opened.
    pub fn options(&self) -> Options {
        let adapter = AdapterChoice::parse(self.adapter.as_deref().unwrap_or_default());
        let tuning = if self.no_tuning { Tuning::Rule } else { Tuning::Measured };
        let (max_memory, memory_share) = (self.max_memory, self.memory_share);
        Options { adapter, max_memory, memory_share, tuning, ..Options::default() }
    }

    /// Opens the adapter and says on stderr which one it is, and what about it is out of the ordinary.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub fn open_gpu(&self) -> Result<Gpu> {
        self.open_gpu_with(None)
    }

    /// The same with a family of the heavy kernels, if one is asked for.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub fn open_gpu_with(&self, family: Option<Family>) -> Result<Gpu> {
        let gpu = Gpu::open(&Options { family, ..self.options() })?;
        self.say(format_args!("adapter: {}", gpu.describe()));
        if gpu.is_cpu() {
            self.say("warning: this adapter is the processor, slower than any GPU; see striate doctor");
        }
        let choice = gpu.family_choice();
        if let Some(refused) = choice.refused {
            let why = &choice.why;
            self.say(format_args!(
                "warning: the {refused} kernels are not used, the {} ones are: {why}; striate doctor lists what \
                 this adapter has",
                choice.used
            ));
        }
        if let Some(warning) = loop_warning(&gpu) {
            self.say(format_args!("warning: {warning}"));
        }
        Ok(gpu)
    }
}

/// An adapter that is opened when it is first needed, once.
pub struct Adapter<'a> {
    common: &'a Common,
    gpu: OnceCell<Gpu>,
}

impl<'a> Adapter<'a> {
    /// Not opened yet.
    pub fn new(common: &'a Common) -> Self {
        Adapter { common, gpu: OnceCell::new() }
    }

    /// The adapter.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub fn get(&self) -> Result<&Gpu> {
        if let Some(gpu) = self.gpu.get() {
            return Ok(gpu);
        }
        let gpu = self.common.open_gpu()?;
        Ok(self.gpu.get_or_init(|| gpu))
    }
}

/// What to say of a driver that stops loops early.
pub fn loop_warning(gpu: &Gpu) -> Option<String> {
    let rounds = gpu.loop_rounds();
    (rounds < 100_000).then(|| {
        format!("this driver stops loops after {rounds} rounds; Striate's kernels stay below that, so results are right")
    })
}
