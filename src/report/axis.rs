//! Axes of a plot: range, ticks and what they say.

/// One axis. Values of a logarithmic axis are given as their decimal logarithms.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub label: String,
    /// Value at the left or at the bottom; above `high` where the axis runs the other way.
    pub low: f64,
    pub high: f64,
    pub ticks: Vec<(f64, String)>,
    /// Whether the ticks are names of things instead of numbers.
    pub names: bool,
}

/// About how many ticks an axis of numbers has.
const TICKS: f64 = 5.0;

impl Axis {
    /// From `low` to `high` exactly.
    pub(super) fn linear(label: &str, low: f64, high: f64) -> Axis {
        let step = step(high - low);
        let first = (low / step - 1e-9).ceil();
        let count = ((high / step + 1e-9).floor() - first).max(0.0) as usize;
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        let tick = |n: usize| {
            let value = (first + n as f64) * step;
            (value, tick_text(value, step, decimals))
        };
        Axis { label: label.into(), low, high, ticks: (0..=count).map(tick).collect(), names: false }
    }

    /// Around values, with some room on both sides.
    pub(super) fn around(label: &str, values: impl IntoIterator<Item = f64>) -> Axis {
        let (low, high) = range(values);
        let room = 0.05 * (high - low);
        Axis::linear(label, low - room, high + room)
    }

    /// Around logarithms of values, with the values themselves at the ticks.
    pub(super) fn logarithmic(label: &str, logarithms: impl IntoIterator<Item = f64>) -> Axis {
        let mut axis = Axis::around(label, logarithms);
        let (first, last) = (axis.low.ceil() as i32, axis.high.floor() as i32);
        if last > first {
            let every = ((last - first) as usize / 6 + 1).max(1);
            let power = |n: i32| match n {
                -3..=4 => format!("{}", 10f64.powi(n)),
                _ => format!("1e{n}"),
            };
            axis.ticks = (first..=last).step_by(every).map(|n| (f64::from(n), power(n))).collect();
        } else {
            for (at, text) in &mut axis.ticks {
                *text = super::words::number(10f64.powf(*at));
            }
        }
        axis
    }

    /// Names at 0, 1, 2 and so on.
    pub(super) fn named(label: &str, names: impl IntoIterator<Item = String>) -> Axis {
        let ticks: Vec<(f64, String)> = names.into_iter().enumerate().map(|(n, t)| (n as f64, t)).collect();
        let high = ticks.len() as f64 - 0.5;
        Axis { label: label.into(), low: -0.5, high, ticks, names: true }
    }

    /// The same axis the other way round.
    pub(super) fn reversed(mut self) -> Axis {
        std::mem::swap(&mut self.low, &mut self.high);
        self
    }

    /// Letters of the longest tick.
    pub(super) fn longest(&self) -> usize {
        self.ticks.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(0)
    }
}

/// The smallest and the largest of the values; a range of one around a single value, and 0 to 1 for none.
pub(super) fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let finite = values.into_iter().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    // Without any value the ends lie the other way round.
    match low.total_cmp(&high) {
        std::cmp::Ordering::Less => (low, high),
        std::cmp::Ordering::Equal => (low - 0.5, high + 0.5),
        std::cmp::Ordering::Greater => (0.0, 1.0),
    }
}

/// 1, 2 or 5 times a power of ten.
fn step(span: f64) -> f64 {
    let raw = (span / TICKS).abs().max(1e-300);
    let power = 10f64.powf(raw.log10().floor());
    let steps = [(1.5, 1.0), (3.5, 2.0), (7.5, 5.0)];
    let times = steps.into_iter().find(|(most, _)| raw <= most * power).map_or(10.0, |(_, times)| times);
    times * power
}

fn tick_text(value: f64, step: f64, decimals: usize) -> String {
    if value.abs() < 1e-9 * step {
        return "0".into();
    }
    if !(1e-4..1e5).contains(&step) {
        // As many digits as tell neighbouring ticks apart.
        let power = |v: f64| (v.abs().log10() + 1e-9).floor();
        let digits = (power(value) - power(step)).clamp(0.0, 12.0) as usize;
        return format!("{value:.digits$e}").replace('-', "\u{2212}");
    }
    format!("{value:.decimals$}").replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| &text[..]).collect()
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(
            texts(&Axis::linear("", -0.2, 1.0)),
            ["\u{2212}0.2", "0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(texts(&Axis::linear("", 0.0, 37.0)), ["0", "5", "10", "15", "20", "25", "30", "35"]);
        let small = Axis::linear("", 0.0, 3e-4);
        assert_eq!(
            texts(&small),
            [
                "0",
                "5e\u{2212}5",
                "1.0e\u{2212}4",
                "1.5e\u{2212}4",
                "2.0e\u{2212}4",
                "2.5e\u{2212}4",
                "3.0e\u{2212}4"
            ]
        );
        for (low, high) in [(1.0, 1.0 + 1e-9), (-3e9, 5e12), (0.0, 1e-7), (-1e-300, 1e-300)] {
            let axis = Axis::linear("", low, high);
            assert!((2..12).contains(&axis.ticks.len()), "{axis:?}");
        }
    }

    #[test]
    fn powers_of_ten_on_a_logarithmic_axis() {
        assert_eq!(texts(&Axis::logarithmic("", [-1.2, 2.2])), ["0.1", "1", "10", "100"]);
        assert_eq!(range([f64::NAN]), (0.0, 1.0));
        assert_eq!(range([2.0]), (1.5, 2.5));
    }
}
