//! Damaged HDF5, npz and MATLAB files behind the store: no panic, no long wait, no memory that the file
//! does not justify.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use hdf5_reader::checksum::jenkins_lookup3;
use striate::io::store::{self, ElementType, MemberKind, Values};

mod builders;
mod counting;

use counting::{IN_USE, LARGEST, PEAK};

/// Mutations of each format where `STRIATE_MUTATIONS` does not say.
const MUTATIONS: usize = 2_000;
/// Bytes that a file may ask for however short it is. A header that claims 65,535 messages, or a type that
/// claims as many members, makes the reader of HDF5 reserve their table (9 MiB, never touched) before it
/// finds that they are not there, and such types can hold each other.
const FLOOR: usize = 16 << 20;
/// How HDF5's structures begin that end in a checksum of themselves.
const CHECKED: [&[u8]; 15] = [
    b"\x89HDF", b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTIN", b"BTLF", b"FAHD", b"FADB",
    b"EAHD", b"EAIB", b"EASB", b"EADB",
];

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// A valid file and its structures with checksums: where they begin, and where the checksum stands.
struct Seed {
    bytes: Vec<u8>,
    checked: Vec<(usize, usize)>,
}

impl Seed {
    fn new(bytes: Vec<u8>) -> Self {
        let starts = (0..bytes.len()).filter(|&at| CHECKED.iter().any(|sign| bytes[at..].starts_with(sign)));
        let checked = starts.filter_map(|start| {
            let ends = start + 8..bytes.len().saturating_sub(4).min(start + 4096);
            let holds =
                |end: &usize| bytes[*end..end + 4] == jenkins_lookup3(&bytes[start..*end]).to_le_bytes();
            ends.clone().find(holds).map(|end| (start, end))
        });
        Seed { checked: checked.collect(), bytes: bytes.clone() }
    }

    /// Changes one to four bytes, cuts, extends or swaps two pieces; sometimes with checksums that fit
    /// again.
    fn mutated(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let length = bytes.len();
        match random.below(12) {
            0 => bytes.truncate(random.below(length)),
            1 => bytes.extend((0..1 + random.below(64)).map(|_| random.below(256) as u8)),
            2 => {
                let piece = 1 + random.below(16.min(length / 2));
                let (a, b) = (random.below(length - piece), random.below(length - piece));
                for i in 0..piece {
                    bytes.swap(a + i, b + i);
                }
            }
            _ => {
                for _ in 0..1 + random.below(4) {
                    let at = self.place(random);
                    // Extreme values and small changes make sizes and addresses lie more often than chance.
                    bytes[at] = match random.below(4) {
                        0 => [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                        1 => bytes[at].wrapping_add([1, 255, 2, 8][random.below(4)]),
                        _ => random.below(256) as u8,
                    };
                }
            }
        }
        if bytes.len() >= length && random.below(4) > 0 {
            for &(start, end) in &self.checked {
                let sum = jenkins_lookup3(&bytes[start..end]);
                bytes[end..end + 4].copy_from_slice(&sum.to_le_bytes());
            }
        }
        bytes
    }

    /// A byte anywhere, or within a structure.
    fn place(&self, random: &mut Random) -> usize {
        if self.checked.is_empty() || random.below(2) == 0 {
            return random.below(self.bytes.len());
        }
        let (start, end) = self.checked[random.below(self.checked.len())];
        start + random.below(end - start)
    }
}

/// Reads all that a file holds; a hash of what was found, and how many arrays were read.
fn read(path: &Path) -> (u64, usize) {
    let mut hash = DefaultHasher::new();
    let mut count = 0;
    let Ok(store) = store::open(path) else { return (0, 0) };
    let Ok(members) = store.members() else { return (1, 0) };
    for member in &members {
        format!("{member:?}").hash(&mut hash);
        let _ = store.member(&member.path);
        for name in ["text", "texts", "list", "namespace"] {
            format!("{:?}", store.attribute(&member.path, name).ok()).hash(&mut hash);
        }
        let MemberKind::Array(array) = &member.kind else { continue };
        let all = array.all();
        let middle: Vec<_> = all.iter().map(|range| range.end / 3..range.end / 2).collect();
        match array.element {
            ElementType::Text => {
                let texts = store.texts(&member.path).ok();
                count += usize::from(texts.is_some());
                texts.hash(&mut hash);
            }
            _ => {
                for region in [&middle, &all] {
                    let values = store.read(&member.path, region).ok();
                    count += usize::from(values.is_some());
                    values.map(|values| digest(&values)).hash(&mut hash);
                }
            }
        }
    }
    (hash.finish(), count)
}

/// The bits of all values.
fn digest(values: &Values) -> u64 {
    let mut hash = DefaultHasher::new();
    macro_rules! each {
        ($($variant:ident: $bits:expr),*) => {
            match values {
                $(Values::$variant(array) => array.iter().map($bits).for_each(|v: u64| v.hash(&mut hash)),)*
            }
        };
    }
    each!(
        Bool: |&v| v.into(), U8: |&v| v.into(), I8: |&v| v as u64, U16: |&v| v.into(), I16: |&v| v as u64,
        U32: |&v| v.into(), I32: |&v| v as u64, U64: |&v| v, I64: |&v| v as u64, F16: |v| v.to_bits().into(),
        F32: |v| v.to_bits().into(), F64: |v| v.to_bits()
    );
    hash.finish()
}

/// Worst cases of a run.
#[derive(Default)]
struct Worst {
    time: Duration,
    peak: f64,
    largest: f64,
}

/// Reads a file and holds its reader to the limits of time and memory.
fn measured(name: &str, path: &Path, length: usize, worst: &mut Worst) -> (u64, usize) {
    let allowed = (64 * length).max(FLOOR);
    let before = IN_USE.load(Relaxed);
    PEAK.store(before, Relaxed);
    LARGEST.store(0, Relaxed);
    let start = Instant::now();
    let found = read(path);
    let (peak, largest) = (PEAK.load(Relaxed) - before, LARGEST.load(Relaxed));
    let mut time = start.elapsed();
    if time > Duration::from_secs(2) {
        // A machine that was busy with something else is not a slow reader.
        let again = Instant::now();
        read(path);
        time = again.elapsed();
    }
    let keep = |what: &str| {
        let kept = std::env::temp_dir().join(format!("striate-{name}-{what}"));
        std::fs::copy(path, &kept).unwrap();
        kept
    };
    assert!(time < Duration::from_secs(2), "{name}: took {time:?}: {}", keep("slow").display());
    assert!(peak <= allowed, "{name}: {peak} bytes at the peak of {length}: {}", keep("peak").display());
    assert!(largest <= allowed, "{name}: {largest} bytes at once of {length}: {}", keep("large").display());
    worst.time = worst.time.max(time);
    worst.peak = worst.peak.max(peak as f64 / allowed as f64);
    worst.largest = worst.largest.max(largest as f64 / allowed as f64);
    found
}

/// Overwrites a file in place: emptying it first makes some file systems wait for the disk each time.
fn put(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
}

fn fuzz(name: &str, seeds: Vec<Vec<u8>>) {
    let rounds = std::env::var("STRIATE_MUTATIONS").map_or(MUTATIONS, |number| number.parse().unwrap());
    let path = std::env::temp_dir().join(format!("striate-fuzz-store-{name}-{}", std::process::id()));
    let mut worst = Worst::default();
    let mut check = |seed: &Seed| {
        put(&path, &seed.bytes);
        let found = measured(name, &path, seed.bytes.len(), &mut worst);
        assert!(found.0 > 1, "{name}: an undamaged seed is refused");
        found
    };
    let seeds: Vec<Seed> = seeds.into_iter().map(Seed::new).collect();
    let valid: Vec<_> = seeds.iter().map(&mut check).collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut same, mut less) = (0, 0);
    for round in 0..rounds {
        let which = round % seeds.len();
        let bytes = seeds[which].mutated(&mut random);
        put(&path, &bytes);
        let found = measured(name, &path, bytes.len(), &mut worst);
        same += usize::from(found == valid[which]);
        less += usize::from(found.1 < valid[which].1);
    }
    let again: Vec<_> = seeds
        .iter()
        .map(|seed| {
            put(&path, &seed.bytes);
            read(&path)
        })
        .collect();
    assert_eq!(again, valid, "{name}: a valid file is read in another way after damaged ones");
    let _ = std::fs::remove_file(&path);
    assert!(less > 0 && same < rounds, "{name}: nothing was refused");
    println!(
        "{name}: {rounds} mutations of {} files: {less} with arrays refused, {same} unnoticed; at worst {:?}, {:.0} % \
         of the memory allowed in all, {:.0} % at once",
        seeds.len(),
        worst.time,
        100.0 * worst.peak,
        100.0 * worst.largest
    );
}

