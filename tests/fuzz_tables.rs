//! Damaged tables: 2,000 mutations each of a responses table and a split, the same ones every time. Whatever
//! the bytes, reading ends soon, with a value that keeps its promises or with an error that names the file.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use striate::io::responses::Responses;
use striate::io::split::Split;
use striate::random::Random;

const MUTATIONS: usize = 2000;
const N_IMAGES: usize = 12;

/// Texts that readers of tables tend to trip over.
const NASTY: [&str; 16] = [
    "\"",
    "\"\"",
    ",",
    ",,,,",
    "\n",
    "\r",
    "\r\n\r\n",
    "nan",
    "-inf",
    "1e999",
    "-0",
    "18446744073709551616",
    "\u{0}",
    "\u{feff}",
    "\u{fffd}\u{1f600}",
    "#",
];

fn file(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("striate-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// One to three random changes.
fn mutate(random: &mut Random, original: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(20)).min(bytes.len());
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            5 => drop(bytes.splice(at..end, NASTY[random.below(NASTY.len())].bytes())),
            _ => drop(bytes.splice(at..at, NASTY[random.below(NASTY.len())].bytes())),
        }
    }
    bytes
}

/// Reads every mutation; `read` says whether it was accepted, and checks what was read.
fn survive(name: &str, original: &[u8], read: impl Fn(&Path, usize) -> striate::Result<()>) {
    let path = file(name);
    let start = Instant::now();
    let (mut accepted, mut refused) = (0, 0);
    for number in 0..MUTATIONS {
        let bytes = mutate(&mut Random::stream(number as u64, name), original);
        std::fs::write(&path, &bytes).unwrap();
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&path, number)));
        assert!(begun.elapsed() < Duration::from_secs(2), "mutation {number} took {:?}", begun.elapsed());
        match outcome {
            Err(_) => panic!("mutation {number} panics: {:?}", String::from_utf8_lossy(&bytes)),
            Ok(Ok(())) => accepted += 1,
            Ok(Err(error)) => {
                refused += 1;
                let text = error.to_string();
                assert!(text.contains(name) && text.lines().count() == 1, "mutation {number}: {text}");
                assert_eq!(error.kind(), striate::Kind::Input, "mutation {number}: {text}");
            }
        }
    }
    assert!(start.elapsed() < Duration::from_secs(10), "all took {:?}", start.elapsed());
    assert!(
        accepted > 50 && refused > 500,
        "{accepted} accepted, {refused} refused: mutations miss the point"
    );
    std::fs::remove_file(&path).unwrap();
    // Fails while the other test still has its file there.
    let _ = std::fs::remove_dir(path.parent().unwrap());
}

#[test]
fn damaged_responses_are_read_or_refused() {
    let mut table = String::from("neuron");
    (0..N_IMAGES).for_each(|image| table.push_str(&format!(",image{image}.png")));
    for neuron in 0..6 {
        table.push_str(&format!("\nn{neuron}"));
        (0..N_IMAGES).for_each(|image| table.push_str(&format!(",{}.{neuron}", (neuron * 5 + image) % 9)));
    }
    survive("responses.csv", table.as_bytes(), |path, number| {
        // Every other time the number of images is not known.
        let n_images = number.is_multiple_of(2).then_some(N_IMAGES);
        let layout = number.is_multiple_of(5).then(|| "images,neurons".parse().unwrap());
        let responses = Responses::read(path, layout, n_images)?;
        assert!(responses.average().iter().all(|v| v.is_finite()));
        assert!(n_images.is_none_or(|n| n == responses.n_images()));
        let names = responses.neuron_names.as_ref();
        assert!(names.is_none_or(|names| names.len() == responses.n_neurons()));
        Ok(())
    });
}

#[test]
fn damaged_splits_are_read_or_refused() {
    let mut table = String::from("image,tier\n");
    for image in 0..N_IMAGES {
        table.push_str(&format!("{image},{}\n", ["train", "train", "val", "test"][image % 4]));
    }
    survive("split.csv", table.as_bytes(), |path, _| {
        let split = Split::read(path, N_IMAGES)?;
        let mut rows = [&split.train[..], &split.validation[..], &split.test[..]].concat();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len() + split.unused, N_IMAGES);
        assert!(rows.iter().all(|&row| row < N_IMAGES) && !split.train.is_empty() && !split.test.is_empty());
        Ok(())
    });
}
