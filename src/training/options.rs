//! Configurations by the names of their options, as the command line and grids have them.

use super::settings::{Activation, FactorNorm, Model, Settings, Shared};
use crate::error::{Error, Kind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// Widths of the hidden layers of an `mlp` where nothing else is said (Berget 2023).
pub const WIDTHS: [usize; 3] = [4096, 1000, 250];

/// Readouts that are trained.
pub const READOUTS: [&str; 4] = ["simple", "spatial", "factored", "mlp"];

/// Options that say in which units penalties are, or what they are. The usual penalties hold where none of them is
/// given.
pub const PENALTY_OPTIONS: [&str; 12] = [
    "l1",
    "l2",
    "laplace",
    "feature-l1",
    "feature-l2",
    "feature-norm",
    "penalty-scale",
    "loss",
    "reduction",
    "optimiser",
    "standardise",
    "standardise-responses",
];

/// A configuration that is put together option by option.
#[derive(Debug, Clone, Serialize)]
pub struct TrainingOptions {
    readout: String,
    widths: Vec<usize>,
    activation: Activation,
    shared: Shared,
    settings: Settings,
    given: BTreeSet<&'static str>,
}

impl TrainingOptions {
    /// The names that [`TrainingOptions::set`] knows.
    pub const NAMES: [&'static str; 32] = [
        "readout",
        "learning-rate",
        "feature-learning-rate",
        "momentum",
        "l1",
        "l2",
        "laplace",
        "feature-l1",
        "feature-l2",
        "feature-norm",
        "non-negative",
        "proximal",
        "penalty-scale",
        "loss",
        "reduction",
        "nonlinearity",
        "optimiser",
        "batch",
        "epochs",
        "patience",
        "drops",
        "drop-factor",
        "decay",
        "standardise",
        "standardise-responses",
        "initialisation",
        "widths",
        "activation",
        "half-features",
        "shuffle",
        "seed",
        "order-seed",
    ];

    /// The defaults, with the start of the weights and the order of the images drawn by `seed`.
    pub fn new(seed: u64) -> Self {
        TrainingOptions {
            readout: Model::Factored.name().into(),
            widths: WIDTHS.to_vec(),
            activation: Activation::Relu,
            shared: Shared { order_seed: seed, ..Shared::default() },
            settings: Settings { seed, ..Settings::default() },
            given: BTreeSet::new(),
        }
    }

    /// Sets one option by its name.
    ///
    /// # Errors
    /// Usage, if there is no such option, or the value is none for it.
    pub fn set(&mut self, option: &str, value: &toml::Value) -> Result<()> {
        let Some(name) = Self::NAMES.into_iter().find(|name| *name == option) else {
            let wanted = format!("one of {}", Self::NAMES.join(", "));
            return Err(Error::new(
                Kind::Usage,
                format!("--{option}"),
                "is no option of readouts",
                wanted,
                "",
            ));
        };
        let (shared, settings) = (&mut self.shared, &mut self.settings);
        match name {
            "readout" => self.readout = readout(value)?,
            "widths" => self.widths = read(name, value)?,
            "activation" => self.activation = read(name, value)?,
            "learning-rate" => settings.learning_rate = read(name, value)?,
            "feature-learning-rate" => settings.feature_learning_rate = Some(read(name, value)?),
            "momentum" => settings.momentum = read(name, value)?,
            "l1" => settings.penalties.l1 = read(name, value)?,
            "l2" => settings.penalties.l2 = read(name, value)?,
            "laplace" => settings.penalties.laplace = read(name, value)?,
            "feature-l1" => settings.feature_penalties.l1 = read(name, value)?,
            "feature-l2" => settings.feature_penalties.l2 = read(name, value)?,
            "initialisation" => settings.initialisation = read(name, value)?,
            "seed" => settings.seed = read(name, value)?,
            _ => set_shared(shared, name, value)?,
        }
        self.given.insert(name);
        Ok(())
    }

    /// The configuration, checked. Rates and start that were not given are those of [`Settings::usual`], and so are
    /// penalties where none of [`PENALTY_OPTIONS`] was given.
    ///
    /// # Errors
    /// Usage, if options do not go together, as [`Settings::check`] and [`Shared::takes`] say.
    pub fn finish(&self) -> Result<(Shared, Settings)> {
        let model = match self.readout.as_str() {
            "simple" => Model::Simple,
            "spatial" => Model::Spatial,
            "mlp" => Model::Mlp { widths: self.widths.clone(), activation: self.activation },
            _ => Model::Factored,
        };
        let (mut settings, usual) = (self.settings.clone(), Settings::usual(&model));
        if !self.given.contains("learning-rate") {
            settings.learning_rate = usual.learning_rate;
        }
        if !self.given.contains("feature-learning-rate") {
            settings.feature_learning_rate = usual.feature_learning_rate;
        }
        if !self.given.contains("initialisation") {
            settings.initialisation = usual.initialisation;
        }
        let mut shared = Shared { model, ..self.shared.clone() };
        if !PENALTY_OPTIONS.iter().any(|option| self.given.contains(option)) {
            settings.penalties = usual.penalties;
            if shared.model == Model::Factored {
                shared.factor_norm = FactorNorm::Product;
            }
        }
        settings.check(&shared)?;
        for option in &self.given {
            shared.takes(option)?;
        }
        Ok((shared, settings))
    }
}

fn set_shared(shared: &mut Shared, name: &str, value: &toml::Value) -> Result<()> {
    match name {
        "feature-norm" => shared.factor_norm = read(name, value)?,
        "non-negative" => shared.non_negative = read(name, value)?,
        "proximal" => shared.proximal = read(name, value)?,
        "penalty-scale" => shared.penalty_scale = read(name, value)?,
        "loss" => shared.loss = read(name, value)?,
        "reduction" => shared.reduction = read(name, value)?,
        "nonlinearity" => shared.nonlinearity = read(name, value)?,
        "optimiser" => shared.optimiser = read(name, value)?,
        "batch" => shared.batch = read(name, value)?,
        "epochs" => shared.epochs = read(name, value)?,
        "patience" => shared.patience = read(name, value)?,
        "drops" => shared.drops = read(name, value)?,
        "drop-factor" => shared.drop_factor = read(name, value)?,
        "decay" => shared.decay = read(name, value)?,
        "shuffle" => shared.shuffle = read(name, value)?,
        "standardise" => shared.standardise = read(name, value)?,
        "standardise-responses" => shared.standardise_responses = read(name, value)?,
        "half-features" => shared.half_features = read(name, value)?,
        "order-seed" => shared.order_seed = read(name, value)?,
        _ => return Err(Error::internal(name, "an option that is listed and not read")),
    }
    Ok(())
}

fn readout(value: &toml::Value) -> Result<String> {
    match value.as_str() {
        Some(name) if READOUTS.contains(&name) => Ok(name.into()),
        Some(name @ ("ridge" | "smooth-ridge")) => {
            let found = format!("{name} is fitted in closed form, and chooses its penalties by itself");
            let advice = format!("Run `striate fit --readout {name}` beside it");
            Err(Error::new(Kind::Usage, "--readout", found, READOUTS.join(", "), advice))
        }
        _ => Err(Error::new(Kind::Usage, "--readout", value, READOUTS.join(", "), "")),
    }
}

/// A value as what its option takes.
fn read<T: DeserializeOwned>(name: &str, value: &toml::Value) -> Result<T> {
    value.clone().try_into().map_err(|why: toml::de::Error| {
        let shown: String = value.to_string().chars().take(80).collect();
        let found = format!("{shown}: {}", why.message().trim());
        Error::new(Kind::Usage, format!("--{name}"), found, "", "Correct the value")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::training::{
        Initialisation, Loss, Nonlinearity, Optimiser, Penalties, PenaltyScale, Standardise,
    };

    /// An entry for every option, none of them the default.
    const ALL: &str = "readout = \"mlp\"\nlearning-rate = 1\nfeature-learning-rate = 2\ndecay = 0.8\nshuffle = false\nmomentum = 0.5\nl1 = 2\nl2 = 0.25\nlaplace = 3\n\
        feature-l1 = 4.0\nfeature-l2 = 5\nfeature-norm = \"product\"\nnon-negative = true\nproximal = true\n\
        penalty-scale = \"mean-per-neuron\"\nloss = \"poisson\"\nreduction = \"sum\"\nnonlinearity = \"exp\"\n\
        optimiser = \"sgd\"\nbatch = 16\nepochs = 7\npatience = 9\ndrops = 3\ndrop-factor = 0.5\n\
        standardise = \"feature\"\nstandardise-responses = false\ninitialisation = \"xavier\"\n\
        widths = [8, 4]\nactivation = \"tanh\"\nhalf-features = true\nseed = 11\norder-seed = 12\n";

    #[test]
    fn every_name_reaches_its_field() {
        let table: toml::Table = ALL.parse().unwrap();
        assert_eq!(table.len(), TrainingOptions::NAMES.len());
        let usual = TrainingOptions::new(0);
        let mut options = usual.clone();
        for name in TrainingOptions::NAMES {
            let mut one = usual.clone();
            one.set(name, &table[name]).unwrap();
            one.given.clear();
            assert_ne!(format!("{one:?}"), format!("{usual:?}"), "{name} changes nothing");
            options.set(name, &table[name]).unwrap();
        }
        let (shared, settings) = (&options.shared, &options.settings);
        assert_eq!((shared.factor_norm, shared.loss), (FactorNorm::Product, Loss::Poisson));
        assert_eq!((shared.optimiser, shared.nonlinearity), (Optimiser::Sgd, Nonlinearity::Exp));
        assert_eq!(shared.penalty_scale, PenaltyScale::MeanPerNeuron);
        assert_eq!((shared.standardise, shared.batch, shared.order_seed), (Standardise::Feature, 16, 12));
        assert_eq!((settings.initialisation, settings.seed), (Initialisation::Xavier, 11));
        assert_eq!(
            (settings.penalties.l1, settings.penalties.l2, settings.penalties.laplace),
            (2.0, 0.25, 3.0)
        );
        assert_eq!((settings.feature_penalties.l1, settings.feature_penalties.l2), (4.0, 5.0));
    }

    /// A penalty that is given stands alone: it is not added to others that nobody asked for.
    #[test]
    fn usual_penalties_hold_where_no_penalty_is_given() {
        for (readout, usual) in [("simple", true), ("spatial", true), ("factored", true), ("mlp", false)] {
            let mut options = TrainingOptions::new(0);
            options.set("readout", &readout.into()).unwrap();
            options.set("epochs", &3.into()).unwrap();
            let (shared, settings) = options.finish().unwrap();
            assert_eq!(settings.penalties, Settings::usual(&shared.model).penalties);
            assert_eq!(settings.penalties != Penalties::default(), usual, "{readout}");
            options.set("l2", &0.5.into()).unwrap();
            let (shared, settings) = options.finish().unwrap();
            assert_eq!(settings.penalties, Penalties { l2: 0.5, ..Penalties::default() });
            assert_eq!(shared.factor_norm, FactorNorm::Sum);
        }
    }

    #[test]
    fn an_mlp_has_widths_whatever_the_order() {
        let mut options = TrainingOptions::new(3);
        options.set("activation", &"tanh".into()).unwrap();
        options.set("readout", &"mlp".into()).unwrap();
        let (shared, settings) = options.finish().unwrap();
        assert_eq!(shared.model, Model::Mlp { widths: WIDTHS.to_vec(), activation: Activation::Tanh });
        assert_eq!((shared.order_seed, settings.seed), (3, 3));
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        let mut options = TrainingOptions::new(0);
        let wrong: [(&str, toml::Value, &str); 6] = [
            ("batch", (-1).into(), "--batch: -1"),
            ("batch", "many".into(), "--batch: \"many\""),
            ("optimiser", "adagrad".into(), "unknown variant `adagrad`, expected `adam` or `sgd`"),
            ("readout", "ridge".into(), "closed form"),
            ("readout", 3.into(), "--readout: 3"),
            ("rate", 3.into(), "--rate: is no option"),
        ];
        for (name, value, said) in wrong {
            let error = options.set(name, &value).unwrap_err().to_string();
            assert!(error.contains(said), "{error} does not say {said}");
        }
        options.set("momentum", &0.5.into()).unwrap();
        assert!(options.finish().unwrap_err().to_string().starts_with("--momentum: has no effect on Adam"));
    }
}
