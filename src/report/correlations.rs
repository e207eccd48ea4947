//! How alike the layer profiles of neurons are, within and between areas.

use std::f64::consts::FRAC_PI_2;

use super::axis::Axis;
use super::plot::{Mark, Plot};
use super::run::Run;
use super::section::{Figure, Section, slug};
use super::svg::Colour;
use super::table::{Sheet, field};
use super::words::{counted, number};
use crate::error::Result;

/// Profiles of fewer layers come with a warning.
const FEW: usize = 6;
/// Pairs of areas that get a histogram at most.
const MOST: usize = 15;

/// A histogram of the correlations between two areas' neurons.
struct Pair {
    first: String,
    second: String,
    within: bool,
    /// Edges and pairs of neurons.
    bins: Vec<(f64, f64, f64)>,
}

impl Pair {
    fn total(&self) -> f64 {
        self.bins.iter().map(|bin| bin.2).sum()
    }

    /// Where half of the pairs lie below, interpolated in its bin.
    fn median(&self) -> f64 {
        let half = 0.5 * self.total();
        let mut below = 0.0;
        for (low, high, count) in &self.bins {
            if *count > 0.0 && below + count >= half {
                return low + (high - low) * (half - below) / count;
            }
            below += count;
        }
        f64::NAN
    }

    fn name(&self) -> String {
        if self.within {
            format!("within {}", self.first)
        } else {
            format!("{} and {}", self.first, self.second)
        }
    }
}

/// The section, where the folder has correlations.
pub(super) fn section(run: &Run) -> Result<Option<Section>> {
    let pairs = read(run)?;
    if pairs.is_empty() {
        return Ok(None);
    }
    let mut section = Section::new("correlations", "Profiles of neurons compared");
    let layers = run.record.summary["layers"].as_array().map_or(0, Vec::len);
    section.findings.extend(few_layers(layers));
    section.findings.extend(sentences(&pairs));
    if pairs.len() > MOST {
        section.say(format!(
            "The first {MOST} of {} are drawn; correlations.csv has all.",
            counted(pairs.len(), "pair")
        ));
    }
    for (n, pair) in pairs.iter().take(MOST).enumerate() {
        section.figures.push(figure(n, pair, layers)?);
    }
    Ok(Some(section))
}

/// Pairs within areas first.
fn read(run: &Run) -> Result<Vec<Pair>> {
    let Some(table) = run.table("correlations.csv")? else { return Ok(Vec::new()) };
    let (first, second) = (table.texts("first_area")?, table.texts("second_area")?);
    let (kind, counts) = (table.texts("kind")?, table.numbers("count")?);
    let (low, high) = (table.numbers("bin_low")?, table.numbers("bin_high")?);
    let mut pairs: Vec<Pair> = Vec::new();
    for row in 0..table.len() {
        let (Some(low), Some(high), Some(count)) = (low[row], high[row], counts[row]) else { continue };
        let of = pairs.iter().position(|pair| pair.first == first[row] && pair.second == second[row]);
        let at = of.unwrap_or_else(|| {
            let (first, second) = (first[row].to_string(), second[row].to_string());
            pairs.push(Pair { first, second, within: kind[row] == "within", bins: Vec::new() });
            pairs.len() - 1
        });
        pairs[at].bins.push((low, high, count.max(0.0)));
    }
    pairs.retain(|pair| pair.total() > 0.0);
    pairs.sort_by_key(|pair| !pair.within);
    Ok(pairs)
}

fn sentences(pairs: &[Pair]) -> Option<String> {
    let said = |within: bool| {
        let medians: Vec<String> = pairs
            .iter()
            .filter(|pair| pair.within == within)
            .map(|pair| format!("{} ({})", number(pair.median()), pair.name()))
            .collect();
        (!medians.is_empty()).then(|| super::words::list(&medians, 6))
    };
    let (within, between) = (said(true), said(false));
    Some(match (within, between) {
        (Some(within), Some(between)) => format!(
            "The median correlation of two neurons' layer profiles is {within}; between areas it is \
             {between}."
        ),
        (Some(only), None) | (None, Some(only)) => {
            format!("The median correlation of two neurons' layer profiles is {only}.")
        }
        (None, None) => return None,
    })
}

