//! SHA-256 of inputs, in forms that `sha256sum` gives too.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::io::file;

/// SHA-256 of a file's bytes in lower-case hexadecimal, as `sha256sum` prints it. Reads the file piece by
/// piece.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut file = file::open(path)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0u8; 1 << 16];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(hex(hasher)),
            Ok(read) => hasher.update(&piece[..read]),
            Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
            Err(why) => return Err(Error::unreadable(path, &why)),
        }
    }
}

/// SHA-256 of some bytes, as [`sha256_file`] writes it.
pub fn sha256_bytes(bytes: &[u8]) -> String {
    hex(Sha256::new().chain_update(bytes))
}

/// SHA-256 of a file, or of a folder as a whole.
///
/// For a folder: SHA-256 over the lines `<sha256>  <name>` of all its files, sorted by the bytes of the name.
/// Names are relative to the folder, with `/`; hidden files and folders are left out. By hand, inside the
/// folder: `find * -type f -not -path '*/.*' | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum`.
///
/// # Errors
/// When a file or a folder cannot be read.
pub fn sha256_path(path: &Path) -> Result<String> {
    let what = fs::metadata(path).map_err(|why| Error::unreadable(path, &why))?;
    if !what.is_dir() {
        return sha256_file(path);
    }
    let mut names = Vec::new();
    collect(path, "", &mut names)?;
    names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    let mut hasher = Sha256::new();
    for name in names {
        let line = format!("{}  {name}\n", sha256_file(&path.join(&name))?);
        hasher.update(line.as_bytes());
    }
    Ok(hex(hasher))
}

fn collect(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<()> {
    let unreadable = |why: &std::io::Error| Error::unreadable(folder, why);
    for entry in fs::read_dir(folder).map_err(|why| unreadable(&why))? {
        let entry = entry.map_err(|why| unreadable(&why))?;
        let Ok(name) = entry.file_name().into_string() else {
            let advice = "Rename the file with plain letters";
            return Err(Error::input(
                &entry.path(),
                "has a name that is not text",
                "a name in UTF-8",
                advice,
            ));
        };
        if name.starts_with('.') {
            continue;
        }
        // A linked folder is not entered, for it may lead back here; a linked file is read.
        if entry.file_type().map_err(|why| unreadable(&why))?.is_dir() {
            collect(&entry.path(), &format!("{prefix}{name}/"), names)?;
        } else if entry.path().is_file() {
            names.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::io::commit::scratch;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn files_hash_as_the_standard_says() {
        let folder = scratch("hash-file");
        fs::write(folder.join("abc"), "abc").unwrap();
        fs::write(folder.join("empty"), "").unwrap();
        assert_eq!(sha256_file(&folder.join("abc")).unwrap(), ABC);
        assert_eq!(sha256_path(&folder.join("empty")).unwrap(), EMPTY);
        let error = sha256_file(&folder.join("absent")).unwrap_err().to_string();
        assert!(error.contains("absent") && error.contains("Check the path"), "{error}");
    }

    #[test]
    fn a_folder_hashes_its_sorted_lines() {
        let folder = scratch("hash-folder");
        fs::create_dir(folder.join("more")).unwrap();
        fs::write(folder.join("more/b.png"), "abc").unwrap();
        fs::write(folder.join("a.png"), "").unwrap();
        fs::write(folder.join(".hidden"), "x").unwrap();
        let listing = folder.join("listing");
        let before = sha256_path(&folder).unwrap();
        fs::write(&listing, format!("{EMPTY}  a.png\n{ABC}  more/b.png\n")).unwrap();
        assert_eq!(before, sha256_file(&listing).unwrap());
        assert_ne!(before, sha256_path(&folder).unwrap(), "another file changes the hash");
    }
}
