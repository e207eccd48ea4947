//! Damaged array and weight files: no panic, no long wait, no memory that the file does not justify.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use striate::io::npy::{self, Rows};
use striate::io::weights::WeightFile;

mod builders;
mod counting;

use counting::{IN_USE, LARGEST, PEAK};

const MUTATIONS: usize = 2_000;

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

/// Changes one to four bytes, cuts, extends or swaps two pieces.
fn mutate(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    match random.below(10) {
        0 => bytes.truncate(random.below(seed.len())),
        1 => {
            let more = 1 + random.below(64);
            bytes.extend((0..more).map(|_| random.below(256) as u8));
        }
        2 => {
            let length = 1 + random.below(16.min(seed.len() / 2));
            let (a, b) = (random.below(seed.len() - length), random.below(seed.len() - length));
            for i in 0..length {
                bytes.swap(a + i, b + i);
            }
        }
        _ => {
            for _ in 0..1 + random.below(4) {
                let at = random.below(bytes.len());
                // Extreme values and digits make sizes lie more often than chance.
                bytes[at] = match random.below(4) {
                    0 => [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                    1 => b'0' + random.below(10) as u8,
                    _ => random.below(256) as u8,
                };
            }
        }
    }
    bytes
}

fn arrays(path: &Path) -> bool {
    let info = npy::info(path);
    let read = npy::read(path, None);
    let _ = npy::read_f64(path, Some("a"));
    if let Ok(mut rows) = Rows::open(path, None) {
        let count = rows.info().shape[0];
        let _ = rows.read(0..count);
        let _ = rows.read(0..count.min(1));
        assert!(rows.read(0..count + 1).is_err());
    }
    info.is_ok() && read.is_ok()
}

fn weights(path: &Path) -> bool {
    let Ok(file) = WeightFile::open(path) else { return false };
    let Ok(file) = file.as_torchvision() else { return false };
    let _ = file.read("no such tensor");
    file.tensors().iter().filter(|tensor| file.read(&tensor.name).is_ok()).count() > 0
}

/// Reads a file of `length` bytes and holds its reader to the limits of time and memory.
fn measured(name: &str, path: &Path, length: usize, read: fn(&Path) -> bool) -> bool {
    let allowed = 64 * length + (1 << 20);
    let before = IN_USE.load(Relaxed);
    PEAK.store(before, Relaxed);
    LARGEST.store(0, Relaxed);
    let start = Instant::now();
    let accepted = read(path);
    assert!(start.elapsed() < Duration::from_secs(2), "{name}: took {:?}", start.elapsed());
    let (peak, largest) = (PEAK.load(Relaxed) - before, LARGEST.load(Relaxed));
    assert!(peak <= allowed, "{name}: {peak} bytes at the peak for {length} in the file");
    assert!(largest <= allowed, "{name}: {largest} bytes at once for {length} in the file");
    accepted
}

/// Files that ask for much memory with few bytes, larger than the floor of the limit hides.
fn swollen() {
    let path = std::env::temp_dir().join(format!("striate-swollen-{}", std::process::id()));
    let tensor = b"ctorch._utils\n_rebuild_tensor\n(NNNNt";
    let patterns: [(&[u8], &[u8]); 9] = [
        (b"", b"}"),
        (b"", b"("),
        (b"N", b"\x85"),
        (b"]", b"Na"),
        (b"}", b"NNs"),
        (b"}", b"(NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNu"),
        (b"]", b"(NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNe"),
        (b"](NNNNNNNNNNNNNNNNtq\x00", b"ccollections\nOrderedDict\nh\x00Ra"),
        (b"]q\x00", b"h\x00a"),
    ];
    for (start, again) in patterns {
        let pickle = [b"\x80\x02", start, &again.repeat(300_000 / again.len()), b"."].concat();
        let bytes = builders::torch_legacy(&pickle);
        std::fs::write(&path, &bytes).unwrap();
        measured("swollen pickle", &path, bytes.len(), weights);
    }
    // One dictionary of tensors, mentioned in a list ten thousand times.
    let shared = [&b"\x80\x02]}q\x00(U\x01aU\x01bU\x01c"[..], tensor, b"Ru"].concat();
    let pickle = [&shared[..], &b"a"[..], &b"h\x00a".repeat(10_000), b"."].concat();
    let bytes = builders::torch_legacy(&pickle);
    std::fs::write(&path, &bytes).unwrap();
    measured("repeated tensors", &path, bytes.len(), weights);
    let tensors: Vec<String> =
        (0..5_000).map(|i| format!(r#""{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#)).collect();
    let axes = "0,".repeat(100_000) + "0";
    let long = format!(r#"{{"a":{{"dtype":"U8","shape":[{axes}],"data_offsets":[0,0]}}}}"#);
    for header in [format!("{{{}}}", tensors.join(",")), long] {
        let bytes = builders::safetensors_of(&header, &[]);
        std::fs::write(&path, &bytes).unwrap();
        measured("swollen safetensors", &path, bytes.len(), weights);
    }
    let members: Vec<String> = (0..3_000).map(|i| format!("{i}.npy")).collect();
    let members: Vec<_> = members.iter().map(|name| (name.as_str(), builders::npy("|u1", 1))).collect();
    let bytes = builders::zip(&members, false);
    std::fs::write(&path, &bytes).unwrap();
    measured("many members", &path, bytes.len(), arrays);
    let _ = std::fs::remove_file(&path);
}

/// Overwrites a file in place: emptying it first makes some file systems wait for the disk each time.
fn put(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
}

/// Mutates the seeds in turn and reads each.
fn fuzz(name: &str, seeds: &[Vec<u8>], read: fn(&Path) -> bool) {
    let path = std::env::temp_dir().join(format!("striate-fuzz-{name}-{}", std::process::id()));
    for seed in seeds {
        std::fs::write(&path, seed).unwrap();
        assert!(read(&path), "{name}: an undamaged seed is refused");
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0;
    for round in 0..MUTATIONS {
        let bytes = mutate(&seeds[round % seeds.len()], &mut random);
        put(&path, &bytes);
        accepted += usize::from(measured(name, &path, bytes.len(), read));
    }
    let _ = std::fs::remove_file(&path);
    // Damage within the numbers themselves is not seen by most formats; all else must be.
    assert!(accepted < MUTATIONS, "{name}: nothing was refused");
}

/// One test, since the allocator counts the whole process.
#[test]
fn damaged_files_are_refused_in_peace() {
    swollen();
    let plain = [builders::npy("<f4", 4), builders::npy(">f8", 8), builders::npy("|u1", 1)];
    fuzz("npy", &plain, arrays);
    let member = || vec![("a.npy", builders::npy("<f4", 4))];
    fuzz("npz", &[builders::zip(&member(), true), builders::zip(&member(), false)], arrays);
    fuzz("safetensors", &[builders::safetensors()], weights);
    let pickle = builders::checkpoint(&builders::TENSORS, false);
    fuzz("torch-zip", &[builders::torch_zip(pickle)], weights);
    let pickle = builders::checkpoint(&builders::TENSORS, true);
    fuzz("torch-legacy", &[builders::torch_legacy(&pickle)], weights);
}
