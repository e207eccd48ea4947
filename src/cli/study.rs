//! `striate fit` of several definitions of a response, or with a grid in its configuration: a study of
//! several parts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use striate::experiment::{self, Recorded, Trace};
use striate::tasks::{
    Base, DefinitionRequest, Grid, PartRequest, PartSummary, ResponsesRequest, StudyPart, StudyRequest,
    StudyStatus, StudySummary, SweepRequest, TABLES, are_there, study,
};
use striate::{Error, Kind, Result};

use super::common::{Adapter, Common};
use super::config;
use super::fit::FitArgs;
use super::output::{Outcome, cut, lines, merged};
use super::recording::Located;
use super::source::{NetworkArgs, missing, one_layer};
use super::sweep::status_line;

/// Seconds between checkpoints of a sweep.
const CHECKPOINT: Duration = Duration::from_secs(20);

/// A grid, and the file that it stands in.
pub struct OfFile {
    grid: Grid,
    place: String,
}

/// The grid of the configuration, if it has one.
///
/// # Errors
/// [`Kind::Usage`], naming what is wrong with it.
pub fn grid(common: &Common) -> Result<Option<OfFile>> {
    let Some(file) = &common.config else { return Ok(None) };
    let table = config::read(file)?;
    if !TABLES.iter().any(|name| table.contains_key(*name)) {
        return Ok(None);
    }
    let place = file.display().to_string();
    Ok(Some(OfFile { grid: Grid::parse(&table, &place)?, place }))
}

/// Runs the study that the options make.
pub fn run(args: &FitArgs, grid: Option<OfFile>, common: &Common) -> Result<Outcome> {
    let out = args.readout.output.out.clone().ok_or_else(|| missing("--out", "the folder to write"))?;
    let recordings = recordings(args, &out, common)?;
    if let (None, Some((_, located))) = (&args.features, recordings.first()) {
        // Each part has one layer; that all differ is seen here.
        args.network.over(located.images.clone(), None).input_of_any_layer(common.seed)?;
    }
    let mut parts = Vec::new();
    for (name, located) in &recordings {
        for layer in layers(args) {
            let names: Vec<&str> = [name.as_deref(), layer].into_iter().flatten().collect();
            let name = if names.is_empty() { "study".into() } else { names.join("-") };
            let job = part(args, grid.as_ref(), (located, layer), &out.join(&name), common)?;
            parts.push(StudyPart { name, job });
        }
    }
    let (request, adapter) = (StudyRequest { parts, out }, Adapter::new(common));
    let needed: Vec<&ResponsesRequest> = recordings.iter().filter_map(|(_, l)| l.first.as_deref()).collect();
    // All that can be said without reading a recording is said before.
    request.check()?;
    needed.iter().try_for_each(|request| has_trace(request))?;
    if args.readout.output.dry_run {
        return dry_run(&request, &needed, &adapter);
    }
    for (_, located) in &recordings {
        located.make(false, &adapter, common)?;
    }
    let gpu = adapter.get()?;
    let progress = common.shares();
    let summary = study(gpu, &request, &mut |status| progress.tell(line(status), status.share))?;
    drop(progress);
    Ok(Outcome::new(merged(json!({}), &summary), table(&summary)))
}

/// The recording under each definition, and what parts call it; where responses are there already, once.
fn recordings(args: &FitArgs, out: &Path, common: &Common) -> Result<Vec<(Option<String>, Located)>> {
    let of = &args.readout.recording;
    let own = args.network.images.as_ref();
    let several = of.definition.definition.len() > 1;
    let mut all = Vec::new();
    for one in of.definition.each() {
        let name = one.definition.first().cloned();
        let folder = out.join(format!("{}.responses", name.as_deref().unwrap_or("recording")));
        let located = of.locate(&one, own, Some(folder), common)?;
        let ready = located.first.is_none();
        all.push((name.filter(|_| several && !ready), located));
        if ready {
            break;
        }
    }
    Ok(all)
}

/// The layers, each by itself; none where features need no name of one.
fn layers(args: &FitArgs) -> Vec<Option<&str>> {
    match args.network.layer.as_slice() {
        [] => vec![None],
        many => many.iter().map(|layer| Some(layer.as_str())).collect(),
    }
}

