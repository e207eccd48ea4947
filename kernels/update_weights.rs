//! One step of an optimiser, with penalties: every column has its own rate and penalties.

use super::case::{Case, Guarded, Trial, Values};
use super::fit::{check_matrices, wrong};
use super::laplacian::oracle as curvature;
use super::parts::PARTS;
use super::penalty_sums;
use crate::error::Result;
use crate::gpu::{Gpu, Grid, Kernel, Launch, Matrix, Recording};
use crate::numbers::{Bounded, TINY, UNIT};
use ndarray::Array2;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("update_weights", include_str!("update_weights.wgsl"), PARTS);

/// How a step is taken.
#[derive(Debug, Clone, Copy)]
pub enum Method<'a> {
    /// Kingma and Ba 2015: second moments, and how many steps were taken, this one included.
    Adam {
        /// Of the shape of the weights.
        second: &'a Matrix,
        /// From 1 on.
        steps: usize,
    },
    /// With momentum.
    Sgd,
}

/// The Laplacian penalty of weights that are maps.
#[derive(Debug, Clone, Copy)]
pub struct Bend<'a> {
    /// Laplacian of the weights.
    pub laplacian: &'a Matrix,
    /// Height and width of a map.
    pub map: [usize; 2],
    /// Sums of the weights, if the energy of the Laplacian is divided by that of the weights.
    pub normalised: Option<&'a Matrix>,
}

/// A step: `weights` and `first` (and Adam's second moments) are changed in place.
pub struct UpdateWeights<'a> {
    /// Gradient of the loss, rows x columns.
    pub gradient: &'a Matrix,
    /// A configuration a row: rate, momentum, l1, l2, laplace.
    pub hyper: &'a Matrix,
    /// Columns of a configuration: a multiple of four.
    pub configuration: usize,
    /// The weights.
    pub weights: &'a Matrix,
    /// Their first moments.
    pub first: &'a Matrix,
    /// The optimiser.
    pub method: Method<'a>,
    /// The Laplacian penalty, if there is one.
    pub bend: Option<Bend<'a>>,
    /// [`super::penalty_sums`] of the other factor, by whose magnitudes l1 is multiplied.
    pub product: Option<&'a Matrix>,
    /// Whether l1 is a proximal step.
    pub proximal: bool,
    /// Whether weights stay at or above 0.
    pub non_negative: bool,
    /// Four words or more, bound where an option leaves nothing to bind.
    pub unused: &'a Matrix,
}

/// Columns of a row of hyper-parameters.
pub const HYPER: usize = 8;

/// Adam's decay rates.
const BETAS: [f64; 2] = [0.9, 0.999];

