//! The loss of a readout, and its gradient at the linear sum.

use super::case::{Case, Guarded, Trial, Values};
use super::fit::{check_matrices, wrong};
use super::parts::PARTS;
use crate::error::Result;
use crate::gpu::{Buffer, Grid, Kernel, LONGEST_LOOP, Launch, Matrix, Recording};
use crate::numbers::{Bounded, TINY, UNIT};
use ndarray::Array2;
use std::ops::Range;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("readout_loss", include_str!("readout_loss.wgsl"), PARTS);

/// What stands after the linear sum: its number in the shader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the part `nonlinearity` says what each is")]
pub enum Response {
    Identity = 0,
    Relu = 1,
    Softplus = 2,
    Elu = 3,
    Exp = 4,
}

/// `y = f(z + bias)`, `g = scale dloss/dz`, `bias_gradient = Σ_b g`, `losses += scale Σ_b loss`.
pub struct ReadoutLoss<'a> {
    /// Linear sums without bias, images x columns.
    pub z: &'a Matrix,
    /// One row.
    pub bias: &'a Matrix,
    /// Responses, all images x neurons (a multiple of four, by which the columns divide).
    pub targets: &'a Matrix,
    /// Neurons of a configuration that are no padding.
    pub neurons: usize,
    /// Rows of `targets`, u32.
    pub index: &'a Buffer,
    /// Where in `index` the first image stands.
    pub start: usize,
    /// The columns that are looked at: both ends multiples of four.
    pub columns: Range<usize>,
    /// f.
    pub response: Response,
    /// Whether the loss is `y - t ln(y + 1e-8)` instead of `(y - t)²`.
    pub poisson: bool,
    /// Factor of losses and gradients.
    pub scale: f32,
    /// Gradients, images x columns.
    pub g: &'a Matrix,
    /// One row.
    pub bias_gradient: &'a Matrix,
    /// One row, which is added to.
    pub losses: &'a Matrix,
}

impl ReadoutLoss<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other.
    pub fn launch(&self) -> Result<Launch> {
        let (z, targets, name) = (self.z, self.targets, KERNEL.name());
        let rows = [("bias", self.bias), ("bias_gradient", self.bias_gradient), ("losses", self.losses)];
        check_matrices(name, &rows)?;
        check_matrices(name, &[("z", z), ("targets", targets), ("g", self.g)])?;
        let row = |m: &Matrix| [m.rows, m.columns] == [1, z.columns];
        let whole =
            targets.columns > 0 && targets.columns % 4 == 0 && z.columns.is_multiple_of(targets.columns);
        let same = [self.g.rows, self.g.columns] == [z.rows, z.columns] && rows.iter().all(|(_, m)| row(m));
        let listed = self.index.words() >= self.start + z.rows;
        let Range { start: first, end } = self.columns;
        let ranged = first % 4 == 0 && end % 4 == 0 && first < end && end <= z.pitch();
        if !whole || !same || !listed || !ranged || z.rows > LONGEST_LOOP as usize {
            return wrong(name, format!("{z:?}, {targets:?}, {:?}", self.index));
        }
        Ok(Launch::new(&KERNEL, Grid::Items((end - first) / 4))
            .constant("POISSON", f64::from(u8::from(self.poisson)))
            .constant("NONLINEARITY", self.response as u32 as f64)
            .read("z", &z.buffer)
            .read("bias", &self.bias.buffer)
            .read("targets", &targets.buffer)
            .read("index", self.index)
            .write("g", &self.g.buffer)
            .write("bias_gradient", &self.bias_gradient.buffer)
            .write("losses", &self.losses.buffer)
            .set("images", z.rows)
            .set("quads", (end - first) / 4)
            .set("first_quad", first / 4)
            .set("pitch_quads", z.pitch() / 4)
            .set("target_quads", targets.columns / 4)
            .set("neurons", self.neurons)
            .set("start", self.start)
            .set_float("scale", self.scale)
            .cost(10.0 * (z.rows * (end - first)) as f64))
    }
}

