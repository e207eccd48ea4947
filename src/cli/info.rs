//! `striate info`: what a file or a folder holds, recognised by content.

mod arrays;
mod experiments;
mod folders;
mod hdf5;
mod tables;
mod weights;

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use striate::experiment;
use striate::io::file;
use striate::io::images::Images;
use striate::io::store;
use striate::{Error, Result};

use super::output::{Outcome, lines};

const EXAMPLES: &str = "\
Examples:
  striate info vgg19-dcbb9e9d.pth     tensors, and which network they fit
  striate info session.nwb
          the recording in an NWB file, and all its arrays
  striate info mouse/
          neurons, images, tiers of an experiment's folder
  striate info responses.npy
          neurons, images, repeats, and how much can be explained
  striate info images/                how many images of which size
  striate info run/                   what was fitted, and how well

It understands .npy and .npz arrays, HDF5 (also NWB) and MATLAB files, weights
(safetensors, PyTorch), PNG, JPEG and TIFF images and folders of them, tables
of responses, splits and labels (.csv, .tsv, .txt), runs of striate fit, and
experiments: Visual Coding 2P of the Allen Brain Observatory (NWB 1 and 2),
mice of Sensorium 2022, folders of images and responses.";

/// What takes images, responses, features, weights and named arrays.
const IMAGES: &str = "images: --images of fit, sweep, profile, features and predict";
const RESPONSES: &str = "responses: --responses of fit, sweep and profile";
const FEATURES: &str = "features: --features of fit, sweep and predict";
const MAPPED: &str = "named arrays: --experiment with --map images=/path responses=/path (or dff=, stimulus=, \
                      start=) of responses, fit, sweep and profile";

/// What a file can be.
const UNDERSTOOD: &str = "a .npy or .npz array, an HDF5 or MATLAB file, weights (safetensors or PyTorch), a PNG, JPEG \
                          or TIFF image, a folder of images, a .csv table, or a folder that Striate wrote";

/// Bytes of a file that tell its kind.
const HEAD: u64 = 512;

/// The options of `striate info`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InfoArgs {
    /// The file or folder.
    #[arg(value_name = "FILE|FOLDER")]
    path: PathBuf,
}

/// What was found, as a document and as rows of text.
struct Findings {
    kind: &'static str,
    document: Value,
    rows: Vec<(String, String)>,
    /// Rows that stand above the others, with columns of their own.
    above: Vec<(String, String)>,
    /// What the file can be used for: the option and the commands that take it.
    uses: Vec<String>,
}

impl Findings {
    fn new(kind: &'static str, document: Value) -> Self {
        Findings { kind, document, rows: Vec::new(), above: Vec::new(), uses: Vec::new() }
    }

    /// Adds an option, and what takes it.
    fn usable(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.uses.contains(&what) {
            self.uses.push(what);
        }
    }

    fn row(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.rows.push((format!("  {}", key.into()), value.into()));
    }
}

/// Runs `striate info`.
pub fn run(args: &InfoArgs) -> Result<Outcome> {
    let path = &args.path;
    let about = std::fs::metadata(path).map_err(|why| Error::unreadable(path, &why))?;
    let findings = if about.is_dir() { folders::look(path)? } else { file(path, about.is_file())? };
    let Findings { kind, document, rows, mut above, uses } = findings;
    let mut all = json!({"path": path, "kind": kind, "uses": uses});
    let place = if above.is_empty() { 0 } else { above.len() };
    let said = match uses.is_empty() {
        true => vec![("  use".to_string(), "none that Striate knows".to_string())],
        false => uses.into_iter().map(|what| ("  use".to_string(), what)).collect(),
    };
    above.splice(place..place, said);
    if let (Value::Object(all), Value::Object(found)) = (&mut all, document) {
        all.extend(found);
    }
    let parts = [above, rows].map(|rows| lines(&rows));
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    Ok(Outcome::new(all, format!("{}: {kind}\n{}", path.display(), parts.join("\n"))))
}

fn file(path: &Path, regular: bool) -> Result<Findings> {
    if !regular {
        // A pipe or a device may never end.
        return Err(Error::input(path, "is neither a file nor a folder", UNDERSTOOD, "Save it to a file"));
    }
    let head = head(path)?;
    match &head[..] {
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => arrays::look(path),
        [b'P', b'K', ..] => match arrays::look(path) {
            // An archive of PyTorch is a zip too.
            Err(why) => weights::look(path).map_err(|other| if is_npz(path) { why } else { other }),
            found => found,
        },
        _ if store::is_named_arrays(path)? => nwb(path),
        [0x80, 2..=5, ..] => weights::look(path),
        [_, _, _, _, _, _, _, _, b'{', ..] if head[6..8] == [0, 0] => weights::look(path),
        [0x89, b'P', b'N', b'G', ..]
        | [0xff, 0xd8, 0xff, ..]
        | [b'I', b'I', 42, 0, ..]
        | [b'M', b'M', 0, 42, ..] => images(path),
        _ if has_extension(path, "csv") => tables::look(path),
        _ => Err(unknown(path, &head)),
    }
}

/// The members of an HDF5 file, and above them the experiment that it holds, if it does.
fn nwb(path: &Path) -> Result<Findings> {
    let mut findings = hdf5::look(path)?;
    if experiment::recognise(path)?
        && let Err(why) = experiments::add(path, &mut findings)
    {
        findings.document["experiment_error"] = json!(why.to_string());
        findings.above.push(("  no experiment".into(), why.to_string()));
    }
    if findings.uses.is_empty() {
        findings.usable(MAPPED);
    }
    Ok(findings)
}

fn head(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |why| Error::unreadable(path, &why);
    let mut head = Vec::new();
    file::open(path)?.take(HEAD).read_to_end(&mut head).map_err(unreadable)?;
    Ok(head)
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

fn is_npz(path: &Path) -> bool {
    has_extension(path, "npz")
}

/// One image, a folder of them, or an array.
fn images(path: &Path) -> Result<Findings> {
    let images = Images::open(path)?;
    let (description, names) = (images.describe()?, images.names());
    let mut findings = Findings::new("images", json!({"images": description}));
    findings.row("images", description.to_string());
    if let (Some(first), Some(last)) = (names.first(), names.last()) {
        findings.row("first and last", first_and_last(first, last));
        findings.document["first"] = json!(first);
        findings.document["last"] = json!(last);
    }
    findings.usable(IMAGES);
    Ok(findings)
}

/// `im1.png, im12.png`, or the one there is.
fn first_and_last(first: &str, last: &str) -> String {
    let shown = |name: &str| name.escape_debug().to_string();
    if first == last { shown(first) } else { format!("{}, {}", shown(first), shown(last)) }
}

fn unknown(path: &Path, head: &[u8]) -> Error {
    let text = std::str::from_utf8(head).is_ok_and(|text| !text.contains('\0'));
    let (found, advice) = match head {
        [] => ("is empty", "Copy or save it again"),
        [0x1f, 0x8b, ..] => ("is compressed by gzip", "Unpack it with gunzip"),
        _ if text => ("is a text that Striate does not know", "If it is a table, call it .csv, with commas"),
        _ => ("begins like nothing that Striate knows", "Convert it to one of these"),
    };
    Error::input(path, found, UNDERSTOOD, advice)
}
