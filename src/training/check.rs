//! What configurations make no sense, said before anything is computed.

use super::settings::{
    FactorNorm, Initialisation, Loss, Model, Nonlinearity, Optimiser, Penalties, PenaltyScale, Settings,
    Shared,
};
use crate::error::{Error, Kind, Result};

fn wrong(option: &str, found: impl std::fmt::Display, wanted: &str, advice: &str) -> Error {
    Error::new(Kind::Usage, format!("--{option}"), found, wanted, advice)
}

/// An error unless `value` is a finite number of at least 0.
fn penalty(option: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(wrong(option, value, "a penalty of 0 or more", "Write 0 for none"))
}

/// An error unless there is at least one.
fn some(option: &str, count: usize) -> Result<()> {
    if count > 0 { Ok(()) } else { Err(wrong(option, 0, "at least 1", "")) }
}

impl Shared {
    /// Checks what a configuration shares with others.
    ///
    /// # Errors
    /// Usage, naming the option that makes no sense.
    pub fn check(&self) -> Result<()> {
        some("batch", self.batch)?;
        some("epochs", self.epochs)?;
        some("patience", self.patience)?;
        if !(self.drop_factor > 0.0 && self.drop_factor < 1.0) {
            let advice = "The rate is multiplied by it";
            return Err(wrong("drop-factor", self.drop_factor, "a number between 0 and 1", advice));
        }
        if !(self.decay > 0.0 && self.decay <= 1.0) {
            let advice = "The rate is multiplied by it after every epoch";
            return Err(wrong("decay", self.decay, "a number above 0 and at most 1", advice));
        }
        if self.loss == Loss::Poisson && self.nonlinearity == Nonlinearity::Identity {
            let found = "identity, whose predictions may be negative, with the Poisson loss";
            return Err(wrong(
                "nonlinearity",
                found,
                "softplus, elu, exp or relu",
                "Try --nonlinearity softplus",
            ));
        }
        if self.loss == Loss::Poisson && self.standardise_responses {
            let found = "true, which makes counts negative, with the Poisson loss";
            return Err(wrong("standardise-responses", found, "false", "Add --standardise-responses false"));
        }
        if self.nonlinearity != Nonlinearity::Identity && self.standardise_responses {
            let found = "true, which moves and scales what stands behind the nonlinearity";
            let advice = "Add --standardise-responses false";
            return Err(wrong("standardise-responses", found, "false, or --nonlinearity identity", advice));
        }
        if self.factor_norm == FactorNorm::Product && self.penalty_scale == PenaltyScale::Normalised {
            let found = "product, whose two factors have different numbers of weights to be averaged over";
            return Err(wrong("feature-norm", found, "sum, or another --penalty-scale", ""));
        }
        if let Model::Mlp { widths, .. } = &self.model
            && widths.contains(&0)
        {
            return Err(wrong("widths", "a layer of 0 units", "at least 1 in each", "Leave it out"));
        }
        let factored = self.model == Model::Factored;
        if !factored && self.factor_norm == FactorNorm::Product {
            return Err(self.inapplicable("feature-norm"));
        }
        Ok(())
    }

    /// Refuses an option that was given by name although it has no effect on what is trained: whoever varies
    /// it would believe that it makes no difference.
    ///
    /// # Errors
    /// Usage, naming the option and what it needs.
    pub fn takes(&self, option: &str) -> Result<()> {
        let factored = self.model == Model::Factored;
        let taken = match option {
            "momentum" => self.optimiser == Optimiser::Sgd,
            "laplace" => matches!(self.model, Model::Spatial | Model::Factored),
            "feature-l1" => factored && self.factor_norm == FactorNorm::Sum,
            "feature-l2" | "feature-norm" | "feature-learning-rate" => factored,
            "widths" | "activation" => matches!(self.model, Model::Mlp { .. }),
            "drop-factor" => self.drops > 0,
            _ => true,
        };
        if taken { Ok(()) } else { Err(self.inapplicable(option)) }
    }

    fn inapplicable(&self, option: &str) -> Error {
        let readout = self.model.name();
        let (found, wanted) = match option {
            "momentum" => ("has no effect on Adam".to_string(), "--optimiser sgd"),
            "laplace" => {
                (format!("the readout {readout} has no maps to smooth"), "--readout spatial or factored")
            }
            "feature-l1" if self.model == Model::Factored => {
                ("has no effect beside --feature-norm product".into(), "--feature-norm sum")
            }
            "widths" | "activation" => (format!("the readout {readout} has no layers"), "--readout mlp"),
            "drop-factor" => ("has no effect where the rate never drops".into(), "--drops 1 or more"),
            _ => (format!("the readout {readout} has no feature weights"), "--readout factored"),
        };
        wrong(option, found, wanted, &format!("Leave --{option} out where it does not apply"))
    }
}

