//! Weights of a network: drawn at random, or compared with what a file holds.

use std::path::Path;

use ndarray::ArrayD;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use super::{Entry, NAMES, Network, Parameter};
use crate::error::{Error, Kind, Result};

/// Random weight and bias of the entry with that key: weights from a normal distribution with mean 0 and
/// variance 2 / fan-in (He et al. 2015, equation 10), bias 0. Shapes are those of [`Parameter`].
///
/// Batch normalisation draws nothing: a fresh one changes nothing.
///
/// Each entry draws from a stream of its own, made from `seed` and `key` alone: the same seed gives the same
/// weights whichever layer one stops at, and networks that share a key and a shape share its weights.
///
/// # Errors
/// [`Kind::Usage`] if the network has no entry with weights under this key.
pub fn he_normal(network: &Network, seed: u64, key: &str) -> Result<(ArrayD<f32>, Vec<f32>)> {
    let parameter = network.entries.iter().find(|entry| entry.key == key).and_then(Entry::parameter);
    let Some(Parameter { key, weight_shape, bias_shape, .. }) = parameter else {
        let known: Vec<String> =
            network.parameters_up_to(usize::MAX).into_iter().map(|parameter| parameter.key).collect();
        return Err(Error::new(
            Kind::Usage,
            format!("random weights of {}", network.name),
            format!("no entry with weights is called {key:?}"),
            if known.is_empty() { "no key".to_owned() } else { format!("one of {}", known.join(", ")) },
            "Check the key",
        ));
    };
    let fan_in: usize = weight_shape[1..].iter().product();
    let values = normal(stream(seed, &key), weight_shape.iter().product(), (2.0 / fan_in as f64).sqrt());
    let weight = ArrayD::from_shape_vec(weight_shape, values)
        .map_err(|error| Error::internal("random weights", error))?;
    Ok((weight, vec![0.0; bias_shape.iter().product()]))
}

/// The random stream of one tensor: ChaCha8 with the SHA-256 of a label, the seed and the key as its key.
fn stream(seed: u64, key: &str) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(b"striate he_normal 1\n");
    hash.update(seed.to_le_bytes());
    hash.update(key.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// `count` normal values by Box and Muller's method, in f64, two from every two draws.
fn normal(mut stream: ChaCha8Rng, count: usize, deviation: f64) -> Vec<f32> {
    // 53 random bits, as many as an f64 holds.
    let mut uniform = || (stream.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        // 1 - u lies in (0, 1]: its logarithm is finite.
        let radius = deviation * (-2.0 * (1.0 - uniform()).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * uniform()).sin_cos();
        values.push((radius * cosine) as f32);
        values.push((radius * sine) as f32);
    }
    values.truncate(count);
    values
}

/// How far a file's tensors carry a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// One of [`NAMES`].
    pub network: &'static str,
    /// Entries with weights, counted from the first one on, whose weight and bias are there in the right
    /// shape.
    pub depth: usize,
    /// Name of the last of them, e.g. `conv3_1`.
    pub last: String,
    /// Whether these are all of the network's entries with weights.
    pub complete: bool,
}

/// How far `tensors` (name, shape) carry this network, or `None` if they do not give its first weights, or hold
/// batch normalisation that it has not.
pub fn fit(network: &Network, tensors: &[(String, Vec<usize>)]) -> Option<Fit> {
    if foreign_normalisation(network, tensors).is_some() {
        return None;
    }
    let holds = |(name, shape): &(String, Vec<usize>)| shape_of(tensors, name) == Some(shape);
    let parameters = network.parameters_up_to(usize::MAX);
    let depth = parameters.iter().take_while(|parameter| parameter.tensors().iter().all(holds)).count();
    let last = parameters.get(depth.checked_sub(1)?)?;
    let is_last = |entry: &&Entry| entry.parameter().is_some_and(|parameter| parameter == *last);
    let last = network.entries.iter().find(is_last)?.name.clone();
    Some(Fit { network: network.name, depth, last, complete: depth == parameters.len() })
}

/// The networks that `tensors` (name, shape) carry furthest; several if the file ends before they part.
pub fn best_fits(tensors: &[(String, Vec<usize>)]) -> Vec<Fit> {
    let fits: Vec<Fit> = NAMES
        .iter()
        .filter_map(|name| Network::named(name).ok())
        .filter_map(|network| fit(&network, tensors))
        .collect();
    let furthest = fits.iter().map(|fit| fit.depth).max().unwrap_or(0);
    fits.into_iter().filter(|fit| fit.depth == furthest).collect()
}