/// A response and its slope in f64, each with its bound. WGSL allows exp 3 + 2|x| units in the last place,
/// log three and 2^-21, and a division 2.5.
fn respond(response: Response, x: f64) -> [Bounded; 2] {
    let near = |value: f64, units: f64| Bounded { value, bound: units * UNIT * value.abs() + TINY };
    let grown = || near(x.exp(), 2.0 * (3.0 + 2.0 * x.abs()) + 2.0 * x.abs());
    match response {
        Response::Identity => [near(x, 1.0), near(1.0, 0.0)],
        Response::Relu => [near(x.max(0.0), 1.0), near(f64::from(u8::from(x > 0.0)), 0.0)],
        Response::Exp => [grown(), grown()],
        Response::Elu if x > 0.0 => [near(x + 1.0, 3.0), near(1.0, 0.0)],
        Response::Elu => [grown(), grown()],
        Response::Softplus => {
            let tail = (-x.abs()).exp();
            let off = UNIT * tail * (6.0 + 6.0 * x.abs()) + TINY;
            let value = x.max(0.0) + tail.ln_1p();
            let slope = if x >= 0.0 { 1.0 } else { tail } / (1.0 + tail);
            [
                Bounded { value, bound: off + 2f64.powi(-21) + 8.0 * UNIT * value },
                Bounded { value: slope, bound: off + 8.0 * UNIT * slope },
            ]
        }
    }
}

/// Loss and gradient of one prediction in f64, each with its bound.
pub fn oracle(response: Response, poisson: bool, x: f64, t: f64) -> [Bounded; 2] {
    let [y, slope] = respond(response, x);
    let (loss, of_y) = if poisson {
        let raised = y.value + 1e-8;
        let log = raised.ln();
        let raised_off = y.bound + UNIT * raised;
        let log_off = raised_off / raised + 2f64.powi(-21) + 6.0 * UNIT * log.abs();
        let quotient = t / raised;
        let quotient_off = quotient.abs() * (raised_off / raised + 5.0 * UNIT);
        let loss = y.value - t * log;
        let loss_off = y.bound + t.abs() * log_off + 3.0 * UNIT * (y.value.abs() + (t * log).abs());
        let of_y = Bounded { value: 1.0 - quotient, bound: quotient_off + UNIT * (1.0 + quotient.abs()) };
        (Bounded { value: loss, bound: loss_off }, of_y)
    } else {
        let error = y.value - t;
        let off = y.bound + UNIT * error.abs();
        let loss = Bounded {
            value: error * error,
            bound: 2.0 * error.abs() * off + off * off + UNIT * error * error,
        };
        (loss, Bounded { value: 2.0 * error, bound: 2.0 * off })
    };
    let value = of_y.value * slope.value;
    let bound =
        of_y.bound * slope.value.abs() + of_y.value.abs() * slope.bound + 4.0 * UNIT * value.abs() + TINY;
    [loss, Bounded { value, bound }]
}

/// Which of the three outputs a case looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Output {
    Gradient,
    Bias,
    Losses,
}

/// What is summed over images: values, and rounding of the sum on top of the terms' own.
fn total(start: f64, terms: &[Bounded]) -> Bounded {
    let magnitude = start.abs() + terms.iter().map(|t| t.value.abs()).sum::<f64>();
    let value = start + terms.iter().map(|t| t.value).sum::<f64>();
    let sum = Bounded::sum(value, magnitude, terms.len() + 2);
    Bounded { value, bound: sum.bound + terms.iter().map(|t| t.bound).sum::<f64>() }
}

