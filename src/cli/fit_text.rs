//! What `striate fit` says: warnings, the table of scores, and what a dry run would do.

use serde_json::json;
use striate::Result;
use striate::gpu::Gpu;
use striate::scores::LEAST_FEV;
use striate::scores::reliability::ReliabilitySummary;
use striate::tasks::{FitJob, FitRequest, FitSummary, ReadoutRequest};

use super::features::estimate;
use super::output::{Outcome, lines, mebibytes, merged};

/// What is said where the record has another factorisation than was asked for.
pub const FACTORISATION_NOT_KEPT: &str = "--factorisation was not kept: some systems are too large for it \
     or their penalties too small for it to be accurate, or there are fewer features than images; they were \
     decomposed, as factorisation_taken in the record says. Take --factorisation auto, or begin --lambdas \
     higher";

/// Fewer test images make scores that another draw of images would change much.
const FEW_TEST_IMAGES: usize = 10;

/// What is said of too few test images.
pub fn few_test_images(count: usize) -> Option<String> {
    (count < FEW_TEST_IMAGES).then(|| {
        format!(
            "only {count} images test: another draw of images would change the scores much; let {FEW_TEST_IMAGES} or more \
             test, by --split or --test-fraction"
        )
    })
}

/// What a reader of the scores should know.
pub fn warnings(summary: &FitSummary) -> Vec<String> {
    let mut warnings: Vec<String> = few_test_images(summary.n_test).into_iter().collect();
    let constant = summary.test.constant_neurons;
    if constant > 0 {
        warnings.push(format!(
            "{constant} of {} neurons have constant responses or predictions and no correlation",
            summary.n_neurons
        ));
    }
    if let Some(count) = summary.n_filled {
        warnings.push(format!(
            "{count} responses of single neurons were missing in trials in which others were recorded; readouts were fitted \
             to the mean of the other trials of that image there, and scores leave them out"
        ));
    }
    if summary.factorisation_not_kept {
        warnings.push(FACTORISATION_NOT_KEPT.into());
    }
    let grids = [
        ("penalty", "--lambdas", summary.at_grid_edges),
        ("ratio", "--ratios", summary.ratios_at_grid_edges),
    ];
    for (what, option, edges) in grids {
        let ends = [("smallest", "lower"), ("largest", "higher")];
        for (count, (edge, end)) in edges.unwrap_or_default().iter().zip(ends) {
            if 4 * count > summary.n_neurons {
                warnings.push(format!(
                    "{count} of {} neurons took the {edge} {what}: {option} should reach {end}",
                    summary.n_neurons
                ));
            }
        }
    }
    warnings
}

/// How much can be explained at all, in words, and then the scores as a table.
pub fn table(summary: &FitSummary) -> String {
    let test = &summary.test;
    let number = |v: f64| if v.is_nan() { "none".to_string() } else { format!("{v:.3}") };
    let mut rows = vec![
        (
            "images".to_string(),
            format!(
                "{} train, {} validation, {} test",
                summary.n_train, summary.n_validation, summary.n_test
            ),
        ),
        ("features".into(), summary.n_features.to_string()),
        ("neurons".into(), format!("{} ({} constant)", summary.n_neurons, test.constant_neurons)),
        ("median r".into(), number(test.median_r)),
        ("mean r".into(), number(test.mean_r)),
        ("median R2".into(), number(test.median_r2)),
        ("median explained variance".into(), number(test.median_explained_variance)),
    ];
    if summary.n_repeats > 1 {
        let over = |v: f64, name: &str| {
            let counted = test.neurons - test.skipped.get(name).copied().unwrap_or_default();
            format!("{} over {counted} neurons with a test FEV of at least {LEAST_FEV}", number(v))
        };
        rows.extend([
            (
                "normalised r (r over its noise ceiling), median".to_string(),
                over(test.median_normalised_r, "normalised_r"),
            ),
            ("explainable fraction (FEV) of test images, median".into(), number(test.median_test_fev)),
            ("explained of that (FEVE), median".into(), over(test.median_feve, "feve")),
            ("single-trial r, median".into(), number(test.median_single_trial_correlation)),
            ("single-trial R2, median".into(), number(test.median_single_trial_r2)),
            ("jackknife oracle r of test images, median".into(), number(test.median_test_oracle_jackknife)),
            ("split-half reliability of test images, median".into(), number(test.median_test_split_half)),
        ]);
    }
    if let Some(trials) = summary.n_trials {
        rows.insert(1, ("trials".into(), format!("{trials}, each a row of the fit")));
    }
    let seconds = summary.seconds.get("total").copied().unwrap_or(f64::NAN);
    rows.push(("seconds".into(), format!("{seconds:.1}")));
    rows.push(("results".into(), summary.out.display().to_string()));
    format!("{}\n{}", explained(&summary.reliability), lines(&rows))
}

