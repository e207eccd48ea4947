//! Named arrays of an HDF5 file or an `.npz`, said to be what they are by `--map KEY=PATH`. What keys there
//! are stands at [`super::ExperimentRequest::map`].

use std::sync::Arc;

use ndarray::{Array3, ArrayD, Axis, Ix3};

use super::clock::{Clock, Moment};
use super::presentations::{Behaviour, Presentations, Shown, image_of, with_ends};
use super::series::{self, Scale};
use super::traces::{Trace, Traces};
use super::trials::Source;
use super::{
    Experiment, ExperimentRequest, Format, Neuron, Recorded, Stimuli, Trial, TrialResponses, nwb, place,
};
use crate::error::{Error, Kind, Result};
use crate::io::store::Store;

const OTHERS: [&str; 13] = [
    "images",
    "responses",
    "stimulus",
    "start",
    "end",
    "rate",
    "timestamps",
    "running_speed",
    "pupil",
    "ids",
    "area",
    "layer",
    "depth",
];

/// Opens a file.
pub(super) fn open(store: &Arc<dyn Store>, request: &ExperimentRequest) -> Result<Experiment> {
    let map = Map { store, entries: &request.map };
    map.check()?;
    let stimuli = Stimuli::stack(store, map.needed("images")?)?;
    let mut warnings = Vec::new();
    let (mut trials, recorded, neurons) = match map.get("responses") {
        Some(name) => {
            let (trials, responses) = responses(&map, name, stimuli.len())?;
            let neurons = responses.neurons();
            (trials, Recorded::Trials(responses), neurons)
        }
        None => {
            let (trials, traces) = traces(&map, stimuli.len(), request, &mut warnings)?;
            let neurons = traces.neurons;
            (trials, Recorded::Traces(traces), neurons)
        }
    };
    if let Some(speeds) = map.numbers("running_speed", trials.len(), "presentation")? {
        trials.iter_mut().zip(speeds).for_each(|(trial, speed)| trial.running_speed = speed as f32);
    }
    if let Some(pupils) = map.numbers("pupil", trials.len(), "presentation")? {
        trials.iter_mut().zip(pupils).for_each(|(trial, pupil)| trial.pupil = pupil as f32);
    }
    Ok(Experiment {
        path: request.path.clone(),
        format: Format::Mapped,
        facts: request.map.iter().map(|(key, name)| (key.clone(), name.clone())).collect(),
        warnings,
        neurons: map.neurons(neurons)?,
        trials,
        stimuli,
        recorded,
    })
}

/// Whether at most one axis counts anything: MATLAB's lists are rows or columns of a matrix.
fn is_list(shape: &[usize]) -> bool {
    !shape.is_empty() && shape.iter().filter(|&&length| length != 1).count() <= 1
}

/// What the user called what.
struct Map<'a> {
    store: &'a Arc<dyn Store>,
    entries: &'a [(String, String)],
}

