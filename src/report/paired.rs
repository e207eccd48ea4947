//! Two runs neuron by neuron: who predicts whom better, and how sure that is.

use std::collections::BTreeMap;

use super::axis::Axis;
use super::plot::{Mark, Plot};
use super::section::{Figure, Section, slug};
use super::shapes::diagonal;
use super::statistics::{mean, median, sorted};
use super::svg::Colour;
use super::table::{Sheet, field};
use super::words::{count, counted, number, short};
use crate::error::Result;
use crate::scores::bootstrap::{DRAWS, Interval, Resamples};

/// Pairs that are drawn at most.
const MOST_PAIRS: usize = 8;

/// The r of a run's neurons on test images.
pub(super) struct Paired {
    pub run: String,
    pub neurons: Vec<String>,
    pub r: Vec<Option<f64>>,
    /// The images that were held out, in order; empty where the folder does not say.
    pub test: Vec<usize>,
}

/// A difference with its 95 % interval over neurons.
struct Difference {
    value: f64,
    interval: Interval,
}

impl Difference {
    fn said(&self) -> String {
        let Interval { low, high } = self.interval;
        format!("{} (95\u{a0}% interval {} to {})", number(self.value), number(low), number(high))
    }

    fn is_told_from_none(&self) -> bool {
        self.interval.low > 0.0 || self.interval.high < 0.0
    }
}

/// The run with the highest mean r against each of the others; none where fewer than two have an r.
pub(super) fn section(runs: &[Paired]) -> Result<Option<Section>> {
    let means: Vec<f64> = runs.iter().map(|run| mean(&sorted(run.r.iter().copied()))).collect();
    let scored: Vec<usize> = (0..runs.len()).filter(|n| means[*n].is_finite()).collect();
    let Some(best) = scored.iter().copied().max_by(|a, b| means[*a].total_cmp(&means[*b]).then(b.cmp(a)))
    else {
        return Ok(None);
    };
    let others: Vec<usize> = scored.into_iter().filter(|n| *n != best).collect();
    if others.is_empty() {
        return Ok(None);
    }
    let mut section = Section::new("paired", "Neuron by neuron");
    if others.len() > MOST_PAIRS {
        section.say(format!(
            "The run with the highest mean r, {}, is held against the first {MOST_PAIRS} of the others.",
            runs[best].run
        ));
    }
    for (n, other) in others.into_iter().take(MOST_PAIRS).enumerate() {
        let (best, other) = (&runs[best], &runs[other]);
        match pairs(best, other) {
            Some(pairs) => pair(&mut section, n, (best, other), &pairs)?,
            None => section.say(format!(
                "{} and {} have fewer than two neurons of the same names with an r: they are not paired.",
                best.run, other.run
            )),
        }
    }
    Ok(Some(section))
}

/// Names of the neurons that have an r in both runs, and both values.
fn pairs<'a>(one: &'a Paired, other: &Paired) -> Option<Vec<(&'a str, f64, f64)>> {
    // Where both have the same list of names, equal ones in it are no matter.
    let places: BTreeMap<&str, usize> =
        other.neurons.iter().enumerate().map(|(n, name)| (&name[..], n)).collect();
    let same = one.neurons == other.neurons;
    let place = |n: usize| if same { Some(n) } else { places.get(&one.neurons[n][..]).copied() };
    let pair = |n: usize| Some((&one.neurons[n][..], one.r[n]?, other.r[place(n)?]?));
    let pairs: Vec<_> = (0..one.r.len()).filter_map(pair).collect();
    (pairs.len() > 1).then_some(pairs)
}

fn pair(
    section: &mut Section,
    n: usize,
    (one, other): (&Paired, &Paired),
    pairs: &[(&str, f64, f64)],
) -> Result<()> {
    let differences: Vec<f64> = pairs.iter().map(|(_, a, b)| a - b).collect();
    let resamples = Resamples::new(0, "neurons", pairs.len(), DRAWS);
    let by_mean =
        Difference { value: mean(&differences), interval: Interval::of(resamples.mean(&differences)) };
    let middle = median(&sorted(differences.iter().copied().map(Some)));
    let by_median = Difference { value: middle, interval: Interval::of(resamples.median(&differences)) };
    section.say(sentence((&one.run, &other.run), &differences, &by_mean, &by_median));
    if one.test != other.test {
        section.say(format!(
            "{} and {} were not tested on the same images: part of the difference may be the images'.",
            one.run, other.run
        ));
    }
    let mut sheet = Sheet::new(&["neuron", "first_r", "second_r", "first_minus_second"]);
    let mut marks = Vec::new();
    for (name, a, b) in pairs {
        sheet.row([(*name).to_string(), field(*a), field(*b), field(a - b)]);
        marks.push(Mark::Dot { at: (*b, *a), colour: Colour::Blue, radius: 3.0, opacity: 0.65 });
    }
    let both = || pairs.iter().flat_map(|(_, a, b)| [*a, *b]);
    let axis = |run: &str| Axis::around(&format!("r of {}", short(run, 24)), both());
    let (x, y) = (axis(&other.run), axis(&one.run));
    marks.push(diagonal(&x));
    let title = format!("{} against {}", short(&one.run, 24), short(&other.run, 24));
    let description = format!(
        "A dot for each of {}; above the dashed line {} predicts it better.",
        counted(pairs.len(), "neuron"),
        one.run
    );
    let name = format!("paired_{n}_{}", slug(&other.run));
    let plot = Plot::new(x, y, marks).with_aspect(1.0);
    section.figures.push(Figure::new(name, title, description, plot, sheet)?);
    Ok(())
}

