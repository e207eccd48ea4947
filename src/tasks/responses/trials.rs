//! Which presentations become responses, and what is known of them.

use std::ops::Range;

use serde::Serialize;

use super::{Blanks, Covariate, ResponsesRequest};
use crate::error::{Error, Kind, Result};
use crate::experiment::{Experiment, Outside, Recorded, Tier, Traces};
use crate::io::image_names::ImageNames;
use crate::io::split::Split;
use crate::responses::Arrangement;
use crate::tasks::recording::SplitRequest;

/// Presentations that do not become responses, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Of no image.
    pub blanks: usize,
    /// Their windows begin before the first frame.
    pub too_early: usize,
    /// Their windows end after the last frame.
    pub cut_off: usize,
    /// No frame was taken when their windows need one: a pause of the microscope, or frames that were lost.
    pub in_pause: usize,
    /// The recording does not say when they began.
    pub without_start: usize,
    /// Their responses are withheld.
    pub hidden: usize,
}

impl Dropped {
    /// In all.
    pub fn total(&self) -> usize {
        self.blanks + self.too_early + self.cut_off + self.in_pause + self.without_start + self.hidden
    }
}

/// A presentation that becomes a response.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptTrial {
    /// Its number among all presentations of the recording.
    pub trial: usize,
    /// The image in the recording; one more than there are for the blank.
    pub image: usize,
    /// The first frame; 0 where the recording has no traces.
    pub start: usize,
}

/// The presentations that stay, in order. `reach` are the frames that their windows need, of the recording's
/// traces where it has any.
pub(super) fn keep(
    experiment: &Experiment,
    blanks: Blanks,
    reach: Option<(&Range<i64>, &Traces)>,
) -> Result<(Vec<KeptTrial>, Dropped)> {
    let (mut kept, mut dropped) = (Vec::new(), Dropped::default());
    let hidden: &[Tier] = match &experiment.recorded {
        Recorded::Trials(responses) => responses.hidden(),
        Recorded::Traces(_) => &[],
    };
    for (trial, one) in experiment.trials.iter().enumerate() {
        let (image, start) = match (one.image, blanks) {
            (Some(image), _) => (image, one.start),
            (None, Blanks::Keep) => (experiment.stimuli.len(), one.start),
            (None, Blanks::Drop) => {
                dropped.blanks += 1;
                continue;
            }
        };
        if one.tier.is_some_and(|tier| hidden.contains(&tier)) {
            dropped.hidden += 1;
            continue;
        }
        let Some((reach, traces)) = reach else {
            kept.push(KeptTrial { trial, image, start: 0 });
            continue;
        };
        match (start, one.outside) {
            (None, Some(Outside::Before)) => dropped.too_early += 1,
            (None, Some(Outside::Pause)) => dropped.in_pause += 1,
            (None, Some(Outside::After)) => dropped.cut_off += 1,
            (None, None) => dropped.without_start += 1,
            (Some(start), _) if (start as i64) + reach.start < 0 => dropped.too_early += 1,
            (Some(start), _) if (start as i64) + reach.end > traces.frames as i64 => dropped.cut_off += 1,
            (Some(start), _) if traces.clock.as_ref().is_some_and(|clock| !clock.runs_on(start, reach)) => {
                dropped.in_pause += 1;
            }
            (Some(start), _) => kept.push(KeptTrial { trial, image, start }),
        }
    }
    if kept.is_empty() {
        let found = format!("none of its {} presentations can become a response", experiment.trials.len());
        let advice = "Check the stimulus, or take a shorter window and baseline";
        return Err(Error::input(&experiment.path, found, "at least one", advice));
    }
    Ok((kept, dropped))
}

/// Which images train and test: as the request says, else as the recording does, else drawn. And whether
/// images of the recording's validation tier test, because all responses to its test images are withheld.
pub(super) fn split(
    experiment: &Experiment,
    kept: &[KeptTrial],
    arrangement: &Arrangement,
    request: &ResponsesRequest,
) -> Result<(Split, bool)> {
    let images = arrangement.images.len();
    match &request.split {
        Some(SplitRequest::File(path)) => {
            let names = ImageNames::named(experiment.stimuli.ids.clone()).chosen(&arrangement.images);
            return Ok((Split::read(path, &names)?, false));
        }
        Some(SplitRequest::Random { test_fraction }) => {
            return Ok((Split::random(images, *test_fraction, request.seed)?, false));
        }
        None => {}
    }
    let mut tiers = vec![None; images];
    for (one, [image, _]) in kept.iter().zip(&arrangement.places) {
        // The second test set of a competition tests, too.
        let tier = experiment.trials[one.trial].tier.map(|tier| tier.min(Tier::Test));
        if tiers[*image].is_some() && tier.is_some() && tiers[*image] != tier {
            let found = format!("image {} is in two tiers", arrangement.images[*image]);
            let advice = "An image that trains cannot test: correct the tiers";
            return Err(Error::input(&experiment.path, found, "one tier for all its presentations", advice));
        }
        tiers[*image] = tiers[*image].or(tier);
    }
    if tiers.iter().all(Option::is_none) {
        return Ok((Split::random(images, request.test_fraction, request.seed)?, false));
    }
    let rows = |wanted: Tier| (0..tiers.len()).filter(|image| tiers[*image] == Some(wanted)).collect();
    let mut split = Split {
        train: rows(Tier::Train),
        validation: rows(Tier::Validation),
        test: rows(Tier::Test),
        unused: tiers.iter().filter(|tier| tier.is_none()).count(),
    };
    let withheld = experiment.trials.iter().any(|one| one.tier >= Some(Tier::Test));
    let validation_tests = split.test.is_empty() && withheld && !split.validation.is_empty();
    if validation_tests {
        // What chooses is then drawn from the training images, as where a recording has no validation tier.
        std::mem::swap(&mut split.test, &mut split.validation);
    }
    Ok((split, validation_tests))
}

/// Whether each image trains.
pub(super) fn trains(split: &Split, images: usize) -> Vec<bool> {
    let mut trains = vec![false; images];
    split.train.iter().for_each(|image| trains[*image] = true);
    trains
}

/// A covariate of every presentation that is kept; NaN where it is not known.
///
/// # Errors
/// Usage, if it is known of none.
pub(super) fn values(experiment: &Experiment, kept: &[KeptTrial], covariate: Covariate) -> Result<Vec<f32>> {
    let of = |one: &KeptTrial| {
        let trial = &experiment.trials[one.trial];
        match covariate {
            Covariate::RunningSpeed => trial.running_speed,
            Covariate::Pupil => trial.pupil,
        }
    };
    let values: Vec<f32> = kept.iter().map(of).collect();
    if values.iter().all(|v| v.is_nan()) {
        let found = format!("{} has no {} of any presentation", experiment.path.display(), covariate.name());
        let advice = format!("Leave {} out of --regress", covariate.name());
        return Err(Error::new(Kind::Usage, "--regress", found, "a covariate that was recorded", advice));
    }
    Ok(values)
}
