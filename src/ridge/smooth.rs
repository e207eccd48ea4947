//! Ridge whose weights lie on maps and are to be smooth: `Σ (y - ŷ)² + l2 |K|² + laplace |K * L|²`, with
//! `L = [[.5, 1, .5], [1, -6, 1], [.5, 1, .5]]` over every channel's map and zeros around it.
//!
//! With `u = [1/2, 1, 1/2]`, L is `2 u ⊗ u - 8 δ`, and convolution with u, zeros around, has the sine basis
//! (DST-I) as eigenvectors with eigenvalues `1 + cos(π a / (n + 1))`. So L is diagonal in the two-dimensional
//! sine basis, and the penalty of a spatial frequency is `l2 (1 + ratio μ²)`, where `ratio = laplace / l2`.
//! Features rotated into that basis and divided by `sqrt(1 + ratio μ²)` make an ordinary ridge of penalty l2.

use crate::error::{Error, Kind, Result};
use std::f64::consts::PI;
use std::str::FromStr;

/// `1 + ratio μ²` of every frequency of a map of `[height, width]`, row by row.
pub fn frequency_penalties([height, width]: [usize; 2], ratio: f64) -> Vec<f64> {
    let along = |k: usize, n: usize| 1.0 + (PI * (k + 1) as f64 / (n + 1) as f64).cos();
    let eigenvalue = |at: usize| 2.0 * along(at / width, height) * along(at % width, width) - 8.0;
    (0..height * width).map(|at| 1.0 + ratio * eigenvalue(at).powi(2)).collect()
}

/// Ratios of the Laplacian's penalty to that of the squared weights, ascending.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct Ratios(Vec<f64>);

/// Beyond it nothing changes: the Laplacian alone decides, and weights in f32 lose their digits.
const LARGEST_RATIO: f64 = 1e12;

impl Ratios {
    /// Ratios in any order; 0 is plain ridge.
    ///
    /// # Errors
    /// Usage, if there are none, or one is below 0, above 1e12 or no number.
    pub fn new(mut values: Vec<f64>) -> Result<Self> {
        let wrong = values.iter().find(|v| !(0.0..=LARGEST_RATIO).contains(*v));
        let found = match wrong {
            Some(value) => format!("{value} is no ratio of penalties"),
            None if values.is_empty() => "no ratio at all".into(),
            None => {
                values.sort_by(f64::total_cmp);
                values.dedup();
                return Ok(Ratios(values));
            }
        };
        let wanted = "numbers from 0 to 1e12";
        Err(Error::new(Kind::Usage, "--ratios", found, wanted, "Try 0,0.01,0.1,1,10,100"))
    }

    /// The ratios, ascending.
    pub fn values(&self) -> &[f64] {
        &self.0
    }
}

impl Default for Ratios {
    /// 0 (plain ridge), and powers of ten from 0.01 to 100.
    fn default() -> Self {
        Ratios(vec![0.0, 0.01, 0.1, 1.0, 10.0, 100.0])
    }
}

impl FromStr for Ratios {
    type Err = Error;

    /// `VALUE,VALUE,...`
    fn from_str(text: &str) -> Result<Self> {
        Ratios::new(text.split(',').map(|t| t.trim().parse().unwrap_or(f64::NAN)).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_read_or_refused() {
        assert_eq!("0,0.01,0.1,1,10,100".parse::<Ratios>().unwrap(), Ratios::default());
        assert_eq!("10, 0, 10".parse::<Ratios>().unwrap().values(), [0.0, 10.0]);
        for text in ["", "a", "-1,2", "0,-0.5", "nan", "inf", "1e13", "0:1:3"] {
            let error = text.parse::<Ratios>().unwrap_err().to_string();
            assert!(error.contains("0,0.01,0.1,1,10,100"), "{text}: {error}");
        }
    }

    /// On one pixel with zeros around the Laplacian is its centre, -6.
    #[test]
    fn one_pixel_has_the_centre_of_the_laplacian() {
        let [only] = frequency_penalties([1, 1], 0.5)[..] else { panic!("one frequency") };
        assert!((only - (1.0 + 0.5 * 36.0)).abs() < 1e-12, "{only}");
        assert!(frequency_penalties([3, 5], 0.0).iter().all(|p| *p == 1.0));
    }
}
