//! Damaged tables: 2,000 mutations each of responses, splits, labels and trials, the same ones every time, with names
//! and long strings among them. STRIATE_MUTATIONS says how many. Whatever the bytes, reading ends soon, with a value that keeps its promises or with an error that names the file.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use striate::io::image_names::ImageNames;
use striate::io::labels::Labels;
use striate::io::responses::Responses;
use striate::io::split::Split;
use striate::io::trials;
use striate::random::Random;

const N_IMAGES: usize = 12;

/// Texts that readers of tables tend to trip over.
const NASTY: [&str; 28] = [
    ";",
    "\t",
    "\t\t\t",
    "|",
    "sep=;\n",
    "# image,tier\n",
    "1,234",
    "1.234,5",
    "0.0",
    "'=1+2",
    "image3.png",
    "Unnamed: 0",
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
            5 if random.below(8) == 0 => {
                let nasty = NASTY[random.below(NASTY.len())].repeat(1 + random.below(30_000));
                drop(bytes.splice(at..end, nasty.bytes()));
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
    let mutations = std::env::var("STRIATE_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(2000);
    let (mut accepted, mut refused) = (0, 0);
    for number in 0..mutations {
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
                assert!(text.len() < 1000 && !text.contains(char::is_control), "mutation {number}: {text}");
                assert_eq!(error.kind(), striate::Kind::Input, "mutation {number}: {text}");
            }
        }
    }
    assert!(accepted > mutations / 40 && refused > mutations / 20, "{accepted} accepted, {refused} refused");
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
        let responses = Responses::read(path, layout, None, n_images.map(ImageNames::counted).as_ref())?;
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
        let split = Split::read(path, &ImageNames::counted(N_IMAGES))?;
        let mut rows = [&split.train[..], &split.validation[..], &split.test[..]].concat();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len() + split.unused, N_IMAGES);
        assert!(rows.iter().all(|&row| row < N_IMAGES) && !split.train.is_empty() && !split.test.is_empty());
        Ok(())
    });
}

#[test]
fn damaged_splits_by_name_are_read_or_refused() {
    let names = ImageNames::named((0..N_IMAGES).map(|image| format!("image{image}.png")).collect());
    let mut table = String::from("# a comment\nimage;tier\n");
    for image in (0..N_IMAGES).rev() {
        table.push_str(&format!("\"image{image}\";{}\n", ["train", "train", "val", "test"][image % 4]));
    }
    survive("names.csv", table.as_bytes(), |path, _| {
        let split = Split::read(path, &names)?;
        assert!(split.train.len() + split.validation.len() + split.test.len() + split.unused == N_IMAGES);
        Ok(())
    });
}

#[test]
fn damaged_labels_and_trials_are_read_or_refused() {
    let names: Vec<String> = (0..6).map(|neuron| format!("=n{neuron}")).collect();
    let mut table = String::from(",neuron,area,depth\n");
    names
        .iter()
        .enumerate()
        .for_each(|(at, name)| table.push_str(&format!("{at},'{name},\"V1, deep\",{at}.5\n")));
    survive("labels.csv", table.as_bytes(), |path, _| {
        let labels = Labels::read(path, Some(&names), 6)?;
        assert!(
            labels.values.len() == 6 && labels.values.iter().all(|row| row.len() == labels.columns.len())
        );
        Ok(())
    });
    let images = ImageNames::counted(N_IMAGES);
    let mut table = String::from("trial\timage\trepeat\trunning_speed\n");
    (0..N_IMAGES).for_each(|image| table.push_str(&format!("{image}\t{image}.0\t{}\t1,5\n", image % 2)));
    survive("trials.csv", table.as_bytes(), |path, _| {
        let rows = trials::read(path, &images, 2)?;
        assert!(rows.iter().all(|row| row.image < N_IMAGES && row.repeat < 2));
        assert!(rows.iter().all(|row| row.covariates.iter().all(|v| !v.is_infinite())));
        Ok(())
    });
}