/// A tensor of a batch normalisation that the network has not: running statistics, or a weight of one axis,
/// which no convolution and no dense layer has.
fn foreign_normalisation<'a>(network: &Network, tensors: &'a [(String, Vec<usize>)]) -> Option<&'a str> {
    let of_network = |name: &str| name.starts_with("features.") || name.starts_with("classifier.");
    let own: Vec<String> = network
        .parameters_up_to(usize::MAX)
        .into_iter()
        .filter_map(|parameter| parameter.normalisation)
        .collect();
    let foreign = |(name, shape): &&(String, Vec<usize>)| {
        let (key, part) = name.rsplit_once('.').unwrap_or_default();
        let normalises = part.starts_with("running_") || part == "num_batches_tracked";
        of_network(name)
            && (normalises || part == "weight" && shape.len() == 1)
            && !own.iter().any(|own| own == key)
    };
    tensors.iter().find(foreign).map(|(name, _)| name.as_str())
}

/// Checks that `tensors` (name, shape), found in `file`, hold all weights that `network` needs up to and with
/// the entry `up_to`. Further tensors do not matter.
///
/// # Errors [`Kind::Input`] for the first tensor that is missing or has another shape; says which network's
/// weights these look like, or how far they reach.
pub fn check(network: &Network, up_to: usize, file: &Path, tensors: &[(String, Vec<usize>)]) -> Result<()> {
    if network.parameters_up_to(up_to).is_empty() {
        return Ok(());
    }
    if let Some(name) = foreign_normalisation(network, tensors) {
        let found = format!("{name} belongs to a batch normalisation, which {} has not there", network.name);
        let wanted = format!("weights of {}", network.name);
        return Err(Error::input(file, found, wanted, advice(network, name, tensors)));
    }
    for entry in network.entries.iter().take(up_to.saturating_add(1)) {
        let Some(parameter) = entry.parameter() else { continue };
        for (name, shape) in parameter.tensors() {
            let found = match shape_of(tensors, &name) {
                Some(found) if *found == *shape => continue,
                Some(found) => format!("{name} has the shape {}", tuple(found)),
                None => format!("there is no {name}; the file has {}", listing(tensors)),
            };
            let wanted = format!("{name} {} for {} of {}", tuple(&shape), entry.name, network.name);
            return Err(Error::input(file, found, wanted, advice(network, &name, tensors)));
        }
    }
    Ok(())
}

fn shape_of<'a>(tensors: &'a [(String, Vec<usize>)], name: &str) -> Option<&'a [usize]> {
    tensors.iter().find(|(found, _)| found == name).map(|(_, shape)| shape.as_slice())
}

/// What to do about a file in which `name` is missing or has another shape.
fn advice(network: &Network, name: &str, tensors: &[(String, Vec<usize>)]) -> String {
    let own = fit(network, tensors);
    let reach = own.as_ref().map_or(0, |fit| fit.depth);
    let others: Vec<&str> =
        best_fits(tensors).iter().filter(|fit| fit.depth > reach).map(|fit| fit.network).collect();
    let prefix =
        tensors.iter().find_map(|(found, _)| found.strip_suffix(name).filter(|rest| rest.ends_with('.')));
    match (own, prefix) {
        _ if !others.is_empty() => {
            format!("This looks like the weights of {}: choose that network", others.join(" or "))
        }
        (_, Some(prefix)) => {
            format!("All names seem to start with {prefix:?}: save the file again without it")
        }
        (Some(fit), _) => {
            format!("The file reaches as far as {}: choose an earlier layer, or a complete file", fit.last)
        }
        (None, _) => "Choose a file with the names and shapes that torchvision gives this network".to_owned(),
    }
}

/// The first names of a file, for an error.
fn listing(tensors: &[(String, Vec<usize>)]) -> String {
    const SHOWN: usize = 6;
    let names: Vec<&str> = tensors.iter().take(SHOWN).map(|(name, _)| name.as_str()).collect();
    match tensors.len() {
        0 => "no tensors at all".to_owned(),
        all @ 1..=SHOWN => format!("{all} tensors: {}", names.join(", ")),
        all => format!("{all} tensors: {}, ...", names.join(", ")),
    }
}

