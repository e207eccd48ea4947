//! Runs a profile and writes its folder.

use super::super::Progress;
use super::super::input::Input;
use super::super::record::{AdapterRecord, InputRecord, RunRecord, hashes};
use super::super::recording::Recording;
use super::super::reliability;
use super::super::ridge_fit::not_kept;
use super::super::rows::TrialsRecord;
use super::super::run_folder::{self, reported};
use super::clusters::{Clusters, obstacle};
use super::fits::{LayerFit, Targets, fit_layers};
use super::plan::{PlannedRun, ProfilePlan};
use super::scored::{Best, Group, LayerScores, Results, Scoring, Shuffle, best_layers, groups};
use super::tables::{self, Neurons};
use super::{BestLayer, Control, ProfileJob, ProfileRequest, ProfileSummary, ProfiledLayer};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::io::commit::{self, Folder, RECORD};
use crate::io::npy;
use crate::report;
use crate::scores::bootstrap::Resamples;
use crate::scores::held_out::HeldOut;
use crate::scores::reliability::ReliabilitySummary;
use ndarray::Axis;

/// The files of a folder; those of correlations only where there are three layers.
const FILES: [&str; 13] = [
    "best_layers.csv",
    "cluster_order.csv",
    "correlation_matrix.npy",
    "correlations.csv",
    "layers.csv",
    "linkage.npy",
    "measured.npy",
    "profile.csv",
    RECORD,
    reliability::FILE,
    report::PAGE,
    report::PLOTS,
    "split.csv",
];

/// As [`super::profile()`].
pub(super) fn run(mut job: ProfileJob<'_>, gpu: &Gpu, progress: &mut Progress<'_>) -> Result<ProfileSummary> {
    job.clock.skip();
    let plan = job.plan(gpu)?;
    let folder = Folder::create(&job.request.fit.out, &FILES)?;
    let reliability = reliability(&folder, &job, &plan)?;
    job.clock.done("reliability");
    let groups = groups(job.recording.responses.n_neurons(), job.labels.as_ref());
    let (results, fits) = score_layers(gpu, &mut job, &plan, &groups, progress)?;
    let compared = write_tables(&folder, &job, &plan, &groups, &results, &fits)?;
    let inputs = hashes(&job.request.files())?;
    job.clock.done("writing");
    let input = Input::Network(job.runs[0].input.clone()).sized()?;
    let (request, trials) = (job.request, job.recording.rows.record());
    let taken = request.trained().is_none().then_some(&results.factorisations);
    let taken = serde_json::json!(taken);
    let summary = summary(job, &plan, gpu.describe(), reliability, results, compared);
    write_record(gpu, &folder, (request, &trials, taken), (input, inputs), &plan, &summary)?;
    reported(folder)?;
    Ok(summary)
}

/// What was measured, and how much of it can be explained.
fn reliability(folder: &Folder, job: &ProfileJob<'_>, plan: &ProfilePlan) -> Result<ReliabilitySummary> {
    run_folder::write_measured(folder, &job.recording.responses)?;
    job.recording.split.write(&folder.file("split.csv"))?;
    let features = plan.runs[0].layers.iter().map(|layer| layer.n_features).max().unwrap_or(0);
    let fitted = [job.recording.rows.images_of(&job.ridge.fit).len(), features];
    reliability::write(folder, &job.recording.responses, Some(fitted), job.request.fit.recording.seed)
}

/// Fits and scores all layers of all runs. Returns the fits of the main run too.
fn score_layers(
    gpu: &Gpu,
    job: &mut ProfileJob<'_>,
    plan: &ProfilePlan,
    groups: &[Group],
    progress: &mut Progress<'_>,
) -> Result<(Results, Vec<LayerFit>)> {
    let Recording { responses, split, rows } = &job.recording;
    let seed = job.request.fit.recording.seed;
    let shuffled = job.request.has(Control::Shuffled);
    let shuffle = shuffled.then(|| Shuffle::new(responses.n_images(), split, seed));
    let stacked = shuffle.as_ref().map(|shuffle| shuffle.below(rows));
    let test = rows.of(&split.test);
    let targets = Targets {
        rows,
        responses: stacked.as_ref().map_or(rows.responses.view(), |both| both.view()),
        test: &test,
        ridge: &job.ridge,
        factorisation: job.request.ridge().0.factorisation,
        trained: job.request.trained(),
        neurons: responses.n_neurons(),
    };
    let scoring = Scoring {
        held_out: HeldOut::new(responses.repeats.select(Axis(1), &split.test).view(), seed),
        images: Resamples::new(seed, "images", split.test.len(), job.request.draws),
        groups,
        test: &split.test,
        shuffle: shuffle.as_ref(),
        draws: job.request.draws,
        seed,
    };
    let (mut results, mut main) = (Results::default(), None);
    let count = plan.runs.len() as f64;
    for (number, (run, planned)) in job.runs.iter_mut().zip(&plan.runs).enumerate() {
        let mut report = |share| progress("layers", (number as f64 + share) / count);
        let fits = fit_layers(gpu, run, planned, &targets, &mut report)?;
        job.clock.done("layers");
        scoring.add(&mut results, (&planned.size, planned.random_weights), &planned.layers, &fits);
        job.clock.done("scores");
        main.get_or_insert(fits);
    }
    Ok((results, main.unwrap_or_default()))
}

/// What comes of comparing layers and neurons with one another.
struct Compared {
    best: Vec<Best>,
    nested_r: Vec<f64>,
    not_clustered: Option<String>,
}

