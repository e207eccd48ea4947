//! Local response normalisation across channels (Krizhevsky, Sutskever and Hinton 2012), with PyTorch's
//! conventions: `b[c] = a[c] / (k + alpha / size * sum of a[d]^2)^beta` over the `size` channels d around c.

use super::case::Case;
use super::fit::{check_maps, wrong};
use super::parts::PARTS;
use super::trials::{maps_trial, random_maps};
use crate::error::Result;
use crate::gpu::{Grid, Kernel, Launch, Maps};
use crate::numbers::{Bounded, TINY, UNIT};
use ndarray::{Array4, ArrayView4};

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("local_response", include_str!("local_response.wgsl"), PARTS);

/// The constants of a normalisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalisation {
    /// Channels that a channel sees: `size / 2` before it, itself, and `(size - 1) / 2` after it.
    pub size: usize,
    /// Factor of the mean square.
    pub alpha: f32,
    /// Exponent.
    pub beta: f32,
    /// What is added to the scaled mean square; positive.
    pub k: f32,
}

/// `y = x` normalised.
pub struct LocalResponse<'a> {
    /// Input maps.
    pub x: &'a Maps,
    /// Output maps of the same shape.
    pub y: &'a Maps,
    /// The constants.
    pub constants: Normalisation,
}

impl LocalResponse<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes differ, buffers are too short, or the denominator could be zero.
    pub fn launch(&self) -> Result<Launch> {
        let (x, y, n, name) = (self.x, self.y, self.constants, KERNEL.name());
        check_maps(name, &[("x", x), ("y", y)])?;
        let shape = |m: &Maps| [m.images, m.channels, m.height, m.width];
        if shape(x) != shape(y) {
            return wrong(name, format!("{y:?} has not the shape of {x:?}"));
        }
        let longest = crate::gpu::LONGEST_LOOP as usize;
        if n.size == 0 || n.size > longest || x.quads() > longest {
            return wrong(name, format!("{n:?} over {} channels: at most {longest} are seen", x.channels));
        }
        if !(n.k > 0.0 && n.alpha >= 0.0 && n.beta.is_finite()) {
            return wrong(name, format!("{n:?}: k is positive, alpha not negative"));
        }
        let items = y.images * y.quads() * y.area();
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .read("x", &x.buffer)
            .write("y", &y.buffer)
            .set("items", items)
            .set("area", x.area())
            .set("quads", x.quads())
            .set("channels", x.channels)
            .set("size", n.size)
            .set_float("share", (f64::from(n.alpha) / n.size as f64) as f32)
            .set_float("beta", n.beta)
            .set_float("k", n.k)
            .cost(4.0 * items as f64 * (2 * n.size + 4) as f64))
    }
}

/// Roundoffs that WGSL allows `base^beta`, relative, given a base exact to `error` roundoffs. One ULP is at
/// most two roundoffs.
///
/// For 0.75, sqrt is 1 / inverseSqrt (2 ULP and a division of 2.5 ULP: 9 roundoffs), its root has half of
/// that and its own 9, and the product adds 1: 23.5. Otherwise pow is exp2(y log2(x)): log2 is 2^-21 off
/// within 0.5..2 and 3 ULP elsewhere, the product adds 1, an error of the exponent counts ln 2 times, and
/// exp2 is off by 3 + 2 |exponent| ULP.
fn power_error(base: f64, error: f64, beta: f64) -> f64 {
    let inherited = beta.abs() * error;
    if beta == 0.75 {
        return inherited + 23.5;
    }
    let logarithm = base.log2().abs();
    let of_logarithm = if (0.5..=2.0).contains(&base) { 8.0 } else { 6.0 * logarithm };
    let exponent = beta.abs() * logarithm;
    inherited + 2f64.ln() * (beta.abs() * of_logarithm + exponent) + 2.0 * (3.0 + 2.0 * exponent)
}

/// The same in f64.
///
/// The base is a sum of positive terms: a roundoff for every square and addition, and three for alpha / size,
/// its product and k. The division adds 2.5 ULP.
pub fn oracle(x: ArrayView4<'_, f32>, n: Normalisation) -> Array4<Bounded> {
    let channels = x.dim().1;
    let (alpha, beta, k) = (f64::from(n.alpha), f64::from(n.beta), f64::from(n.k));
    Array4::from_shape_fn(x.dim(), |(i, c, row, column)| {
        let window = c.saturating_sub(n.size / 2)..(c + (n.size - 1) / 2 + 1).min(channels);
        let squares: f64 = window.map(|d| f64::from(x[[i, d, row, column]]).powi(2)).sum();
        let base = k + alpha / n.size as f64 * squares;
        let value = f64::from(x[[i, c, row, column]]) / base.powf(beta);
        let roundoffs = power_error(base, 2.0 * n.size as f64 + 3.0, beta) + 5.0;
        Bounded { value, bound: roundoffs * UNIT * value.abs() + TINY }
    })
}

fn case(shape: [usize; 4], constants: Normalisation, strange: &'static [(usize, f32)]) -> Case {
    Case::new(format!("{shape:?} {constants:?} {strange:?}"), move |gpu| {
        let mut x = random_maps(shape, (shape[1] * 43 + shape[2]) as u64, false);
        for (at, value) in strange {
            if let Some(v) = x.iter_mut().nth(*at) {
                *v = *value;
            }
        }
        let want = oracle(x.view(), constants);
        maps_trial(gpu, &x, &want, |x, y| LocalResponse { x, y, constants }.launch())
    })
}

/// Sizes that hurt: one channel, ragged quads, windows of even size, wider than the channels and over many
/// quads; the neighbours weigh enough to be seen. A NaN in the last channel must not reach the zeros behind
/// it.
pub fn cases() -> Vec<Case> {
    let n = |size, alpha, beta, k| Normalisation { size, alpha, beta, k };
    vec![
        case([1, 1, 1, 1], n(5, 1.0, 0.75, 1.0), &[]),
        case([2, 7, 3, 5], n(5, 2.0, 0.75, 1.0), &[]),
        case([1, 13, 2, 3], n(4, 3.0, 0.75, 2.0), &[]),
        case([1, 37, 3, 3], n(19, 5.0, 0.5, 0.5), &[]),
        case([2, 6, 4, 1], n(31, 1.0, 1.3, 1.0), &[]),
        case([1, 9, 1, 3], n(1, 4.0, 0.75, 1.0), &[]),
        case([1, 5, 1, 2], n(3, 1.0, 0.75, 1.0), &[(8, f32::NAN), (3, f32::INFINITY)]),
        case([4, 96, 27, 27], n(5, 1e-4, 0.75, 1.0), &[]).timed(),
    ]
}