impl Map<'_> {
    fn check(&self) -> Result<()> {
        let known = || Trace::ALL.map(Trace::name).into_iter().chain(OTHERS);
        for (at, (key, _)) in self.entries.iter().enumerate() {
            let twice = self.entries[..at].iter().any(|(earlier, _)| earlier == key);
            if twice || !known().any(|name| name == key) {
                let found = match twice {
                    true => format!("the key {} is given twice", key.escape_debug()),
                    false => format!("there is no key '{}'", key.escape_debug()),
                };
                let wanted = format!("each key once, of {}", known().collect::<Vec<_>>().join(", "));
                return Err(Error::new(Kind::Usage, "--map", found, wanted, "Write --map responses=/path"));
            }
        }
        Ok(())
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|(own, _)| own == key).map(|(_, name)| name.as_str())
    }

    fn needed(&self, key: &str) -> Result<&str> {
        self.get(key).ok_or_else(|| {
            let found = format!("the key {key} is missing");
            let wanted =
                "images, and responses or traces (dff, corrected, raw, events) with stimulus and start";
            Error::new(Kind::Usage, "--map", found, wanted, format!("Add --map {key}=/path/in/the/file"))
        })
    }

    fn wrong_shape(&self, name: &str, shape: &[usize], wanted: String) -> Error {
        Error::new(Kind::Input, place(&**self.store, name), format!("it has the shape {shape:?}"), wanted, "")
    }

    /// A number for each of `count` things; none where the key is not given.
    fn numbers(&self, key: &str, count: usize, what: &str) -> Result<Option<Vec<f64>>> {
        let Some(name) = self.get(key) else { return Ok(None) };
        let array = self.store.array(name)?;
        if !is_list(&array.shape) || array.len() != count {
            return Err(self.wrong_shape(name, &array.shape, format!("[{count}], a number for each {what}")));
        }
        let scale = self.scale(name, &mut Vec::new())?;
        let values = self.store.doubles(name, &array.all())?.mapv_into(|v| scale.apply(v));
        Ok(Some(values.into_raw_vec_and_offset().0))
    }

    /// What the file itself says of an array's numbers, as NWB does.
    fn scale(&self, name: &str, warnings: &mut Vec<String>) -> Result<Scale> {
        Scale::read(&**self.store, name, warnings)
    }

    /// Whole numbers along one axis.
    fn list(&self, key: &str) -> Result<Vec<i64>> {
        let name = self.needed(key)?;
        let array = self.store.array(name)?;
        if !is_list(&array.shape) {
            return Err(self.wrong_shape(
                name,
                &array.shape,
                "one whole number for each presentation".into(),
            ));
        }
        Ok(self.store.integers(name, &array.all())?.into_raw_vec_and_offset().0)
    }

    /// A text for each neuron, or a number in digits.
    fn labels(&self, key: &str, count: usize) -> Result<Vec<String>> {
        let Some(name) = self.get(key) else { return Ok(vec![String::new(); count]) };
        let array = self.store.array(name)?;
        if !is_list(&array.shape) || array.len() != count {
            return Err(self.wrong_shape(name, &array.shape, format!("[{count}], one for each neuron")));
        }
        match self.store.texts(name) {
            Ok(texts) => Ok(texts),
            Err(_) => Ok(self.store.integers(name, &array.all())?.iter().map(i64::to_string).collect()),
        }
    }

    fn neurons(&self, count: usize) -> Result<Vec<Neuron>> {
        let (ids, areas, layers) =
            (self.labels("ids", count)?, self.labels("area", count)?, self.labels("layer", count)?);
        let depths = self.numbers("depth", count, "neuron")?;
        let neuron = |(n, (id, (area, layer))): (usize, (String, (String, String)))| Neuron {
            id: if id.is_empty() { n.to_string() } else { id },
            area,
            layer,
            depth: depths.as_ref().map(|depths| depths[n]).filter(|d| d.is_finite()),
            position: None,
        };
        Ok(ids.into_iter().zip(areas.into_iter().zip(layers)).enumerate().map(neuron).collect())
    }
}

/// Responses as a whole: they are no longer than what a fit holds.
fn responses(map: &Map<'_>, name: &str, images: usize) -> Result<(Vec<Trial>, TrialResponses)> {
    let array = map.store.array(name)?;
    let single = map.get("stimulus").is_some();
    let second = if single { "presentation" } else { "image" };
    let wanted = format!("(neurons, {second}s) or, without stimulus, (neurons, {images} images, repeats)");
    let wrong = || map.wrong_shape(name, &array.shape, wanted);
    let scale = map.scale(name, &mut Vec::new())?;
    let scaled = |values: ArrayD<f64>| values.mapv(|v| scale.apply(v) as f32);
    let values = match array.shape[..] {
        [_, _] => scaled(map.store.doubles(name, &array.all())?).insert_axis(Axis(2)),
        [_, _, _] if !single => scaled(map.store.doubles(name, &array.all())?),
        _ => return Err(wrong()),
    };
    let values: Array3<f32> =
        values.into_dimensionality::<Ix3>().map_err(|why| Error::internal(place(&**map.store, name), why))?;
    let (neurons, second, repeats) = values.dim();
    if neurons == 0 || second == 0 || repeats == 0 || (!single && second != images) {
        return Err(wrong());
    }
    let (mut trials, mut places) = (Vec::new(), Vec::new());
    if single {
        let shown = map.list("stimulus")?;
        let place = place(&**map.store, map.needed("stimulus")?);
        if shown.len() != second {
            let wanted = format!("[{second}], an image for each presentation in {name}");
            return Err(map.wrong_shape(map.needed("stimulus")?, &[shown.len()], wanted));
        }
        for (at, &number) in shown.iter().enumerate() {
            let image = image_of(number, images).map_err(|wanted| {
                let found = format!("presentation {at} shows image {number}");
                Error::new(Kind::Input, &place, found, wanted, "")
            })?;
            trials.push(Trial { image, ..Trial::default() });
            places.push((at, 0));
        }
    } else {
        for repeat in 0..repeats {
            for image in 0..images {
                if values.slice(ndarray::s![.., image, repeat]).iter().any(|v| !v.is_nan()) {
                    trials.push(Trial { image: Some(image), ..Trial::default() });
                    places.push((image, repeat));
                }
            }
        }
    }
    Ok((trials, TrialResponses::new(neurons, Source::Repeats(values, places))))
}

