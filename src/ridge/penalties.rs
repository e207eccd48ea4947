//! The grid of ridge penalties, as a user writes it.

use crate::error::{Error, Kind, Result};
use std::str::FromStr;

/// A grid of penalties.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Penalties {
    /// In units of the mean eigenvalue of the centred kernel matrix of the training images, so that the same
    /// grid suits any layer and any number of images.
    Relative(Vec<f64>),
    /// As they stand in front of |W|².
    Absolute(Vec<f64>),
}

impl Default for Penalties {
    /// 15 values from 1e-5 to 1e2, relative.
    fn default() -> Self {
        Penalties::Relative(logarithmic(-5.0, 2.0, 15))
    }
}

fn logarithmic(first: f64, last: f64, count: usize) -> Vec<f64> {
    let step = (last - first) / (count.max(2) - 1) as f64;
    (0..count).map(|i| 10f64.powf(first + step * i as f64)).collect()
}

impl Penalties {
    /// The grid in absolute units, given the unit of relative ones; ascending, in whatever order it was
    /// written.
    pub fn absolute(&self, unit: f64) -> Vec<f64> {
        let mut values: Vec<f64> = match self {
            Penalties::Relative(values) => values.iter().map(|v| v * unit).collect(),
            Penalties::Absolute(values) => values.clone(),
        };
        values.sort_by(f64::total_cmp);
        values
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Penalties::Relative(values) | Penalties::Absolute(values) => values.len(),
        }
    }
}

impl FromStr for Penalties {
    type Err = Error;

    /// `FIRST:LAST:COUNT` (powers of ten) or `VALUE,VALUE,...`, with `absolute:` before it for absolute
    /// units.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(
                Kind::Usage,
                "--lambdas",
                format!("{text:?} is no grid of penalties"),
                "FIRST:LAST:COUNT in powers of ten such as -5:2:15, or positive values such as 0.1,1,10",
                "Put absolute: before it for penalties that are not in units of the mean eigenvalue",
            )
        };
        let (body, is_absolute) = match text.strip_prefix("absolute:") {
            Some(body) => (body, true),
            None => (text, false),
        };
        let number = |t: &str| t.trim().parse::<f64>().ok().filter(|v| v.is_finite());
        let parts: Vec<&str> = body.split(':').collect();
        let mut values = match parts.as_slice() {
            [first, last, count] => {
                let count = count.trim().parse::<usize>().ok().filter(|n| (1..=1000).contains(n));
                let (first, last) = (number(first).ok_or_else(wrong)?, number(last).ok_or_else(wrong)?);
                logarithmic(first, last, count.ok_or_else(wrong)?)
            }
            [list] => list.split(',').map(|t| number(t).ok_or_else(wrong)).collect::<Result<_>>()?,
            _ => return Err(wrong()),
        };
        if values.iter().any(|v| !(*v > 0.0 && v.is_finite())) {
            return Err(wrong());
        }
        values.sort_by(f64::total_cmp);
        values.dedup();
        Ok(if is_absolute { Penalties::Absolute(values) } else { Penalties::Relative(values) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn grids_are_read() {
        assert_eq!("-5:2:15".parse::<Penalties>().unwrap(), Penalties::default());
        assert_eq!("10, 0.5,10".parse::<Penalties>().unwrap(), Penalties::Relative(vec![0.5, 10.0]));
        let absolute = "absolute:-2:7:20".parse::<Penalties>().unwrap().absolute(123.0);
        assert_eq!(absolute.len(), 20);
        assert!((absolute[0] - 0.01).abs() < 1e-15 && (absolute[19] / 1e7 - 1.0).abs() < 1e-12);
        assert_eq!("0:0:1".parse::<Penalties>().unwrap().absolute(3.0), vec![3.0]);
    }

    /// What is equal stays: as many as [`Penalties::count`] says.
    #[test]
    fn grids_of_any_order_ascend() {
        assert_eq!(Penalties::Relative(vec![1.0, 0.25, 8.0, 0.25]).absolute(2.0), [0.5, 0.5, 2.0, 16.0]);
        assert_eq!(Penalties::Absolute(vec![1.0, 1e-9]).absolute(2.0), [1e-9, 1.0]);
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for text in ["", "a", "-1,2", "0", "1:2", "1:2:0", "1:2:3:4", "inf", "absolute:", "400:500:3"] {
            let error = text.parse::<Penalties>().unwrap_err().to_string();
            assert!(error.contains("-5:2:15"), "{text}: {error}");
        }
    }
}