/// What correlations of so few points are worth.
pub(super) fn few_layers(layers: usize) -> Option<String> {
    (3..FEW).contains(&layers).then(|| {
        format!(
            "Each profile has only {layers} layers, and a correlation of {layers} points says little: of \
             two profiles that have nothing to do with each other half would correlate by more than {} or \
             by less than \u{2212}{}.",
            number(usual(layers)),
            number(usual(layers))
        )
    })
}

/// The share of correlations below `r` between unrelated normal profiles of so many layers (3 or more), whose
/// density is (1 - r²)^((n - 4) / 2): with r = sin t the integral of cos(t)^(n - 3).
fn chance_below(r: f64, layers: usize) -> f64 {
    const STEPS: usize = 2000;
    let power = layers.saturating_sub(3).min(1000) as i32;
    let area = |from: f64, to: f64| {
        let width = (to - from) / STEPS as f64;
        let middle = |step: usize| (from + (step as f64 + 0.5) * width).cos().powi(power);
        (0..STEPS).map(middle).sum::<f64>() * width
    };
    area(-FRAC_PI_2, r.clamp(-1.0, 1.0).asin()) / area(-FRAC_PI_2, FRAC_PI_2)
}

/// The size of r that half of unrelated profiles exceed.
fn usual(layers: usize) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if chance_below(middle, layers) < 0.75 { low = middle } else { high = middle }
    }
    low
}

fn figure(n: usize, pair: &Pair, layers: usize) -> Result<Figure> {
    let mut sheet = Sheet::new(&["bin_low", "bin_high", "pairs", "by_chance"]);
    let mut chance = Vec::new();
    let mut marks = Vec::new();
    let total = pair.total();
    let colour = if pair.within { Colour::Blue } else { Colour::Orange };
    let mut most: f64 = 0.0;
    for (low, high, count) in &pair.bins {
        let by_chance =
            if layers < 3 { 0.0 } else { chance_below(*high, layers) - chance_below(*low, layers) };
        sheet.row([field(*low), field(*high), field(*count), field(by_chance * total)]);
        let share = count / total;
        most = most.max(share).max(by_chance);
        chance.extend([(*low, by_chance), (*high, by_chance)]);
        let gap = 0.06 * (high - low);
        if *count > 0.0 {
            marks.push(Mark::Bar { corners: [(low + gap, share), (high - gap, 0.0)], colour, opacity: 0.85 });
        }
    }
    let (low, high) = super::axis::range(pair.bins.iter().flat_map(|bin| [bin.0, bin.1]));
    let y = Axis::linear("share of pairs", 0.0, 1.08 * most);
    marks.push(Mark::Line { points: chance, colour: Colour::Vermilion, width: 1.5 });
    let median = pair.median();
    marks.push(Mark::Dashes { from: (median, 0.0), to: (median, y.high), colour: Colour::Ink });
    let plot = Plot::new(Axis::linear("correlation of profiles", low, high), y, marks).high(240);
    let legend = vec![("pairs".to_string(), colour), ("by chance".into(), Colour::Vermilion)];
    let plot = plot.with_legend(legend);
    let title = pair.name();
    let description = format!(
        "Histogram over {} of neurons; the dashed line is the median, {}. By chance: two profiles of \
         {layers} layers that have nothing to do with each other.",
        counted(total as usize, "pair"),
        number(median)
    );
    let file = format!("correlations_{n:02}_{}_{}", slug(&pair.first), slug(&pair.second));
    Figure::new(file, title, description, plot, sheet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_that_of_unrelated_normal_profiles() {
        // Of 3 layers the angle between two centred profiles is even: the median of |r| is sin(pi / 4).
        assert!((usual(3) - 0.5f64.sqrt()).abs() < 1e-6, "{}", usual(3));
        // Of 4 layers r itself is even; of 5 the density is sqrt(1 - r²) / (pi / 2), a quarter of a disc.
        assert!((usual(4) - 0.5).abs() < 1e-6 && (chance_below(0.2, 4) - 0.6).abs() < 1e-6);
        let disc = |r: f64| 0.5 + (r * (1.0 - r * r).sqrt() + r.asin()) / std::f64::consts::PI;
        assert!((chance_below(0.3, 5) - disc(0.3)).abs() < 1e-6);
        assert!(few_layers(3).is_some_and(|said| said.contains("more than 0.71")));
        assert!(few_layers(6).is_none());
    }
}
