//! Launches that do not fit their shader, memory that is not there, work that is repeated: ordinary errors,
//! same bits.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use striate::gpu::{AdapterChoice, Buffer, Gpu, Grid, Kernel, Launch, Matrix, Options, Recording};
use striate::kernels::gemm::Gemm;
use striate::kernels::relu::Relu;
use striate::{Error, Kind};

static SCALE: Kernel = Kernel::new(
    "scale",
    "var<immediate> p: Parameters;
struct Parameters { items: u32, factor: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < p.items { y[id.x] = p.factor * x[id.x]; }
}",
    &[],
);

static BROKEN: Kernel = Kernel::new("broken", "fn main( {", &[]);

fn gpu(budget: Option<u64>) -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, max_memory: budget, ..Options::default() }).expect("an adapter")
}

fn run(gpu: &Gpu, launch: Launch) -> Result<(), Error> {
    let mut recording = Recording::new();
    recording.add(launch);
    gpu.run(&recording)
}

fn right(x: &Buffer, y: &Buffer) -> Launch {
    Launch::new(&SCALE, Grid::Items(4)).read("x", x).write("y", y).set("items", 4).set_float("factor", 2.0)
}

#[test]
fn the_processor_may_be_asked_for_in_any_case() {
    for text in ["cpu", "CPU", "Cpu", " cpu "] {
        assert_eq!(AdapterChoice::parse(text), AdapterChoice::Cpu, "{text}");
    }
    assert_eq!(AdapterChoice::parse("cpu0"), AdapterChoice::Name("cpu0".into()));
}

#[test]
fn a_launch_that_does_not_fit_its_shader_is_an_error() {
    let gpu = gpu(None);
    let x = gpu.upload("x", &[1f32, 2.0, 3.0, 4.0]).unwrap();
    let y = gpu.allocate("y", 4).unwrap();
    let new = || Launch::new(&SCALE, Grid::Items(4));
    let parameters = |launch: Launch| launch.set("items", 4).set_float("factor", 2.0);
    let wrong: [(Launch, &str); 9] = [
        (parameters(new().read("x", &x)), "no buffer given for y"),
        (parameters(new().write("x", &x).write("y", &y)), "x is Read"),
        (parameters(new().read("x", &x).read("y", &y)), "y is Write"),
        (right(&x, &y).read("z", &x), "no binding z"),
        (right(&x, &y).set("size", 1), "no parameter size"),
        (right(&x, &y).constant("SIDE", 2.0), "no override SIDE"),
        (new().read("x", &x).write("y", &y).set("items", 4), "no value given for factor"),
        (new().read("x", &x).write("y", &y).set("items", 4).set("factor", 2), "factor has the wrong type"),
        (parameters(Launch::new(&SCALE, Grid::Items(0)).read("x", &x).write("y", &y)), "a grid of"),
    ];
    for (launch, said) in wrong {
        let why = run(&gpu, launch).expect_err(said);
        assert!(why.kind() == Kind::Internal && why.to_string().contains(said), "{why} is not {said}");
        assert!(why.to_string().contains("scale"), "{why} names the kernel");
    }
    let why = run(&gpu, Launch::new(&BROKEN, Grid::Items(1))).unwrap_err();
    assert!(why.kind() == Kind::Internal && why.to_string().contains("broken"), "{why}");
    // The device works on after every one of them.
    run(&gpu, right(&x, &y)).unwrap();
    assert_eq!(gpu.download::<f32>(&y).unwrap(), [2.0, 4.0, 6.0, 8.0]);
}

#[test]
fn memory_beyond_the_budget_is_refused_and_the_step_named() {
    let gpu = gpu(Some(1 << 20));
    let held = gpu.allocate("first half", 1 << 17).unwrap();
    let why = gpu.allocate("second half", (1 << 17) + 64).unwrap_err();
    let text = why.to_string();
    assert_eq!(why.kind(), Kind::Memory);
    assert!(
        text.starts_with("second half: needs 0.5 MiB") && text.contains("at most 0.5 MiB (budget 1.0 MiB)"),
        "{text}"
    );
    assert_eq!((gpu.ledger().used(), gpu.ledger().free()), (1 << 19, 1 << 19));
    let fits = gpu.allocate("second half", 1 << 17).unwrap();
    let part = held.slice(64, 64);
    drop((held, fits));
    assert_eq!(gpu.ledger().used(), 1 << 19, "a slice keeps its buffer");
    drop(part);
    assert_eq!((gpu.ledger().used(), gpu.ledger().peak()), (0, 1 << 20));
    for words in [usize::MAX / 8, 1 << 40] {
        let why = gpu.allocate("everything", words).unwrap_err();
        assert!(why.kind() == Kind::Memory && why.to_string().starts_with("everything"), "{why}");
    }
    assert_eq!(gpu.ledger().used(), 0, "what was refused is not counted");
}

/// The order of every sum is fixed, and so are its bits, however often and in whatever company it runs.
#[test]
fn work_repeated_gives_the_same_bits() {
    let gpu = gpu(None);
    let array = |rows: usize, seed: usize| {
        ndarray::Array2::from_shape_fn((rows, 333), |(r, c)| ((r * 7 + c * 13 + seed) as f32 * 0.7).sin())
    };
    let (a, b) = (array(70, 1), array(90, 2));
    let (a, b) = (Matrix::upload(&gpu, "a", a.view()).unwrap(), Matrix::upload(&gpu, "b", b.view()).unwrap());
    let product = Matrix::zeros(&gpu, "product", 70, 90).unwrap();
    let rectified = Matrix::zeros(&gpu, "rectified", 70, 90).unwrap();
    // 70 x 333 by 333 x 90.
    let turned = Matrix::zeros(&gpu, "turned", 333, 90).unwrap();
    let mut recording = Recording::new();
    recording.add(striate::kernels::transpose::Transpose { x: &b, y: &turned }.launch().unwrap());
    recording.add(Gemm::of(&a, &b, &product).launch().unwrap());
    recording.add(Relu { x: &product.buffer, y: &rectified.buffer }.launch().unwrap());
    let mut alone = Recording::new();
    alone.add(Gemm::of(&a, &b, &product).launch().unwrap());
    let bits = |matrix: &Matrix| gpu.download::<u32>(&matrix.buffer).unwrap();
    gpu.run(&recording).unwrap();
    let first = (bits(&product), bits(&rectified));
    assert!(first.0.iter().any(|word| *word != 0) && first.0 != first.1);
    for _ in 0..3 {
        gpu.run(&alone).unwrap();
        assert!(bits(&product) == first.0);
        gpu.run(&recording).unwrap();
        assert!((bits(&product), bits(&rectified)) == first);
    }
}
