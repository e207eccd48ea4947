//! How a recording becomes responses: what every command takes that reads one.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use striate::experiment::{ExperimentRequest, Trace};
use striate::io::trials::Covariate;
use striate::responses::{Definition, Dff, NAMES, Span, Statistic};
use striate::tasks::{Blanks, DefinitionRequest};
use striate::{Error, Kind, Result};

/// What stands for a window of one's own, and for the most reliable one.
const CUSTOM: &str = "custom";
const AUTO: &str = "auto";

/// Options that say what a response is.
#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "From a recording to responses")]
pub struct DefinitionArgs {
    /// Events of an Allen recording: the .npz published beside its NWB file, or one of striate events.
    #[arg(long, value_name = "FILE.npz")]
    pub events: Option<PathBuf>,
    /// Where the arrays of an HDF5, MATLAB or .npz file are, for example responses=/path images=/path.
    #[arg(long, num_args = 1.., value_parser = mapped, value_name = "NAME=PATH")]
    pub map: Vec<(String, String)>,
    /// Which stimulus of the recording [default: natural_scenes].
    #[arg(long, value_name = "NAME")]
    pub stimulus: Option<String>,
    /// Which series of dF/F or fluorescence to read, where an NWB 2 file has several: NAME or CONTAINER/NAME.
    #[arg(long, value_name = "NAME")]
    pub series: Option<String>,
    /// Images at a quarter of their height and width, as the models of Sensorium see them: each pixel the
    /// mean of the middle 2 x 2 of every 4 x 4, from 0 to 1 where they were bytes.
    #[arg(long)]
    pub rescale: bool,
    /// What a response is: sdk (percent change of 14 frames against the 28 before), berget-dff (mean dF/F of
    /// 7 frames), berget-events (largest event of 7 frames), platform-events (mean of events, frames 2 to
    /// 11), custom, or auto (the most reliable window on training images). In fit several, NAME,NAME: a part
    /// of a study each.
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(definitions()),
        value_name = "NAME"
    )]
    pub definition: Vec<String>,
    /// The trace, with custom and auto [default: dff].
    #[arg(long, value_parser = trace(), value_name = "TRACE")]
    pub trace: Option<Trace>,
    /// Computes dF/F from that trace (corrected by default) instead of reading the file's own; the baseline is
    /// the running median, the mode, or a percentile (percentile:P) of 180 s.
    #[arg(long, value_name = "BASELINE")]
    pub dff: Option<Dff>,
    /// Frames from the start of a presentation on, with custom: 0:7; or seconds, 0:0.25s.
    #[arg(long, allow_hyphen_values = true, value_name = "START:STOP")]
    pub window: Option<Span>,
    /// Frames that the window is compared with, with custom: -28:0 or -1:0s; in percent for fluorescence.
    #[arg(long, allow_hyphen_values = true, value_name = "START:STOP")]
    pub baseline: Option<Span>,
    /// How the frames of the window become one number, with custom and auto [default: mean].
    #[arg(long, value_parser = statistic(), value_name = "mean|max|sum")]
    pub statistic: Option<Statistic>,
    /// Presentations of no image: left out, or kept as a grey image, the last [default: drop].
    #[arg(long, value_name = "drop|keep")]
    pub blanks: Option<BlanksArg>,
    /// Covariates whose linear effect is taken out of the responses: running-speed, pupil.
    #[arg(long, value_delimiter = ',', value_parser = covariate(), value_name = "NAME,..")]
    pub regress: Vec<Covariate>,
    /// Standardises each neuron's responses by its trials of training images.
    #[arg(long)]
    pub standardise_trials: bool,
}

/// [`Blanks`], as an option.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum BlanksArg {
    /// Left out.
    Drop,
    /// A grey image.
    Keep,
}

fn definitions() -> Vec<&'static str> {
    NAMES.into_iter().chain([CUSTOM, AUTO]).collect()
}

/// A parser of the names of some values.
fn named<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let names = all.iter().map(|value| name(*value));
    let of = move |text: String| all.iter().copied().find(|value| name(*value) == text);
    PossibleValuesParser::new(names).try_map(move |text| of(text).ok_or("is not known"))
}

fn trace() -> impl TypedValueParser<Value = Trace> {
    named(&Trace::ALL, Trace::name)
}

fn statistic() -> impl TypedValueParser<Value = Statistic> {
    named(&Statistic::ALL, Statistic::name)
}

fn covariate() -> impl TypedValueParser<Value = Covariate> {
    named(&Covariate::ALL, Covariate::name)
}

/// `images=/path/in/the/file`.
pub fn mapped(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.into(), path.into())),
        _ => Err("write a name and a path in the file, for example images=/stimulus/images".into()),
    }
}

impl DefinitionArgs {
    /// What to open.
    pub fn experiment(&self, path: &Path) -> ExperimentRequest {
        ExperimentRequest {
            path: path.to_path_buf(),
            events: self.events.clone(),
            map: self.map.clone(),
            stimulus: self.stimulus.clone(),
            series: self.series.clone(),
            layout: None,
            rescale: self.rescale,
        }
    }

