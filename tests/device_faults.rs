//! The device fails at every place where it can: each allocation that the driver might refuse, each submission
//! before which the device might be lost. A clear error, nothing half-written, and afterwards the same bits.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod jobs;

use std::time::{Duration, Instant};

use jobs::{
    EVENTS, FEATURES, FIT, Job, NETWORK, PREDICT, PROFILE, RESPONSES, SWEEP, Scratch, check_left, emptied,
    gpu, results, resumes,
};
use striate::{Kind, gpu::Gpu};

/// Every allocation fails once, on one device that works on; returns how many there were.
fn refuse_allocations(gpu: &Gpu, here: &Scratch, job: Job) -> u64 {
    let out = here.path("out");
    emptied(&out);
    (job.run)(gpu, here, &out).unwrap();
    let wanted = results(&out);
    assert!(!wanted.is_empty());
    for nth in 1.. {
        let place = format!("{}, allocation {nth}", job.name);
        emptied(&out);
        gpu.fail_allocation(nth);
        let ended = (job.run)(gpu, here, &out);
        let left = gpu.fail_allocation(0);
        if let Err(why) = ended {
            let text = why.to_string();
            assert!(
                left == 0 && why.kind() == Kind::Memory && text.contains("the driver refused"),
                "{place}: {text}"
            );
            check_left(job, &out, &place);
            gpu.flush("the end").unwrap();
            assert_eq!(gpu.ledger().used(), 0, "{place}");
            if !resumes(job) {
                continue;
            }
            (job.run)(gpu, here, &out).unwrap_or_else(|why| panic!("after {place}: {why}"));
        }
        assert!(results(&out) == wanted, "other bits after {place}");
        if left > 0 {
            return nth - 1;
        }
    }
    unreachable!("a job ends")
}

/// The device is lost before every submission, another one each time; returns how many there were.
fn lose_devices(here: &Scratch, job: Job) -> u64 {
    let out = here.path("out");
    emptied(&out);
    let fresh = gpu();
    let start = Instant::now();
    (job.run)(&fresh, here, &out).unwrap();
    let usual = start.elapsed();
    let wanted = results(&out);
    for nth in 1.. {
        let place = format!("{}, submission {nth}", job.name);
        emptied(&out);
        let lost = gpu();
        lost.lose_at_submission(nth);
        let start = Instant::now();
        let ended = (job.run)(&lost, here, &out);
        let took = start.elapsed();
        if lost.lose_at_submission(0) > 0 {
            ended.unwrap();
            assert!(results(&out) == wanted, "other bits on another device");
            return nth - 1;
        }
        let why = ended.expect_err(&place);
        let text = why.to_string();
        assert!(why.kind() == Kind::Device && text.contains("the device was lost"), "{place}: {text}");
        assert!(took < usual + Duration::from_secs(1), "{place}: {took:?} where {usual:?} is usual");
        check_left(job, &out, &place);
        if resumes(job) {
            (job.run)(&fresh, here, &out).unwrap_or_else(|why| panic!("after {place}: {why}"));
            assert!(results(&out) == wanted, "other bits after {place}");
        }
    }
    unreachable!("a job ends")
}

/// Each job, and how many allocations and submissions it makes at least: fewer mean that the loops no longer
/// reach what they are for.
const JOBS: [(Job, u64, u64); 8] = [
    (FIT, 10, 10),
    (NETWORK, 10, 10),
    (PROFILE, 10, 10),
    (SWEEP, 10, 10),
    (FEATURES, 5, 3),
    (EVENTS, 5, 2),
    (RESPONSES, 3, 2),
    (PREDICT, 3, 3),
];

fn fitted(name: &str) -> (Gpu, Scratch) {
    let (gpu, here) = (gpu(), Scratch::new(name, 12, 30));
    std::fs::create_dir(here.path("fitted")).unwrap();
    (FIT.run)(&gpu, &here, &here.path("fitted")).unwrap();
    (gpu, here)
}

#[test]
fn every_allocation_that_fails_is_an_error_of_memory_and_no_more() {
    let (gpu, here) = fitted("allocations");
    for (job, least, _) in JOBS {
        let name = job.name;
        let start = Instant::now();
        let count = refuse_allocations(&gpu, &here, job);
        eprintln!("{name}: {count} allocations in {:?}", start.elapsed());
        assert!(count >= least, "{name}: only {count} allocations");
    }
}

#[test]
fn a_device_that_is_lost_at_any_submission_is_an_error_at_once() {
    let (_, here) = fitted("losses");
    for (job, _, least) in JOBS {
        let name = job.name;
        let start = Instant::now();
        let count = lose_devices(&here, job);
        eprintln!("{name}: {count} submissions in {:?}", start.elapsed());
        assert!(count >= least, "{name}: only {count} submissions");
    }
}

/// The loops above would prove nothing if no fault struck.
#[test]
fn a_fault_strikes_once_where_it_was_asked_for() {
    let gpu = gpu();
    gpu.fail_allocation(2);
    assert!(gpu.allocate("first", 4).is_ok());
    let why = gpu.allocate("second", 4).unwrap_err();
    assert_eq!((why.kind(), why.to_string().contains("second")), (Kind::Memory, true), "{why}");
    assert!(gpu.allocate("third", 4).is_ok());
    assert_eq!((gpu.fail_allocation(3), gpu.fail_allocation(0), gpu.fail_allocation(0)), (0, 3, 0));
    let x = gpu.upload("x", &[1f32; 12]).unwrap();
    assert_eq!(gpu.download::<f32>(&x).unwrap(), [1.0; 12]);
    gpu.lose_at_submission(1);
    let why = gpu.download::<f32>(&x).unwrap_err();
    assert!(why.kind() == Kind::Device && why.to_string().contains("lost"), "{why}");
}
