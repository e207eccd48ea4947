//! The neurons of a run: their names, how much of them can be explained, and which of them stand for the
//! others.

use super::run::Run;
use super::statistics::sorted;
use crate::error::Result;

/// How reliably neurons respond, by neuron; empty where a run does not say.
#[derive(Debug, Default)]
pub(super) struct Reliability {
    pub names: Vec<String>,
    pub fev: Vec<Option<f64>>,
    /// Ends of the intervals of `fev`.
    pub interval: Option<[Vec<Option<f64>>; 2]>,
    pub split_half: Vec<Option<f64>>,
    /// Whether a neuron responds to images at all.
    pub tuned: Vec<Option<bool>>,
    /// Whether `fev` and `split_half` are of the test images alone.
    pub of_test: bool,
}

impl Reliability {
    /// From `reliability.csv`, or from the scores of a fit, which know less.
    ///
    /// # Errors
    /// Input, where the table is damaged.
    pub(super) fn read(run: &Run) -> Result<Option<Reliability>> {
        if let Some(table) = run.table("reliability.csv")? {
            if let Some(neurons) = run.count("n_neurons") {
                table.expect_rows(neurons, "neurons")?;
            }
            let tuned = table.texts("tuned")?;
            let interval = [table.numbers("fev_low")?, table.numbers("fev_high")?];
            return Ok(Some(Reliability {
                names: owned(&table.texts("neuron")?),
                fev: table.numbers("fev")?,
                interval: Some(interval),
                split_half: table.numbers("split_half")?,
                tuned: tuned.iter().map(|text| text.parse().ok()).collect(),
                of_test: false,
            }));
        }
        let Some(table) = run.fitted().map(|fit| fit.table("scores.csv")).transpose()?.flatten() else {
            return Ok(None);
        };
        Ok(Some(Reliability {
            names: owned(&table.texts("neuron")?),
            fev: table.numbers("test_fev")?,
            interval: None,
            split_half: table.numbers("test_split_half")?,
            tuned: vec![None; table.len()],
            of_test: true,
        }))
    }

    /// Which images `fev` and `split_half` are of.
    pub(super) fn images(&self) -> &'static str {
        if self.of_test { "test images" } else { "all images" }
    }

    /// Whether there are repeats of responses that change, and so numbers.
    pub(super) fn is_known(&self) -> bool {
        !sorted(self.fev.iter().copied()).is_empty()
    }
}

/// Neurons that stand for the others.
#[derive(Debug)]
pub(super) struct Chosen {
    /// best, median or worst.
    pub rank: &'static str,
    /// Its place in the tables.
    pub neuron: usize,
    pub name: String,
    pub r: f64,
}

/// The best, the median and the worst of all neurons that have a Pearson's r on test images. Fewer where
/// there are fewer.
///
/// # Errors
/// Input, where the table is damaged.
pub(super) fn chosen(fit: &Run) -> Result<Vec<Chosen>> {
    let scores = fit.needs("scores.csv")?;
    let (names, r) = (scores.texts("neuron")?, scores.numbers("pearson_r")?);
    let mut order: Vec<(usize, f64)> = r.iter().enumerate().filter_map(|(n, r)| Some((n, (*r)?))).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let last = order.len().saturating_sub(1);
    let mut places = vec![("best", 0), ("median", last / 2), ("worst", last)];
    places.dedup_by_key(|(_, place)| *place);
    let one = |(rank, place): (&'static str, usize)| {
        let (neuron, r) = *order.get(place)?;
        Some(Chosen { rank, neuron, name: names[neuron].to_string(), r })
    };
    Ok(places.into_iter().filter_map(one).collect())
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_string()).collect()
}