fn traces(
    map: &Map<'_>,
    images: usize,
    request: &ExperimentRequest,
    warnings: &mut Vec<String>,
) -> Result<(Vec<Trial>, Traces)> {
    let store = map.store;
    let named: Vec<(Trace, &str)> =
        Trace::ALL.into_iter().filter_map(|trace| Some((trace, map.get(trace.name())?))).collect();
    let first = match named.first() {
        Some((_, name)) => *name,
        None => map.needed("responses")?,
    };
    let shape = store.array(first)?.shape;
    let [neurons, frames] = shape[..] else {
        return Err(map.wrong_shape(first, &shape, "(neurons, frames)".into()));
    };
    let (times, known) = times(map, frames, warnings)?;
    let frames = times.len();
    let clock = Clock::new(times);
    let mut traces = match known {
        true => Traces::on(neurons, clock.clone()),
        false => Traces::new(neurons, frames, f64::NAN),
    };
    for (trace, name) in &named {
        let scale = map.scale(name, warnings)?;
        traces.add_scaled(*trace, store, name, scale)?;
    }
    nwb::add_events(&mut traces, request.events.as_deref())?;
    let (shown, starts) = (map.list("stimulus")?, map.list("start")?);
    let ends = match map.get("end") {
        Some(_) => Some(map.list("end")?),
        None => None,
    };
    let lengths = [("start", starts.len()), ("end", ends.as_ref().map_or(shown.len(), Vec::len))];
    if let Some((key, length)) = lengths.iter().find(|(_, length)| *length != shown.len()) {
        let wanted = format!("[{}], a frame for each presentation", shown.len());
        return Err(map.wrong_shape(map.needed(key)?, &[*length], wanted));
    }
    let presentations = Presentations {
        place: place(&**store, map.needed("stimulus")?),
        images: shown,
        shown: match ends {
            Some(ends) => starts.into_iter().zip(ends).map(|(s, e)| Shown::Frames(s, e)).collect(),
            None => with_ends(&starts.into_iter().map(|start| began(start, &clock)).collect::<Vec<_>>()),
        },
    };
    let mut trials = presentations.trials(images, &clock, &Behaviour::default())?;
    if !known {
        trials.iter_mut().for_each(|trial| trial.seconds = f64::NAN);
    }
    Ok((trials, traces))
}

/// Where a frame's number lies in the recording, and its time.
fn began(start: i64, clock: &Clock) -> (Moment, f64) {
    match usize::try_from(start) {
        Err(_) => (Moment::Before, f64::NAN),
        Ok(frame) => {
            clock.times().get(frame).map_or((Moment::After, f64::NAN), |t| (Moment::Frame(frame), *t))
        }
    }
}

/// The time of each frame, and whether these are seconds; numbers of frames where the file does not say.
fn times(map: &Map<'_>, frames: usize, warnings: &mut Vec<String>) -> Result<(Vec<f64>, bool)> {
    if let Some(name) = map.get("timestamps") {
        let times = series::times(&**map.store, name)?;
        let Some(times) = series::fitting(times, frames, &place(&**map.store, name), warnings) else {
            let count = map.store.array(name)?.shape;
            return Err(map.wrong_shape(name, &count, format!("[{frames}], a time for each frame")));
        };
        return Ok((times, true));
    }
    let Some(text) = map.get("rate") else { return Ok(((0..frames).map(|f| f as f64).collect(), false)) };
    let rate = match text.parse::<f64>() {
        Ok(rate) => rate,
        Err(_) => {
            let array = map.store.array(text)?;
            if array.len() != 1 {
                return Err(map.wrong_shape(text, &array.shape, "one number, in frames a second".into()));
            }
            map.store.doubles(text, &array.all())?.first().copied().unwrap_or(f64::NAN)
        }
    };
    if !(rate.is_finite() && rate > 0.0) {
        let wanted = "frames a second, above 0";
        return Err(Error::new(Kind::Usage, "--map rate", rate, wanted, "Write for example --map rate=30"));
    }
    Ok(((0..frames).map(|f| f as f64 / rate).collect(), true))
}