/// A shape as Python prints it.
fn tuple(shape: &[usize]) -> String {
    let sides: Vec<String> = shape.iter().map(ToString::to_string).collect();
    if let [side] = sides.as_slice() { format!("({side},)") } else { format!("({})", sides.join(", ")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
pub(super) mod tests {
    use super::*;

    /// All tensors of a network up to a layer, as its weight file would list them.
    pub(in super::super) fn tensors(network: &str, layer: &str) -> Vec<(String, Vec<usize>)> {
        let network = Network::named(network).unwrap();
        network
            .parameters_up_to(network.find(layer).unwrap())
            .into_iter()
            .flat_map(|parameter| parameter.tensors())
            .collect()
    }

    fn complaint(network: &str, layer: &str, tensors: &[(String, Vec<usize>)]) -> String {
        let network = Network::named(network).unwrap();
        let layer = network.find(layer).unwrap();
        let error = check(&network, layer, Path::new("some.pth"), tensors).unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        error.to_string()
    }

    #[test]
    fn random_weights_have_the_moments_of_he() {
        let network = Network::named("vgg19").unwrap();
        let (weight, bias) = he_normal(&network, 0, "features.10").unwrap();
        assert_eq!(weight.shape(), [256, 128, 3, 3]);
        assert_eq!(bias, vec![0.0; 256]);
        let count = weight.len() as f64;
        let moment = |power| weight.iter().map(|&w| f64::from(w).powi(power)).sum::<f64>() / count;
        let variance = 2.0 / (128.0 * 9.0);
        // Five standard errors of each moment of a normal distribution.
        assert!(moment(1).abs() < 5.0 * (variance / count).sqrt());
        assert!((moment(2) / variance - 1.0).abs() < 5.0 * (2.0 / count).sqrt());
        assert!((moment(4) / variance.powi(2) - 3.0).abs() < 5.0 * (96.0 / count).sqrt());
        // Neighbours, which share a draw of Box and Muller's, do not correlate.
        let values: Vec<f64> = weight.iter().map(|&w| f64::from(w)).collect();
        let pairs = values.chunks_exact(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / (count / 2.0);
        assert!(pairs.abs() < 5.0 * variance / (count / 2.0).sqrt());
    }

    #[test]
    fn random_weights_follow_from_seed_and_key_alone() {
        let draw = |network: &str, seed, key: &str| {
            he_normal(&Network::named(network).unwrap(), seed, key).unwrap().0
        };
        assert_eq!(draw("vgg19", 7, "features.2"), draw("vgg16", 7, "features.2"));
        assert_ne!(draw("vgg19", 7, "features.2"), draw("vgg19", 8, "features.2"));
        let (one, other) = (draw("vgg19", 7, "features.12"), draw("vgg19", 7, "features.14"));
        assert_eq!(one.shape(), other.shape());
        assert_ne!(one, other);
        // An odd number of values, and a group's fan-in.
        assert_eq!(draw("caffenet", 7, "features.4").shape(), [256, 48, 5, 5]);
        assert_eq!(normal(stream(0, "x"), 3, 1.0)[..], normal(stream(0, "x"), 4, 1.0)[..3]);
    }

    #[test]
    fn random_weights_stay_what_they_are() {
        // Frozen: whoever changes the stream changes everybody's experiments. Tolerance because the logarithm
        // and the cosine may differ in their last bit between platforms.
        let values = normal(stream(0, "features.0"), 4, 1.0);
        let frozen = [-0.246_329_23, -0.350_922_7, 0.902_902_66, 1.059_000_7];
        assert!(values.iter().zip(frozen).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{values:?}");
    }

    #[test]
    fn random_weights_refuse_entries_without_weights() {
        let network = Network::named("alexnet").unwrap();
        let said = he_normal(&network, 0, "features.1").unwrap_err().to_string();
        assert!(said.contains("one of features.0, features.3"), "{said}");
        assert!(he_normal(&Network::named("pixels").unwrap(), 0, "features.0").is_err());
    }

    #[test]
    fn right_weights_pass_also_if_the_file_holds_more_or_just_enough() {
        let network = Network::named("vgg19").unwrap();
        let layer = network.find("relu3_1").unwrap();
        for deepest in ["relu3_1", "fc8"] {
            check(&network, layer, Path::new("some.pth"), &tensors("vgg19", deepest)).unwrap();
        }
        check(&Network::named("pixels").unwrap(), 0, Path::new("none"), &[]).unwrap();
    }

    #[test]
    fn a_missing_tensor_is_named_with_its_shape_and_the_reach_of_the_file() {
        let said = complaint("vgg19", "relu3_1", &tensors("vgg19", "relu2_2"));
        for part in [
            "some.pth: there is no features.10.weight",
            "features.10.weight (256, 128, 3, 3) for conv3_1 of vgg19",
            "as far as conv2_2",
        ] {
            assert!(said.contains(part), "{said}");
        }
        let mut without_bias = tensors("vgg19", "relu3_1");
        without_bias.pop();
        let said = complaint("vgg19", "relu3_1", &without_bias);
        assert!(said.contains("wanted features.10.bias (256,)"), "{said}");
        assert!(complaint("vgg19", "relu3_1", &[]).contains("no tensors at all"));
    }

    #[test]
    fn weights_of_another_network_are_recognised() {
        let said = complaint("vgg19", "relu3_1", &tensors("alexnet", "fc8"));
        assert!(said.contains("features.0.weight has the shape (64, 3, 11, 11)"), "{said}");
        assert!(said.contains("looks like the weights of alexnet:"), "{said}");
        // These two agree until conv3_3.
        let said = complaint("vgg16", "relu5_1", &tensors("vgg19", "fc8"));
        assert!(said.contains("looks like the weights of vgg19:"), "{said}");
        let said = complaint("alexnet", "relu1", &tensors("caffenet", "relu2"));
        assert!(said.contains("alexnet-krizhevsky or caffenet"), "{said}");
    }

    #[test]
    fn batch_normalisation_is_run_or_refused_and_never_left_out() {
        let refused = |layer: &str, tensors: &[_]| {
            let said = complaint("vgg16", layer, tensors);
            assert!(said.contains("batch normalisation") && said.contains("choose that network"), "{said}");
            said
        };
        let whole = tensors("vgg16_bn", "fc8");
        assert!(refused("relu1_1", &whole).contains("weights of vgg16_bn:"));
        // As far as one convolution and its normalisation, all these networks are the same.
        refused("relu1_1", &tensors("vgg16_bn", "bn1_1"));
        let network = Network::named("vgg16_bn").unwrap();
        check(&network, usize::MAX, Path::new("some.pth"), &whole).unwrap();
        for missing in ["features.4.running_var", "features.4.weight", "features.3.bias"] {
            let mut partial = whole.clone();
            partial.retain(|(name, _)| name != missing);
            assert!(complaint("vgg16_bn", "relu1_2", &partial).contains(&format!("no {missing}")));
            assert!(complaint("vgg16", "relu1_2", &partial).contains("batch normalisation"));
        }
        assert!(complaint("vgg16_bn", "relu1_1", &tensors("vgg16", "fc8")).contains("weights of vgg16:"));
        // Only a scale and a shift, without statistics.
        let mut scaled = tensors("vgg11", "relu1_1");
        scaled.push(("features.1.weight".into(), vec![64]));
        assert!(complaint("vgg11", "relu1_1", &scaled).contains("features.1.weight belongs"));
        let names: Vec<_> = best_fits(&whole).iter().map(|fit| fit.network).collect();
        assert_eq!(names, ["vgg16_bn"]);
    }

    #[test]
    fn a_prefix_before_every_name_is_pointed_out() {
        let prefixed: Vec<_> = tensors("vgg11", "fc8")
            .into_iter()
            .map(|(name, shape)| (format!("module.{name}"), shape))
            .collect();
        assert!(complaint("vgg11", "relu1_1", &prefixed).contains("start with \"module.\""));
    }

    #[test]
    fn best_fits_are_the_networks_that_reach_furthest() {
        let names = |tensors: &[_]| best_fits(tensors).iter().map(|fit| fit.network).collect::<Vec<_>>();
        assert_eq!(names(&tensors("vgg16", "fc8")), ["vgg16"]);
        assert_eq!(names(&tensors("vgg16", "relu2_2")), ["vgg13", "vgg16", "vgg19"]);
        assert_eq!(names(&[]), [""; 0]);
        let fit = &best_fits(&tensors("vgg19", "relu3_1"))[0];
        assert_eq!((fit.last.as_str(), fit.complete), ("conv3_1", false));
        assert!(best_fits(&tensors("vgg19", "fc8"))[0].complete);
    }
}
