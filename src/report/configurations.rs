//! The rows of `sweep.csv`: what was varied, and what came out.

use std::collections::BTreeMap;

use super::run::Run;
use super::table::{AGAIN, Table};
use crate::error::{Error, Result};

/// Columns that are results and not hyper-parameters.
const RESULTS: [&str; 17] = [
    "configuration",
    "stage",
    "neurons",
    "status",
    "epochs",
    "best_epoch",
    "seconds",
    "validation_loss",
    "validation_r",
    "test_median_r",
    "test_mean_r",
    "test_median_r2",
    "test_median_explained_variance",
    "test_low_explained_variance",
    "test_high_explained_variance",
    "test_median_feve",
    "best",
];
/// Words in the names of penalties.
const PENALTIES: [&str; 4] = ["l1", "l2", "laplace", "penalty"];

/// All configurations of a sweep.
pub(super) struct Configurations {
    /// Their numbers, as they are written.
    pub names: Vec<String>,
    pub diverged: Vec<bool>,
    /// Mean over neurons on the validation tier.
    pub validation_r: Vec<Option<f64>>,
    /// Median over neurons on test images.
    pub test_r: Vec<Option<f64>>,
    pub test_explained: Vec<Option<f64>>,
    pub epochs: Vec<Option<f64>>,
    /// Hyper-parameters that take more than one value, each with its values in order.
    pub varying: BTreeMap<String, Vec<String>>,
    marked: Vec<bool>,
    settings: BTreeMap<String, Vec<String>>,
}

impl Configurations {
    /// Reads `sweep.csv`.
    ///
    /// # Errors
    /// Input, where it is missing or damaged, or no configuration has a number.
    pub(super) fn read(run: &Run) -> Result<Configurations> {
        let table = run.needs("sweep.csv")?;
        let owned = |name: &str| -> Result<Vec<String>> {
            Ok(table.texts(name)?.into_iter().map(str::to_string).collect())
        };
        let validation_r = table.numbers("validation_r")?;
        let status = owned("status")?;
        let diverged: Vec<bool> = status.iter().map(|status| status == "diverged").collect();
        if validation_r.iter().all(Option::is_none) && diverged.iter().any(|diverged| !diverged) {
            let found = "no configuration has a validation_r";
            return Err(Error::input(table.path(), found, "at least one number", AGAIN));
        }
        let (settings, varying) = settings(&table)?;
        Ok(Configurations {
            names: owned("configuration")?,
            diverged,
            validation_r,
            test_r: table.numbers("test_median_r")?,
            test_explained: table.numbers("test_median_explained_variance")?,
            epochs: table.numbers("epochs")?,
            marked: owned("best")?.iter().map(|best| best == "true").collect(),
            varying,
            settings,
        })
    }

    /// The place of the best.
    pub(super) fn best(&self) -> Option<usize> {
        self.marked.iter().position(|best| *best).or_else(|| self.order().first().copied())
    }

    /// Places of the configurations with a validation r, the best first.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> =
            (0..self.names.len()).filter(|n| self.validation_r[*n].is_some()).collect();
        order.sort_by(|a, b| {
            let [a, b] =
                [a, b].map(|n| (self.marked[*n], self.validation_r[*n].unwrap_or(f64::NEG_INFINITY)));
            b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
        });
        order
    }

    /// The value of a hyper-parameter in one configuration.
    pub(super) fn level(&self, name: &str, configuration: usize) -> &str {
        self.settings.get(name).map_or("", |levels| &levels[configuration])
    }

    /// Places of the configurations in which a hyper-parameter has this value.
    pub(super) fn with_level(&self, name: &str, level: &str) -> Vec<usize> {
        (0..self.names.len()).filter(|n| self.level(name, *n) == level).collect()
    }

    /// What varies, in words.
    pub(super) fn describe(&self, configuration: usize) -> String {
        self.words(configuration, |_| true)
    }

    /// The penalties that vary, in words; all that varies where no penalty does.
    pub(super) fn penalties(&self, configuration: usize) -> String {
        let is_penalty = |name: &str| name.split('_').any(|part| PENALTIES.contains(&part));
        if self.varying.keys().any(|name| is_penalty(name)) {
            let words = self.words(configuration, is_penalty);
            return if words.is_empty() { "no penalty".into() } else { words };
        }
        self.words(configuration, |name| name != "seed")
    }

    fn words(&self, configuration: usize, wanted: impl Fn(&str) -> bool) -> String {
        let names = self.varying.keys().filter(|name| wanted(name));
        let words = names.map(|name| (name, self.level(name, configuration)));
        let words: Vec<String> = words
            .filter(|(_, level)| !level.is_empty())
            .map(|(name, level)| format!("{name} {level}"))
            .collect();
        if words.is_empty() { "as the others".into() } else { words.join(", ") }
    }
}

type Columns = BTreeMap<String, Vec<String>>;

/// All hyper-parameters, and the values of those that vary: numbers by size, words by alphabet.
fn settings(table: &Table) -> Result<(Columns, Columns)> {
    let (mut settings, mut varying) = (Columns::new(), Columns::new());
    for name in table.columns().filter(|name| !RESULTS.contains(name)) {
        let values: Vec<String> = table.texts(name)?.into_iter().map(str::to_string).collect();
        let mut levels = values.clone();
        levels.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => a.total_cmp(&b),
            _ => a.cmp(b),
        });
        levels.dedup();
        if levels.len() > 1 {
            varying.insert(name.to_string(), levels);
        }
        settings.insert(name.to_string(), values);
    }
    Ok((settings, varying))
}
