//! Convolutions by Winograd's products against a plain f64 sum, and beside the direct kernel: how far off both are.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use ndarray::{Array4, s};
use striate::gpu::{AdapterChoice, Gpu, Maps, Options, Recording};
use striate::kernels::conv2d::{self, Conv2d, Filters, Geometry, to_quads};
use striate::kernels::winograd::Tiling;
use striate::random::Random;
use striate::routines::{Channels, Reach, Scratch, WinogradFilters, scratch_words, tiling};

fn gpu() -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, ..Options::default() }).unwrap()
}

/// A layer as networks have them: inputs after a ReLU, filters of He et al. 2015.
struct Layer {
    x: Array4<f32>,
    w: Array4<f32>,
    bias: Vec<f32>,
    geometry: Geometry,
}

impl Layer {
    fn new([images, inputs, side]: [usize; 3], outputs: usize, kernel: usize, geometry: Geometry) -> Self {
        let mut random = Random::stream(7, "a layer");
        let per_group = inputs / geometry.groups;
        let deviation = (2.0 / (per_group * kernel * kernel) as f64).sqrt();
        let mut normal = |scale: f64| (scale * random.normal()) as f32;
        let x = Array4::from_shape_simple_fn((images, inputs, side, side + 1), || normal(1.0).max(0.0));
        let w = Array4::from_shape_simple_fn((outputs, per_group, kernel, kernel), || normal(deviation));
        let bias = (0..outputs).map(|_| normal(0.1)).collect();
        Layer { x, w, bias, geometry }
    }

    fn maps(&self, gpu: &Gpu) -> Maps {
        let (images, channels, height, width) = self.x.dim();
        let buffer = gpu.upload("x", &to_quads(self.x.view(), 0.0)).unwrap();
        Maps { buffer, images, channels, height, width }
    }

    fn results(&self) -> [usize; 2] {
        let (kernel, g) = (self.w.dim().2, self.geometry);
        let side = |size| conv2d::output_side(size, kernel, g.stride, g.padding).unwrap();
        [side(self.x.dim().2), side(self.x.dim().3)]
    }

    fn tiling(&self, reach: Reach) -> Tiling {
        let (_, inputs, height, width) = self.x.dim();
        let (outputs, _, kernel, _) = self.w.dim();
        let channels = Channels { inputs, outputs };
        tiling([height, width], channels, [kernel, kernel], self.geometry, reach).unwrap().0
    }

    fn output(&self, gpu: &Gpu, pool: bool) -> Maps {
        let [height, width] = self.results().map(|side| if pool { side / 2 } else { side });
        Maps::zeros(gpu, "y", self.x.dim().0, [self.w.dim().0, height, width]).unwrap()
    }

    fn winograd(&self, gpu: &Gpu, tiling: Tiling, pool: bool) -> Vec<f32> {
        let (images, inputs, ..) = self.x.dim();
        let channels = Channels { inputs, outputs: self.w.dim().0 };
        let scratch = Scratch::new(gpu, scratch_words(&tiling, channels, images)).unwrap();
        let filters = WinogradFilters::upload(gpu, self.w.view(), &self.bias, tiling, self.geometry).unwrap();
        let (x, y) = (self.maps(gpu), self.output(gpu, pool));
        let mut recording = Recording::new();
        filters.record(&x, &y, &scratch, self.results(), &mut recording).unwrap();
        gpu.run(&recording).unwrap();
        gpu.download(&y.buffer).unwrap()
    }

    fn direct(&self, gpu: &Gpu) -> Vec<f32> {
        let (x, y) = (self.maps(gpu), self.output(gpu, false));
        let filters = Filters::upload(gpu, self.w.view(), &self.bias, self.geometry).unwrap();
        let mut recording = Recording::new();
        for launch in (Conv2d { x: &x, filters: &filters, y: &y }).launches().unwrap() {
            recording.add(launch);
        }
        gpu.run(&recording).unwrap();
        gpu.download(&y.buffer).unwrap()
    }

    fn exact(&self) -> Vec<f64> {
        let want = conv2d::oracle(self.x.view(), self.w.view(), &self.bias, self.geometry);
        to_quads(want.mapv(|b| b.value).view(), 0.0)
    }
}

/// Relative L2 distance.
fn distance(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let off: f64 = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).powi(2)).sum();
    (off / want.iter().map(|w| w * w).sum::<f64>()).sqrt()
}

