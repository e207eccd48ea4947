//! One configuration of a sweep: where its features come from, and how its readout is trained.

use super::grid::{Grid, INPUT_OPTIONS, MOST, Point};
use crate::error::{Error, Kind, Result};
use crate::io::images::Size;
use crate::networks::{LARGEST_SIDE, Network};
use crate::tasks::input::{Input, NetworkInput};
use crate::training::{Settings, Shared, TrainingOptions};

/// What all configurations start from.
#[derive(Debug, Clone)]
pub struct Base {
    /// Where features come from; the layer may be missing if the grid names it.
    pub input: Input,
    /// The readout and how it is trained.
    pub options: TrainingOptions,
}

/// One configuration of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// Its number, from 0.
    pub number: usize,
    /// The stage that it belongs to, from 0.
    pub stage: usize,
    /// Where its features come from.
    pub input: Input,
    /// What it has in common with those that train with it.
    pub shared: Shared,
    /// What is its own.
    pub settings: Settings,
}

impl Base {
    /// The same with the options of a point.
    ///
    /// # Errors
    /// Usage, if a value is none for its option.
    pub fn with(&self, point: &Point) -> Result<Base> {
        let mut base = self.clone();
        for (key, value) in point {
            if INPUT_OPTIONS.contains(&key.as_str()) {
                set_input(&mut base.input, key, value)?;
            } else {
                base.options.set(key, value)?;
            }
        }
        Ok(base)
    }
}

/// The configurations of a stage, numbered from `first`.
///
/// # Errors
/// Usage, naming the grid (`place`), the configuration and the option that makes no sense.
pub fn configurations(
    grid: &Grid,
    stage: usize,
    base: &Base,
    first: usize,
    place: &str,
) -> Result<Vec<Configuration>> {
    let one = |(at, point): (usize, Point)| {
        let number = first + at;
        let resolved = base.with(&point).and_then(|base| Ok((base.options.finish()?, base.input)));
        let ((shared, settings), input) = resolved.map_err(|why| {
            let of =
                format!("{place}: configuration {number}: {}", why.parts()[0].1.trim_start_matches("--"));
            why.at(of)
        })?;
        Ok(Configuration { number, stage, input, shared, settings })
    };
    grid.points(stage).into_iter().enumerate().map(one).collect()
}

/// The configurations of all stages, as they would be if the first of each stage were its best: finds
/// mistakes of later stages before anything is trained.
///
/// # Errors
/// As [`configurations`].
pub fn all_stages(grid: &Grid, base: &Base, place: &str) -> Result<Vec<Configuration>> {
    let (mut base, mut all) = (base.clone(), Vec::new());
    for stage in 0..grid.stages() {
        let points = grid.points(stage);
        all.extend(configurations(grid, stage, &base, all.len(), place)?);
        // Whichever point wins, the next stage has to make sense after it.
        if stage + 1 < grid.stages() && points.len() * grid.points(stage + 1).len() <= MOST {
            for point in &points {
                configurations(grid, stage + 1, &base.with(point)?, all.len(), place)?;
            }
        }
        if let Some(point) = points.first() {
            base = base.with(point)?;
        }
    }
    Ok(all)
}

fn wrong(key: &str, value: &toml::Value, wanted: &str) -> Error {
    let shown: String = value.to_string().chars().take(80).collect();
    Error::new(Kind::Usage, format!("--{key}"), shown, wanted, "")
}

fn set_input(input: &mut Input, key: &str, value: &toml::Value) -> Result<()> {
    let positive = |value: &toml::Value| {
        let number = value.as_integer().and_then(|v| usize::try_from(v).ok()).filter(|v| *v > 0);
        number.ok_or_else(|| wrong(key, value, "a whole number of at least 1"))
    };
    let subsample = match input {
        Input::Features(features) => &mut features.subsample,
        Input::Network(network) => &mut network.subsample,
    };
    match key {
        // A seed is set after the number it goes with, or before it.
        "subsample" => {
            let seed = subsample.map_or(0, |(_, seed)| seed);
            *subsample = Some((positive(value)?, seed));
            return Ok(());
        }
        "subsample-seed" => {
            let seed = value.as_integer().and_then(|v| u64::try_from(v).ok());
            let seed = seed.ok_or_else(|| wrong(key, value, "a whole number of at least 0"))?;
            let Some((count, _)) = *subsample else {
                return Err(wrong(key, value, "a number of features, subsample, that stands before it"));
            };
            *subsample = Some((count, seed));
            return Ok(());
        }
        _ => {}
    }
    let Input::Network(network) = input else {
        let found = "features are there already, and no network computes them";
        return Err(Error::new(Kind::Usage, format!("--{key}"), found, "images and a network", ""));
    };
    let text = |value: &toml::Value, wanted: &str| {
        value.as_str().map(String::from).ok_or_else(|| wrong(key, value, wanted))
    };
    match key {
        "layer" => network.layers = vec![layer(network, &text(value, "the name of a layer")?)?],
        "weights" => network.weights = Some(text(value, "a file of weights, or random:0")?),
        "pool" => network.pool = Some(positive(value)?),
        "size" => {
            let wanted = format!("pixels as 56, or \"56x48\" (height x width), to {LARGEST_SIDE}");
            network.size = Some(size(value).ok_or_else(|| wrong(key, value, &wanted))?);
        }
        _ => return Err(Error::internal(key, "an option that is listed and not read")),
    }
    Ok(())
}

