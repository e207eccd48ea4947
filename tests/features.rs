//! Features against references: a plain f64 forward pass of small networks everywhere, published outputs of
//! trained networks where `STRIATE_DATA` has them, and the peers' f64 outputs of whole networks where
//! `STRIATE_PEERS` has them.

use ndarray::{Array4, ArrayD, Axis};
use std::path::{Path, PathBuf};
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::io::images::{Filter, Normalise, Size};
use striate::io::npy;
use striate::kernels::conv2d::{self, Geometry};
use striate::networks::{Network, Operation, weights::he_normal};
use striate::tasks::{Convolution, ExtractRequest, NetworkInput, NormaliseRequest, extract};

fn gpu() -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter")
}

/// A folder of data, or a line that says that it is absent.
fn folder(variable: &str, default: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join(std::env::var(variable).unwrap_or_else(|_| default.into()));
    let there = path.is_dir();
    if !there {
        println!("{variable}: {} is absent, so this test shows nothing", path.display());
    }
    there.then_some(path)
}

fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("striate-features-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a temporary folder");
    path
}

fn input(
    images: PathBuf,
    network: &str,
    weights: String,
    layers: &[&str],
    normalise: Normalise,
) -> NetworkInput {
    NetworkInput {
        images,
        network: network.into(),
        weights: Some(weights),
        layers: layers.iter().map(|l| l.to_string()).collect(),
        size: None,
        filter: Filter::Bilinear,
        normalise: NormaliseRequest::As(normalise),
        pool: None,
        subsample: None,
        convolution: Convolution::Auto,
        bits: None,
        notes: Vec::new(),
    }
}

/// Extracts one layer to a file and reads it back.
fn features(gpu: &Gpu, input: NetworkInput, name: &str) -> ArrayD<f32> {
    let out = scratch(name).join("features.npy");
    extract(gpu, &ExtractRequest { input, out: out.clone() }, &mut |_, _| ()).expect("features");
    npy::read(&out, None).expect("the file just written")
}

/// Largest distance relative to the largest value, and relative L2 distance.
fn distance(got: &ArrayD<f32>, want: &ArrayD<f64>) -> (f64, f64) {
    assert_eq!(got.len(), want.len());
    let (mut worst, mut largest, mut squares, mut norm) = (0f64, 0f64, 0f64, 0f64);
    for (g, w) in got.iter().zip(want.iter()) {
        let off = f64::from(*g) - w;
        worst = worst.max(off.abs());
        largest = largest.max(w.abs());
        squares += off * off;
        norm += w * w;
    }
    (worst / largest, (squares / norm).sqrt())
}

/// A plain f64 forward pass, `[images, channels, height, width]`.
fn forward(network: &Network, seed: u64, x: Array4<f64>, last: usize) -> Array4<f64> {
    let mut x = x;
    for entry in &network.entries[..=last] {
        x = match entry.operation {
            Operation::Relu => x.mapv(|v| v.max(0.0)),
            Operation::MaxPool { kernel, stride } => {
                let (n, c, h, w) = x.dim();
                let side = |s| conv2d::output_side(s, kernel, stride, 0).expect("a window that fits");
                Array4::from_shape_fn((n, c, side(h), side(w)), |(i, c, r, q)| {
                    let window = x.slice(ndarray::s![
                        i,
                        c,
                        r * stride..r * stride + kernel,
                        q * stride..q * stride + kernel
                    ]);
                    window.iter().fold(f64::MIN, |m, v| m.max(*v))
                })
            }
            Operation::AdaptiveAveragePool { side } => {
                let (n, c, h, w) = x.dim();
                let span = |i: usize, s: usize| i * s / side..((i + 1) * s).div_ceil(side);
                Array4::from_shape_fn((n, c, side, side), |(i, c, r, q)| {
                    x.slice(ndarray::s![i, c, span(r, h), span(q, w)]).mean().expect("a window")
                })
            }
            Operation::LocalResponseNormalisation { size, alpha, beta, k } => {
                let channels = x.dim().1;
                Array4::from_shape_fn(x.dim(), |(i, c, r, q)| {
                    let near = c.saturating_sub(size / 2)..(c + size / 2 + 1).min(channels);
                    let sum: f64 = near.map(|d| x[[i, d, r, q]].powi(2)).sum();
                    x[[i, c, r, q]]
                        / (f64::from(k) + f64::from(alpha) / size as f64 * sum).powf(f64::from(beta))
                })
            }
            Operation::Convolution { stride, padding, groups, .. } => {
                let (w, b) = he_normal(network, seed, &entry.key).expect("weights");
                let w = w.into_dimensionality().expect("four axes");
                convolve(&x, &w, &b, Geometry { stride, padding, groups, relu: false })
            }
            Operation::Dense { outputs, .. } => {
                let (w, b) = he_normal(network, seed, &entry.key).expect("weights");
                let (_, c, h, q) = x.dim();
                let w = w.into_shape_with_order((outputs, c, h, q)).expect("the map's size");
                convolve(&x, &w, &b, Geometry { stride: 1, padding: 0, groups: 1, relu: false })
            }
        };
    }
    x
}