impl UpdateWeights<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other.
    pub fn launch(&self) -> Result<Launch> {
        let (w, name) = (self.weights, KERNEL.name());
        let (second, steps) = match self.method {
            Method::Adam { second, steps } => (Some(second), steps),
            Method::Sgd => (None, 1),
        };
        let alike = [Some(self.gradient), Some(self.first), second, self.bend.map(|b| b.laplacian)];
        for m in alike.into_iter().flatten() {
            check_matrices(name, &[("weights", w), ("moments or gradients", m)])?;
            if [m.rows, m.columns] != [w.rows, w.columns] {
                return wrong(name, format!("{m:?} for {w:?}"));
            }
        }
        let normalised = self.bend.and_then(|b| b.normalised);
        for m in [normalised, self.product].into_iter().flatten() {
            check_matrices(name, &[("sums", m)])?;
            if m.pitch() != w.pitch() || !m.rows.is_multiple_of(3) {
                return wrong(name, format!("sums {m:?} for {w:?}"));
            }
        }
        let (map, step) = (self.bend.map_or([1, 1], |b| b.map), self.configuration);
        let configurations = w.pitch().checked_div(step).unwrap_or(0);
        let whole = !map.contains(&0) && w.rows.is_multiple_of(map[0] * map[1]);
        let fits = whole && step.is_multiple_of(4) && configurations * step == w.pitch();
        if !fits || self.hyper.columns != HYPER || self.hyper.rows < configurations {
            return wrong(name, format!("{:?} for {w:?} of {step} columns a configuration", self.hyper));
        }
        check_matrices(name, &[("hyper", self.hyper), ("unused", self.unused)])?;
        let sums = |m: Option<&Matrix>| m.map_or(0, |m| m.rows / 3);
        let scale = |beta: f64| (1.0 / (1.0 - beta.powf(steps as f64))) as f32;
        let items = w.rows * w.pitch() / 4;
        let flags = [
            ("ADAM", second.is_some()),
            ("PROXIMAL", self.proximal),
            ("NON_NEGATIVE", self.non_negative),
            ("LAPLACE", self.bend.is_some()),
            ("PRODUCT", self.product.is_some()),
            ("NORMALISED", normalised.is_some()),
        ];
        let launch = Launch::new(&KERNEL, Grid::Items(items))
            .read("gradient", &self.gradient.buffer)
            .read("maps", &self.bend.map_or(self.gradient, |b| b.laplacian).buffer)
            .read("own", &normalised.unwrap_or(self.hyper).buffer)
            .read("other", &self.product.unwrap_or(self.hyper).buffer)
            .read("hyper", &self.hyper.buffer)
            .write("weights", &w.buffer)
            .write("first", &self.first.buffer)
            .write("second", &second.unwrap_or(self.unused).buffer)
            .set("items", items)
            .set("quads", w.pitch() / 4)
            .set("configuration_quads", step / 4)
            .set("height", map[0])
            .set("width", map[1])
            .set("own_segments", sums(normalised))
            .set("other_segments", sums(self.product))
            .set_float("first_scale", scale(BETAS[0]))
            .set_float("second_scale", scale(BETAS[1]))
            .cost(if self.bend.is_some() { 30.0 } else { 15.0 } * (w.rows * w.columns) as f64);
        Ok(flags.iter().fold(launch, |l, (name, on)| l.constant(name, f64::from(u8::from(*on)))))
    }
}

/// What a step of one weight takes in, in f64.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Weight, first and second moment before the step.
    pub state: [f64; 3],
    /// Gradient of the loss.
    pub gradient: f64,
    /// `L * (L * w)`, with its bound.
    pub curvature: Bounded,
    /// Rate, momentum, l1, l2, laplace, after factors of products and norms.
    pub hyper: [f64; 5],
    /// Steps taken with Adam, this one included; `None` for SGD.
    pub adam: Option<usize>,
    /// As in [`UpdateWeights`].
    pub proximal: bool,
    /// As in [`UpdateWeights`].
    pub non_negative: bool,
}

/// Weight and moments after a step in f64, each with its bound: the penalised gradient is a sum of a few
/// rounded terms, and errors are carried on through moments, quotient and difference to first order.
pub fn oracle(step: &Step) -> [Bounded; 3] {
    let [weight, first, second] = step.state;
    let [rate, momentum, l1, l2, laplace] = step.hyper;
    let slope = if step.proximal || weight == 0.0 { 0.0 } else { l1 * weight.signum() };
    let terms = [step.gradient, 2.0 * laplace * step.curvature.value, 2.0 * l2 * weight, slope];
    let g: f64 = terms.iter().sum();
    let magnitude: f64 = terms.iter().map(|t| t.abs()).sum();
    // Norms in front of penalties come from sums of a few hundred terms.
    let g_off = 16.0 * UNIT * magnitude + 2.0 * laplace.abs() * step.curvature.bound + TINY;
    let (moment, moment_off, spread, spread_off, scaled, scaled_off, pace, pace_off) = match step.adam {
        None => {
            let moment = momentum * first + g;
            let off = g_off + 3.0 * UNIT * ((momentum * first).abs() + g.abs());
            (moment, off, second, 0.0, moment, off, rate, UNIT * rate)
        }
        Some(steps) => {
            let scale = |beta: f64| 1.0 / (1.0 - beta.powf(steps as f64));
            let (b1, b2) = (BETAS[0], BETAS[1]);
            let moment = b1 * first + (1.0 - b1) * g;
            let moment_off = 0.1 * g_off + 4.0 * UNIT * (first.abs() + 0.1 * g.abs());
            let spread = b2 * second + (1.0 - b2) * g * g;
            let spread_off = 0.001 * (2.0 * g.abs() * g_off + g_off * g_off) + 5.0 * UNIT * spread + TINY;
            let root = (spread * scale(b2)).sqrt();
            let root_off = 0.5 * root * (spread_off / spread.max(TINY) + 2.0 * UNIT) + 6.0 * UNIT * root;
            let pace = rate / (root + 1e-8);
            let pace_off = pace * (root_off / (root + 1e-8) + 8.0 * UNIT);
            let scaled = moment * scale(b1);
            (
                moment,
                moment_off,
                spread,
                spread_off,
                scaled,
                moment_off * scale(b1) + 3.0 * UNIT * scaled.abs(),
                pace,
                pace_off,
            )
        }
    };
    let move_off = pace * scaled_off + pace_off * scaled.abs() + 2.0 * UNIT * (pace * scaled).abs();
    let mut after = weight - pace * scaled;
    let mut after_off = move_off + 2.0 * UNIT * (weight.abs() + after.abs()) + TINY;
    if step.proximal {
        after = after.signum() * (after.abs() - pace * l1).max(0.0);
        after_off += l1 * (pace_off + 4.0 * UNIT * pace);
    }
    let turned = step.non_negative && after < 0.0;
    let sign = if turned { -1.0 } else { 1.0 };
    [
        Bounded { value: sign * after, bound: after_off },
        Bounded { value: sign * moment, bound: moment_off },
        Bounded { value: spread, bound: spread_off },
    ]
}

