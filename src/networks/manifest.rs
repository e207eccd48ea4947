//! Published weight files, and whether a file at hand is one of them. The list is `weights/manifest.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;

use super::weights::{Fit, best_fits};

/// What `weights/manifest.toml` says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The published files.
    #[serde(rename = "file")]
    pub files: Vec<Published>,
    /// Notes on licences, by the name that [`Published::licence`] gives.
    pub licences: BTreeMap<String, String>,
}

/// A published weight file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// File name without its ending, e.g. `vgg19-dcbb9e9d`.
    pub name: String,
    /// One of [`super::NAMES`]: the tensors' names and shapes follow from it.
    pub network: String,
    /// Where it can be downloaded.
    pub address: String,
    /// How its SHA-256 begins, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Its size in MiB, as its publisher states it.
    pub mebibytes: f64,
    /// Which of [`Manifest::licences`] applies.
    pub licence: String,
}

impl Published {
    /// The name under which it is downloaded.
    pub fn file_name(&self) -> String {
        format!("{}.pth", self.name)
    }
}

/// The manifest.
pub fn manifest() -> &'static Manifest {
    static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| {
        toml::from_str(include_str!("../../weights/manifest.toml"))
            .expect("the manifest in the program is valid")
    });
    &MANIFEST
}

/// What a weight file is, as far as its name, its hash and its tensors tell. Displays as one sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Identification {
    /// The published file it is called after, or, under whatever name, has the hash of.
    pub published: Option<&'static Published>,
    /// Whether the file's SHA-256 begins as that of the published file.
    pub hash_agrees: bool,
    /// Whether the file holds all tensors of the published file's network in the right shapes.
    pub shapes_agree: bool,
    /// The networks that the tensors carry furthest, whatever the file is called.
    pub fits: Vec<Fit>,
}

/// Identifies a weight file by its name (without folders), its SHA-256 in hexadecimal, and its tensors (name,
/// shape).
pub fn identify(file_name: &str, sha256: &str, tensors: &[(String, Vec<usize>)]) -> Identification {
    let sha256 = sha256.to_lowercase();
    let files = &manifest().files;
    // What a file holds weighs more than what it is called. Only the beginning of the name counts: browsers
    // append to it, converters change the ending.
    let published = files
        .iter()
        .find(|file| sha256.starts_with(&file.sha256))
        .or_else(|| files.iter().find(|file| file_name.starts_with(&file.name)));
    let fits = best_fits(tensors);
    Identification {
        published,
        hash_agrees: published.is_some_and(|file| sha256.starts_with(&file.sha256)),
        shapes_agree: published
            .is_some_and(|file| fits.iter().any(|fit| fit.complete && fit.network == file.network)),
        fits,
    }
}

impl fmt::Display for Identification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Published { name, network, sha256, .. }) = self.published {
            return match (self.hash_agrees, self.shapes_agree) {
                (true, true) => write!(f, "{name}, as published: weights of {network}"),
                (true, false) => {
                    write!(f, "the hash of {name}, but not all tensors of {network} could be found in it")
                }
                (false, true) => write!(
                    f,
                    "called {name} and shaped like it, but not as published: its SHA-256 does not begin with \
                     {sha256} (that of a converted copy cannot)"
                ),
                (false, false) => write!(
                    f,
                    "called {name}, but neither does its SHA-256 begin with {sha256} nor are its tensors \
                     those of {network}; {}",
                    described(&self.fits)
                ),
            };
        }
        write!(f, "not a published file that Striate knows; {}", described(&self.fits))
    }
}

/// Which networks tensors serve.
fn described(fits: &[Fit]) -> String {
    let fits: Vec<String> = fits
        .iter()
        .map(|fit| match fit.complete {
            true => fit.network.to_owned(),
            false => format!("{} up to {}", fit.network, fit.last),
        })
        .collect();
    if fits.is_empty() {
        "its tensors fit no network".to_owned()
    } else {
        format!("its tensors fit {}", fits.join(", "))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::super::Network;
    use super::super::weights::tests::tensors;
    use super::*;

    #[test]
    fn the_manifest_agrees_with_itself() {
        assert_eq!(manifest().files.len(), 9);
        for file in &manifest().files {
            assert_eq!(Network::named(&file.network).unwrap().name, file.network);
            assert!(file.name.ends_with(&format!("-{}", file.sha256)), "{}", file.name);
            assert!(file.sha256.len() == 8 && file.sha256.bytes().all(|b| b"0123456789abcdef".contains(&b)));
            assert_eq!(file.address, format!("https://download.pytorch.org/models/{}.pth", file.name));
            assert!(manifest().licences.contains_key(&file.licence), "{}", file.name);
            // Four bytes a parameter, and the pickle around them.
            let parameters = Network::named(&file.network).unwrap().parameters_up_to(usize::MAX);
            let values =
                parameters.iter().flat_map(|p| p.tensors()).map(|(_, shape)| shape.iter().product::<usize>());
            let mebibytes = 4.0 * values.sum::<usize>() as f64 / f64::from(1 << 20);
            assert!((0.0..0.03).contains(&(file.mebibytes - mebibytes)), "{} {mebibytes}", file.name);
        }
    }

    #[test]
    fn a_published_file_is_known_under_any_name() {
        let sha256 = format!("DCBB9E9D{}", "0".repeat(56));
        for name in ["vgg19-dcbb9e9d.pth", "vgg19-dcbb9e9d (1).pth", "weights.pth", "vgg16-397923af.pth"] {
            let found = identify(name, &sha256, &tensors("vgg19", "fc8"));
            assert_eq!(found.published.unwrap().network, "vgg19");
            assert!(found.hash_agrees && found.shapes_agree);
            assert_eq!(found.to_string(), "vgg19-dcbb9e9d, as published: weights of vgg19");
        }
    }

    #[test]
    fn a_changed_or_wrong_file_is_told_from_the_published_one() {
        let other = "1".repeat(64);
        let converted = identify("vgg19-dcbb9e9d.safetensors", &other, &tensors("vgg19", "fc8"));
        assert!(!converted.hash_agrees && converted.shapes_agree);
        let wrong = identify("vgg19-dcbb9e9d.pth", &other, &tensors("vgg16", "fc8"));
        assert!(!wrong.hash_agrees && !wrong.shapes_agree);
        assert!(wrong.to_string().ends_with("its tensors fit vgg16"), "{wrong}");
        let cut = identify("vgg19-dcbb9e9d.pth", &other, &tensors("vgg19", "relu3_1"));
        assert!(!cut.shapes_agree);
    }

    #[test]
    fn an_unpublished_file_is_described_by_its_tensors() {
        let found = identify("mine.pth", "", &tensors("vgg16", "relu2_2"));
        assert_eq!(found.published, None);
        assert!(found.to_string().contains("vgg13 up to conv2_2, vgg16 up to conv2_2"), "{found}");
        assert!(identify("", "", &[]).to_string().contains("fit no network"));
    }
}