/// How much can be explained at all, a line for each sentence.
pub fn explained(reliability: &ReliabilitySummary) -> String {
    reliability.sentences.iter().map(|sentence| format!("{sentence}\n")).collect()
}

/// What a fit would do and take.
pub fn dry_run(gpu: &Gpu, request: &FitRequest, job: &FitJob<'_>) -> Result<Outcome> {
    let plan = job.plan(gpu)?;
    let (neurons, images, repeats) = job.recording.responses.repeats.dim();
    let tiers = [&job.recording.split.train, &job.recording.split.validation, &job.recording.split.test]
        .map(Vec::len);
    let [train, validation, test] = tiers;
    let unused = job.recording.split.unused;
    let chosen = match validation {
        0 => "of the training images".to_string(),
        _ => "the validation images".to_string(),
    };
    let (what, text, method) = method(&request.readout, &chosen);
    let seconds = estimate(gpu, plan.operations.total())?;
    let form = format!("{:?}", plan.form).to_lowercase();
    let [used, budget] = [plan.gpu_bytes, plan.gpu_budget_bytes].map(mebibytes);
    let steps = plan.operations;
    let steps = [
        ("network", steps.network),
        ("rotation", steps.rotation),
        ("kernel matrix", steps.kernel_matrix),
        ("losses", steps.readout_losses),
        ("weights", steps.weights),
        ("training", steps.training),
    ];
    let steps = steps.map(|(step, operations)| format!("{step} {:.1}", operations / 1e9)).join(", ");
    let rows = &job.recording.rows;
    let trials = if rows.single_trials() {
        format!("{} single trials", rows.count())
    } else {
        format!("means over the repeats of {} images", rows.count())
    };
    let covariates: Vec<String> = rows.covariates.iter().map(|one| format!(", {}", one.covariate)).collect();
    let text = lines(&[
        ("responses", format!("{neurons} neurons, {images} images, {repeats} repeats")),
        ("rows", format!("{trials}{}", covariates.concat())),
        ("features", format!("{} of each image, in {} slabs", plan.n_features, plan.slabs.slabs)),
        ("split", format!("{train} train, {validation} validation, {test} test, {unused} unused")),
        (what, text),
        ("form", format!("{form}, {} passes of the images", plan.passes)),
        ("GPU memory", format!("{used} of a budget of {budget}")),
        ("images and features in memory", mebibytes(plan.host_bytes)),
        ("GFLOP", steps),
        ("time", format!("about {seconds:.1} s, and what reading and decomposing take")),
        ("readout on disk", mebibytes(plan.model_bytes)),
        ("would write", request.out.display().to_string()),
    ]);
    let document = json!({
        "dry_run": true, "plan": plan, "input": request.input, "readout": request.readout.name(),
        "n_neurons": neurons, "n_repeats": repeats, "trials": rows.record(), "n_rows": rows.count(),
        "split": {"train": train, "validation": validation, "test": test, "unused": unused},
        "estimated_seconds": seconds, "adapter": gpu.describe(), "out": request.out,
    });
    Ok(Outcome::new(merged(document, &method), text))
}

/// How a readout is fitted: a line of the plan, and what the document says of it.
fn method(readout: &ReadoutRequest, chosen: &str) -> (&'static str, String, serde_json::Value) {
    let (ridge, ratios) = match readout {
        ReadoutRequest::Ridge(ridge) => (ridge, None),
        ReadoutRequest::SmoothRidge(asked) => (&asked.ridge, Some(&asked.ratios)),
        ReadoutRequest::Trained(asked) => {
            let again = if asked.refit { ", then once more on all of them" } else { "" };
            let text = format!(
                "{} of {} images a step, at most {} epochs{again}",
                asked.shared.model.name(),
                asked.shared.batch,
                asked.shared.epochs
            );
            let document = json!({"shared": asked.shared, "settings": asked.settings, "refit": asked.refit});
            return ("training", text, document);
        }
    };
    let by_ratios = ratios.map_or(String::new(), |r| format!(" by {} ratios", r.values().len()));
    let folds = if chosen.starts_with("of") { format!("{} folds ", ridge.folds) } else { String::new() };
    let text = format!("{}{by_ratios}, chosen on {folds}{chosen}", ridge.penalties.count());
    let document = json!({"penalties": ridge.penalties, "ratios": ratios, "intercept": ridge.intercept});
    ("penalties", text, document)
}