    /// The same with each definition by itself.
    pub fn each(&self) -> Vec<DefinitionArgs> {
        match self.definition.as_slice() {
            [] => vec![self.clone()],
            many => many.iter().map(|one| Self { definition: vec![one.clone()], ..self.clone() }).collect(),
        }
    }

    /// What a response is; none where nothing was said of it.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming the option that is missing or superfluous.
    pub fn definition(&self) -> Result<Option<DefinitionRequest>> {
        let own = [
            ("--trace", self.trace.is_some(), true),
            ("--window", self.window.is_some(), false),
            ("--baseline", self.baseline.is_some(), false),
            ("--statistic", self.statistic.is_some(), true),
        ];
        let name = match self.definition.as_slice() {
            [] => None,
            [one] => Some(one.as_str()),
            several => {
                let found = format!("{} definitions", several.len());
                let advice = "Name one; striate fit takes several";
                return Err(Error::new(Kind::Usage, "--definition", found, "one", advice));
            }
        };
        let allowed = |for_auto: bool| name == Some(CUSTOM) || name == Some(AUTO) && for_auto;
        if let Some((option, ..)) = own.iter().find(|(_, given, auto)| *given && !allowed(*auto)) {
            let (found, advice) = match name {
                Some(AUTO) => (
                    format!("--definition {AUTO} goes with --trace, --dff and --statistic only"),
                    "Leave it out",
                ),
                Some(name) => (format!("--definition {name} says that already"), "Leave one of them out"),
                None => ("no definition is named".into(), "Add --definition custom"),
            };
            return Err(Error::new(Kind::Usage, option, found, format!("--definition {CUSTOM}"), advice));
        }
        let Some(name) = name else {
            return match self.dff {
                None => Ok(None),
                Some(_) => {
                    let advice = "Say what a response is, for example --definition berget-dff";
                    Err(Error::new(Kind::Usage, "--dff", "no definition is named", "--definition", advice))
                }
            };
        };
        let (trace, dff) = (self.trace_of(name)?, self.dff);
        let statistic = self.statistic.unwrap_or(Statistic::Mean);
        Ok(Some(match Definition::named(name) {
            Some(definition) => DefinitionRequest::As(Definition { trace, dff, ..definition }),
            None if name == AUTO => DefinitionRequest::Auto { trace, dff, statistic },
            None => {
                let window = self.window.ok_or_else(|| {
                    let advice = "Write it as frames, 0:7, or as seconds, 0:0.25s";
                    Error::new(Kind::Usage, "--window", "is missing", "the frames of a response", advice)
                })?;
                let (name, baseline) = (CUSTOM, self.baseline);
                DefinitionRequest::As(Definition { name, trace, dff, window, baseline, statistic })
            }
        }))
    }

    /// The trace of a definition; of fluorescence where dF/F is to be made of it.
    fn trace_of(&self, name: &str) -> Result<Trace> {
        let usual = Definition::named(name).map_or(Trace::Dff, |definition| definition.trace);
        let Some(dff) = self.dff else { return Ok(self.trace.unwrap_or(usual)) };
        let wrong = |found: String| {
            let advice = "Leave --dff out, or take a definition of dF/F";
            Err(Error::new(Kind::Usage, "--dff", found, "a response of dF/F", advice))
        };
        match self.trace {
            None if usual == Trace::Dff => Ok(Trace::Corrected),
            None => wrong(format!("--definition {name} takes {}", usual.name())),
            Some(trace @ (Trace::Dff | Trace::Events)) => {
                wrong(format!("{dff} is a baseline of fluorescence, and --trace is {}", trace.name()))
            }
            Some(trace) => Ok(trace),
        }
    }

    /// Those of these options that were given, for a sentence.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("--definition", !self.definition.is_empty()),
            ("--events", self.events.is_some()),
            ("--map", !self.map.is_empty()),
            ("--stimulus", self.stimulus.is_some()),
            ("--series", self.series.is_some()),
            ("--trace", self.trace.is_some()),
            ("--dff", self.dff.is_some()),
            ("--window", self.window.is_some()),
            ("--baseline", self.baseline.is_some()),
            ("--statistic", self.statistic.is_some()),
            ("--blanks", self.blanks.is_some()),
            ("--regress", !self.regress.is_empty()),
            ("--standardise-trials", self.standardise_trials),
            ("--rescale", self.rescale),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name)
    }

    /// What happens to presentations of no image.
    pub fn blanks(&self) -> Blanks {
        match self.blanks {
            Some(BlanksArg::Keep) => Blanks::Keep,
            _ => Blanks::Drop,
        }
    }

    /// What is regressed out, each once.
    pub fn covariates(&self) -> Vec<Covariate> {
        Covariate::ALL.into_iter().filter(|covariate| self.regress.contains(covariate)).collect()
    }
}
