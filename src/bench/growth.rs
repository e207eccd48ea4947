//! Time and memory against size: five sizes each of images, neurons, features, penalties and batch,
//! everything else held, and the exponents through them.

use super::networks::{Timed, unprepared};
use super::report::{Measured, Row, Section, Slope};
use super::tasks::whole;
use super::{Bench, Job, Request, readout, ridge};
use crate::error::Result;
use crate::features::{Extractor, WeightSource, Wish};
use crate::gpu::Recording;
use crate::networks::{INPUT_CHANNELS, Network, Shape};

type Point = fn(&Bench<'_>, usize) -> Result<Measured>;

/// A work, what it is made larger by, and its time at a size.
struct Series {
    work: &'static str,
    axis: &'static str,
    held: &'static str,
    sizes: [usize; 5],
    point: Point,
}

const SERIES: [Series; 7] = [
    Series {
        work: "features",
        axis: "images",
        held: "alexnet 64x64 to pool5",
        sizes: [32, 64, 128, 256, 512],
        point: features,
    },
    Series {
        work: "ridge",
        axis: "images",
        held: "4096 features, 200 neurons, 20 penalties",
        sizes: [100, 200, 400, 800, 1600],
        point: |bench, images| ridge_point(bench, [images, 4096, 200, 20]),
    },
    Series {
        work: "ridge",
        axis: "features",
        held: "400 images, 200 neurons, 20 penalties",
        sizes: [4096, 8192, 16_384, 32_768, 65_536],
        point: |bench, features| ridge_point(bench, [400, features, 200, 20]),
    },
    Series {
        work: "ridge",
        axis: "neurons",
        held: "400 images, 4096 features, 20 penalties",
        sizes: [500, 1000, 2000, 4000, 8000],
        point: |bench, neurons| ridge_point(bench, [400, 4096, neurons, 20]),
    },
    Series {
        work: "ridge",
        axis: "penalties",
        held: "400 images, 4096 features, 2000 neurons",
        sizes: [5, 10, 20, 40, 80],
        point: |bench, penalties| ridge_point(bench, [400, 4096, 2000, penalties]),
    },
    Series {
        work: "readout",
        axis: "neurons",
        held: "an epoch of 128 images",
        sizes: [32, 64, 128, 256, 512],
        point: readouts,
    },
    Series {
        work: "features",
        axis: "batch",
        held: "alexnet 64x64 to pool5, one pass",
        sizes: [4, 8, 16, 32, 64],
        point: batches,
    },
];

/// A job for each size of the series that are asked for.
pub(super) fn jobs(request: &Request) -> Vec<Job> {
    let wants = |series: &&Series| request.selection.wants(&[series.work, series.axis]);
    let points = |series: &'static Series| series.sizes.map(|size| series.job(size));
    SERIES.iter().filter(wants).flat_map(points).collect()
}

impl Series {
    fn job(&'static self, size: usize) -> Job {
        let name = format!("{} by {}", self.work, self.axis);
        let case = format!("{} {size}; {}", self.axis, self.held);
        let labels = (name.clone(), case.clone());
        let work = Box::new(move |bench: &Bench<'_>| {
            let measured = (self.point)(bench, size)?;
            Ok(vec![Row { size: Some(size), ..Row::new(Section::Growth, &labels.0, &labels.1, measured) }])
        });
        Job { section: Section::Growth, name, case, work }
    }
}

/// A network that is small enough for many images.
const SMALL: Timed = Timed { network: "alexnet", height: 64, width: 64, layer: "pool5" };

fn features(bench: &Bench<'_>, images: usize) -> Result<Measured> {
    let mut problem = SMALL.features(bench, images)?;
    let slab = problem.slab(bench.gpu, images)?;
    let operations = images as f64 * SMALL.operations()?;
    whole(bench, Some(operations), || problem.solve(bench.gpu, &slab))
}

fn batches(bench: &Bench<'_>, batch: usize) -> Result<Measured> {
    let network = Network::named(SMALL.network)?;
    let input = Shape { channels: INPUT_CHANNELS, height: SMALL.height, width: SMALL.width };
    let (wanted, weights) = ([network.find(SMALL.layer)?], WeightSource::Random(bench.request.seed));
    let wish = Wish { network: &network, convolution: bench.request.convolution, wanted: &wanted, input };
    let extractor = Extractor::new(bench.gpu, wish, &weights)?;
    let images = SMALL.images(batch, bench.request.seed).batch(0..batch, &unprepared())?;
    whole(bench, Some(batch as f64 * SMALL.operations()?), || {
        let mut recording = Recording::new();
        extractor.record(bench.gpu, &images, &mut recording, &mut |_, _, _| Ok(()))?;
        bench.gpu.run(&recording)
    })
}

fn ridge_point(bench: &Bench<'_>, [images, features, neurons, penalties]: [usize; 4]) -> Result<Measured> {
    let problem = ridge::Problem::simulated(images, images / 4, features, neurons, bench.request.seed);
    let problem = ridge::Problem { penalties, ..problem };
    whole(bench, None, || problem.solve(bench.gpu).map(drop))
}

fn readouts(bench: &Bench<'_>, neurons: usize) -> Result<Measured> {
    let images = 128;
    let problem = readout::Problem::simulated(bench.gpu, images, neurons, bench.request.seed)?;
    let mut trainer = problem.trainer(bench.gpu, bench.budget.most + 2, &[readout::settings(1e-4, 1e-3)])?;
    whole(bench, Some(readout::operations(images, neurons)), || trainer.epoch().map(drop))
}

/// The exponents of every series among the rows.
pub(super) fn slopes(rows: &[Row]) -> Vec<Slope> {
    let points = |name: &str| -> Vec<(f64, &Measured)> {
        let own = rows.iter().filter(|row| row.name == name);
        own.filter_map(|row| Some((row.size? as f64, row.measured.as_ref()?))).collect()
    };
    let mut slopes = Vec::<Slope>::new();
    for row in rows.iter().filter(|row| row.size.is_some()) {
        if slopes.iter().any(|slope| slope.name == row.name) {
            continue;
        }
        let points = points(&row.name);
        let line = |value: fn(&Measured) -> f64| {
            exponent(&points.iter().map(|(size, m)| (*size, value(m))).collect::<Vec<_>>())
        };
        let time = line(|m| m.seconds.fastest_s);
        let memory = line(|m| m.memory_bytes.unwrap_or(0) as f64);
        slopes.push(Slope { name: row.name.clone(), time, memory });
    }
    slopes
}

/// The slope of the least-squares line through the logarithms of sizes and values; none of fewer than two
/// sizes.
fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    let (x, y) = logs.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / count, b + y / count));
    let both: f64 = logs.iter().map(|(a, b)| (a - x) * (b - y)).sum();
    let slope = both / logs.iter().map(|(a, _)| (a - x).powi(2)).sum::<f64>();
    slope.is_finite().then_some(slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_of_powers_are_those_powers() {
        for power in [0.0, 0.5, 1.0, 3.0] {
            let points = [4.0, 8.0, 16.0, 32.0, 64.0].map(|x: f64| (x, 0.3 * x.powf(power)));
            let slope = exponent(&points).unwrap_or(f64::NAN);
            assert!((slope - power).abs() < 1e-12);
        }
        assert_eq!(exponent(&[(4.0, 1.0)]), None);
    }
}
