//! The options of readouts that are trained by gradient descent.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use serde::de::DeserializeOwned;
use striate::training::{
    Activation, FactorNorm, Initialisation, Loss, Nonlinearity, Optimiser, PenaltyScale, Reduction,
    Standardise, TrainingOptions,
};
use striate::{Error, Result};

use super::values;

/// What stands above these options.
pub const TRAINED: &str = "Trained readouts (simple, spatial, factored, mlp)";

/// Options of trained readouts. What is not given keeps its default.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = TRAINED)]
pub struct TrainingArgs {
    /// Learning rate of factored readouts [default: 0.006]; 0.0002 for simple and spatial ones, 0.001 for an
    /// mlp.
    #[arg(long, allow_negative_numbers = true, value_name = "RATE")]
    pub learning_rate: Option<f64>,
    /// The same for feature weights and constants of factored readouts [default: 0.002].
    #[arg(long, allow_negative_numbers = true, value_name = "RATE")]
    pub feature_learning_rate: Option<f64>,
    /// Momentum of SGD [default: 0.9].
    #[arg(long, allow_negative_numbers = true, value_name = "M")]
    pub momentum: Option<f64>,
    /// Penalty on absolute weights (of factored readouts: masks). Default: 0.06 for simple, 0.03 for spatial,
    /// 0.008 for factored readouts; 0 if any other penalty, the loss, the optimiser or the standardisation is
    /// given.
    #[arg(long, allow_negative_numbers = true, value_name = "PENALTY")]
    pub l1: Option<f64>,
    /// Penalty on squared weights (of factored readouts: masks). Default: 3 for simple, 0.04 for factored
    /// readouts, or 0, as for --l1.
    #[arg(long, allow_negative_numbers = true, value_name = "PENALTY")]
    pub l2: Option<f64>,
    /// Penalty on the squared Laplacian of spatial weights or masks. Default: 20 for spatial, 0.02 for
    /// factored readouts, or 0, as for --l1.
    #[arg(long, allow_negative_numbers = true, value_name = "PENALTY")]
    pub laplace: Option<f64>,
    /// Penalty on absolute feature weights of factored readouts [default: 0].
    #[arg(long, allow_negative_numbers = true, value_name = "PENALTY")]
    pub feature_l1: Option<f64>,
    /// Penalty on squared feature weights of factored readouts [default: 0].
    #[arg(long, allow_negative_numbers = true, value_name = "PENALTY")]
    pub feature_l2: Option<f64>,
    /// L1 of factored readouts: of masks and feature weights each, or of their product; product where --l1
    /// has its usual value, else sum.
    #[arg(long, value_parser = choice::<FactorNorm>(&["sum", "product"]), value_name = "NAME")]
    pub feature_norm: Option<FactorNorm>,
    /// Hold weights at 0 and above.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub non_negative: bool,
    /// L1 by its proximal step, which makes exact zeros.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proximal: bool,
    /// Whether penalties are summed over weights and neurons, averaged over neurons, or over weights as well
    /// [default: sum].
    #[arg(long, value_parser = choice::<PenaltyScale>(&["sum", "mean-per-neuron", "normalised"]), value_name = "NAME")]
    pub penalty_scale: Option<PenaltyScale>,
    /// Squared error, or the likelihood of counts [default: squared].
    #[arg(long, value_parser = choice::<Loss>(&["squared", "poisson"]), value_name = "NAME")]
    pub loss: Option<Loss>,
    /// Whether the loss is the sum or the mean over the images of a minibatch [default: mean].
    #[arg(long, value_parser = choice::<Reduction>(&["sum", "mean"]), value_name = "NAME")]
    pub reduction: Option<Reduction>,
    /// What follows the weighted sum; elu is ELU + 1 [default: identity].
    #[arg(
        long,
        value_parser = choice::<Nonlinearity>(&["identity", "relu", "softplus", "elu", "exp"]),
        value_name = "NAME"
    )]
    pub nonlinearity: Option<Nonlinearity>,
    /// How a step is taken [default: adam].
    #[arg(long, value_parser = choice::<Optimiser>(&["adam", "sgd"]), value_name = "NAME")]
    pub optimiser: Option<Optimiser>,
    /// Images of a minibatch [default: 32].
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Most passes over the training images [default: 20].
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Epochs without a better validation loss after which the rate drops, or training stops [default: 5].
    #[arg(long, value_name = "N")]
    pub patience: Option<usize>,
    /// How often the rate drops before training stops [default: 0].
    #[arg(long, value_name = "N")]
    pub drops: Option<usize>,
    /// What a drop multiplies the rate by [default: 0.3].
    #[arg(long, allow_negative_numbers = true, value_name = "F")]
    pub drop_factor: Option<f64>,
    /// What the rate is multiplied by after every epoch [default: 0.9].
    #[arg(long, allow_negative_numbers = true, value_name = "F")]
    pub decay: Option<f64>,
    /// Whether minibatches are drawn anew in every epoch, or follow the order of the images [default: true].
    #[arg(long, value_name = "true|false")]
    pub shuffle: Option<bool>,
    /// The share of the training images that says when to stop, where the split has no validation images
    /// [default: 0.1].
    #[arg(long, value_parser = values::fraction, value_name = "F")]
    #[serde(skip)]
    pub validation_fraction: Option<f64>,
    /// Bring features to mean 0 and deviation 1 over the training images: none, each channel, or each feature
    /// [default: channel].
    #[arg(long, value_parser = choice::<Standardise>(&["none", "channel", "feature"]), value_name = "NAME")]
    pub standardise: Option<Standardise>,
    /// The same for the responses of each neuron [default: true].
    #[arg(long, value_name = "true|false")]
    pub standardise_responses: Option<bool>,
    /// Where weights start: 0, He, Xavier, uniform as in PyTorch, or normal of deviation 0.02 [default:
    /// flat]; plain for an mlp.
    #[arg(
        long,
        value_parser = choice::<Initialisation>(&["flat", "he", "xavier", "plain", "small"]),
        value_name = "NAME"
    )]
    pub initialisation: Option<Initialisation>,
    /// Units of the hidden layers of an mlp [default: 4096,1000,250].
    #[arg(long, value_delimiter = ',', value_parser = values::positive, value_name = "N,N,...")]
    pub widths: Option<Vec<usize>>,
    /// The nonlinearity between the layers of an mlp [default: relu].
    #[arg(long, value_parser = choice::<Activation>(&["relu", "tanh"]), value_name = "NAME")]
    pub activation: Option<Activation>,
    /// Keep features in half precision: half the memory, three digits.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub half_features: bool,
}

