//! What is written after an option, as a value.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use striate::io::resize::{Filter, Size};
use striate::networks::LARGEST_SIDE;

/// No readout tries more penalties.
const MOST_PENALTIES: usize = 1000;

/// Where weights come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// A safetensors file or a PyTorch checkpoint.
    File(PathBuf),
    /// Drawn at random with this seed.
    Random(u64),
}

impl FromStr for Weights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("random:") {
            Some(seed) => match seed.parse() {
                Ok(seed) => Ok(Weights::Random(seed)),
                Err(_) => Err(format!("'{seed}' is no seed; write for example random:0")),
            },
            None if text == "random" => Err("say the seed too, for example random:0".into()),
            None if text.is_empty() => Err("name a file, or write random:0".into()),
            None => Ok(Weights::File(text.into())),
        }
    }
}

/// Ridge penalties to choose from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Penalties {
    /// Whether they are penalties as such, and not multiples of the mean eigenvalue of the features' covariance.
    pub absolute: bool,
    /// The penalties, smallest first; all positive and finite, none twice.
    pub values: Vec<f64>,
}

impl FromStr for Penalties {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (absolute, list) = match text.strip_prefix("absolute:") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut values = if list.contains(':') { exponents(list)? } else { listed(list)? };
        if let Some(wrong) = values.iter().find(|v| !(v.is_normal() && **v > 0.0)) {
            return Err(format!("the penalty {wrong:e} is not a number above 0"));
        }
        values.sort_unstable_by(f64::total_cmp);
        if let Some(pair) = values.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("the penalty {} is there twice", pair[0]));
        }
        Ok(Penalties { absolute, values })
    }
}

/// `-5:2:15`: 15 values from 1e-5 to 1e2, evenly spaced in their logarithm.
fn exponents(text: &str) -> Result<Vec<f64>, String> {
    let wrong = || format!("'{text}' is no range; write for example -5:2:15 for 15 values from 1e-5 to 1e2");
    let [low, high, count] = text.split(':').map(str::trim).collect::<Vec<_>>()[..] else {
        return Err(wrong());
    };
    let (Ok(low), Ok(high), Ok(count)) = (low.parse::<f64>(), high.parse::<f64>(), count.parse::<usize>())
    else {
        return Err(wrong());
    };
    if !(2..=MOST_PENALTIES).contains(&count) || low >= high {
        return Err(format!(
            "{count} values from 1e{low} to 1e{high}; wanted 2 to {MOST_PENALTIES}, upwards"
        ));
    }
    let step = (high - low) / (count - 1) as f64;
    Ok((0..count).map(|i| 10f64.powf(low + step * i as f64)).collect())
}

fn listed(text: &str) -> Result<Vec<f64>, String> {
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    if words.len() > MOST_PENALTIES {
        return Err(format!("{} penalties; wanted at most {MOST_PENALTIES}", words.len()));
    }
    words.iter().map(|word| word.parse().map_err(|_| format!("'{word}' is no number"))).collect()
}

/// `56`, or `56x48`: height x width.
pub fn size(text: &str) -> Result<Size, String> {
    let (height, width) = text.split_once('x').unwrap_or((text, text));
    let side = |side: &str| side.trim().parse().ok().filter(|side| (1..=LARGEST_SIDE).contains(side));
    match (side(height), side(width)) {
        (Some(height), Some(width)) => Ok(Size { height, width }),
        _ => Err(format!("write pixels as 56, or height x width as 56x48; each from 1 to {LARGEST_SIDE}")),
    }
}

/// `2G`, `512M`, `1.5GiB`, or bytes; units are powers of 1024.
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || "write for example 2G, 512M, or a number of bytes".to_string();
    let upper = text.trim().to_ascii_uppercase();
    let number = upper.trim_end_matches("IB").trim_end_matches('B');
    let (digits, unit) = match number.chars().last().and_then(|unit| "KMGT".find(unit)) {
        Some(at) => (&number[..number.len() - 1], 1u64 << (10 * (at + 1))),
        None => (number, 1),
    };
    let amount: f64 = digits.trim().parse().map_err(|_| wrong())?;
    let bytes = amount * unit as f64;
    // Up to 2^53 every whole number of bytes is one.
    if (1.0..=(1u64 << 53) as f64).contains(&bytes) { Ok(bytes as u64) } else { Err(wrong()) }
}

/// A fraction between 0 and 1, both excluded.
pub fn fraction(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|f| *f > 0.0 && *f < 1.0);
    number.ok_or_else(|| "write a fraction between 0 and 1, for example 0.2".into())
}

/// A whole number of at least 1.
pub fn positive(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().ok().filter(|n| *n > 0);
    number.ok_or_else(|| "write a whole number of at least 1".into())
}

/// `bilinear` or `bicubic`.
pub fn filter() -> impl TypedValueParser<Value = Filter> {
    PossibleValuesParser::new(["bilinear", "bicubic"])
        .map(|name| if name == "bicubic" { Filter::Bicubic } else { Filter::Bilinear })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn penalties_are_ranges_of_exponents_or_lists() {
        let default: Penalties = "-5:2:15".parse().unwrap();
        assert!(!default.absolute && default.values.len() == 15);
        for (value, exponent) in default.values.iter().zip((0..15).map(|i| -5.0 + 0.5 * f64::from(i))) {
            assert!((value.log10() - exponent).abs() < 1e-12, "{value} {exponent}");
        }
        let listed: Penalties = "absolute:10,0.1, 1".parse().unwrap();
        assert_eq!(listed, Penalties { absolute: true, values: vec![0.1, 1.0, 10.0] });
        for wrong in
            ["", "1,,2", "0", "-1", "1,1", "nan", "inf", "1:2", "2:-5:15", "-5:2:1", "-5:2:x", "-400:2:3"]
        {
            assert!(wrong.parse::<Penalties>().is_err(), "{wrong}");
        }
        assert!("-5:2:100000000000".parse::<Penalties>().is_err());
    }

    #[test]
    fn sizes_bytes_and_weights() {
        assert_eq!(size("56").unwrap(), Size { height: 56, width: 56 });
        assert_eq!(size("56x48").unwrap(), Size { height: 56, width: 48 });
        for wrong in ["", "0", "56x", "x", "1.5", "-3", "70000"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        let known =
            [("2G", 2 << 30), ("512m", 512 << 20), ("4096", 4096), ("1.5GiB", 3 << 29), ("10KB", 10240)];
        for (text, wanted) in known {
            assert_eq!(bytes(text).unwrap(), wanted, "{text}");
        }
        for wrong in ["", "G", "-1", "nan", "inf", "1e300", "2X", "0"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!("random:7".parse(), Ok(Weights::Random(7)));
        assert_eq!("a/b.pth".parse(), Ok(Weights::File("a/b.pth".into())));
        for wrong in ["", "random", "random:", "random:x"] {
            assert!(wrong.parse::<Weights>().is_err(), "{wrong}");
        }
    }
}