fn sentence(
    (one, other): (&str, &str),
    differences: &[f64],
    by_mean: &Difference,
    by_median: &Difference,
) -> String {
    let better = differences.iter().filter(|d| **d > 0.0).count();
    let winner = |difference: &Difference| match difference.value {
        v if v > 0.0 => one,
        v if v < 0.0 => other,
        _ => "neither",
    };
    let verdict = match (winner(by_mean), winner(by_median)) {
        (a, b) if a == b => format!("by both mean and median {a} is ahead"),
        (a, b) => format!("by the mean {a} is ahead, by the median {b}"),
    };
    let doubt = match (by_mean.is_told_from_none(), by_median.is_told_from_none()) {
        (true, true) => "",
        (false, false) => ", but neither difference can be told from 0",
        (true, false) => ", but the median difference cannot be told from 0",
        (false, true) => ", but the mean difference cannot be told from 0",
    };
    format!(
        "{one} against {other}: r is higher for {} of {}; the mean difference is {}, the median difference \
         {}: {verdict}{doubt}. Intervals are bootstraps over neurons.",
        count(better),
        counted(differences.len(), "neuron"),
        by_mean.said(),
        by_median.said()
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn run(name: &str, neurons: &[&str], r: &[f64]) -> Paired {
        let neurons = neurons.iter().map(|name| (*name).to_string()).collect();
        Paired {
            run: name.into(),
            neurons,
            r: r.iter().map(|r| Some(*r).filter(|r| !r.is_nan())).collect(),
            test: vec![1],
        }
    }

    #[test]
    fn neurons_are_paired_by_name_and_both_winners_are_named() {
        let first = run("a", &["x", "y", "z", "only"], &[0.1, 0.2, 0.9, 0.4]);
        let second = run("b", &["z", "y", "x"], &[0.1, 0.25, 0.15]);
        let found = pairs(&first, &second).unwrap();
        assert_eq!(found, [("x", 0.1, 0.15), ("y", 0.2, 0.25), ("z", 0.9, 0.1)]);
        let said = section(&[second, first]).unwrap().unwrap().findings.concat();
        // Differences -.05, -.05 and .8: the mean is .233, the median -.05.
        assert!(
            said.contains("a against b: r is higher for 1 of 3 neurons; the mean difference is 0.23 ("),
            "{said}"
        );
        assert!(said.contains("the median difference \u{2212}0.050 ("), "{said}");
        assert!(said.contains("by the mean a is ahead, by the median b, but neither"), "{said}");
    }

    #[test]
    fn runs_that_share_no_neurons_or_images_say_so() {
        let [first, mut second] =
            [run("a", &["x", "y"], &[0.1, 0.2]), run("b", &["p", "q"], &[0.3, f64::NAN])];
        let said = |a: &Paired, b: &Paired| {
            let copy = |one: &Paired| Paired {
                run: one.run.clone(),
                neurons: one.neurons.clone(),
                r: one.r.clone(),
                test: one.test.clone(),
            };
            section(&[copy(a), copy(b)]).unwrap().unwrap().findings.concat()
        };
        assert!(said(&first, &second).contains("not paired"));
        (second.neurons, second.r, second.test) =
            (first.neurons.clone(), vec![Some(0.3), Some(0.4)], vec![2]);
        let said = said(&first, &second);
        assert!(said.contains("not tested on the same images"), "{said}");
        assert!(
            said.contains("b against a: r is higher for 2 of 2 neurons")
                && said.contains("by both mean and median b is ahead. "),
            "{said}"
        );
        assert!(section(&[first]).unwrap().is_none());
    }
}
