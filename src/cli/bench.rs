//! `striate bench`: how fast this adapter is, row by row, with the error beside the time.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use striate::bench::{self, Comparison, Effort, Report, Request, Selection};
use striate::gpu::Family;
use striate::io::commit;
use striate::tasks::Convolution;
use striate::{Error, Kind, Result};

use super::bench_text::{compared, table};
use super::common::Common;
use super::output::{Outcome, merged};
use super::values;

const EXAMPLES: &str = "\
Examples:
  striate bench
          kernels, layers of networks, and whole jobs
  striate bench --quick
          fewer runs: half a minute on a processor
  striate bench kernels gemm conv2d
          two kernels, at the timed cases of their tests
  striate bench layers vgg19 --batch 64
          each layer of VGG19, 64 images at a time
  striate bench tasks
          whole jobs: features, ridge and readouts
  striate bench growth
          time and memory against images, neurons, features,
          penalties, batch
  striate bench --out before.json
          writes the document that --json prints
  striate bench --compare before.json
          each row's time as a multiple of the earlier one
  striate bench kernels gemm --family cooperative16
          products by cooperative matrices, if the adapter has
          them

WHAT is kernels, layers, tasks or growth, or a name in one of these: a kernel
(striate doctor --json lists them), alexnet, vgg19, features, ridge, readout;
of growth also images, neurons, penalties, batch. Growth runs only where it is
named. Nothing is read from files: weights and data come from --seed.

The table:
  time      median of the runs after the first; of launches by the device's
            own timestamps, where these can be believed
  first     the first run, with compilation; of layers their share of the
            first pass
  Gop/s     10^9 operations a second; of layers and networks those of the
            direct sum, whatever the algorithm; of kernels that compute
            nothing the words that they move
  GB/s      10^9 bytes a second: of kernels everything that is bound, once; of
            layers maps read and written, and weights
  peak      share of the measured peak of what bounds the row: A arithmetic in
            registers, M memory. Above 100 % where caches serve what counts as
            memory, or an algorithm needs fewer operations than the direct sum
  error     distance from f64. Kernels: the largest, over the largest value.
            Layers: root of the squared distances over the squared values, of
            2,000 outputs. Ridge: that of the mean R2 of 32 neurons from a
            solution in f64. Whole networks, features, readouts and growth
            have none: the layers and kernels that they are made of do
  cpu       CPU seconds of a run, on software adapters: on a shared machine
            these say more than the time
  MiB       most GPU memory in use during a whole job
  !         more than a tenth of the runs lie far off (modified z-score above
            3.5): something else used the machine

The document: striate, commit, adapter, software, kernel_family, tuned, clock
(device or host), convolution, peaks, and rows of section, name, case, size
(of growth), and measured (first_s, median_s, fastest_s, runs, outliers,
cpu_s, clock, operations, bytes, gop_per_s, gb_per_s, bound, share, error,
memory_bytes, note) or skipped (why) and wrong (how); slopes of growth; with
--compare also comparison.";

/// The options of `striate bench`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// Sections, kernels, networks or jobs; all if none is named.
    #[arg(value_name = "WHAT")]
    pub what: Vec<String>,
    /// Fewer runs of the smaller jobs.
    #[arg(long, conflicts_with = "all")]
    pub quick: bool,
    /// Every case of every kernel, and jobs that take long.
    #[arg(long)]
    pub all: bool,
    /// Images that pass through a network together [default: by network and adapter].
    #[arg(long, value_parser = values::positive, value_name = "N")]
    pub batch: Option<usize>,
    /// How convolutions of networks are computed.
    #[arg(long, value_parser = values::convolution(), default_value = "auto", value_name = "METHOD")]
    pub convolution: Convolution,
    /// Family of the heavy kernels; one that the adapter does not have, or that is wrong there, is named in a
    /// warning, and another runs (striate doctor lists them) [default: the adapter's own].
    #[arg(long, value_parser = values::family(), value_name = "FAMILY")]
    pub family: Option<Family>,
    /// Writes the document of --json to a file as well.
    #[arg(long, value_name = "FILE.json")]
    pub out: Option<PathBuf>,
    /// Another document of striate bench, to compare with.
    #[arg(long, value_name = "OTHER.json")]
    pub compare: Option<PathBuf>,
}

/// Runs `striate bench`.
pub fn run(args: &BenchArgs, common: &Common) -> Result<Outcome> {
    // Files that cannot be read or written are refused before minutes are spent.
    let other = args.compare.as_deref().map(Report::read).transpose()?;
    args.out.as_deref().map(commit::writable).transpose()?;
    let effort = match (args.quick, args.all) {
        (true, _) => Effort::Quick,
        (_, true) => Effort::All,
        _ => Effort::Usual,
    };
    let selection = Selection::of(&args.what);
    selection.check()?;
    let request =
        Request { selection, effort, batch: args.batch, convolution: args.convolution, seed: common.seed };
    let gpu = common.open_gpu_with(args.family)?;
    let progress = common.shares();
    let report = bench::run(&gpu, &request, &mut |what, share| progress.tell(what, share))?;
    drop(progress);
    let comparison = other.as_ref().map(|other| bench::compare(&report, other));
    let document = document(&report, comparison.as_ref());
    let mut text = table(&report);
    if let (Some(comparison), Some(path)) = (&comparison, &args.compare) {
        text.push_str(&compared(comparison, path));
    }
    let mut failure = wrong(&report);
    if let Some(out) = &args.out {
        match commit::write(out, format!("{document:#}\n").as_bytes()) {
            Ok(()) => common.say(format_args!("written: {}", out.display())),
            // The table is shown all the same.
            Err(why) => failure = Some(why),
        }
    }
    let outcome = Outcome::new(document, text);
    Ok(match failure {
        Some(why) => outcome.failed(why),
        None => outcome,
    })
}

fn document(report: &Report, comparison: Option<&Comparison>) -> serde_json::Value {
    let document = merged(json!({}), report);
    match comparison {
        Some(comparison) => merged(document, &json!({ "comparison": comparison })),
        None => document,
    }
}

fn wrong(report: &Report) -> Option<Error> {
    let first = report.wrong().next()?;
    let (count, how) = (report.wrong().count(), first.wrong.as_deref().unwrap_or_default());
    let found = format!("{count} results are wrong, first {} {}: {how}", first.name, first.case);
    let advice = "Update the driver, or choose another with --adapter";
    let place = format!("adapter {}", report.adapter.name);
    Some(Error::new(Kind::Adapter, place, found, "right results", advice))
}