fn goldens(folder: &str, extensions: &[&str]) -> Vec<Vec<u8>> {
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder), extensions)
}

fn files(folder: &Path, extensions: &[&str]) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let has = |path: &PathBuf| extensions.iter().any(|wanted| path.extension().is_some_and(|e| e == *wanted));
    let mut paths: Vec<_> = entries.filter(has).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Small real files where `STRIATE_DATA` has them: other programs wrote other versions.
fn real() -> Vec<Vec<u8>> {
    let data = std::env::var("STRIATE_DATA").unwrap_or_else(|_| "../shared/data".into());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(data).join("nwb");
    if !folder.is_dir() {
        println!("STRIATE_DATA: {} is absent, so only files of our own are damaged", folder.display());
    }
    files(&folder, &["nwb"]).into_iter().filter(|bytes| bytes.len() < 1 << 19).collect()
}

/// One test, since the allocator counts the whole process.
#[test]
fn damaged_stores_are_refused_in_peace() {
    let files = [goldens("store", &["h5"]), goldens("experiments", &["h5", "nwb"]), real()].concat();
    assert!(files.len() >= 8);
    fuzz("hdf5", files);
    let arrays: Vec<(&str, Vec<u8>)> = vec![
        ("a.npy", builders::npy("<f4", 4)),
        ("folder/b.npy", builders::npy(">f8", 8)),
        ("c.npy", builders::npy("|b1", 1)),
        ("d.npy", builders::npy("<i8", 8)),
    ];
    let made = [builders::zip(&arrays, true), builders::zip(&arrays, false)].to_vec();
    let texts =
        |data: &[u8]| builders::npy_of("{'descr': '<U2', 'fortran_order': False, 'shape': (2,), }", data);
    let named = [("a.npy", builders::npy("<f4", 4)), ("area.npy", texts(b"V\0\0\x001\0\0\0L\0\0\0M\0\0\0"))];
    let named = [builders::zip(&named, true), builders::zip(&named, false)].to_vec();
    fuzz("npz", [goldens("store", &["npz"]), made, named].concat());
    fuzz("mat", goldens("mat", &["mat"]));
}