fn convolve(x: &Array4<f64>, w: &Array4<f32>, bias: &[f32], g: Geometry) -> Array4<f64> {
    let (n, _, height, width) = x.dim();
    let (outputs, inputs, kh, kw) = w.dim();
    let side = |s, k| conv2d::output_side(s, k, g.stride, g.padding).expect("a kernel that fits");
    Array4::from_shape_fn((n, outputs, side(height, kh), side(width, kw)), |(i, o, r, q)| {
        let first = o / (outputs / g.groups) * inputs;
        let mut sum = f64::from(bias[o]);
        for tr in 0..kh {
            for tc in 0..kw {
                let (row, column) = (r * g.stride + tr, q * g.stride + tc);
                let inside = |at: usize, size: usize| at >= g.padding && at - g.padding < size;
                if inside(row, height) && inside(column, width) {
                    for c in 0..inputs {
                        sum += x[[i, first + c, row - g.padding, column - g.padding]]
                            * f64::from(w[[o, c, tr, tc]]);
                    }
                }
            }
        }
        sum
    })
}

/// Every operation of every family of networks, on images small enough for a plain f64 pass.
#[test]
fn layers_of_every_network_equal_a_plain_f64_pass() {
    let gpu = gpu();
    for (network, layer, side) in [
        ("vgg11", "conv3_1", 20),
        ("vgg19", "relu2_2", 17),
        ("alexnet", "pool2", 71),
        ("caffenet", "relu2", 67),
        ("alexnet-krizhevsky", "conv2", 67),
    ] {
        let net = Network::named(network).expect("a network");
        let mut state = 1u32;
        let images = Array4::from_shape_simple_fn((2, 3, side, side), || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        });
        let path = scratch(network).join("images.npy");
        npy::write(&path, images.view().into_dyn()).expect("a file");
        let want = forward(&net, 3, images.mapv(f64::from), net.find(layer).expect("a layer"));
        let got = features(&gpu, input(path, network, "random:3".into(), &[layer], Normalise::None), network);
        let (largest, l2) = distance(&got, &want.into_dyn());
        println!("{network} {layer}: {largest:.1e} of the largest, L2 {l2:.1e}");
        assert!(largest < 3e-6 && l2 < 1e-6);
    }
}

/// Every method is near a plain f64 pass, and they are not the same.
#[test]
fn methods_of_convolution_differ_by_rounding() {
    let gpu = gpu();
    let net = Network::named("vgg19").expect("vgg19");
    let images = Array4::from_shape_fn((2, 3, 24, 20), |(i, c, r, q)| {
        ((i + 5 * c + 3 * r * q + q) % 37) as f32 / 37.0
    });
    let path = scratch("methods").join("images.npy");
    npy::write(&path, images.view().into_dyn()).expect("a file");
    let want = forward(&net, 2, images.mapv(f64::from), net.find("pool1").expect("a layer")).into_dyn();
    let mut outputs: Vec<ArrayD<f32>> = Vec::new();
    for (name, convolution) in Convolution::ALL {
        let known = input(path.clone(), "vgg19", "random:2".into(), &["pool1"], Normalise::None);
        let got = features(&gpu, NetworkInput { convolution, ..known }, name);
        let (largest, l2) = distance(&got, &want);
        println!("{name}: {largest:.1e} of the largest, L2 {l2:.1e}");
        assert!(l2 < if convolution == Convolution::Winograd6 { 5e-6 } else { 1e-6 });
        outputs.push(got);
    }
    for (one, other) in [(0, 1), (0, 2), (2, 3)] {
        assert!(
            outputs[one] != outputs[other],
            "{:?} and {:?}",
            Convolution::ALL[one],
            Convolution::ALL[other]
        );
    }
}

