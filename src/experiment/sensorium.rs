//! A mouse of the Sensorium competition of 2022: a folder with a file a trial, and tables beside them.
//!
//! Files lie in random order; `trial_idx` is the order of presentation, except in the competition's own
//! scans, where it is scrambled text and the order of the files is kept. Responses of test trials there are
//! zero, and recognised by that.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::trials::{Source, Statistics};
use super::{Experiment, ExperimentRequest, Format, Neuron, Recorded, Stimuli, Tier, Trial, TrialResponses};
use crate::error::{Error, Result};
use crate::io::npy;

const IMAGE_IDS: [&str; 3] = ["frame_image_id", "image_id", "colorframeprojector_image_id"];

/// Whether a folder is one mouse.
pub(super) fn recognise(path: &Path) -> bool {
    path.join("data").join("images").is_dir() && path.join("meta").is_dir()
}

/// Opens a mouse.
pub(super) fn open(request: &ExperimentRequest) -> Result<Experiment> {
    let folder = Mouse { path: request.path.clone() };
    let mut warnings = Vec::new();
    let tiers = folder.tiers(&mut warnings)?;
    let (name, ids) = folder.image_ids(tiers.len())?;
    let trial_ids = folder.optional("trials", "trial_idx", tiers.len())?;
    let mut order = order(&trial_ids, tiers.len());
    order.retain(|k| tiers[*k].is_some());
    let (images, representative) = distinct(&ids);
    let stimuli = folder.stimuli(&ids, &images, representative, &name)?;
    let neurons = folder.neurons()?;
    let behaviour = folder.rows("behavior", tiers.len(), 3)?;
    let centre = folder.rows("pupil_center", tiers.len(), 2)?;
    let trial = |&k: &usize| {
        let mut trial = Trial {
            image: Some(images[k]),
            tier: tiers[k],
            id: trial_ids.as_ref().map_or(k.to_string(), |ids| ids[k].clone()),
            ..Trial::default()
        };
        // Behaviour that is withheld is zero; a pupil never is.
        if let Some(&[pupil, _, speed]) = behaviour.as_ref().map(|rows| &rows[k][..])
            && pupil != 0.0
        {
            (trial.pupil, trial.running_speed) = (pupil, speed);
        }
        if let Some(&[x, y]) = centre.as_ref().map(|rows| &rows[k][..]) {
            trial.pupil_centre = [x, y];
        }
        trial
    };
    let trials: Vec<Trial> = order.iter().map(trial).collect();
    let files: Vec<PathBuf> = order.iter().map(|k| folder.trial("responses", *k)).collect();
    files.iter().try_for_each(|file| there(file, "the responses to each trial"))?;
    let mut responses = TrialResponses::new(neurons.len(), Source::Files(files));
    responses.hidden = hidden(&responses, &trials)?;
    let deviations = folder.statistic("responses", "std", neurons.len())?;
    responses.scale = deviations.map(|all| scale(all, &request.path)).transpose()?;
    responses.statistics = Some(folder.statistics()?);
    Ok(Experiment {
        path: request.path.clone(),
        format: Format::Sensorium,
        facts: vec![("data key".into(), data_key(&request.path))],
        warnings,
        neurons,
        trials,
        stimuli,
        recorded: Recorded::Trials(responses),
    })
}

/// The session: what stands between `static` and the kind of images in the folder's name; else all of that
/// name.
pub fn data_key(path: &Path) -> String {
    let full = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = full.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let end = ["-GrayImageNet", "-ColorImageNet"].iter().filter_map(|kind| name.find(kind)).min();
    match (name.strip_prefix("static"), end) {
        (Some(_), Some(end)) => name["static".len()..end].to_string(),
        _ => name,
    }
}

/// The order of presentation: by `trial_idx` where these are whole numbers, all different; else that of the
/// files.
fn order(ids: &Option<Vec<String>>, trials: usize) -> Vec<usize> {
    let numbers: Option<Vec<i64>> =
        ids.as_ref().and_then(|ids| ids.iter().map(|id| id.parse().ok()).collect());
    let mut order: Vec<usize> = (0..trials).collect();
    if let Some(numbers) = numbers {
        let mut sorted = order.clone();
        sorted.sort_by_key(|k| numbers[*k]);
        if sorted.windows(2).all(|pair| numbers[pair[0]] != numbers[pair[1]]) {
            order = sorted;
        }
    }
    order
}