/// The layer by its name in the literature.
fn layer(network: &NetworkInput, name: &str) -> Result<String> {
    let known = Network::named(&network.network)?;
    if known.entries.is_empty() {
        let found = format!("{} has no layers", network.network);
        return Err(Error::new(Kind::Usage, "--layer", found, "", "Choose another --net"));
    }
    Ok(known.entries[known.find(name)?].name.clone())
}

fn size(value: &toml::Value) -> Option<Size> {
    let side = |side: usize| (1..=LARGEST_SIDE).contains(&side).then_some(side);
    let (height, width) = match value {
        toml::Value::Integer(pixels) => (usize::try_from(*pixels).ok()?, usize::try_from(*pixels).ok()?),
        toml::Value::String(text) => {
            let (height, width) = text.split_once('x').unwrap_or((text, text));
            (height.trim().parse().ok()?, width.trim().parse().ok()?)
        }
        _ => return None,
    };
    Some(Size { height: side(height)?, width: side(width)? })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::io::images::{Filter, Normalise};
    use crate::tasks::{Convolution, FeaturesInput, NormaliseRequest};
    use crate::training::Model;

    fn base(features: bool) -> Base {
        let network = NetworkInput {
            images: "images".into(),
            network: "vgg19".into(),
            weights: Some("random:0".into()),
            layers: Vec::new(),
            size: None,
            filter: Filter::Bilinear,
            normalise: NormaliseRequest::As(Normalise::Imagenet),
            pool: None,
            subsample: None,
            convolution: Convolution::Auto,
            bits: None,
            notes: Vec::new(),
        };
        let file = FeaturesInput { file: "features.npy".into(), subsample: None };
        let input = if features { Input::Features(file) } else { Input::Network(network) };
        Base { input, options: TrainingOptions::new(0) }
    }

    fn all(text: &str, features: bool) -> Result<Vec<Configuration>> {
        let grid = Grid::parse(&text.parse().unwrap(), "grid.toml")?;
        all_stages(&grid, &base(features), "grid.toml")?;
        configurations(&grid, 0, &base(features), 10, "grid.toml")
    }

    #[test]
    fn points_become_configurations() {
        let text = "[grid]\nlayer = [\"relu3_1\", \"features.20\"]\nsize = [56, \"48x40\"]\nsubsample = 100\n\
            subsample-seed = [1, 2]\nreadout = [\"simple\", \"mlp\"]\npool = 7\nweights = \"random:3\"\n";
        let found = all(text, false).unwrap();
        assert_eq!((found.len(), found[0].number, found[15].number), (16, 10, 25));
        let Input::Network(last) = &found[15].input else { panic!("no network") };
        assert_eq!((last.layers.as_slice(), last.pool), (&["relu4_1".to_string()][..], Some(7)));
        assert_eq!(last.size, Some(Size { height: 48, width: 40 }));
        assert_eq!((last.subsample, last.weights.as_deref()), (Some((100, 2)), Some("random:3")));
        assert!(matches!(found[15].shared.model, Model::Mlp { .. }));
        assert_eq!(found[0].shared.model, Model::Simple);
    }

    #[test]
    fn mistakes_name_file_configuration_and_option() {
        for (text, features, said) in [
            ("[grid]\nl1 = [0, -1]\n", true, "grid.toml: configuration 1: l1: -1"),
            ("[grid]\nlearning-rate = [0.1, 0]\n", true, "configuration 1: learning-rate: 0"),
            ("[grid]\nlearning-rate = [nan]\n", true, "configuration 0: learning-rate: NaN"),
            (
                "[grid]\nreadout = [\"factored\", \"ridge\"]\n",
                true,
                "configuration 1: readout: ridge is fitted in closed",
            ),
            ("[grid]\nlayer = \"relu9\"\n", false, "configuration 0: layer of vgg19: "),
            ("[grid]\nlayer = \"relu1_1\"\n", true, "configuration 0: layer: features are there"),
            ("[grid]\nsize = [\"3x\"]\n", false, "configuration 0: size: \"3x\""),
            ("[grid]\npool = [0]\n", false, "configuration 0: pool: 0"),
            ("[grid]\nsubsample-seed = [0]\n", true, "configuration 0: subsample-seed: 0"),
            ("[grid]\nmomentum = [0.5]\n", true, "configuration 0: momentum: has no effect on Adam"),
            ("[[stages]]\nl1 = [1, 2]\n[[stages]]\nl2 = [-1]\n", true, "configuration 2: l2: -1"),
        ] {
            let error = all(text, features).unwrap_err();
            assert!(error.to_string().contains(said), "{error} does not say {said}");
            assert_eq!(error.kind(), Kind::Usage, "{error}");
        }
    }
}
