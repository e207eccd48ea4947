//! What a recording allows, in plain sentences.

use super::LEAST_FEV;
use super::reliability::ReliabilitySummary;

/// Neurons that are named one by one.
const NAMED: usize = 10;

/// Below this median fraction even a perfect model leaves nearly all of the variance of single trials.
const HOPELESS: f64 = 0.1;

/// How much can be explained, said before anything is fitted.
pub(super) fn sentences(summary: &ReliabilitySummary, names: Option<&[String]>) -> Vec<String> {
    let mut said = Vec::new();
    if summary.with_repeats == 0 {
        said.push(
            "The responses have no repeats, so nothing tells how much of them can be explained at all: low scores may be \
             the recording's noise as well as the model's fault. Responses averaged over repeats hide how noisy they are; \
             give the repeats where they exist."
                .to_string(),
        );
    } else {
        said.extend(with_repeats(summary, names));
    }
    if let Some([images, features]) = summary.recording.fitted.filter(|[images, features]| features > images)
    {
        said.push(format!(
            "The readout has {features} features for {images} images: training images can always be explained, and only \
             images held out tell anything."
        ));
    }
    said
}

fn with_repeats(summary: &ReliabilitySummary, names: Option<&[String]>) -> Vec<String> {
    let percent = |v: f64| format!("{:.0} %", 100.0 * v);
    let recording = &summary.recording;
    if summary.median_fev.is_nan() {
        return vec![format!(
            "All {} neurons with repeats respond the same in every trial: there is no variance to explain, and no score \
             has a value.",
            summary.with_repeats
        )];
    }
    let mut said = vec![format!(
        "The images explain at most {} of the variance of single trials (median over neurons; 95 % interval {} to \
             {}); {} of {} neurons reach {}.",
        percent(summary.median_fev),
        percent(summary.median_fev_interval.low),
        percent(summary.median_fev_interval.high),
        summary.explainable,
        summary.with_repeats,
        percent(LEAST_FEV),
    )];
    // Where halves of the repeats are constant there is no ceiling.
    if !summary.median_split_half.is_nan() {
        said.push(format!(
            "Averaged over repeats ({:.1} of an image), a perfect model would reach r = {:.2} (median over neurons), and \
             explain {} of the variance.",
            recording.mean_repeats,
            summary.median_ceiling,
            percent(summary.median_split_half.max(0.0)),
        ));
    }
    said.push(tuned(summary, names));
    if summary.median_fev < HOPELESS {
        said.push(format!(
            "R2 of single trials near 0 is to be expected of every model here, a perfect one included: it cannot exceed {} \
             for half of the neurons. Fit and score responses averaged over repeats, or look at FEVE.",
            percent(summary.median_fev.max(0.0)),
        ));
    }
    said
}

fn tuned(summary: &ReliabilitySummary, names: Option<&[String]>) -> String {
    let respond = format!(
        "{} of {} neurons respond to the images at all (permutation test, 5 % false discoveries)",
        summary.tuned, summary.with_repeats
    );
    let name =
        |n: &usize| names.and_then(|all| all.get(*n)).map_or_else(|| n.to_string(), |name| shown(name));
    let mut untuned: Vec<String> = summary.untuned.iter().take(NAMED).map(name).collect();
    if summary.untuned.len() > NAMED {
        untuned.push(format!("and {} more", summary.untuned.len() - NAMED));
    }
    match untuned.is_empty() {
        true => format!("{respond}."),
        false => format!("{respond}; not known to: {}.", untuned.join(", ")),
    }
}

/// A name from a file, short and on one line.
fn shown(name: &str) -> String {
    name.chars().take(40).collect::<String>().escape_debug().to_string()
}
