//! Each layer of a network: its time in a whole pass, and its distance from f64 given the maps that it read.

use super::networks::{Timed, unprepared, wanted};
use super::report::{Measured, Row, Section};
use super::timing::Seconds;
use super::{Bench, Effort, Job};
use crate::error::{Error, Kind, Result};
use crate::features::{Extractor, WeightSource, Wish};
use crate::gpu::{Gpu, Launch, Maps, Recording};
use crate::io::images::Batch;
use crate::networks::weights::he_normal;
use crate::networks::{Entry, INPUT_CHANNELS, Network, Operation, Shape};
use crate::random::Random;
use ndarray::ArrayD;
use std::collections::HashMap;
use std::ops::Range;

/// Outputs of each layer that are compared with f64.
const SAMPLES: usize = 2000;
/// Images of a batch among which they are drawn, from the first on.
const COMPARED: usize = 2;

/// How far a layer may be from f64. Rounding errors of a sum of n terms of either sign add up to about the
/// root of n roundoffs: 4e-6 for the 4,608 terms of the widest convolution timed here.
const BOUND: f64 = 1e-5;
/// The same of Winograd's products, whose transforms cost up to about three times as much again.
const WINOGRAD_BOUND: f64 = 3.0 * BOUND;

/// A job for each network.
pub(super) fn jobs(bench: &Bench<'_>) -> Vec<Job> {
    let cpu = bench.gpu.is_cpu();
    let effort = bench.request.effort;
    let job = |timed: Timed| {
        // A pass should take a second at most, so that a median is soon there.
        let heavy = timed.height * timed.width > 100 * 100 && timed.network == "vgg19";
        let chosen = if cpu && (heavy || effort == Effort::Quick) { 1 } else { 16 };
        let batch = bench.request.batch.unwrap_or(chosen);
        Job {
            section: Section::Layers,
            name: name(&timed, batch),
            case: WHOLE.into(),
            work: Box::new(move |bench| rows(bench, &timed, batch)),
        }
    };
    wanted(bench).into_iter().map(job).collect()
}

/// A step of the pass: entries of the network that one or more launches make together.
struct Step {
    entries: Range<usize>,
    /// Launches of the recording.
    launches: Range<usize>,
}

/// The row of a whole pass.
const WHOLE: &str = "all layers";

fn name(timed: &Timed, batch: usize) -> String {
    format!("{}, batch {batch}", timed.name())
}

fn rows(bench: &Bench<'_>, timed: &Timed, batch: usize) -> Result<Vec<Row>> {
    let (gpu, name, seed) = (bench.gpu, name(timed, batch), bench.request.seed);
    let network = Network::named(timed.network)?;
    let last = network.find(timed.layer)?;
    let input = Shape { channels: INPUT_CHANNELS, height: timed.height, width: timed.width };
    if let Some(why) = bench.too_long(batch as f64 * timed.operations()?) {
        return Ok(vec![Row::skipped(Section::Layers, &name, WHOLE, why)]);
    }
    let wish = Wish { network: &network, convolution: bench.request.convolution, wanted: &[last], input };
    let extractor = Extractor::new(gpu, wish, &WeightSource::Random(seed))?;
    if batch > extractor.batch() {
        let found = format!("maps of {batch} images of {}", timed.name());
        let wanted = format!("at most {} images in this memory and grid", extractor.batch());
        let advice = "Lower --batch, or raise --max-memory";
        return Err(Error::new(Kind::Memory, "--batch", found, wanted, advice));
    }
    let images = timed.images(batch, seed).batch(0..batch, &unprepared())?;
    let pass = Pass::new(gpu, &extractor, &images)?;
    // Teaches how long these launches take, by which timed submissions are cut.
    pass.load(gpu, &images)?;
    gpu.run(&pass.recording)?;
    let first = pass.seconds(gpu, &images)?;
    let errors = Referee::new(gpu, &network, seed).errors(&extractor, &images)?;
    bench.warm_up(|| pass.seconds(gpu, &images))?;
    let all = bench.budget.repeat_parts(first, || pass.seconds(gpu, &images))?;
    let macs = network.macs(input.height, input.width, last)?;
    let shapes = network.shapes(input.height, input.width, last)?;
    let measured = |seconds: &Seconds, step: &Step, error| {
        let operations = 2.0 * batch as f64 * macs[step.entries.clone()].iter().sum::<u64>() as f64;
        let launches = &pass.recording.launches()[step.launches.clone()];
        let bytes = least_bytes(&network, input, &shapes, &step.entries, batch);
        let measured = Measured::new(seconds.clone(), bench.report.clock, Some(operations), Some(bytes));
        Measured { error, note: Some(kernels(launches)), ..measured }
    };
    let mut rows = Vec::new();
    for ((step, seconds), error) in pass.steps.iter().zip(&all).zip(errors) {
        // CPU seconds are those of all parts together.
        let seconds = Seconds { cpu_s: None, ..seconds.clone() };
        let measured = measured(&seconds, step, Some(error));
        let wrong = wrong(error, &pass.recording.launches()[step.launches.clone()]);
        let row = Row::new(Section::Layers, &name, &label(&network, &step.entries), measured);
        rows.push(Row { wrong, ..row });
    }
    if let Some(seconds) = all.last() {
        let whole = Step { entries: 0..last + 1, launches: 0..pass.recording.launches().len() };
        let measured = Measured { note: None, ..measured(seconds, &whole, None) };
        rows.push(Row::new(Section::Layers, &name, WHOLE, measured));
    }
    Ok(rows)
}

