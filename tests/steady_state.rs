//! Work that is repeated makes no device objects; work that is under way keeps its order, its buffers and its
//! place in the ledger.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use ndarray::{Array2, Array4};
use striate::Kind;
use striate::features::{
    Convolution, Extractor, LayerRequest, NetworkSource, Sink, Slab, WeightSource, Wish,
};
use striate::gpu::{AdapterChoice, Gpu, Grid, Kernel, Launch, Matrix, Options, Recording};
use striate::io::images::{Batch, Filter, Images, Normalise, Preparation};
use striate::io::npy;
use striate::kernels::gemm::Gemm;
use striate::kernels::maps_to_rows::{FeatureList, MapsToRows};
use striate::kernels::relu::Relu;
use striate::networks::{Network, Shape};

fn gpu(budget: Option<u64>) -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, max_memory: budget, ..Options::default() }).expect("an adapter")
}

static COUNT: Kernel = Kernel::new(
    "count",
    "struct Params { rounds: u32 }
     var<immediate> p: Params;
     @group(0) @binding(0) var<storage, read> x: array<u32>;
     @group(0) @binding(1) var<storage, read_write> y: array<u32>;
     @compute @workgroup_size(1) fn main() {
         for (var i = 0u; i < p.rounds; i++) { y[0] = y[0] * 3u + x[0] + i; }
     }",
    &[],
);

#[test]
fn repeated_work_makes_no_objects() {
    let gpu = gpu(None);
    let host = Array2::from_shape_fn((200, 512), |(r, c)| ((r * 31 + c * 7) % 64) as f32);
    let a = Matrix::upload(&gpu, "a", host.view()).unwrap();
    let (product, relu) =
        (Matrix::zeros(&gpu, "ab", 200, 200).unwrap(), Matrix::zeros(&gpu, "c", 200, 200).unwrap());
    let words: Vec<f32> = host.iter().copied().collect();
    let batch = || {
        let mut recording = Recording::new();
        gpu.write(&a.buffer, 0, &words).unwrap();
        for _ in 0..8 {
            recording.add(Gemm::of(&a, &a, &product).launch().unwrap());
        }
        recording.add(Relu { x: &product.buffer, y: &relu.buffer }.launch().unwrap());
        gpu.start(&recording).unwrap();
    };
    batch();
    let first = relu.download(&gpu).unwrap();
    comes_to_rest(&gpu, &|| {
        (0..3).for_each(|_| batch());
        assert!(relu.download(&gpu).unwrap() == first);
    });
}

/// Soon some twenty rounds in a row make nothing. The first ones do: pipelines, bind groups, and as much
/// staging as there are submissions under way, which depends on the speed of the device.
fn comes_to_rest(gpu: &Gpu, round: &dyn Fn()) {
    let mut made = Vec::new();
    for _ in 0..20 {
        let before = gpu.objects();
        (0..20).for_each(|_| round());
        made.push(gpu.objects() - before);
        if made.last() == Some(&0) {
            return;
        }
    }
    panic!("objects made by every twenty rounds: {made:?}");
}

/// Batch after batch through a network into a slab of features.
#[test]
fn further_batches_make_no_objects() {
    let gpu = gpu(None);
    let network = Network::named("vgg19").unwrap();
    let last = network.find("conv1_2").unwrap();
    let input = Shape { channels: 3, height: 16, width: 16 };
    let weights = WeightSource::Random(1);
    let wish = Wish { network: &network, convolution: Convolution::Auto, wanted: &[last], input };
    let extractor = Extractor::new(&gpu, wish, &weights).unwrap();
    let batch = Batch { count: 8, height: 16, width: 16, pixels: vec![[0.5, -0.25, 1.0, 0.0]; 8 * 256] };
    let numbers: Vec<u32> = (0..64 * 256).collect();
    let list = FeatureList::upload(&gpu, &numbers, 256).unwrap();
    let slab = Matrix::zeros(&gpu, "features", 80, numbers.len()).unwrap();
    comes_to_rest(&gpu, &|| {
        for first_row in (0..80).step_by(8) {
            let mut recording = Recording::new();
            let sink: &mut Sink<'_> = &mut |entry, maps, recording| {
                if entry == Some(last) {
                    recording.add(MapsToRows { x: maps, list: &list, rows: &slab, first_row }.launch()?);
                }
                Ok(())
            };
            extractor.record(&gpu, &batch, &mut recording, sink).unwrap();
            gpu.start(&recording).unwrap();
        }
    });
    let rows = slab.download(&gpu).unwrap();
    assert!(rows.rows().into_iter().all(|row| row == rows.row(0)) && rows.iter().any(|v| *v != 0.0));
}

