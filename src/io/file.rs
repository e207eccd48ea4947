//! Input files. All are opened here: a pipe or a device may never end, so that only regular files are read.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// Bytes of the longest record of a run, or of another JSON document of ours.
pub const LONGEST_RECORD: u64 = 64 << 20;

/// Opens a regular file; links are followed.
///
/// # Errors
/// A file that cannot be opened; a folder, a pipe, a socket or a device.
pub fn open(path: &Path) -> Result<File> {
    let unreadable = |why| Error::unreadable(path, &why);
    // Before it is opened, for a pipe would wait for somebody to write.
    let about = fs::metadata(path).map_err(unreadable)?;
    let (found, advice) = match kind(&about) {
        "a file" => return File::open(path).map_err(unreadable),
        "a folder" => ("it is a folder".to_string(), "Name the file inside it"),
        kind => (format!("it is {kind}"), "Save it to a file first"),
    };
    Err(Error::input(path, found, "a regular file", advice))
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// Those of [`open`]; a longer file.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = open(path)?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|why| Error::unreadable(path, &why))?;
    if bytes.len() as u64 > most {
        let found = format!("it is longer than {most} bytes");
        return Err(Error::input(path, found, "a file that Striate wrote", "Check the path"));
    }
    Ok(bytes)
}

fn kind(about: &Metadata) -> &'static str {
    if about.is_file() {
        return "a file";
    }
    if about.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = about.file_type();
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    "a device"
}

#[cfg(test)]
#[cfg(unix)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::io::commit::scratch;

    #[test]
    fn only_regular_files_are_opened_and_links_are_followed() {
        let folder = scratch("regular-files");
        let says = |path: &Path| open(path).map(|_| ()).unwrap_err().to_string();
        assert!(says(&folder).contains("it is a folder"));
        assert!(says(Path::new("/dev/zero")).contains("it is a device"));
        assert!(says(&folder.join("absent")).contains("Check the path"));
        let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
        assert!(says(&folder.join("socket")).contains("it is a socket"));
        std::os::unix::fs::symlink("/dev/zero", folder.join("zeros")).unwrap();
        assert!(read(&folder.join("zeros"), 10).unwrap_err().to_string().contains("it is a device"));
        let pipe = folder.join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(says(&pipe).contains("it is a pipe"));
        fs::write(folder.join("ten"), [7; 10]).unwrap();
        std::os::unix::fs::symlink(folder.join("ten"), folder.join("link")).unwrap();
        assert_eq!(read(&folder.join("link"), 10).unwrap(), [7; 10]);
        assert!(read(&folder.join("link"), 9).unwrap_err().to_string().contains("longer than 9 bytes"));
    }
}