fn case(images: usize, neurons: usize, groups: usize, response: Response, poisson: bool, of: Output) -> Case {
    let loss = if poisson { "Poisson" } else { "squared" };
    let label = format!("{images} images, {groups} x {neurons}, {response:?}, {loss}, {of:?}");
    Case::new(label, move |gpu| {
        let (columns, start, scale) = (neurons * groups, 3, 0.25);
        // The last two of more than four are padding.
        let real = if neurons > 4 { neurons - 2 } else { neurons };
        // With several configurations the first is left alone.
        let looked = if groups > 1 { neurons..columns } else { 0..columns };
        let mut values = Values::new((images + columns) as u64);
        // Sums around 0, where every nonlinearity bends, and counts as targets.
        let mut array = |rows: usize, columns: usize| {
            Array2::<f32>::zeros((rows, columns)).mapv_into(|_| values.integers(1)[0] * 0.5 + 0.125)
        };
        let (z, bias, before) = (array(images, columns), array(1, columns), array(1, columns));
        let targets = array(images + 9, neurons).mapv(|t| t.abs().floor());
        let index: Vec<u32> = (0..start + images).map(|i| (i * 5 % (images + 9)) as u32).collect();
        let rows = if of == Output::Gradient { images } else { 1 };
        let output = Guarded::new(gpu, rows * columns)?;
        let guarded = Matrix { buffer: output.buffer.clone(), rows, columns };
        if of == Output::Losses {
            let started = before.slice(ndarray::s![.., looked.clone()]).to_owned();
            gpu.write(&output.buffer, looked.start, &crate::gpu::padded_rows(started.view()))?;
        }
        let plain = |wanted, rows, name| match of == wanted {
            true => Ok(guarded.clone()),
            false => Matrix::zeros(gpu, name, rows, columns),
        };
        let launch = ReadoutLoss {
            z: &Matrix::upload(gpu, "z", z.view())?,
            bias: &Matrix::upload(gpu, "bias", bias.view())?,
            targets: &Matrix::upload(gpu, "targets", targets.view())?,
            neurons: real,
            index: &gpu.upload("index", &index)?,
            start,
            columns: looked.clone(),
            response,
            poisson,
            scale,
            g: &plain(Output::Gradient, images, "g")?,
            bias_gradient: &plain(Output::Bias, 1, "bias gradient")?,
            losses: &plain(Output::Losses, 1, "losses")?,
        };
        let mut recording = Recording::new();
        recording.add(launch.launch()?);
        let one = |image: usize, column: usize| {
            if column % neurons >= real {
                return [Bounded::exact(0.0); 2];
            }
            let t = f64::from(targets[[index[start + image] as usize, column % neurons]]);
            let pair =
                oracle(response, poisson, f64::from(z[[image, column]]) + f64::from(bias[[0, column]]), t);
            // A power of two: scaling is exact.
            pair.map(|b| Bounded { value: b.value * f64::from(scale), bound: b.bound * f64::from(scale) })
        };
        let word = |at: usize| {
            let (row, column) = (at / columns, at % columns);
            if !looked.contains(&column) {
                return None;
            }
            let all = |which: usize| (0..images).map(|image| one(image, column)[which]).collect::<Vec<_>>();
            Some(match of {
                Output::Gradient => one(row, column)[1],
                Output::Bias => total(0.0, &all(1)),
                Output::Losses => total(f64::from(before[[0, column]]), &all(0)),
            })
        };
        Ok(Trial { recording, output, expected: (0..rows * columns).map(word).collect() })
    })
}

/// Every nonlinearity with both losses, each output, several configurations side by side.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![case(5, 4, 1, Response::Identity, false, Output::Losses)];
    for response in [Response::Identity, Response::Relu, Response::Softplus, Response::Elu, Response::Exp] {
        cases.push(case(7, 12, 3, response, false, Output::Gradient));
        cases.push(case(31, 8, 2, response, false, Output::Losses));
        // Poisson's logarithm wants predictions above 0.
        if response as u32 >= 2 {
            cases.push(case(7, 12, 3, response, true, Output::Gradient));
            cases.push(case(31, 8, 2, response, true, Output::Losses));
            cases.push(case(13, 4, 70, response, true, Output::Bias));
        }
    }
    cases.push(case(64, 212, 16, Response::Identity, false, Output::Gradient).timed());
    cases
}
