//! A recording of ten gigabytes is read with little memory, whichever way its axes lie.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use striate::io::store;

mod counting;

use counting::PEAK;

const FRAMES: u64 = 100_000;
const NEURONS: u64 = 26_000;
/// Where the array begins.
const HEAD: u64 = 2048;

/// A value for a frame and a neuron that f32 has.
fn value(frame: u64, neuron: u64) -> f32 {
    (frame * 31 + neuron * 7 % 1000) as f32 + 0.5
}

/// Writes the head, some values, and nothing else: the rest of the file takes no disk.
fn write(path: &Path, written: &[(u64, u64)]) {
    let head = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/store/ten_gigabytes.head");
    std::fs::copy(head, path).unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(HEAD + 4 * FRAMES * NEURONS).unwrap();
    for &(frame, neuron) in written {
        file.seek(SeekFrom::Start(HEAD + 4 * (frame * NEURONS + neuron))).unwrap();
        file.write_all(&value(frame, neuron).to_le_bytes()).unwrap();
    }
}

#[test]
#[cfg_attr(not(unix), ignore = "the file would not be sparse")]
fn ten_gigabytes_are_read_with_little_memory() {
    let path = std::env::temp_dir().join(format!("striate-large-{}.h5", std::process::id()));
    let written: Vec<(u64, u64)> = (0..200)
        .map(|i| (i * 499 % FRAMES, i * i * 131 % NEURONS))
        .chain([(FRAMES - 1, NEURONS - 1)])
        .collect();
    write(&path, &written);
    let store = store::open(&path).unwrap();
    assert_eq!(store.array("traces").unwrap().shape, [FRAMES as usize, NEURONS as usize]);
    let before = counting::IN_USE.load(Relaxed);
    PEAK.store(before, Relaxed);
    // The responses to one image: the fourteen frames after each of fifty presentations, of all neurons.
    let mut found = 0;
    for &(frame, neuron) in &written[..50] {
        let (first, column) = (frame as usize, neuron as usize);
        let window = store.floats("traces", &[first..first + 14, 0..NEURONS as usize]).unwrap();
        found += usize::from(window[[0, column]] == value(frame, neuron));
        assert!(window.iter().filter(|&&value| value != 0.0).count() >= 1);
    }
    assert_eq!(found, 50);
    // All frames of one neuron, and the last value.
    let (frame, neuron) = written[100];
    let trace = store.floats("traces", &[0..FRAMES as usize, neuron as usize..neuron as usize + 1]).unwrap();
    assert_eq!(trace[[frame as usize, 0]], value(frame, neuron));
    let (rows, columns) = (FRAMES as usize, NEURONS as usize);
    let corner = store.floats("traces", &[rows - 1..rows, columns - 1..columns]).unwrap();
    assert_eq!(corner[[0, 0]], value(FRAMES - 1, NEURONS - 1));
    let peak = PEAK.load(Relaxed) - before;
    println!("{peak} bytes of memory at most for a file of {} bytes", HEAD + 4 * FRAMES * NEURONS);
    std::fs::remove_file(&path).unwrap();
    assert!(peak < 64 << 20, "{peak} bytes");
}