/// Which image each trial shows, and a trial that shows each image: images in the order of their ids.
fn distinct(ids: &[String]) -> (Vec<usize>, Vec<usize>) {
    let key = |k: usize| (ids[k].parse::<i64>().unwrap_or(i64::MAX), ids[k].as_str());
    let mut trials: Vec<usize> = (0..ids.len()).collect();
    trials.sort_by_key(|k| (key(*k), *k));
    let (mut images, mut first) = (vec![0; ids.len()], Vec::new());
    for k in trials {
        if first.last().is_none_or(|last: &usize| ids[*last] != ids[k]) {
            first.push(k);
        }
        images[k] = first.len() - 1;
    }
    (images, first)
}

/// The tier of a name in `tiers.npy`, in the words of the competitions of 2022 and 2023; `Some(None)` where
/// trials are neither fitted nor scored: `none`, and the bonus tiers, whose stimuli are of another kind.
fn tier_named(name: &str) -> Option<Option<Tier>> {
    Some(match name {
        "train" => Some(Tier::Train),
        "validation" | "oracle" => Some(Tier::Validation),
        // The competition's own text calls its first test set so.
        "test" | "live_test" | "live_test_main" => Some(Tier::Test),
        "final_test" | "final_test_main" => Some(Tier::FinalTest),
        "none" | "live_test_bonus" | "final_test_bonus" => None,
        _ => return None,
    })
}

/// Tiers whose responses are all zero.
fn hidden(responses: &TrialResponses, trials: &[Trial]) -> Result<Vec<Tier>> {
    let mut hidden = Vec::new();
    for tier in Tier::ALL {
        let of_tier: Vec<usize> = (0..trials.len()).filter(|k| trials[*k].tier == Some(tier)).collect();
        let mut zero = !of_tier.is_empty();
        for k in of_tier {
            // The first trial decides, except of a tier that is hidden.
            zero = responses.read(k..k + 1)?.iter().all(|v| *v == 0.0);
            if !zero {
                break;
            }
        }
        if zero {
            hidden.push(tier);
        }
    }
    Ok(hidden)
}

/// What responses are multiplied by: 1 / standard deviation, which counts as at least 1 % of the neurons'
/// mean one.
///
/// # Errors
/// Input, where no neuron has a deviation above 0.
fn scale(deviations: Vec<f32>, mouse: &Path) -> Result<Vec<f32>> {
    let present = deviations.iter().filter(|d| d.is_finite());
    let (sum, count) = present.fold((0.0, 0.0), |(sum, count), &d| (sum + f64::from(d), count + 1.0));
    let least = 0.01 * sum / count;
    if least.is_nan() || least <= 0.0 {
        let file = mouse.join("meta/statistics/responses/all/std.npy");
        let found = "no neuron has a standard deviation above 0";
        return Err(Error::input(&file, found, "one for each neuron", "Copy the recording again"));
    }
    let divisor = |d: f64| if d > least { d } else { least };
    Ok(deviations.iter().map(|&d| (1.0 / divisor(f64::from(d))) as f32).collect())
}

/// An error where a file that belongs to every mouse is missing.
fn there(file: &Path, what: &str) -> Result<()> {
    if file.is_file() {
        return Ok(());
    }
    Err(Error::input(file, "there is no such file", what, "Unpack or copy the recording again"))
}

/// The folder of a mouse.
struct Mouse {
    path: PathBuf,
}

impl Mouse {
    fn trial(&self, series: &str, trial: usize) -> PathBuf {
        self.path.join("data").join(series).join(format!("{trial}.npy"))
    }

    fn meta(&self, group: &str, name: &str) -> PathBuf {
        self.path.join("meta").join(group).join(format!("{name}.npy"))
    }