fn write_tables(
    folder: &Folder,
    job: &ProfileJob<'_>,
    plan: &ProfilePlan,
    groups: &[Group],
    results: &Results,
    fits: &[LayerFit],
) -> Result<Compared> {
    let neurons =
        Neurons { names: job.recording.responses.neuron_names.as_deref(), labels: job.labels.as_ref() };
    let put = |name: &str, bytes: Vec<u8>| commit::write(&folder.file(name), &bytes);
    put("profile.csv", tables::profile(&results.layers, &neurons)?)?;
    put("layers.csv", tables::layers(&results.means)?)?;
    let PlannedRun { layers, size, .. } = &plan.runs[0];
    let main = results.layers.iter().filter(|layer| layer.control == "none" && &layer.size == size);
    let main: Vec<&LayerScores> = main.collect();
    let best = best_layers(fits, job.recording.responses.n_neurons());
    let own = |(neuron, best): (usize, &Best)| main[best.layer].scores[neuron].pearson_r;
    let nested_r: Vec<f64> = best.iter().enumerate().map(own).collect();
    put("best_layers.csv", tables::best_layers(&best, &nested_r, layers, &neurons)?)?;
    let not_clustered = obstacle(layers.len(), job.recording.responses.n_neurons());
    if not_clustered.is_none() {
        let clusters = Clusters::new(&main)?;
        put("correlations.csv", tables::correlations(&clusters, groups)?)?;
        put("cluster_order.csv", tables::cluster_order(&clusters, &neurons)?)?;
        put("linkage.npy", npy::encode_f64(clusters.linkage().view().into_dyn()))?;
        let matrix = clusters.correlations.mapv(|r| r as f32);
        npy::write(&folder.file("correlation_matrix.npy"), matrix.view().into_dyn())?;
    }
    Ok(Compared { best, nested_r, not_clustered })
}

fn summary(
    job: ProfileJob<'_>,
    plan: &ProfilePlan,
    adapter: String,
    reliability: ReliabilitySummary,
    results: Results,
    compared: Compared,
) -> ProfileSummary {
    let ProfileJob { request, ridge, clock, recording, labels, .. } = job;
    let Recording { responses, split, rows } = recording;
    let layers = plan.runs[0].layers.clone();
    let best = |(number, layer): (usize, &ProfiledLayer)| BestLayer {
        layer: layer.layer.clone(),
        neurons: compared.best.iter().filter(|best| best.layer == number).count(),
    };
    let nested: Vec<f64> = compared.nested_r.iter().copied().filter(|r| !r.is_nan()).collect();
    let sizes = plan.runs.iter().filter(|run| !run.random_weights).map(|run| run.size.clone());
    let asked = request.ridge().0.factorisation;
    let taken = results.factorisations.iter().flat_map(|layer| &layer.taken);
    let factorisation_not_kept = not_kept(asked, taken);
    ProfileSummary {
        readout: request.fit.readout.name(),
        n_images: responses.n_images(),
        n_train: split.train.len(),
        n_validation: split.validation.len(),
        n_fitted: rows.images_of(&ridge.fit).len(),
        n_test: split.test.len(),
        n_neurons: responses.n_neurons(),
        n_repeats: responses.n_repeats(),
        best_layers: layers.iter().enumerate().map(best).collect(),
        layers,
        sizes: sizes.collect(),
        controls: std::iter::once("none").chain(request.controls.iter().map(|c| c.name())).collect(),
        areas: labels.map_or(Vec::new(), |labels| labels.areas()),
        bootstrap: request.draws,
        reliability,
        means: results.means,
        nested_mean_r: nested.iter().sum::<f64>() / nested.len() as f64,
        not_clustered: compared.not_clustered,
        factorisation_not_kept,
        passes: plan.passes(),
        adapter,
        seconds: clock.finish(),
        out: request.fit.out.clone(),
    }
}

fn write_record(
    gpu: &Gpu,
    folder: &Folder,
    (request, trials, factorisations): (&ProfileRequest, &TrialsRecord, serde_json::Value),
    (input, inputs): (Input, Vec<InputRecord>),
    plan: &ProfilePlan,
    summary: &ProfileSummary,
) -> Result<()> {
    let failed = |e: serde_json::Error| Error::internal(RECORD, e);
    let (ridge, ratios) = request.ridge();
    let options = serde_json::json!({
        "responses": request.fit.recording.responses,
        "responses_layout": request.fit.recording.layout,
        "split": request.fit.recording.split,
        "trials": trials,
        "readout": request.fit.readout.name(),
        "folds": ridge.folds,
        "shuffled_folds": ridge.shuffled_folds,
        "shared": request.trained().map(|asked| &asked.shared),
        "settings": request.trained().map(|asked| &asked.settings),
        "penalties": ridge.penalties,
        "ratios": ratios,
        "intercept": ridge.intercept,
        "factorisation": ridge.factorisation,
        "factorisation_taken": factorisations,
        "labels": request.labels,
        "sizes": request.sizes,
        "controls": request.controls,
        "bootstrap": request.draws,
        "seed": request.fit.recording.seed,
        "plan": plan,
    });
    let record = RunRecord {
        striate: env!("CARGO_PKG_VERSION").into(),
        command: "profile".into(),
        input,
        options,
        inputs,
        summary: serde_json::to_value(summary).map_err(failed)?,
        adapter: serde_json::to_value(AdapterRecord::of(gpu)).map_err(failed)?,
        seconds: summary.seconds.clone(),
        binding: String::new(),
    };
    commit::write(&folder.file(RECORD), &serde_json::to_vec_pretty(&record).map_err(failed)?)
}
