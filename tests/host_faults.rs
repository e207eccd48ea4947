//! The host has no memory at every place where it may have none: each large allocation that the system might
//! refuse. A clear error, or smaller pieces; nothing half-written, and the same bits. One test, for the fault is
//! of the whole process.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod jobs;

use std::time::Instant;

use jobs::{
    FIT, HOST_FIT, Job, NETWORK, PROFILE, SWEEP, Scratch, check_left, emptied, gpu, results, resumes,
};
use striate::host::fail_room;
use striate::{Kind, gpu::Gpu};

/// Every large allocation fails once; returns how many there were, and in how many the job did without.
fn refuse_room(gpu: &Gpu, here: &Scratch, job: Job) -> [u64; 2] {
    let out = here.path("out");
    emptied(&out);
    (job.run)(gpu, here, &out).unwrap();
    let wanted = results(&out);
    let mut without = 0;
    for nth in 1.. {
        let place = format!("{}, allocation {nth}", job.name);
        emptied(&out);
        fail_room(nth);
        let ended = (job.run)(gpu, here, &out);
        let left = fail_room(0);
        match ended {
            Ok(()) => without += u64::from(left == 0),
            Err(why) => {
                let text = why.to_string();
                let said = text.contains("of the host's memory, which the system refuses");
                assert!(left == 0 && why.kind() == Kind::Memory && said, "{place}: {text}");
                check_left(job, &out, &place);
                gpu.flush("the end").unwrap();
                assert_eq!(gpu.ledger().used(), 0, "{place}");
                if !resumes(job) {
                    continue;
                }
                (job.run)(gpu, here, &out).unwrap_or_else(|why| panic!("after {place}: {why}"));
            }
        }
        assert!(results(&out) == wanted, "other bits after {place}");
        if left > 0 {
            return [nth - 1, without];
        }
    }
    unreachable!("a job ends")
}

#[test]
fn every_large_allocation_of_the_host_that_fails_is_an_error_of_memory_and_no_abort() {
    // Features of 1.1 MiB, products of all images of 1.2 MiB.
    let (gpu, here) = (gpu(), Scratch::new("host", 400, 720));
    std::fs::create_dir(here.path("fitted")).unwrap();
    (FIT.run)(&gpu, &here, &here.path("fitted")).unwrap();
    for (job, least) in [(FIT, 3), (HOST_FIT, 3), (NETWORK, 3), (PROFILE, 3), (SWEEP, 3)] {
        let name = job.name;
        let start = Instant::now();
        let [count, without] = refuse_room(&gpu, &here, job);
        eprintln!("{name}: {count} allocations, done without {without}, in {:?}", start.elapsed());
        assert!(count >= least, "{name}: only {count} allocations");
        // Folds in turn take less than all at once.
        assert!(without > 0 || !name.contains("host"), "{name}: no smaller pieces");
    }
}