    /// The tier of each trial; none of those that belong to no experiment with still images, which are left
    /// out, and a warning counts them.
    fn tiers(&self, warnings: &mut Vec<String>) -> Result<Vec<Option<Tier>>> {
        let file = self.meta("trials", "tiers");
        there(&file, "the tier of each trial")?;
        let names = npy::read_labels(&file)?;
        let tier = |(k, name): (usize, &String)| {
            tier_named(name).ok_or_else(|| {
                let found = format!("trial {k} is of the tier '{}'", name.escape_debug());
                let wanted = "train, validation (oracle), test (live_test), final_test or none";
                Error::input(&file, found, wanted, "Call it by one of these names in tiers.npy")
            })
        };
        let tiers: Vec<Option<Tier>> = names.iter().enumerate().map(tier).collect::<Result<_>>()?;
        let unused = tiers.iter().filter(|tier| tier.is_none()).count();
        if unused == tiers.len() {
            let found = if tiers.is_empty() { "it has no trial" } else { "no trial is of a tier" };
            return Err(Error::input(&file, found, "a tier for each trial", ""));
        }
        if unused > 0 {
            let of = tiers.len();
            warnings.push(format!(
                "{unused} of {of} trials are of no tier that is fitted or scored, and left out"
            ));
        }
        Ok(tiers)
    }

    /// The image that each trial shows, under the first of three names that there is.
    fn image_ids(&self, trials: usize) -> Result<(String, Vec<String>)> {
        for name in IMAGE_IDS {
            if let Some(ids) = self.optional("trials", name, trials)? {
                return Ok((name.into(), ids));
            }
        }
        let found = format!("there is none of {}", IMAGE_IDS.map(|name| format!("{name}.npy")).join(", "));
        let wanted = "the image that each trial shows";
        Err(Error::input(&self.path.join("meta").join("trials"), found, wanted, "Copy the recording again"))
    }

    /// A table of labels that may be absent; where it is there, of this length.
    fn optional(&self, group: &str, name: &str, count: usize) -> Result<Option<Vec<String>>> {
        let file = self.meta(group, name);
        if !file.exists() {
            return Ok(None);
        }
        let labels = npy::read_labels(&file)?;
        if labels.len() != count {
            let found = format!("it has {} entries", labels.len());
            return Err(Error::input(&file, found, format!("one for each of {count} {group}"), ""));
        }
        Ok(Some(labels))
    }

    /// Each distinct image once. The files of all trials are looked at: two sizes under one id would go
    /// unnoticed.
    fn stimuli(
        &self,
        ids: &[String],
        images: &[usize],
        representative: Vec<usize>,
        name: &str,
    ) -> Result<Stimuli> {
        let shape = |k: usize| {
            let file = self.trial("images", k);
            there(&file, "the image of each trial")?;
            Ok(npy::info(&file)?.swap_remove(0).shape)
        };
        let shapes: Vec<Result<Vec<usize>>> = (0..ids.len()).into_par_iter().map(shape).collect();
        let shapes: Vec<Vec<usize>> = shapes.into_iter().collect::<Result<_>>()?;
        for (k, shape) in shapes.iter().enumerate() {
            let first = representative[images[k]];
            if *shape != shapes[first] {
                let found = format!("it has the shape {shape:?} and the {name} {}", ids[k]);
                let wanted = format!("{:?}, that of trial {first}, which shows the same", shapes[first]);
                return Err(Error::input(&self.trial("images", k), found, wanted, ""));
            }
        }
        let files = representative.iter().map(|k| self.trial("images", *k)).collect();
        let mut stimuli = Stimuli::arrays(files, representative.iter().map(|k| ids[*k].clone()).collect())?;
        let mean = self.statistic("images", "mean", 1)?;
        if let (Some(mean), Some(std)) = (mean, self.statistic("images", "std", 1)?) {
            stimuli.normalisation = Some((mean[0], std[0]));
        }
        Ok(stimuli)
    }