/// What is wrong with a layer that is so far from f64, if it is further than its kernels may be.
fn wrong(error: f64, launches: &[Launch]) -> Option<String> {
    let winograd = launches.iter().any(|launch| launch.name().starts_with("winograd"));
    let bound = if winograd { WINOGRAD_BOUND } else { BOUND };
    // No number is within no bound.
    (error.is_nan() || error > bound)
        .then(|| format!("{error:.1e} away from f64, at most {bound:.0e} is right"))
}

/// A whole pass of a batch, and which launches belong to which layer.
struct Pass {
    recording: Recording,
    steps: Vec<Step>,
    /// Where the images lie; later layers overwrite them.
    input: Option<Maps>,
}

impl Pass {
    fn new(gpu: &Gpu, extractor: &Extractor, images: &Batch) -> Result<Self> {
        let (mut recording, mut steps, mut input) = (Recording::new(), Vec::new(), None);
        let mut before = [0, 0];
        extractor.record(gpu, images, &mut recording, &mut |entry, maps, recording| {
            let after = [entry.map_or(0, |entry| entry + 1), recording.launches().len()];
            match entry {
                None => input = Some(maps.clone()),
                Some(_) => steps.push(Step { entries: before[0]..after[0], launches: before[1]..after[1] }),
            }
            before = after;
            Ok(())
        })?;
        Ok(Pass { recording, steps, input })
    }

    /// Puts the images where a pass reads them.
    fn load(&self, gpu: &Gpu, images: &Batch) -> Result<()> {
        self.input.as_ref().map_or(Ok(()), |input| gpu.write(&input.buffer, 0, &images.pixels))
    }

    /// Seconds of each step of one pass over the images, and of all together.
    fn seconds(&self, gpu: &Gpu, images: &Batch) -> Result<Vec<f64>> {
        self.load(gpu, images)?;
        let seconds = gpu.timed(&self.recording)?;
        let steps = self.steps.iter().map(|step| seconds[step.launches.clone()].iter().sum::<f64>());
        Ok(steps.chain([seconds.iter().sum()]).collect())
    }
}

/// The first and the last entry that a step makes.
fn label(network: &Network, entries: &Range<usize>) -> String {
    let name = |at: usize| network.entries[at].name.as_str();
    match entries.len() {
        1 => name(entries.start).into(),
        _ => format!("{} to {}", name(entries.start), name(entries.end - 1)),
    }
}

/// Bytes that have to move whatever the algorithm: the maps that the first entry reads and the last one
/// writes, and the weights of all.
fn least_bytes(
    network: &Network,
    input: Shape,
    shapes: &[Shape],
    entries: &Range<usize>,
    batch: usize,
) -> f64 {
    let read = entries.start.checked_sub(1).map_or(input, |before| shapes[before]);
    let parameters = network.entries[entries.clone()].iter().filter_map(Entry::parameter);
    let weights: usize = parameters.map(|p| p.weight_shape.iter().product::<usize>()).sum();
    4.0 * (batch * (read.values() + shapes[entries.end - 1].values()) + weights) as f64
}

/// Names of the kernels that a step launches, each once.
fn kernels(launches: &[Launch]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for launch in launches {
        if !names.contains(&launch.name()) {
            names.push(launch.name());
        }
    }
    names.join(", ")
}

/// Maps of a few images on the host: channels, height, width, in channel quads.
struct HostMaps {
    words: Vec<f32>,
    shape: [usize; 3],
}

impl HostMaps {
    fn download(gpu: &Gpu, maps: &Maps) -> Result<Self> {
        let shape = [maps.channels, maps.height, maps.width];
        let words = Maps::words(maps.images.min(COMPARED), shape);
        Ok(HostMaps { words: gpu.download(&maps.buffer.slice(0, words))?, shape })
    }

    fn at(&self, image: usize, [channel, row, column]: [usize; 3]) -> f64 {
        let [channels, height, width] = self.shape;
        let quad = image * channels.div_ceil(4) + channel / 4;
        f64::from(self.words[((quad * height + row) * width + column) * 4 + channel % 4])
    }

