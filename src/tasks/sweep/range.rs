//! `{ from = 1e-5, to = 1, count = 20 }`: values between two ends, both included.

use super::grid::MOST;

/// What is wrong with a range, and what was wanted.
type Wrong = (String, String);

/// The values of a range: logarithmic, or `scale = "linear"`. Linear ranges between whole numbers whose
/// steps are whole give whole numbers; others are rounded to four digits.
pub(super) fn values(table: &toml::Table) -> Result<Vec<toml::Value>, Wrong> {
    const KEYS: [&str; 4] = ["from", "to", "count", "scale"];
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let shown: String = key.chars().take(80).collect();
        return Err((format!("a range has no '{shown}'"), KEYS.join(", ")));
    }
    let end = |key: &str| {
        let number = table.get(key).and_then(|v| v.as_float().or(v.as_integer().map(|v| v as f64)));
        number
            .filter(|v| v.is_finite())
            .ok_or_else(|| (format!("the range has no number '{key}'"), KEYS.join(", ")))
    };
    let (from, to) = (end("from")?, end("to")?);
    let count = table.get("count").and_then(toml::Value::as_integer);
    let count = count.and_then(|count| usize::try_from(count).ok());
    let wanted = || format!("a count from 1 to {MOST}, more than one where the ends differ");
    let count = count.ok_or_else(|| ("the range has no whole number 'count'".to_string(), wanted()))?;
    if count == 0 || count > MOST || (count == 1 && from != to) {
        return Err((format!("a range of {count} values"), wanted()));
    }
    if from > to {
        return Err((format!("the range from {from} to {to} is empty"), "from below to".into()));
    }
    let share = |at: usize| if count == 1 { 0.0 } else { at as f64 / (count - 1) as f64 };
    let scale = table.get("scale").map_or(Some("logarithmic"), toml::Value::as_str);
    let between: Vec<f64> = match scale {
        Some("logarithmic") if from <= 0.0 => {
            let found = format!("a logarithmic range cannot begin at {from}");
            return Err((found, "from above 0, or scale = \"linear\"".into()));
        }
        Some("logarithmic") => (0..count).map(|at| from * (to / from).powf(share(at))).collect(),
        Some("linear") => (0..count).map(|at| from + (to - from) * share(at)).collect(),
        _ => return Err(("the range has another scale".into(), "\"linear\" or \"logarithmic\"".into())),
    };
    // The last is what was written, whatever the power rounds to.
    let inner = between[..count - 1].iter().map(|v| four_digits(*v));
    let all: Vec<f64> = inner.chain([to]).collect();
    let whole = scale == Some("linear") && ["from", "to"].iter().all(|key| table[*key].is_integer());
    let whole = whole && all.iter().all(|v| v.fract() == 0.0);
    Ok(all.into_iter().map(|v| if whole { (v as i64).into() } else { v.into() }).collect())
}

/// A number as a person would write it down, in tables and on plots.
fn four_digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn range(text: &str) -> Result<Vec<toml::Value>, Wrong> {
        values(&text.parse().unwrap())
    }

    #[test]
    fn ends_are_included() {
        let rates = range("from = 1e-5\nto = 1\ncount = 20").unwrap();
        let rates: Vec<f64> = rates.iter().map(|v| v.as_float().unwrap()).collect();
        assert_eq!((rates.len(), rates[0], rates[19]), (20, 1e-5, 1.0));
        let ratio = 1e5f64.powf(1.0 / 19.0);
        assert!(rates.windows(2).all(|pair| (pair[1] / pair[0] / ratio - 1.0).abs() < 1e-3));
        assert_eq!(rates[1], 1.833e-5);
        let linear = range("from = 0\nto = 1\ncount = 5\nscale = \"linear\"").unwrap();
        assert_eq!(
            linear.iter().map(|v| v.as_float().unwrap()).collect::<Vec<_>>(),
            [0.0, 0.25, 0.5, 0.75, 1.0]
        );
        let sizes = range("from = 32\nto = 96\ncount = 3\nscale = \"linear\"").unwrap();
        assert_eq!(sizes, [32, 64, 96].map(toml::Value::from));
        assert_eq!(range("from = 2.0\nto = 2.0\ncount = 1").unwrap(), [2.0.into()]);
    }

    #[test]
    fn empty_ranges_are_refused() {
        for (text, said) in [
            ("from = 2\nto = 1\ncount = 3", "from 2 to 1 is empty"),
            ("from = 1\nto = 2\ncount = 0", "a range of 0"),
            ("from = 1\nto = 2\ncount = 1", "a range of 1"),
            ("from = 1\nto = 2\ncount = 1000000000000", "a range of 1000000000000"),
            ("from = 1\nto = 2\ncount = -1", "no whole number 'count'"),
            ("from = 1\nto = 2", "no whole number 'count'"),
            ("from = 0\nto = 2\ncount = 2", "cannot begin at 0"),
            ("from = nan\nto = 2\ncount = 2", "no number 'from'"),
            ("from = 1\nto = inf\ncount = 2", "no number 'to'"),
            ("from = 1\nto = 2\ncount = 2\nstep = 3", "no 'step'"),
            ("from = 1\nto = 2\ncount = 2\nscale = \"cubic\"", "another scale"),
        ] {
            let (found, wanted) = range(text).unwrap_err();
            assert!(found.contains(said) && !wanted.is_empty(), "{found}");
        }
    }
}
