//! Damaged run folders, as `report` and `predict` read them: no panic, no long wait, and a sound folder
//! gives the same page afterwards.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod builders;
mod command;
mod run_folders;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use command::Scratch;
use striate::report;
use striate::tasks::PredictRequest;

/// Mutations of each file where `STRIATE_MUTATIONS` does not say.
const MUTATIONS: usize = 2_000;
/// Every so many mutations the page is drawn too, which takes longer than all reading.
const DRAWN: usize = 25;

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

/// What stands in a text or between its parts, as a hostile hand would put it there.
const PIECES: [&[u8]; 12] = [
    b"nan",
    b"1e400",
    b"-1",
    b"18446744073709551616",
    b"\"",
    b",",
    b"\n",
    b"{",
    b"]",
    b"\xff",
    b"=cmd|' /C calc'!A0",
    b"\x1b[2J",
];

/// Changes bytes, cuts, repeats a part, or puts a piece in.
fn mutated(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    match random.below(8) {
        0 => bytes.truncate(random.below(seed.len())),
        1 => {
            let (at, count) = (random.below(seed.len()), 1 + random.below(40));
            let part = seed[at..(at + count).min(seed.len())].repeat(1 + random.below(50));
            bytes.splice(at..at, part);
        }
        2 | 3 => {
            let at = random.below(seed.len());
            let piece = PIECES[random.below(PIECES.len())].repeat(1 + random.below(3) * random.below(3_000));
            bytes.splice(at..at, piece);
        }
        _ => {
            for _ in 0..1 + random.below(4) {
                let at = random.below(bytes.len());
                bytes[at] = match random.below(3) {
                    0 => b'0' + random.below(10) as u8,
                    1 => [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                    _ => random.below(256) as u8,
                };
            }
        }
    }
    bytes
}

/// Opens the run for predictions, which reads its record and its model's header.
fn opened(run: &Path) -> bool {
    let request = PredictRequest {
        run: run.to_path_buf(),
        images: None,
        features: Some(run.join("predictions.npy")),
        weights: None,
        out: run.join("p.npy"),
    };
    request.open().is_ok()
}

#[test]
fn damaged_run_folders_are_refused_in_peace() {
    let rounds = std::env::var("STRIATE_MUTATIONS").map_or(MUTATIONS, |number| number.parse().unwrap());
    let here = Scratch::new("fuzz-runs");
    let run = here.0.join("run");
    fs::create_dir(&run).unwrap();
    run_folders::fit(&run, true);
    let page = || fs::read(report::write(&run).unwrap().page).unwrap();
    let sound = page();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for name in ["record.json", "model.safetensors", "scores.csv"] {
        let seed = fs::read(run.join(name)).unwrap();
        let mut refused = 0;
        for round in 0..rounds {
            let bytes = mutated(&seed, &mut random);
            fs::write(run.join(name), &bytes).unwrap();
            let start = Instant::now();
            refused += usize::from(!opened(&run));
            if round % DRAWN == 0 {
                refused += usize::from(report::write(&run).is_err());
            }
            if start.elapsed() > Duration::from_secs(5) {
                let kept = std::env::temp_dir().join(format!("striate-slow-{name}"));
                fs::write(&kept, &bytes).unwrap();
                panic!("{name}: took {:?}: {}", start.elapsed(), kept.display());
            }
        }
        fs::write(run.join(name), &seed).unwrap();
        assert!(refused > 0, "{name}: nothing was refused");
        println!("{name}: {rounds} mutations, {refused} refusals");
    }
    assert!(page() == sound, "a sound folder is reported in another way after damaged ones");
}