/// What is done with one layer under one definition.
fn part(
    args: &FitArgs,
    grid: Option<&OfFile>,
    (located, layer): (&Located, Option<&str>),
    out: &Path,
    common: &Common,
) -> Result<PartRequest> {
    let network = NetworkArgs {
        layer: layer.map(String::from).into_iter().collect(),
        ..args.network.over(located.images.clone(), args.features.as_ref())
    };
    let (features, seed, advice) = (args.features.as_ref(), common.seed, "Name one layer");
    let (recording, out) = (located.recording.clone(), out.to_path_buf());
    match grid.filter(|_| args.readout.is_trained()) {
        None => {
            let input = one_layer(features, &network, seed, NetworkArgs::input, advice)?;
            Ok(PartRequest::Fit(Box::new(args.readout.request(input, recording, Some(&out))?)))
        }
        Some(OfFile { grid, place }) => {
            let layers = NetworkArgs::input_of_any_layer;
            let input = one_layer(features, &network, seed, layers, advice)?;
            let options = args.readout.swept(seed)?;
            Ok(PartRequest::Sweep(Box::new(SweepRequest {
                base: Base { input, options },
                grid: grid.clone(),
                place: place.clone(),
                recording,
                validation_fraction: args.readout.training.validation_fraction(),
                out,
                resume: true,
                checkpoint: CHECKPOINT,
            })))
        }
    }
}

/// Refuses a definition of events where the recording has none, and says where they are to be had.
fn has_trace(request: &ResponsesRequest) -> Result<()> {
    let Some(DefinitionRequest::As(definition)) = &request.definition else { return Ok(()) };
    let path = &request.experiment.path;
    let opened = experiment::open(&request.experiment)?;
    let Recorded::Traces(traces) = &opened.recorded else { return Ok(()) };
    if definition.trace != Trace::Events || traces.has(Trace::Events) {
        return Ok(());
    }
    let found = format!("{} holds no events, of which {} is made", path.display(), definition.name);
    let wanted = "the _events.npz that the Allen Institute keeps for this session";
    let advice = "Add --events FILE.npz, or infer events from the traces by striate events; or name another --definition";
    Err(Error::new(Kind::Usage, "--events", found, wanted, advice))
}

/// What the progress bar says.
fn line(status: &StudyStatus<'_>) -> String {
    let [number, of] = status.number;
    let what = status.sweep.map_or_else(|| status.step.to_string(), status_line);
    format!("part {number} of {of}, {}: {what}", status.part)
}

fn number(value: Option<f64>) -> String {
    value.map_or("none".into(), |v| format!("{v:.3}"))
}

/// A row a part, what images explain of single trials beside their scores.
fn table(summary: &StudySummary) -> String {
    let names: Vec<String> = summary.parts.iter().map(|part| cut(&part.name, 60)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(4);
    let head = ["median r", "R2", "R2, single trials", "FEV of test images"];
    let row = |name: &str, readout: &str, cells: [String; 4]| {
        let cells: String = cells.iter().map(|cell| format!("  {cell:>20}")).collect();
        format!("{name:width$}  {readout:<22}{cells}\n")
    };
    let mut text = row("part", "readout", head.map(String::from));
    for (part, name) in summary.parts.iter().zip(&names) {
        let cells =
            [part.median_r, part.median_r2, part.median_single_trial_r2, part.median_test_fev].map(number);
        text.push_str(&row(name, &readout(part), cells));
    }
    let mut rows = vec![("results", summary.out.display().to_string())];
    if let Some(page) = &summary.page {
        rows.push(("comparison", page.display().to_string()));
    }
    format!("{text}\n{}", lines(&rows))
}

fn readout(part: &PartSummary) -> String {
    match part.configurations {
        None => part.readout.clone(),
        Some(all) if part.diverged == Some(all) => format!("all {all} diverged"),
        Some(all) => format!("{}, best of {all}", part.readout),
    }
}

/// What the study would do.
fn dry_run(request: &StudyRequest, needed: &[&ResponsesRequest], adapter: &Adapter<'_>) -> Result<Outcome> {
    let (mut rows, mut first): (Vec<(String, String)>, Vec<PathBuf>) = Default::default();
    for responses in needed {
        if !are_there(responses)? {
            super::responses::check(responses, adapter)?;
            let source = responses.experiment.path.display();
            rows.push(("first".into(), format!("{} from {source}", responses.out.display())));
            first.push(responses.out.clone());
        }
    }
    if first.is_empty() {
        request.parts.iter().try_for_each(StudyPart::check)?;
    }
    for part in &request.parts {
        let what = match &part.job {
            PartRequest::Fit(fit) => fit.readout.name().to_string(),
            PartRequest::Sweep(sweep) => {
                let (count, stages) = (sweep.grid.count(), sweep.grid.stages());
                format!("{count} configurations in {stages} stages")
            }
        };
        rows.push((format!("part {}", part.name), what));
    }
    rows.push(("would write".into(), request.out.display().to_string()));
    let parts: Vec<&str> = request.parts.iter().map(|part| part.name.as_str()).collect();
    let document = json!({"dry_run": true, "parts": parts, "responses": first, "out": request.out});
    Ok(Outcome::new(document, lines(&rows)))
}