/// What a case switches on.
#[derive(Debug, Clone, Copy, Default)]
struct Options {
    adam: bool,
    proximal: bool,
    non_negative: bool,
    laplace: bool,
    product: bool,
    normalised: bool,
    /// 0: weights, 1: first moments, 2: second moments.
    output: usize,
}

/// Inputs of a case on the host.
struct Inputs {
    rows: usize,
    columns: usize,
    map: [usize; 2],
    state: [Array2<f32>; 3],
    gradient: Array2<f32>,
    bend: Array2<f32>,
    /// The same in f64, converted once for all weights.
    wide: Array2<f64>,
    own: Array2<f32>,
    other: Array2<f32>,
    hyper: Array2<f32>,
}

impl Inputs {
    fn new(maps: usize, map: [usize; 2], neurons: usize, configurations: usize) -> Self {
        let (rows, columns) = (maps * map[0] * map[1], neurons * configurations);
        let mut values = Values::new((rows + columns) as u64);
        let mut array = |rows: usize, columns: usize| {
            // Nothing near 0, where a sign or a quotient hangs on the last digit.
            let away = |v: f32| if v < 0.0 { v - 0.5 } else { v + 0.5 };
            Array2::<f32>::zeros((rows, columns)).mapv_into(|_| away(values.integers(1)[0] * 0.37))
        };
        let state = [array(rows, columns), array(rows, columns), array(rows, columns).mapv(|v| v * v)];
        let (gradient, bend) = (array(rows, columns), array(rows, columns));
        let sums = penalty_sums::rows(rows);
        let (own, other) = (array(sums, columns).mapv(f32::abs), array(6, columns).mapv(f32::abs));
        let hyper = Array2::from_shape_fn((configurations, HYPER), |(c, at)| {
            [0.01, 0.9, 0.3, 0.02, 0.05].get(at).map_or(0.0, |v| v * (c + 1) as f32)
        });
        let wide = bend.mapv(f64::from);
        Inputs { rows, columns, map, state, gradient, bend, wide, own, other, hyper }
    }

