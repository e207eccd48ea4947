//! How alike the layer profiles of neurons are, within and between areas.

use super::axis::Axis;
use super::plot::{Mark, Plot};
use super::run::Run;
use super::section::{Figure, Section, slug};
use super::svg::Colour;
use super::table::{Sheet, field};
use super::words::{counted, number};
use crate::error::Result;

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
    section.findings.extend(sentences(&pairs));
    if pairs.len() > MOST {
        section.say(format!(
            "The first {MOST} of {} are drawn; correlations.csv has all.",
            counted(pairs.len(), "pair")
        ));
    }
    for (n, pair) in pairs.iter().take(MOST).enumerate() {
        section.figures.push(figure(n, pair)?);
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

fn figure(n: usize, pair: &Pair) -> Result<Figure> {
    let mut sheet = Sheet::new(&["bin_low", "bin_high", "pairs"]);
    let mut marks = Vec::new();
    let total = pair.total();
    let colour = if pair.within { Colour::Blue } else { Colour::Orange };
    let mut most: f64 = 0.0;
    for (low, high, count) in &pair.bins {
        sheet.row([field(*low), field(*high), field(*count)]);
        let share = count / total;
        most = most.max(share);
        let gap = 0.06 * (high - low);
        if *count > 0.0 {
            marks.push(Mark::Bar { corners: [(low + gap, share), (high - gap, 0.0)], colour, opacity: 0.85 });
        }
    }
    let (low, high) = super::axis::range(pair.bins.iter().flat_map(|bin| [bin.0, bin.1]));
    let y = Axis::linear("share of pairs", 0.0, 1.08 * most);
    let median = pair.median();
    marks.push(Mark::Dashes { from: (median, 0.0), to: (median, y.high), colour: Colour::Ink });
    let plot = Plot::new(Axis::linear("correlation of profiles", low, high), y, marks).high(220);
    let title = pair.name();
    let description = format!(
        "Histogram over {} of neurons; the dashed line is the median, {}.",
        counted(total as usize, "pair"),
        number(median)
    );
    let file = format!("correlations_{n:02}_{}_{}", slug(&pair.first), slug(&pair.second));
    Figure::new(file, title, description, plot, sheet)
}