    /// The same, 0 in the padding around the map; the position counts from its first padded pixel.
    fn padded(&self, image: usize, channel: usize, at: [usize; 2], padding: usize) -> f64 {
        let inside = |at: usize, side: usize| at.checked_sub(padding).filter(|at| *at < side);
        match (inside(at[0], self.shape[1]), inside(at[1], self.shape[2])) {
            (Some(row), Some(column)) => self.at(image, [channel, row, column]),
            _ => 0.0,
        }
    }
}

/// Computes outputs of layers in f64.
struct Referee<'a> {
    gpu: &'a Gpu,
    network: &'a Network,
    seed: u64,
}

type Parameters = HashMap<usize, (ArrayD<f32>, Vec<f32>)>;

impl<'a> Referee<'a> {
    fn new(gpu: &'a Gpu, network: &'a Network, seed: u64) -> Self {
        Referee { gpu, network, seed }
    }

    /// For each step of a pass, the root of the squared distances from f64 over the squared values, of
    /// outputs drawn at random; what the step read is taken as it was.
    fn errors(&self, extractor: &Extractor, images: &Batch) -> Result<Vec<f64>> {
        let mut random = Random::stream(self.seed, "bench samples");
        let (mut errors, mut next) = (Vec::new(), 0);
        let mut read: Option<HostMaps> = None;
        extractor.record(self.gpu, images, &mut Recording::new(), &mut |entry, maps, recording| {
            self.gpu.run(recording)?;
            *recording = Recording::new();
            let made = HostMaps::download(self.gpu, maps)?;
            if let (Some(entry), Some(x)) = (entry, &read) {
                let parameters = self.parameters(next..entry + 1)?;
                let (mut off, mut norm) = (0.0, 0.0);
                for _ in 0..SAMPLES {
                    let image = random.below(maps.images.min(COMPARED));
                    let at = made.shape.map(|side| random.below(side));
                    let want = self.value(&parameters, next..entry + 1, x, image, at);
                    off += (made.at(image, at) - want).powi(2);
                    norm += want * want;
                }
                errors.push((off / norm.max(f64::MIN_POSITIVE)).sqrt());
                next = entry + 1;
            }
            read = Some(made);
            Ok(())
        })?;
        Ok(errors)
    }

    fn parameters(&self, entries: Range<usize>) -> Result<Parameters> {
        let weighted = entries.filter(|at| self.network.entries[*at].parameter().is_some());
        weighted
            .map(|at| Ok((at, he_normal(self.network, self.seed, &self.network.entries[at].key)?)))
            .collect()
    }

    /// What the last of some entries gives at a place, the first of them reading `x`.
    fn value(
        &self,
        parameters: &Parameters,
        entries: Range<usize>,
        x: &HostMaps,
        image: usize,
        [channel, row, column]: [usize; 3],
    ) -> f64 {
        let Some(last) = entries.clone().last() else { return x.at(image, [channel, row, column]) };
        let before = |at: [usize; 3]| self.value(parameters, entries.start..last, x, image, at);
        match (self.network.entries[last].operation, parameters.get(&last)) {
            (
                Operation::Convolution { outputs, kernel, stride, padding, groups, .. },
                Some((weight, bias)),
            ) => {
                let (per_group, own) = (weight.shape()[1], channel / (outputs / groups));
                let mut sum = f64::from(bias[channel]);
                for ((input, down), across) in (0..per_group)
                    .flat_map(|i| (0..kernel).map(move |r| (i, r)))
                    .flat_map(|pair| (0..kernel).map(move |c| (pair, c)))
                {
                    let at = [row * stride + down, column * stride + across];
                    sum += f64::from(weight[[channel, input, down, across]])
                        * x.padded(image, own * per_group + input, at, padding);
                }
                sum
            }
            (Operation::Relu, _) => before([channel, row, column]).max(0.0),
            (Operation::MaxPool { kernel, stride }, _) => {
                let places =
                    (0..kernel * kernel).map(|i| [row * stride + i / kernel, column * stride + i % kernel]);
                places.map(|[r, c]| before([channel, r, c])).fold(f64::NEG_INFINITY, f64::max)
            }
            _ => f64::NAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Grid;
    use crate::kernels::{relu, winograd_input};

    #[test]
    fn a_layer_that_is_far_off_or_no_number_is_wrong() {
        let plain = [Launch::new(&relu::KERNEL, Grid::Items(1))];
        let winograd = [Launch::new(&winograd_input::KERNEL, Grid::Items(1))];
        assert_eq!((wrong(9e-6, &plain), wrong(2e-5, &winograd)), (None, None));
        for (error, launches) in [(2e-5, &plain), (1.0, &plain), (f64::NAN, &plain), (4e-5, &winograd)] {
            assert!(wrong(error, launches).is_some(), "{error}");
        }
    }
}