/// The share of the training images that stops training where nothing else is said.
const VALIDATION_FRACTION: f64 = 0.1;

/// One of the names of a value of the library.
fn choice<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| serde_json::from_value::<T>(name.into()))
}

impl TrainingArgs {
    /// The options that were given, over the defaults; `seed` draws the start of weights and the order of
    /// images.
    ///
    /// # Errors
    /// Usage, if a value is none for its option.
    pub fn options(&self, readout: Option<&str>, seed: u64) -> Result<TrainingOptions> {
        let mut options = TrainingOptions::new(seed);
        if let Some(readout) = readout {
            options.set("readout", &readout.into())?;
        }
        let given = toml::Table::try_from(self).map_err(|why| Error::internal("options", why))?;
        for (name, value) in &given {
            options.set(name, value)?;
        }
        Ok(options)
    }

    /// The first of these options that was given, for an error.
    pub fn given(&self) -> Option<String> {
        let table = toml::Table::try_from(self).unwrap_or_default();
        let fraction = self.validation_fraction.map(|_| "validation-fraction".to_string());
        table.keys().next().cloned().or(fraction)
    }

    /// `--validation-fraction`, or its default.
    pub fn validation_fraction(&self) -> f64 {
        self.validation_fraction.unwrap_or(VALIDATION_FRACTION)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};
    use striate::training::Penalties;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        training: TrainingArgs,
    }

    fn options(arguments: &[&str]) -> Result<TrainingOptions> {
        let all = ["alone"].iter().chain(arguments);
        Alone::try_parse_from(all).unwrap().training.options(None, 0)
    }

    /// The help gives a default for every option: exactly that which the library has.
    #[test]
    fn the_help_tells_the_defaults() {
        let mut told = 0;
        for argument in Alone::command().get_arguments() {
            let (Some(name), Some(help)) = (argument.get_long(), argument.get_help()) else { continue };
            let help = help.to_string();
            let Some(default) = help.split("[default: ").nth(1) else { continue };
            if name == "validation-fraction" {
                assert_eq!(default.trim_end_matches('.'), format!("{VALIDATION_FRACTION}]"));
                continue;
            }
            let option = format!("--{name}={}", default.split(']').next().unwrap());
            let readout = ["widths", "activation"].contains(&name).then_some("mlp");
            // Usual penalties hold only where no penalty is given.
            let mut beside = vec!["alone", "--l2=0"];
            match name {
                "momentum" => beside.push("--optimiser=sgd"),
                "drop-factor" => beside.push("--drops=1"),
                _ => {}
            }
            let [found, wanted] = [[&beside[..], &[&option]].concat(), beside.clone()].map(|given| {
                let parsed = Alone::try_parse_from(given).unwrap().training;
                format!("{:?}", parsed.options(readout, 0).unwrap().finish().unwrap())
            });
            assert_eq!(found, wanted, "--{name}");
            told += 1;
        }
        assert_eq!(told, 22);
    }

    #[test]
    fn the_help_tells_the_usual_penalties() {
        let command = Alone::command();
        for readout in ["simple", "spatial", "factored"] {
            let alone = Alone::try_parse_from(["alone"]).unwrap().training;
            let (shared, settings) = alone.options(Some(readout), 0).unwrap().finish().unwrap();
            assert_eq!(shared.factor_norm == FactorNorm::Product, readout == "factored");
            let Penalties { l1, l2, laplace } = settings.penalties;
            for (name, value) in [("l1", l1), ("l2", l2), ("laplace", laplace)] {
                let help = command.get_arguments().find(|a| a.get_long() == Some(name)).unwrap().get_help();
                let told = help.unwrap().to_string().contains(&format!("{value} for {readout}"));
                assert_eq!(told, value > 0.0, "--{name} of {readout}: {value}");
            }
        }
    }

    #[test]
    fn all_options_are_the_librarys() {
        for argument in Alone::command().get_arguments() {
            let name = argument.get_long().unwrap();
            let known = TrainingOptions::NAMES.contains(&name);
            assert!(known || name == "validation-fraction", "{name}");
        }
    }

    #[test]
    fn options_become_settings() {
        let (shared, settings) =
            options(&["--l1", "3", "--proximal", "--batch=16"]).unwrap().finish().unwrap();
        assert_eq!((settings.penalties.l1, shared.proximal, shared.batch), (3.0, true, 16));
        for (arguments, said) in [
            (&["--l1", "-1"][..], "--l1: -1"),
            (&["--learning-rate", "nan"], "--learning-rate: NaN"),
            (&["--learning-rate=0"], "--learning-rate: 0"),
            (&["--momentum=0.5"], "--momentum: has no effect on Adam"),
            (&["--batch=0"], "--batch: 0"),
            (&["--widths=3"], "--widths: the readout factored has no layers"),
        ] {
            let error = options(arguments).unwrap().finish().unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