impl Settings {
    /// Checks one configuration, which trains with others that have `shared`.
    ///
    /// # Errors
    /// Usage, naming the option that makes no sense.
    pub fn check(&self, shared: &Shared) -> Result<()> {
        shared.check()?;
        let rate = self.learning_rate;
        if !(rate.is_finite() && rate > 0.0) {
            return Err(wrong("learning-rate", rate, "a number above 0", "Try 0.01"));
        }
        if let Some(rate) = self.feature_learning_rate {
            if !(rate.is_finite() && rate > 0.0) {
                return Err(wrong("feature-learning-rate", rate, "a number above 0", "Leave it out"));
            }
            shared.takes("feature-learning-rate")?;
        }
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(wrong("momentum", self.momentum, "a number from 0 to 1", "Try 0.9"));
        }
        let Penalties { l1, l2, laplace } = self.penalties;
        for (option, value) in [("l1", l1), ("l2", l2), ("laplace", laplace)] {
            penalty(option, value)?;
            if value > 0.0 {
                shared.takes(option)?;
            }
        }
        for (option, value) in
            [("feature-l1", self.feature_penalties.l1), ("feature-l2", self.feature_penalties.l2)]
        {
            penalty(option, value)?;
            if value > 0.0 {
                shared.takes(option)?;
            }
        }
        if matches!(shared.model, Model::Mlp { .. }) && self.initialisation == Initialisation::Flat {
            let found = "flat, from where the layers of an mlp never move";
            return Err(wrong("initialisation", found, "he, xavier, plain or small", "Leave it out"));
        }
        if self.feature_penalties.laplace != 0.0 {
            let found = "a Laplacian penalty on feature weights";
            return Err(wrong("laplace", found, "none, for they are no map", ""));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::training::{Activation, Initialisation};

    #[test]
    fn the_defaults_make_sense() {
        Settings::default().check(&Shared::default()).unwrap();
    }

    #[test]
    fn each_mistake_is_named() {
        let shared = |change: fn(&mut Shared)| {
            let mut shared = Shared::default();
            change(&mut shared);
            Settings::default().check(&shared).unwrap_err()
        };
        let settings = |change: fn(&mut Settings)| {
            let mut settings = Settings { initialisation: Initialisation::Flat, ..Settings::default() };
            change(&mut settings);
            settings.check(&Shared { model: Model::Simple, ..Shared::default() }).unwrap_err()
        };
        let widths =
            |s: &mut Shared| s.model = Model::Mlp { widths: vec![4, 0], activation: Activation::Relu };
        let product = |s: &mut Shared| {
            s.model = Model::Simple;
            s.factor_norm = FactorNorm::Product;
        };
        let known = [
            (shared(|s| s.batch = 0), "--batch: 0"),
            (shared(|s| s.epochs = 0), "--epochs: 0"),
            (shared(|s| s.patience = 0), "--patience: 0"),
            (shared(|s| s.drop_factor = f64::NAN), "--drop-factor: NaN"),
            (shared(|s| s.drop_factor = 1.0), "--drop-factor: 1"),
            (shared(|s| s.decay = 0.0), "--decay: 0"),
            (shared(|s| s.loss = Loss::Poisson), "--nonlinearity: identity"),
            (shared(widths), "--widths: a layer of 0"),
            (shared(product), "--feature-norm: the readout simple"),
            (settings(|s| s.learning_rate = 0.0), "--learning-rate: 0"),
            (settings(|s| s.learning_rate = f64::NAN), "--learning-rate: NaN"),
            (settings(|s| s.learning_rate = -1.0), "--learning-rate: -1"),
            (settings(|s| s.feature_learning_rate = Some(0.0)), "--feature-learning-rate: 0"),
            (
                settings(|s| s.feature_learning_rate = Some(0.1)),
                "--feature-learning-rate: the readout simple",
            ),
            (settings(|s| s.momentum = 1.5), "--momentum: 1.5"),
            (settings(|s| s.penalties.l1 = -1.0), "--l1: -1"),
            (settings(|s| s.penalties.l2 = f64::INFINITY), "--l2: inf"),
            (settings(|s| s.penalties.laplace = 1.0), "--laplace: the readout simple has no maps"),
            (settings(|s| s.feature_penalties.l2 = 1.0), "--feature-l2: the readout simple"),
            (settings(|s| s.feature_penalties.l1 = -2.0), "--feature-l1: -2"),
        ];
        for (error, said) in known {
            assert_eq!(error.kind(), Kind::Usage);
            assert!(error.to_string().starts_with(said), "{error} is not {said}");
        }
    }

    #[test]
    fn options_without_effect_are_refused() {
        let adam = Shared::default();
        let sgd = Shared { optimiser: Optimiser::Sgd, drops: 0, model: Model::Spatial, ..Shared::default() };
        for option in ["momentum", "widths", "activation"] {
            assert!(adam.takes(option).unwrap_err().to_string().starts_with(&format!("--{option}: ")));
        }
        for option in ["drop-factor", "feature-l1", "feature-norm"] {
            assert!(sgd.takes(option).is_err(), "{option}");
        }
        for option in ["momentum", "laplace", "l1", "batch"] {
            sgd.takes(option).unwrap();
        }
        let product = Shared { factor_norm: FactorNorm::Product, ..Shared::default() };
        assert!(product.takes("feature-l1").unwrap_err().to_string().contains("--feature-norm product"));
    }
}
