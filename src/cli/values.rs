//! What is written after an option, as a value.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use striate::gpu::Family;
use striate::io::resize::{Filter, Size};
use striate::io::responses::Headers;
use striate::networks::LARGEST_SIDE;
use striate::tasks::Convolution;

/// `--weights` as text, once it is clear that it names a file or a seed.
pub fn weights(text: &str) -> Result<String, String> {
    match text.strip_prefix("random:") {
        Some(seed) if seed.parse::<u64>().is_err() => {
            Err(format!("'{seed}' is no seed; write for example random:0"))
        }
        None if text == "random" => Err("say the seed too, for example random:0".into()),
        None if text.is_empty() => Err("name a file, or write random:0".into()),
        _ => Ok(text.into()),
    }
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

/// `1/4` or `.25`: above 0, at most 1.
pub fn share(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let value = match text.split_once('/') {
        Some((part, whole)) => number(part).zip(number(whole)).map(|(part, whole)| part / whole),
        None => number(text),
    };
    let share = value.filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "write a share above 0 and up to 1, for example 1/4 or .25".into())
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

/// One of some values, by its name.
fn named<T, const N: usize>(all: [(&'static str, T); N]) -> impl TypedValueParser<Value = T>
where
    T: Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.clone().map(|(name, _)| name)).try_map(move |name| {
        let known = all.iter().find(|(known, _)| *known == name);
        known.map(|(_, value)| value.clone()).ok_or_else(|| format!("nothing is called '{name}'"))
    })
}

/// A family of kernels, by its name.
pub fn family() -> impl TypedValueParser<Value = Family> {
    named(Family::ALL)
}

/// A method of convolutions, by its name.
pub fn convolution() -> impl TypedValueParser<Value = Convolution> {
    named(Convolution::ALL)
}

/// Which edges of a table are headers, by name.
pub fn headers() -> impl TypedValueParser<Value = Headers> {
    named(Headers::ALL)
}

/// `bilinear` or `bicubic`.
pub fn filter() -> impl TypedValueParser<Value = Filter> {
    named([("bilinear", Filter::Bilinear), ("bicubic", Filter::Bicubic)])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

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
        for (text, wanted) in [("1/4", 0.25), (".25", 0.25), ("1", 1.0), (" 2 / 8 ", 0.25), ("3/3", 1.0)] {
            assert_eq!(share(text).unwrap(), wanted, "{text}");
        }
        for wrong in ["", "0", "-1/4", "5/4", "1/0", "0/0", "nan", "1.01", "1/2/4", "25%", "inf/inf", "1/"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
        for text in ["random:7", "a/b.pth"] {
            assert_eq!(weights(text).unwrap(), text);
        }
        for wrong in ["", "random", "random:", "random:x"] {
            assert!(weights(wrong).is_err(), "{wrong}");
        }
    }
}
