//! The tables of a sweep.

use super::configuration::Configuration;
use super::result::{Finished, mean, number, quantile};
use crate::error::Result;
use crate::io::table;
use crate::tasks::input::Input;
use crate::tasks::reliability;
use crate::training::{Model, Optimiser};
use std::collections::BTreeMap;

/// Names of options and what a configuration has there; empty where an option does not apply.
pub(super) fn options(configuration: &Configuration) -> Vec<(&'static str, String)> {
    let (shared, own) = (&configuration.shared, &configuration.settings);
    let factored = shared.model == Model::Factored;
    let maps = matches!(shared.model, Model::Spatial | Model::Factored);
    let some = |applies: bool, value: String| if applies { value } else { String::new() };
    let (widths, activation) = match &shared.model {
        Model::Mlp { widths, activation } => {
            (widths.iter().map(usize::to_string).collect::<Vec<_>>().join(" "), name(activation))
        }
        _ => Default::default(),
    };
    let [weights, layer, size, pool, subsample] = input(&configuration.input);
    vec![
        ("readout", shared.model.name().into()),
        ("layer", layer),
        ("size", size),
        ("pool", pool),
        ("seed", own.seed.to_string()),
        ("weights", weights),
        ("subsample", subsample),
        ("optimiser", name(&shared.optimiser)),
        ("learning_rate", own.learning_rate.to_string()),
        ("feature_learning_rate", own.feature_learning_rate.map_or(String::new(), |rate| rate.to_string())),
        ("momentum", some(shared.optimiser == Optimiser::Sgd, own.momentum.to_string())),
        ("l1", own.penalties.l1.to_string()),
        ("l2", own.penalties.l2.to_string()),
        ("laplace", some(maps, own.penalties.laplace.to_string())),
        ("feature_l1", some(factored, own.feature_penalties.l1.to_string())),
        ("feature_l2", some(factored, own.feature_penalties.l2.to_string())),
        ("feature_norm", some(factored, name(&shared.factor_norm))),
        ("penalty_scale", name(&shared.penalty_scale)),
        ("non_negative", shared.non_negative.to_string()),
        ("proximal", shared.proximal.to_string()),
        ("loss", name(&shared.loss)),
        ("reduction", name(&shared.reduction)),
        ("nonlinearity", name(&shared.nonlinearity)),
        ("initialisation", name(&own.initialisation)),
        ("widths", widths),
        ("activation", activation),
        ("batch", shared.batch.to_string()),
        ("most_epochs", shared.epochs.to_string()),
        ("patience", shared.patience.to_string()),
        ("drops", shared.drops.to_string()),
        ("drop_factor", shared.drop_factor.to_string()),
        ("decay", shared.decay.to_string()),
        ("shuffle", shared.shuffle.to_string()),
        ("standardise", name(&shared.standardise)),
        ("standardise_responses", shared.standardise_responses.to_string()),
        ("half_features", shared.half_features.to_string()),
        ("order_seed", shared.order_seed.to_string()),
    ]
}

/// The name of a value, as its option has it.
fn name(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_value(value).ok().and_then(|value| value.as_str().map(String::from));
    text.unwrap_or_default()
}

/// Weights, layer, size, pool and subsample.
fn input(input: &Input) -> [String; 5] {
    let count = |subsample: &Option<(usize, u64)>| match subsample {
        Some((count, seed)) => format!("{count} seed {seed}"),
        None => String::new(),
    };
    match input {
        Input::Features(features) => {
            let none = String::new;
            [none(), none(), none(), none(), count(&features.subsample)]
        }
        Input::Network(network) => [
            network.weights.clone().unwrap_or_default(),
            network.layers.join(" "),
            network.size.map_or(String::new(), |size| format!("{}x{}", size.height, size.width)),
            network.pool.map_or(String::new(), |side| side.to_string()),
            count(&network.subsample),
        ],
    }
}

/// The options that are not the same in all configurations, for each configuration.
pub(super) fn varying(configurations: &[Configuration]) -> Vec<BTreeMap<&'static str, String>> {
    let all: Vec<Vec<(&'static str, String)>> = configurations.iter().map(options).collect();
    let varies = |at: usize| all.iter().any(|one| one[at] != all[0][at]);
    let columns: Vec<usize> = (0..all.first().map_or(0, Vec::len)).filter(|at| varies(*at)).collect();
    let keep = |one: &Vec<(&'static str, String)>| {
        columns.iter().map(|at| one[*at].clone()).filter(|(_, value)| !value.is_empty()).collect()
    };
    all.iter().map(keep).collect()
}

/// Columns of `sweep.csv` after the options.
const RESULTS: [&str; 16] = [
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
    "stage",
    "neurons",
    "best",
];

/// `sweep.csv`: a row a configuration.
pub(super) fn sweep(
    configurations: &[Configuration],
    finished: &BTreeMap<usize, Finished>,
    best: Option<usize>,
) -> Result<Vec<u8>> {
    let names = configurations.first().map(|first| options(first).into_iter().map(|(name, _)| name));
    let names = names.into_iter().flatten();
    let header: Vec<&str> = ["configuration"].into_iter().chain(names).chain(RESULTS).collect();
    let row = |configuration: &Configuration| {
        let one = finished.get(&configuration.number)?;
        let r = one.all(|n| n.pearson_r);
        let variance = || one.all(|n| n.explained_variance);
        let results = [
            if one.diverged { "diverged" } else { "done" }.to_string(),
            one.epochs.to_string(),
            one.best_epoch.to_string(),
            format!("{:.3}", one.seconds),
            number(one.validation_loss),
            number(one.validation_r()),
            number(quantile(r.clone(), 0.5)),
            number(mean(&r)),
            number(quantile(one.all(|n| n.r2), 0.5)),
            number(quantile(variance(), 0.5)),
            number(quantile(variance(), 0.05)),
            number(quantile(variance(), 0.95)),
            number(quantile(one.feve(), 0.5)),
            (configuration.stage + 1).to_string(),
            one.neurons.len().to_string(),
            if best == Some(one.configuration) { "true".into() } else { String::new() },
        ];
        let values = options(configuration).into_iter().map(|(_, value)| value);
        Some([one.configuration.to_string()].into_iter().chain(values).chain(results).collect())
    };
    table::write("sweep.csv", &header, configurations.iter().filter_map(row))
}

/// `sweep_neurons.csv`: a row a configuration and neuron.
pub(super) fn neurons(finished: &BTreeMap<usize, Finished>, names: Option<&[String]>) -> Result<Vec<u8>> {
    let header = ["configuration", "neuron", "validation_r", "pearson_r", "r2", "explained_variance", "feve"];
    let rows = finished.values().flat_map(|one| {
        one.neurons.iter().enumerate().map(|(at, neuron)| {
            let scores =
                [neuron.validation_r, neuron.pearson_r, neuron.r2, neuron.explained_variance, neuron.feve];
            [one.configuration.to_string(), reliability::name(names, at)]
                .into_iter()
                .chain(scores.map(number))
                .collect()
        })
    });
    table::write("sweep_neurons.csv", &header, rows)
}
