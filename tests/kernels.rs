//! Every case of every kernel against its f64 oracle, on the adapter that is there: both families, checks on and off.

use striate::gpu::{Family, Gpu, Options};
use striate::kernels::ALL;

fn options(family: Option<Family>, checked: bool) -> Options {
    let adapter = striate::gpu::AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Options { adapter, family, checked, ..Options::default() }
}

fn run_all(gpu: &Gpu, only_two_families: bool) {
    let mut wrong = Vec::new();
    for entry in ALL {
        if only_two_families && entry.kernel.families().len() < 2 {
            continue;
        }
        for case in (entry.cases)() {
            let trial =
                (case.build)(gpu).unwrap_or_else(|e| panic!("{} {}: {e}", entry.kernel.name(), case.label));
            match trial.check(gpu).unwrap_or_else(|e| panic!("{} {}: {e}", entry.kernel.name(), case.label)) {
                Ok(error) => println!("{:<20} {error:8.1e}  {}", entry.kernel.name(), case.label),
                Err(why) => wrong.push(format!("{} {}: {why}", entry.kernel.name(), case.label)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_kernel_equals_its_oracle() {
    let gpu =
        Gpu::open(&options(None, false)).expect("an adapter: install mesa-vulkan-drivers where no GPU is");
    println!("{}", gpu.describe());
    run_all(&gpu, false);
}

#[test]
fn every_kernel_equals_its_oracle_with_the_drivers_checks() {
    let gpu = Gpu::open(&options(None, true)).expect("an adapter");
    run_all(&gpu, false);
}

/// GPUs run the tiled family; a CPU adapter runs it here, so that its logic is covered on every machine.
#[test]
fn the_tiled_family_equals_its_oracle() {
    for checked in [false, true] {
        let gpu = Gpu::open(&options(Some(Family::Tiled), checked)).expect("an adapter");
        run_all(&gpu, true);
    }
}