    /// The step of one weight; `steps` of Adam.
    fn step(&self, options: Options, [row, column]: [usize; 2], steps: usize) -> Step {
        let at = |m: &Array2<f32>, row: usize| f64::from(m[[row, column]]);
        let every =
            |m: &Array2<f32>, kind: usize| (0..m.nrows() / 3).map(|s| at(m, 3 * s + kind)).sum::<f64>();
        let neurons = self.columns / self.hyper.nrows();
        let mut hyper = [0, 1, 2, 3, 4].map(|of| f64::from(self.hyper[[column / neurons, of]]));
        if options.product {
            hyper[2] *= every(&self.other, 0);
        }
        if options.normalised {
            hyper[4] /= every(&self.own, 1);
            hyper[3] -= hyper[4] * every(&self.own, 2) / every(&self.own, 1);
        }
        let wide = self.wide.column(column);
        let flat = Bounded::exact(0.0);
        Step {
            state: [0, 1, 2].map(|of| at(&self.state[of], row)),
            gradient: at(&self.gradient, row),
            curvature: if options.laplace { curvature(wide, row, self.map) } else { flat },
            hyper,
            adam: options.adam.then_some(steps),
            proximal: options.proximal,
            non_negative: options.non_negative,
        }
    }
}

fn case(maps: usize, map: [usize; 2], neurons: usize, configurations: usize, options: Options) -> Case {
    let label = format!("{maps} maps of {map:?}, {configurations} x {neurons}, {options:?}");
    Case::new(label, move |gpu: &Gpu| {
        let inputs = Inputs::new(maps, map, neurons, configurations);
        let (rows, columns, steps) = (inputs.rows, inputs.columns, 3);
        let output = Guarded::new(gpu, rows * columns)?;
        gpu.write(&output.buffer, 0, &crate::gpu::padded_rows(inputs.state[options.output].view()))?;
        let state = |of: usize| match of == options.output {
            true => Ok(Matrix { buffer: output.buffer.clone(), rows, columns }),
            false => Matrix::upload(gpu, "state", inputs.state[of].view()),
        };
        let (weights, first, second) = (state(0)?, state(1)?, state(2)?);
        let on = |m: &Array2<f32>| Matrix::upload(gpu, "input", m.view());
        let (own, other, bend, hyper) =
            (on(&inputs.own)?, on(&inputs.other)?, on(&inputs.bend)?, on(&inputs.hyper)?);
        let bend = Bend { laplacian: &bend, map, normalised: options.normalised.then_some(&own) };
        let update = UpdateWeights {
            gradient: &on(&inputs.gradient)?,
            hyper: &hyper,
            configuration: neurons,
            weights: &weights,
            first: &first,
            method: if options.adam { Method::Adam { second: &second, steps } } else { Method::Sgd },
            bend: options.laplace.then_some(bend),
            product: options.product.then_some(&other),
            proximal: options.proximal,
            non_negative: options.non_negative,
            unused: &Matrix::zeros(gpu, "unused", 1, 4)?,
        };
        let mut recording = Recording::new();
        recording.add(update.launch()?);
        let word = |at: usize| {
            let step = inputs.step(options, [at / columns, at % columns], steps);
            Some(oracle(&step)[options.output])
        };
        Ok(Trial { recording, output, expected: (0..rows * columns).map(word).collect() })
    })
}

/// Both optimisers with every option, each state, one and several configurations.
pub fn cases() -> Vec<Case> {
    let plain = Options::default();
    let adam = Options { adam: true, ..plain };
    let all = Options { laplace: true, product: true, normalised: true, ..adam };
    vec![
        case(1, [1, 1], 8, 1, plain),
        case(3, [2, 3], 4, 3, Options { laplace: true, ..plain }),
        case(3, [2, 3], 4, 3, Options { output: 1, ..plain }),
        case(2, [5, 3], 12, 2, Options { proximal: true, ..plain }),
        case(2, [5, 3], 12, 2, Options { non_negative: true, output: 1, ..plain }),
        case(7, [1, 1], 4, 5, adam),
        case(7, [1, 1], 4, 5, Options { output: 1, ..adam }),
        case(7, [1, 1], 4, 5, Options { output: 2, ..adam }),
        case(2, [4, 7], 20, 2, Options { laplace: true, proximal: true, ..adam }),
        case(2, [4, 7], 20, 2, Options { non_negative: true, product: true, ..adam }),
        case(200, [2, 2], 8, 3, all),
        case(200, [2, 2], 8, 3, Options { adam: false, ..all }),
        case(256, [14, 14], 52, 1, Options { laplace: true, ..adam }).timed(),
    ]
}