/// Dense layers are the largest filters: cut into chunks where a binding cannot hold them.
#[test]
fn a_dense_layer_equals_a_plain_f64_product() {
    let gpu = gpu();
    let net = Network::named("alexnet").expect("alexnet");
    let images =
        Array4::from_shape_fn((1, 3, 63, 63), |(_, c, r, q)| ((c + 7 * r * q + r) % 29) as f32 / 29.0);
    let path = scratch("dense").join("images.npy");
    npy::write(&path, images.view().into_dyn()).expect("a file");
    let request = |layer| input(path.clone(), "alexnet", "random:5".into(), &[layer], Normalise::None);
    let before = features(&gpu, request("avgpool"), "dense-before");
    let after = features(&gpu, request("fc6"), "dense-after");
    let (weight, bias) = he_normal(&net, 5, "classifier.1").expect("weights");
    let before: Vec<f64> = before.iter().map(|v| f64::from(*v)).collect();
    let product =
        |row: ndarray::ArrayViewD<f32>| row.iter().zip(&before).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
    let want: Vec<f64> =
        weight.axis_iter(Axis(0)).zip(&bias).map(|(row, b)| product(row) + f64::from(*b)).collect();
    let (largest, l2) = distance(&after, &ArrayD::from_shape_vec(vec![1, 4096], want).expect("4096 values"));
    println!("fc6: {largest:.1e} of the largest, L2 {l2:.1e}");
    assert!(largest < 3e-6 && l2 < 1e-6);
}

#[test]
fn several_layers_of_one_pass_equal_each_layer_alone() {
    let gpu = gpu();
    let images =
        Array4::from_shape_fn((5, 3, 16, 16), |(i, c, r, q)| ((i + 3 * c + 5 * r * q) % 31) as f32 / 31.0);
    let home = scratch("several");
    let path = home.join("images.npy");
    npy::write(&path, images.view().into_dyn()).expect("a file");
    let layers = ["conv1_2", "relu1_2", "pool1", "relu2_1"];
    let request = |layers: &[&str]| input(path.clone(), "vgg16", "random:1".into(), layers, Normalise::None);
    let out = home.join("together");
    extract(&gpu, &ExtractRequest { input: request(&layers), out: out.clone() }, &mut |_, _| ())
        .expect("features");
    for layer in layers {
        let together = npy::read(&out.join(format!("{layer}.npy")), None).expect("a file of the layer");
        assert_eq!(together, features(&gpu, request(&[layer]), layer), "{layer}");
    }
}

/// Whether a ReLU or a pool is done in the same pass depends on what is wanted, and no bit does.
#[test]
fn what_else_is_wanted_changes_no_bit() {
    let gpu = gpu();
    let images = Array4::from_shape_fn((3, 3, 20, 18), |(i, c, r, q)| {
        ((2 * i + 3 * c + 5 * r * q) % 29) as f32 / 29.0
    });
    let home = scratch("wanted");
    let path = home.join("images.npy");
    npy::write(&path, images.view().into_dyn()).expect("a file");
    for method in [Convolution::Winograd, Convolution::Winograd6, Convolution::Direct] {
        let request = |layers: &[&str]| NetworkInput {
            convolution: method,
            bits: None,
            notes: Vec::new(),
            ..input(path.clone(), "vgg16", "random:1".into(), layers, Normalise::None)
        };
        let alone = features(&gpu, request(&["pool1"]), "alone");
        for (number, layers) in
            [&["relu1_2", "pool1"][..], &["conv1_2", "relu1_2", "pool1"]].iter().enumerate()
        {
            let out = home.join(format!("{method:?}-{number}"));
            extract(&gpu, &ExtractRequest { input: request(layers), out: out.clone() }, &mut |_, _| ())
                .expect("features");
            let other = npy::read(&out.join("pool1.npy"), None).expect("a file of the layer");
            let same = alone.iter().zip(&other).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same && alone.shape() == other.shape(), "{method:?}: pool1 beside {layers:?}");
        }
    }
}