/// Layers as those of VGG and of the AlexNets, of few outputs, so that f64 sums take no time.
fn layers() -> Vec<(&'static str, Layer)> {
    let geometry = |stride, padding, groups| Geometry { stride, padding, groups, relu: false };
    vec![
        ("3x3, 64 channels, 24 pixels", Layer::new([1, 64, 24], 16, 3, geometry(1, 1, 1))),
        ("3x3, 256 channels, 13 pixels", Layer::new([2, 256, 13], 8, 3, geometry(1, 1, 1))),
        ("3x3, 512 channels, 4 pixels", Layer::new([3, 512, 4], 8, 3, geometry(1, 1, 1))),
        ("3x3, 128 channels, 9 pixels", Layer::new([2, 128, 9], 8, 3, geometry(1, 1, 2))),
        ("5x5, 64 channels, 27 pixels", Layer::new([1, 64, 27], 8, 5, geometry(1, 2, 1))),
        ("5x5, 96 channels in two groups, 27 pixels", Layer::new([1, 96, 27], 16, 5, geometry(1, 2, 2))),
        ("11x11 by 4, 3 channels, 63 pixels", Layer::new([2, 3, 63], 16, 11, geometry(4, 2, 1))),
    ]
}

/// What `Convolution::Auto` promises; both are measured against f64.
#[test]
fn rounding_is_within_three_times_that_of_direct_sums() {
    let gpu = gpu();
    for (name, layer) in layers() {
        let want = layer.exact();
        let tiling = layer.tiling(Reach::Four);
        let direct = distance(&layer.direct(&gpu), &want);
        let tiled = distance(&layer.winograd(&gpu, tiling, false), &want);
        let cut = [tiling.rows.results, tiling.columns.results];
        println!(
            "{name}: {tiled:.1e} with tiles of {cut:?}, {direct:.1e} directly: {:.2} times",
            tiled / direct
        );
        assert!(tiled < 3.0 * direct, "{name}: {tiled:.1e} against {direct:.1e}");
    }
}

/// What `Convolution::Winograd6` promises; both are measured against f64.
#[test]
fn six_results_along_an_axis_are_within_ten_times_the_rounding_of_direct_sums() {
    let gpu = gpu();
    for (name, layer) in layers() {
        let (want, tiling) = (layer.exact(), layer.tiling(Reach::Six));
        let direct = distance(&layer.direct(&gpu), &want);
        let tiled = distance(&layer.winograd(&gpu, tiling, false), &want);
        let cut = [tiling.rows.results, tiling.columns.results];
        println!("{name}: {tiled:.1e} with tiles of {cut:?}, {:.2} times {direct:.1e}", tiled / direct);
        assert!(tiled < 10.0 * direct, "{name}: {tiled:.1e} against {direct:.1e}");
    }
}

#[test]
fn pooled_results_are_the_largest_of_those_that_are_not() {
    let gpu = gpu();
    for (name, mut layer) in layers() {
        layer.geometry.relu = true;
        let tiling = layer.tiling(Reach::Four);
        if tiling.rows.results % 2 == 1 || tiling.columns.results % 2 == 1 {
            continue;
        }
        let [height, width] = layer.results();
        let (whole, pooled) = (layer.winograd(&gpu, tiling, false), layer.winograd(&gpu, tiling, true));
        let at = |map: usize, r: usize, c: usize, k: usize| whole[((map * height + r) * width + c) * 4 + k];
        for (i, got) in pooled.iter().enumerate() {
            let (k, position) = (i % 4, i / 4);
            let (map, r, c) = (
                position / (height / 2 * (width / 2)),
                position / (width / 2) % (height / 2),
                position % (width / 2),
            );
            let all = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(p, q)| at(map, 2 * r + p, 2 * c + q, k));
            assert_eq!(*got, all.into_iter().fold(f32::MIN, f32::max), "{name}: word {i}");
        }
    }
}

/// A batch that is made in parts has the bits of each image alone, with and without a fused pool.
#[test]
fn parts_of_a_batch_change_no_bit() {
    let gpu = gpu();
    let geometry = Geometry { stride: 1, padding: 1, groups: 1, relu: true };
    let layer = Layer::new([8, 512, 15], 8, 3, geometry);
    let (tiling, channels) = (layer.tiling(Reach::Four), Channels { inputs: 512, outputs: 8 });
    let words = |images| scratch_words(&tiling, channels, images).v;
    assert!(8 * tiling.tiles() > 64 && words(8) < 8 * words(1), "the batch is made in one part");
    let even = tiling.rows.results.is_multiple_of(2) && tiling.columns.results.is_multiple_of(2);
    for pool in [false, true].into_iter().filter(|pool| even || !pool) {
        let together = layer.winograd(&gpu, tiling, pool);
        for (i, own) in together.chunks(together.len() / 8).enumerate() {
            let x = layer.x.slice(s![i..i + 1, .., .., ..]).to_owned();
            let alone = Layer { x, w: layer.w.clone(), bias: layer.bias.clone(), geometry };
            let alone = alone.winograd(&gpu, tiling, pool);
            let same = own.iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same && own.len() == alone.len(), "image {i}, pool: {pool}");
        }
    }
}
