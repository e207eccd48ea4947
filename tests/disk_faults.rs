//! Each change to the disk fails: a clear error, nothing half-written, what stood there before untouched, and
//! afterwards the same bits. A disk that fails once, and one that is full from then on.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod jobs;

use std::path::Path;
use std::time::Instant;

use jobs::{
    EVENTS, FEATURES, FIT, Job, PROFILE, RESPONSES, SWEEP, Scratch, check_left, emptied, gpu, results,
};
use striate::gpu::Gpu;
use striate::io::disk;
use striate::{Error, Kind, Result};

/// Runs a job while changes fail, and says how many there were.
fn run(gpu: &Gpu, here: &Scratch, job: Job, out: &Path, faults: std::ops::Range<u64>) -> (Result<()>, u64) {
    disk::fail(faults);
    let ended = (job.run)(gpu, here, out);
    (ended, disk::fail(0..0))
}

fn check(ended: Result<()>, place: &str) {
    let why: Error = ended.expect_err(place);
    let text = why.to_string();
    assert_eq!(why.kind(), Kind::Output, "{place}: {text}");
    assert!(text.contains("cannot be written") && text.contains("Free some space"), "{place}: {text}");
}

/// The first and last twelve changes and every `step`-th fail, in an empty folder and in one that holds an earlier result by turns; how many
/// there were.
fn fail_changes(gpu: &Gpu, here: &Scratch, job: Job, step: u64) -> u64 {
    let out = here.path("out");
    emptied(&out);
    let (ended, count) = run(gpu, here, job, &out, 0..0);
    ended.unwrap();
    let wanted = results(&out);
    assert!(!wanted.is_empty());
    let some = (0..count).filter(|nth| *nth < 12 || nth % step == 0 || nth + 12 >= count);
    for (turn, nth) in some.enumerate() {
        let faults = if turn % 4 < 2 { nth..nth + 1 } else { nth..u64::MAX };
        let place = format!("{}, changes {faults:?} of {count}", job.name);
        // A sweep that is finished is not begun again, and events are two files.
        let anew = turn % 2 == 0 || [SWEEP.name, EVENTS.name].contains(&job.name);
        if anew {
            emptied(&out);
        }
        check(run(gpu, here, job, &out, faults).0, &place);
        if anew {
            check_left(job, &out, &place);
        } else {
            assert!(results(&out) == wanted, "{place}: the earlier result is another");
        }
        (job.run)(gpu, here, &out).unwrap_or_else(|why| panic!("after {place}: {why}"));
        assert!(results(&out) == wanted, "other bits after {place}");
    }
    count
}

/// One test, for all changes of a process are counted together. Most changes are those of a report's many
/// plots, which are alike: of jobs with a report every nineteenth of these (of a sweep, which
/// has three reports, every 97th), or each where `STRIATE_EVERY_CHANGE` is set.
#[test]
fn every_change_to_the_disk_that_fails_is_an_error_and_no_more() {
    let (gpu, here) = (gpu(), Scratch::new("disk", 12, 30));
    let every = std::env::var_os("STRIATE_EVERY_CHANGE").is_some();
    let [some, few] = if every { [1, 1] } else { [19, 97] };
    for (job, step, least) in [
        (FIT, some, 100),
        (PROFILE, some, 50),
        (SWEEP, few, 200),
        (FEATURES, 1, 10),
        (EVENTS, 1, 10),
        (RESPONSES, 1, 20),
    ] {
        let name = job.name;
        let start = Instant::now();
        let count = fail_changes(&gpu, &here, job, step);
        eprintln!("{name}: {count} changes in {:?}", start.elapsed());
        assert!(count >= least, "{name}: only {count} changes");
    }
}