#[test]
fn trained_networks_give_their_published_outputs() {
    let Some(data) = folder("STRIATE_DATA", "../shared/data") else { return };
    let gpu = gpu();
    let (reference, weights) = (data.join("reference"), data.join("weights"));
    let images = reference.join("v4_210325_first4_112px_images.npy");
    let vgg = |weights: PathBuf, layer: &str, name: &str| {
        let weights = weights.display().to_string();
        features(&gpu, input(images.clone(), "vgg19", weights, &[layer], Normalise::Imagenet), name)
    };
    let safetensors = weights.join("vgg19_normalised_conv3_1.safetensors");
    let read = |name: &str| npy::read_f64(&reference.join(name), None).expect("a reference");
    let relu3_1 = vgg(safetensors.clone(), "relu3_1", "relu3_1");
    let (largest, _) = distance(&relu3_1, &read("v4_210325_first4_112px_features.11.npy"));
    println!("relu3_1: {largest:.1e} of the largest value");
    assert!(largest < 1e-4);
    let pool1 = vgg(safetensors, "features.4", "pool1");
    let first_two = pool1.slice_axis(Axis(0), (0..2).into()).to_owned();
    let (largest, _) = distance(&first_two, &read("v4_210325_first4_112px_features.4.npy"));
    println!("pool1: {largest:.1e} of the largest value");
    assert!(largest < 1e-4);
    let legacy = vgg(weights.join("vgg_normalised_conv3_1.pth"), "relu3_1", "legacy");
    let (largest, _) = distance(&legacy, &relu3_1.mapv(f64::from));
    println!("relu3_1 from the .pth: {largest:.1e} of the largest value from the safetensors");
    assert!(largest < 1e-5);
    let caffenet = weights.join("caffenet_conv1_conv2.safetensors").display().to_string();
    let images = reference.join("caffenet_input_1x3x227x227.npy");
    let relu2 = features(&gpu, input(images, "caffenet", caffenet, &["relu2"], Normalise::None), "caffenet");
    let (largest, _) = distance(&relu2, &read("caffenet_relu2_1x256x27x27.npy"));
    println!("CaffeNet relu2: {largest:.1e} of the largest value");
    assert!(largest < 1e-4);
}

#[test]
fn whole_networks_equal_the_peers_f64_references() {
    let Some(peers) = folder("STRIATE_PEERS", "../shared/peers/cache") else { return };
    let gpu = gpu();
    for (work, network, layer, side) in [
        ("vgg19_5", "vgg19", "pool1", 48),
        ("vgg19", "vgg19", "pool5", 64),
        ("alexnet", "alexnet", "pool5", 224),
    ] {
        let path = |name: String| peers.join("features").join(name);
        let weights = path(format!("{network}.safetensors")).display().to_string();
        let images = path(format!("in_{work}_{side}.npy"));
        let got = features(
            &gpu,
            input(images, network, weights, &[layer], Normalise::None),
            &format!("peer-{work}"),
        );
        let want = npy::read_f64(&path(format!("ref_{work}_{side}_f64.npy")), None).expect("a reference");
        let (largest, l2) = distance(&got, &want);
        println!("{work} at {side}: relative L2 {l2:.1e}, largest {largest:.1e}");
        assert!(l2 < 1e-5);
    }
}

/// The size of the input is part of the request: resizing happens before the network.
#[test]
fn images_are_resized_before_the_network() {
    let gpu = gpu();
    let images = Array4::from_shape_fn((3, 3, 40, 30), |(i, c, r, q)| ((i * r + c * q) % 17) as f32 / 17.0);
    let path = scratch("resized").join("images.npy");
    npy::write(&path, images.view().into_dyn()).expect("a file");
    let mut request = input(path, "pixels", "random:0".into(), &[], Normalise::None);
    request.size = Some(Size { height: 8, width: 6 });
    request.weights = None;
    assert_eq!(features(&gpu, request, "resized").shape(), &[3, 3 * 8 * 6]);
}
