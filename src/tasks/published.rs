//! Published weights: the list of them, and the folder in which they are kept.

use crate::error::{Error, Kind, Result};
use crate::io::hash::sha256_file;
use crate::io::{commit, disk, file};
use crate::networks::manifest::{Published, manifest};
use etcetera::base_strategy::{BaseStrategy, choose_base_strategy};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A published file, and where it is kept.
#[derive(Debug, Clone, Serialize)]
pub struct PublishedFile {
    /// The network whose weights it holds.
    pub network: String,
    /// Its name.
    pub file: String,
    /// Where it can be downloaded.
    pub address: String,
    /// Its size in MiB, as its publisher states it.
    pub mebibytes: f64,
    /// How its SHA-256 begins, as its publisher states it.
    pub sha256: String,
    /// What its publisher says of its licence.
    pub licence: String,
    /// Where it is kept, or would be.
    pub path: PathBuf,
    /// Whether it is there.
    pub is_there: bool,
}

/// The folder in which published weights are kept: `striate/weights` in the user's cache folder.
///
/// # Errors
/// Input, if the user's home folder is not known.
pub fn folder() -> Result<PathBuf> {
    let base = choose_base_strategy().map_err(|why| {
        let advice = "Set HOME, or name the file of weights itself";
        Error::new(Kind::Input, "the cache folder", why, "the user's home folder", advice)
    })?;
    Ok(base.cache_dir().join("striate").join("weights"))
}

/// All published files that Striate knows.
///
/// # Errors
/// As [`folder`].
pub fn list() -> Result<Vec<PublishedFile>> {
    let folder = folder()?;
    Ok(manifest().files.iter().map(|file| described(file, &folder)).collect())
}

fn described(file: &Published, folder: &Path) -> PublishedFile {
    let path = folder.join(file.file_name());
    PublishedFile {
        network: file.network.clone(),
        file: file.file_name(),
        address: file.address.clone(),
        mebibytes: file.mebibytes,
        sha256: file.sha256.clone(),
        licence: manifest().licences.get(&file.licence).cloned().unwrap_or_default(),
        is_there: path.is_file(),
        path,
    }
}

/// Checks a downloaded file against the manifest, whatever it is called, and copies it into the folder.
///
/// # Errors
/// Input, if it cannot be read or is none of the published files; Output, if it cannot be copied.
pub fn add(path: &Path) -> Result<PublishedFile> {
    add_to(&folder()?, &manifest().files, path)
}

fn add_to(folder: &Path, files: &[Published], path: &Path) -> Result<PublishedFile> {
    let sha256 = sha256_file(path)?;
    let Some(file) = files.iter().find(|file| sha256.starts_with(&file.sha256)) else {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (wanted, advice) = match files.iter().find(|file| name.starts_with(&file.name)) {
            Some(file) => {
                (format!("{}, as the name says", file.sha256), "Download it again: it is cut or changed")
            }
            None => {
                let known: Vec<String> = files.iter().map(Published::file_name).collect();
                (
                    format!("that of a published file: {}", known.join(", ")),
                    "Other weights are named by their path",
                )
            }
        };
        return Err(Error::input(path, format!("its SHA-256 begins with {}", &sha256[..8]), wanted, advice));
    };
    disk::create_dir_all(folder).map_err(|why| commit::unwritable(folder, &why))?;
    let to = folder.join(file.file_name());
    let mut from = file::open(path)?;
    commit::write_with(&to, |to| std::io::copy(&mut from, to).map(drop))?;
    Ok(described(file, folder))
}

/// The file of weights that a text names: a path, or a published file by its network or its name, with or
/// without `.pth`. `random:SEED` comes back as it is.
///
/// # Errors
/// Input, if it names a published file that is not kept yet; says how to get it.
pub fn locate(text: &str) -> Result<String> {
    let named =
        |file: &&Published| [&file.network, &file.name, &file.file_name()].contains(&&text.to_string());
    match manifest().files.iter().find(named) {
        Some(file) if !Path::new(text).exists() => within(&folder()?, file, text),
        _ => Ok(text.to_owned()),
    }
}

fn within(folder: &Path, file: &Published, text: &str) -> Result<String> {
    let path = folder.join(file.file_name());
    if path.is_file() {
        return path.into_os_string().into_string().map_err(|path| {
            Error::input(Path::new(&path), "is not UTF-8", "names that are", "Name the file by a link")
        });
    }
    let name = file.file_name();
    let found = format!("{name} is neither here nor in {}", folder.display());
    let wanted = format!("the published weights of {}", file.network);
    let advice = format!("Run: curl -fLO {} && striate weights add {name}", file.address);
    Err(Error::input(Path::new(text), found, wanted, advice))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_kept_only_if_it_is_the_published_one() {
        let place = std::env::temp_dir().join(format!("striate-published-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir_all(&place).unwrap();
        let (folder, download) = (place.join("cache/weights"), place.join("download (1).pth"));
        std::fs::write(&download, "abc").unwrap();
        // SHA-256 of "abc" as FIPS 180-2 gives it: ba7816bf...
        let published = |sha256: &str| Published {
            name: format!("vgg19-{sha256}"),
            network: "vgg19".into(),
            address: "https://example.org/vgg19.pth".into(),
            sha256: sha256.into(),
            mebibytes: 0.0,
            licence: "torchvision".into(),
        };
        let files = [published("11111111"), published("ba7816bf")];
        let said = add_to(&folder, &files[..1], &download).unwrap_err().to_string();
        assert!(said.contains("begins with ba7816bf") && said.contains("vgg19-11111111.pth"), "{said}");
        assert!(!folder.exists());
        let said = within(&folder, &files[1], "vgg19").unwrap_err().to_string();
        let line = "curl -fLO https://example.org/vgg19.pth && striate weights add vgg19-ba7816bf.pth";
        assert!(said.contains(line), "{said}");
        let added = add_to(&folder, &files, &download).unwrap();
        assert!(added.is_there && added.network == "vgg19");
        assert_eq!(std::fs::read(&added.path).unwrap(), b"abc");
        assert_eq!(within(&folder, &files[1], "vgg19").unwrap(), added.path.to_str().unwrap());
        let renamed = place.join("vgg19-11111111.pth");
        std::fs::rename(&download, &renamed).unwrap();
        let said = add_to(&folder, &files[..1], &renamed).unwrap_err().to_string();
        assert!(said.contains("wanted 11111111, as the name says"), "{said}");
    }

    #[test]
    fn paths_and_seeds_are_left_alone() {
        for text in ["random:3", "some/vgg19.pth", "weights.safetensors"] {
            assert_eq!(locate(text).unwrap(), text);
        }
    }
}
