//! Times the timed cases of every kernel: seconds, operations per second, CPU seconds, and the error beside them.
//!
//! `cargo bench --bench kernels [-- NAME]`: `--json` for machines, `--all` times every case.

use std::time::Instant;
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::kernels::ALL;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let has = |flag: &str| arguments.iter().any(|a| a == flag);
    let wanted: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    let gpu = Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter");
    eprintln!("{}", gpu.describe());
    eprintln!(
        "{:<16} {:>9} {:>9} {:>10} {:>9} {:>9}  case",
        "kernel", "first s", "median s", "Gop/s", "cpu s", "error"
    );
    for entry in ALL.iter().filter(|e| wanted.is_empty() || wanted.iter().any(|w| *w == e.kernel.name())) {
        for case in (entry.cases)().into_iter().filter(|c| c.timed || has("--all")) {
            let trial = (case.build)(&gpu).expect("a case that sets up");
            let start = Instant::now();
            let error = trial.check(&gpu).expect("a device that works").expect("a right result");
            let first = start.elapsed().as_secs_f64();
            let (mut seconds, cpu, begin) = (Vec::new(), cpu_seconds(), Instant::now());
            while seconds.len() < 5 || (begin.elapsed().as_secs_f64() < 1.0 && seconds.len() < 200) {
                let start = Instant::now();
                gpu.run(&trial.recording).expect("a device that works");
                seconds.push(start.elapsed().as_secs_f64());
            }
            let cpu = (cpu_seconds() - cpu) / seconds.len() as f64;
            seconds.sort_by(f64::total_cmp);
            let median = seconds[seconds.len() / 2];
            let rate = trial.recording.operations() / median / 1e9;
            let name = entry.kernel.name();
            eprintln!(
                "{name:<16} {first:>9.3} {median:>9.5} {rate:>10.2} {cpu:>9.5} {error:>9.1e}  {}",
                case.label
            );
            if has("--json") {
                let line = serde_json::json!({"kernel": name, "case": case.label, "first_s": first,
                    "median_s": median, "min_s": seconds[0], "gop_per_s": rate, "cpu_s": cpu, "error": error});
                println!("{line}");
            }
        }
    }
}

/// CPU seconds of this process, all threads, a CPU driver's workers included; 0 where it cannot be read.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
