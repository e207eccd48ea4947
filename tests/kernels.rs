//! Every case of every kernel against its f64 oracle, on the adapter that is there: every family, every
//! tile, checks on and off.

use std::process::Command;
use striate::gpu::{Family, Gpu, Options, Tuning};
use striate::kernels::ALL;

fn options(family: Option<Family>, checked: bool) -> Options {
    let adapter = striate::gpu::AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Options { adapter, family, checked, ..Options::default() }
}

fn run_all(gpu: &Gpu, only_with_families: bool) {
    let mut wrong = Vec::new();
    for entry in ALL {
        if only_with_families && entry.kernel.families().len() < 2 {
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

/// The number of tiles of the kernel that has the most.
fn most_tiles(family: Family) -> usize {
    ALL.iter().map(|e| e.kernel.tiles(family).len()).max().expect("kernels")
}

fn with_tile(family: Family, tile: usize, checked: bool) -> Gpu {
    let tuning = Tuning::Tile(tile);
    Gpu::open(&Options { tuning, ..options(Some(family), checked) }).expect("an adapter")
}

/// GPUs run the tiled family; a CPU adapter runs it here, with every tile, so that its logic is covered on
/// every machine.
#[test]
fn the_tiled_family_equals_its_oracle() {
    assert!(most_tiles(Family::Tiled) > 2);
    for tile in 0..most_tiles(Family::Tiled) {
        for checked in [false, true] {
            run_all(&with_tile(Family::Tiled, tile, checked), true);
        }
    }
}

/// Adapters that lack what it needs run the tiled family once more.
#[test]
fn the_broadcast_family_equals_its_oracle_with_every_tile() {
    assert!(most_tiles(Family::Broadcast) > 1);
    for tile in 0..most_tiles(Family::Broadcast) {
        run_all(&with_tile(Family::Broadcast, tile, false), true);
    }
}

/// Every tile walks the depth in the same order: the tile that is chosen is a matter of time alone.
#[test]
fn tiles_give_the_same_bits() {
    for family in [Family::Tiled, Family::Broadcast] {
        tiles_of_a_family_give_the_same_bits(family);
    }
}

fn tiles_of_a_family_give_the_same_bits(family: Family) {
    let gpus: Vec<Gpu> = (0..most_tiles(family)).map(|tile| with_tile(family, tile, false)).collect();
    for entry in ALL.iter().filter(|e| e.kernel.tiles(family).len() > 1) {
        let mut compared = 0;
        for case in (entry.cases)().into_iter().filter(|case| !case.timed) {
            let bits = |gpu: &Gpu| {
                let trial = (case.build)(gpu).expect("a case that sets up");
                gpu.run(&trial.recording).expect("a device that works");
                let words: Vec<u32> = gpu.download(&trial.output.buffer).expect("a device that works");
                // What a tile may leave out, another may write.
                let wanted = trial.expected.iter().map(Option::is_some);
                words.into_iter().zip(wanted).map(|(word, wanted)| wanted.then_some(word)).collect::<Vec<_>>()
            };
            let first = bits(&gpus[0]);
            for (tile, gpu) in gpus.iter().enumerate().skip(1) {
                for (i, (one, other)) in first.iter().zip(bits(gpu)).enumerate() {
                    if let (Some(one), Some(other)) = (one, other) {
                        let name = entry.kernel.name();
                        assert_eq!(*one, other, "{name} {}: word {i} with tiles 0 and {tile}", case.label);
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 1000, "{}: {compared} words were compared", entry.kernel.name());
    }
}

/// Kernels of the tiled family, which runs where subgroups are not eight wide, assume no width. Lavapipe's is
/// that of its vectors, which a variable sets; other adapters have their own, which the other tests met.
#[test]
fn kernels_are_right_whatever_the_width_of_subgroups() {
    let lavapipe = |gpu: &Gpu| gpu.report().name.starts_with("llvmpipe");
    if !lavapipe(&Gpu::open(&options(None, false)).expect("an adapter")) {
        println!("only subgroups of this adapter's own width were tested");
        return;
    }
    for bits in ["128", "512"] {
        let mut again = Command::new(std::env::current_exe().expect("this test"));
        again.args(["--exact", "every_kernel_equals_its_oracle", "--nocapture"]);
        let ran = again.env("LP_NATIVE_VECTOR_WIDTH", bits).output().expect("this test, once more");
        let text = String::from_utf8_lossy(&ran.stdout);
        assert!(text.contains(&format!("{bits} bits")), "{text}");
        assert!(ran.status.success(), "{text}{}", String::from_utf8_lossy(&ran.stderr));
    }
}

/// Of the drivers tested so far, Mesa's lavapipe of 2026 has matrices of eight by eight; none has others.
#[test]
fn cooperative_matrices_equal_the_oracle() {
    for family in [Family::Cooperative8, Family::Cooperative16] {
        let gpu = Gpu::open(&options(Some(family), false)).expect("an adapter");
        if gpu.family() != family {
            println!("{family} is not tested: {}", gpu.family_choice().why);
            continue;
        }
        for entry in ALL.iter().filter(|e| e.kernel.families().contains(&family)) {
            for case in (entry.cases)() {
                let name = format!("{} {family:?} {}", entry.kernel.name(), case.label);
                let trial = (case.build)(&gpu).unwrap_or_else(|e| panic!("{name}: {e}"));
                let error = trial.check(&gpu).unwrap_or_else(|e| panic!("{name}: {e}"));
                println!("{:8.1e}  {name}", error.unwrap_or_else(|e| panic!("{name}: {e}")));
            }
        }
    }
}

/// Whatever family is asked for, something runs, and is right; where it is another, that and why is said.
#[test]
fn a_family_that_is_not_there_is_replaced() {
    let own = Gpu::open(&options(None, false)).expect("an adapter").family();
    let gemm = ALL.iter().find(|entry| entry.kernel.name() == "gemm").expect("gemm");
    for (name, family) in Family::ALL {
        let gpu = Gpu::open(&options(Some(family), false)).expect("an adapter");
        let choice = gpu.family_choice();
        println!("{name}: {choice:?}");
        assert_eq!(gpu.family(), choice.used);
        if choice.used == family {
            assert_eq!((choice.refused, gpu.lacks(family)), (None, None));
        } else {
            assert_eq!((choice.used, choice.refused), (own, Some(family)));
            assert!(gpu.lacks(family).is_none_or(|what| choice.why == what), "{choice:?}");
        }
        let case = (gemm.cases)().into_iter().find(|case| case.label.starts_with("7 x 5")).expect("a case");
        let trial = (case.build)(&gpu).expect("a case that sets up");
        trial.check(&gpu).expect("a device that works").expect("a right product");
    }
}