/// Rows do not depend on how many images go together, nor on the company of other batches.
#[test]
fn a_part_of_the_images_has_the_same_bits() {
    let gpu = gpu(None);
    let path = std::env::temp_dir().join(format!("striate-steady-{}.npy", std::process::id()));
    let images = Array4::from_shape_fn((150, 3, 40, 40), |(i, c, y, x)| {
        ((i * 7 + c * 50 + y * 3 + x * 5) % 251) as f32 / 251.0
    });
    npy::write(&path, images.view().into_dyn()).unwrap();
    let network = Network::named("vgg19").unwrap();
    let request = LayerRequest::new(&network, Some("conv1_2"), Some(7)).unwrap();
    let preparation = Preparation { size: None, filter: Filter::Bilinear, normalise: Normalise::Imagenet };
    let images = Images::open(&path).unwrap();
    let weights = WeightSource::Random(1);
    let mut source = NetworkSource::new(images, preparation, network, weights, vec![request]).unwrap();
    let mut fill = |rows: std::ops::Range<usize>| {
        let columns = 0..source.features(0);
        let matrix = Matrix::zeros(&gpu, "features", rows.len(), columns.len()).unwrap();
        let slabs = [Slab { layer: 0, columns, matrix, means: vec![] }];
        let mut shares = Vec::new();
        source.fill(&gpu, rows.clone(), &slabs, &mut |share| shares.push(share)).unwrap();
        assert!(shares.is_sorted() && shares.last() == Some(&(rows.len() as f64 / 150.0)));
        slabs[0].matrix.download(&gpu).unwrap()
    };
    let all = fill(0..150);
    assert!(fill(37..120) == all.slice(ndarray::s![37..120, ..]));
    std::fs::remove_file(path).unwrap();
}

/// What is written between two recordings is seen by the second alone, however many are under way.
#[test]
fn writes_and_recordings_keep_their_order() {
    let gpu = gpu(None);
    let x = gpu.upload("x", &[0u32; 4]).unwrap();
    let y = gpu.upload("y", &[0u32; 4]).unwrap();
    let mut want = 0u32;
    for round in 0..40u32 {
        gpu.write(&x, 0, &[round]).unwrap();
        let rounds = 20_000 + 100 * round;
        let mut recording = Recording::new();
        // Two submissions of each, and more.
        for _ in 0..3 {
            let launch = Launch::new(&COUNT, Grid::Items(1)).read("x", &x).write("y", &y);
            recording.add(launch.set("rounds", rounds as usize).cost(6e8));
            want = (0..rounds).fold(want, |y, i| y.wrapping_mul(3).wrapping_add(round).wrapping_add(i));
        }
        gpu.start(&recording).unwrap();
    }
    assert_eq!(gpu.download::<u32>(&y).unwrap()[0], want);
}

/// Buffers that work under way still reads count as used; who needs the room waits for it.
#[test]
fn buffers_under_way_stay_in_the_ledger() {
    let gpu = gpu(Some(1 << 20));
    let y = gpu.upload("y", &[0u32; 4]).unwrap();
    let used = gpu.ledger().used();
    for _ in 0..20 {
        let x = gpu.allocate("x", 150_000).unwrap();
        gpu.write(&x, 0, &[1u32]).unwrap();
        let mut recording = Recording::new();
        let launch = Launch::new(&COUNT, Grid::Items(1)).read("x", &x).write("y", &y);
        recording.add(launch.set("rounds", 30_000));
        gpu.start(&recording).unwrap();
        drop((x, recording));
        assert_eq!(gpu.ledger().used(), used + 600_000);
    }
    let why = gpu.allocate("more than there is", 1 << 18).unwrap_err();
    assert_eq!(why.kind(), Kind::Memory);
    gpu.finish().unwrap();
    assert_eq!(gpu.ledger().used(), used);
}
