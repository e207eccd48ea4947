//! HDF5 and npz files that lie, explode or lead elsewhere: each error names the file, the path in it, what
//! was found and what was wanted.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use striate::Kind;
use striate::io::store::{self, MemberKind};

mod builders;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/store").join(name)
}

/// A file for one test, removed with it.
struct File(PathBuf);

impl File {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("striate-hostile-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Fails unless reading all of an array fails as an input, with its place and these words.
fn refused(file: &Path, path: &str, words: &[&str]) {
    let why = match store::open(file) {
        Ok(store) => store.whole(path).unwrap_err(),
        Err(why) => why,
    };
    let parts = why.parts().map(|(_, text)| text);
    assert_eq!(why.kind(), Kind::Input, "{why}");
    assert!(parts[0].contains(file.file_name().unwrap().to_str().unwrap()), "{why}");
    assert!(!parts[1].is_empty(), "{why}");
    for word in words {
        assert!(why.to_string().contains(word), "no '{word}' in: {why}");
    }
}

fn npz(name: &str, entries: &[(&str, Vec<u8>)]) -> File {
    File::new(name, &builders::zip(entries, true))
}

/// The bytes with every occurrence of one sequence replaced, of which there must be some.
fn patched(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert!(!places.is_empty() && from.len() == to.len());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

fn axes(lengths: &[u64]) -> Vec<u8> {
    lengths.iter().flat_map(|length| length.to_le_bytes()).collect()
}

#[test]
fn archives_that_explode_or_run_programs() {
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (83886080,), }";
    let bomb = npz("bomb.npz", &[("a.npy", builders::npy_of(header, &vec![0; 80 << 20]))]);
    refused(&bomb.0, "a", &["'a' claims to expand to 838", "at most 67108864"]);
    let object =
        builders::npy_of("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"\x80\x03]q\x00.");
    let object = npz("object.npz", &[("fine.npy", builders::npy("<f4", 4)), ("bad.npy", object)]);
    refused(&object.0, "bad", &["object.npz:bad", "dtype object", "a pickle can run any program"]);
    assert_eq!(store::open(&object.0).unwrap().whole("fine").unwrap().shape(), [3, 4]);
    let lie =
        builders::npy_of("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }", &[0; 16]);
    refused(
        &npz("lie.npz", &[("a.npy", lie)]).0,
        "a",
        &["lie.npz:a", "promises 4398046511104 bytes", "16 follow"],
    );
    let lie = builders::npy_of(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
        &[],
    );
    refused(&npz("lie.npz", &[("a.npy", lie)]).0, "a", &["lie.npz:a", "more elements than exist"]);
    let fine = npz("fine.npz", &[("a.npy", builders::npy("<f4", 4))]);
    refused(&fine.0, "b", &["fine.npz:b: the file holds nothing of this name; wanted an array"]);
}

#[test]
fn chunks_that_explode() {
    let file = golden("bombs.hdf5");
    refused(
        &file,
        "by_shape",
        &["bombs.hdf5:by_shape", "one chunk would take 4000000 bytes", "at most 1048576"],
    );
    refused(&file, "against_shape", &["bombs.hdf5:against_shape", "decoded to 101 bytes, expected 100"]);
    let numbers: Vec<u8> = (0..100).collect();
    let store = store::open(&file).unwrap();
    assert_eq!(
        store.integers("broken_sum", std::slice::from_ref(&(5..7))).unwrap().into_raw_vec_and_offset().0,
        [5, 6]
    );
    let bytes = patched(&std::fs::read(&file).unwrap(), &numbers[20..40], &numbers[21..41]);
    refused(
        &File::new("sum.h5", &bytes).0,
        "broken_sum",
        &["sum.h5:broken_sum", "it is damaged", "checksum mismatch"],
    );
}

#[test]
fn shapes_that_lie() {
    let old = std::fs::read(golden("old.h5")).unwrap();
    let with = |lengths: &[u64]| File::new("shape.h5", &patched(&old, &axes(&[3, 5]), &axes(lengths)));
    let array = "types/f4_little";
    refused(
        &with(&[1 << 40, 5]).0,
        array,
        &["shape.h5:types/f4_little", "promises 21990232555520 bytes and the file has"],
    );
    refused(&with(&[3, 4]).0, array, &["shape.h5:types/f4_little", "60 bytes, expected 48"]);
    for lengths in [[1 << 33, 1 << 33], [u64::MAX, 5], [1 << 61, 2]] {
        let file = with(&lengths);
        refused(
            &file.0,
            array,
            &["shape.h5:types/f4_little", "holds more elements than exist", "wanted an array"],
        );
        let store = store::open(&file.0).unwrap();
        let member = store.member(array).unwrap().unwrap();
        assert!(matches!(member.kind, MemberKind::Other { .. }), "{member:?}");
    }
    let chunked = patched(&old, &axes(&[5, 6, 7]), &axes(&[5 << 40, 6, 7]));
    let file = File::new("chunks.h5", &chunked);
    refused(
        &file.0,
        "chunks/everything",
        &["chunks.h5:chunks/everything", "the region would take", "at most 4194304"],
    );
    // What is there can still be read.
    let part = [0..2, 0..6, 0..7];
    let (lying, honest) = (store::open(&file.0).unwrap(), store::open(&golden("old.h5")).unwrap());
    let bits =
        |store: &dyn store::Store| store.doubles("chunks/everything", &part).unwrap().mapv(f64::to_bits);
    assert_eq!(bits(lying.as_ref()), bits(honest.as_ref()));
}

#[test]
fn files_that_are_cut_off() {
    for name in ["old.h5", "new.h5", "links_new.h5", "behind_a_block.h5", "texts_old.h5"] {
        let bytes = std::fs::read(golden(name)).unwrap();
        for length in [bytes.len() - 1, bytes.len() / 2, bytes.len() / 10] {
            let file = File::new(name, &bytes[..length]);
            let wanted = format!("of which {length} are there");
            let block = if name == "behind_a_block.h5" && length < 1100 {
                "it begins like none of them"
            } else {
                &wanted
            };
            refused(&file.0, "any", &[block]);
        }
        refused(&File::new(name, &bytes[..20]).0, "any", &[]);
    }
    refused(&File::new("empty.h5", &[]).0, "any", &["the file is empty"]);
    refused(
        &File::new("text.h5", b"no file of arrays").0,
        "any",
        &["wanted an HDF5 file (.h5, .nwb), an .npz archive or a MATLAB file"],
    );
    refused(&std::env::temp_dir(), "any", &["it is a folder"]);
    refused(Path::new("/no/such/file.nwb"), "any", &["file.nwb: cannot be read"]);
}

#[test]
fn links_that_lead_away() {
    // Groups in a circle, links in a circle, and links to other files are in tests/store.rs; here a link is
    // made to lead up the file system, which must not be followed either.
    let old = std::fs::read(golden("links_old.h5")).unwrap();
    let file = File::new("away.h5", &patched(&old, b"other.h5\0", b"/dev/tty\0"));
    refused(&file.0, "external", &["away.h5:external", "in the file '/dev/tty'", "not followed"]);
}