    /// As many as the responses of the first trial; what is known of them is in tables, each of which may be
    /// absent.
    fn neurons(&self) -> Result<Vec<Neuron>> {
        let first = self.trial("responses", 0);
        there(&first, "the responses to each trial")?;
        let shape = npy::info(&first)?.swap_remove(0).shape;
        let [count] = shape[..] else {
            let found = format!("it has the shape {shape:?}");
            return Err(Error::input(&first, found, "(neurons)", "Films are not read"));
        };
        let label = |name| self.optional("neurons", name, count);
        let (ids, area, layer) = (label("unit_ids")?, label("area")?, label("layer")?);
        let coordinates = self.meta("neurons", "cell_motor_coordinates");
        let positions = match coordinates.exists() {
            false => None,
            true => Some(npy::read_f64(&coordinates, None)?),
        };
        if let Some(positions) = positions.as_ref().filter(|p| p.shape() != [count, 3]) {
            let found = format!("it has the shape {:?}", positions.shape());
            return Err(Error::input(&coordinates, found, format!("[{count}, 3], in micrometres"), ""));
        }
        let of =
            |labels: &Option<Vec<String>>, n: usize| labels.as_ref().map_or(String::new(), |l| l[n].clone());
        let neuron = |n: usize| Neuron {
            id: ids.as_ref().map_or(n.to_string(), |ids| ids[n].clone()),
            area: of(&area, n),
            layer: of(&layer, n),
            depth: None,
            position: positions.as_ref().map(|p| [p[[n, 0]], p[[n, 1]], p[[n, 2]]]),
        };
        Ok((0..count).map(neuron).collect())
    }

    /// A short list for each trial; none where there is no such folder.
    fn rows(&self, series: &str, trials: usize, width: usize) -> Result<Option<Vec<Vec<f32>>>> {
        if !self.path.join("data").join(series).is_dir() {
            return Ok(None);
        }
        let row = |k: usize| {
            let file = self.trial(series, k);
            there(&file, &format!("{width} numbers for each trial"))?;
            let row = npy::read(&file, None)?;
            if row.len() != width {
                let found = format!("it has the shape {:?}", row.shape());
                return Err(Error::input(&file, found, format!("{width} numbers"), ""));
            }
            Ok(row.into_raw_vec_and_offset().0)
        };
        let rows: Vec<Result<Vec<f32>>> = (0..trials).into_par_iter().map(row).collect();
        rows.into_iter().collect::<Result<_>>().map(Some)
    }

    /// A statistic over all trials; none where it is not there.
    fn statistic(&self, series: &str, name: &str, count: usize) -> Result<Option<Vec<f32>>> {
        let file = self.path.join("meta").join("statistics").join(series).join("all");
        let file = file.join(format!("{name}.npy"));
        if !file.exists() {
            return Ok(None);
        }
        let values = npy::read(&file, None)?;
        if values.len() != count {
            let found = format!("it has the shape {:?}", values.shape());
            return Err(Error::input(&file, found, format!("{count} numbers"), "Copy the recording again"));
        }
        Ok(Some(values.into_raw_vec_and_offset().0))
    }

    fn statistics(&self) -> Result<Statistics> {
        let pair = |values: Vec<f32>| [values[0], values[1]];
        let behaviour = self.statistic("behavior", "std", 3)?.map(|v| [v[0], v[1], v[2]]);
        let mean = self.statistic("pupil_center", "mean", 2)?.map(pair);
        let std = self.statistic("pupil_center", "std", 2)?.map(pair);
        Ok(Statistics { behaviour, pupil_centre: mean.zip(std) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn sessions_orders_and_images() {
        let key = |name: &str| data_key(Path::new(name));
        assert_eq!(key("/x/static21067-10-18-GrayImageNet-94c6"), "21067-10-18");
        assert_eq!(key("static26872-17-20-ColorImageNet-94c6"), "26872-17-20");
        assert_eq!(key("/x/mouse"), "mouse");
        let ids = |texts: &[&str]| Some(texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(order(&ids(&["12", "3", "7"]), 3), [1, 2, 0]);
        assert_eq!(order(&ids(&["c1", "3", "7"]), 3), [0, 1, 2]);
        assert_eq!(order(&ids(&["4", "3", "4"]), 3), [0, 1, 2]);
        assert_eq!(order(&None, 2), [0, 1]);
        let (images, first) = distinct(&ids(&["20", "3", "20", "100", "3"]).unwrap_or_default());
        assert_eq!((images, first), (vec![1, 0, 1, 2, 0], vec![1, 0, 3]));
    }

    #[test]
    fn small_deviations_do_not_blow_up() {
        let scaled = scale(vec![2.0, 0.0, 4.0, f32::NAN], Path::new("mouse")).unwrap();
        for none in [vec![0.0, 0.0], vec![f32::NAN]] {
            assert!(scale(none, Path::new("mouse")).unwrap_err().to_string().contains("above 0"));
        }
        assert_eq!(&scaled[..3], [0.5, 50.0, 0.25]);
        assert_eq!(scaled[3], 50.0);
    }
}
