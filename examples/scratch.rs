//! scratch
use std::time::Instant;
use striate::features::*;
use striate::gpu::*;
use striate::io::images::*;
use striate::io::npy;
use striate::io::weights::WeightFile;
use striate::networks::{Network, Shape};
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    fields.get(11).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0) / 100.0
}
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let gpu = Gpu::open(&Options::default()).expect("adapter");
    let cache = std::path::PathBuf::from("/tmp/peers/cache/features");
    for (work, net, layer, side, batch) in [("vgg19_5","vgg19","pool1",48,16usize),("alexnet","alexnet","pool5",224,16),("vgg19","vgg19","pool5",64,16),("vgg19","vgg19","pool5",224,1)] {
        if !args.is_empty() && !args.iter().any(|a| a == &format!("{work}_{side}")) { continue; }
        let network = Network::named(net).unwrap();
        let last = network.find(layer).unwrap();
        for (name, method) in [("direct", Convolution::Direct), ("auto", Convolution::Auto)] {
            if args.iter().any(|a| a == "auto") && name == "direct" { continue; }
            let weights = WeightSource::File(WeightFile::open(&cache.join(format!("{net}.safetensors"))).unwrap());
            let request = LayerRequest::new(&network, Some(layer), None).unwrap();
            let preparation = Preparation { size: None, filter: Filter::Bilinear, normalise: Normalise::None };
            let images = Images::open(&cache.join(format!("in_{work}_{side}.npy"))).unwrap();
            let batch_data = images.batch(0..batch, &preparation).unwrap();
            let mut source = NetworkSource::new(images, preparation, network.clone(), weights, vec![request]).unwrap();
            source.convolve_by(method);
            let s = Instant::now();
            source.load(&gpu).unwrap();
            let load = s.elapsed().as_secs_f64();
            let columns = source.features(0);
            let matrix = Matrix::zeros(&gpu, "features", batch, columns).unwrap();
            let slabs = [Slab { layer: 0, columns: 0..columns, matrix, means: Vec::new() }];
            let s = Instant::now();
            source.fill(&gpu, 0..batch, &slabs, &mut |_| ()).unwrap();
            let first = s.elapsed().as_secs_f64();
            let (mut t, c0) = (vec![], cpu_seconds());
            let n = 12;
            for _ in 0..n { let s = Instant::now(); source.fill(&gpu, 0..batch, &slabs, &mut |_| ()).unwrap(); t.push(s.elapsed().as_secs_f64()); }
            let cpu = (cpu_seconds() - c0) / n as f64;
            t.sort_by(f64::total_cmp);
            let got = slabs[0].matrix.download(&gpu).unwrap();
            let want = npy::read_f64(&cache.join(format!("ref_{work}_{side}_f64.npy")), None).unwrap();
            let (mut off, mut norm) = (0.0, 0.0);
            for (g, w) in got.iter().zip(want.iter()) { off += (f64::from(*g) - w).powi(2); norm += w * w; }
            println!("{work}_{side}_b{batch} {name}: load {load:.2} first {first:.3} min {:.4} median {:.4} cpu {cpu:.4} L2 {:.2e}", t[0], t[n/2], (off/norm).sqrt());
            if args.iter().any(|a| a == "layers") {
                drop(source);
                let weights = WeightSource::File(WeightFile::open(&cache.join(format!("{net}.safetensors"))).unwrap());
                let input = Shape { channels: 3, height: side, width: side };
                let wish = Wish { network: &network, convolution: method, wanted: &[last], input };
                let ex = Extractor::new(&gpu, wish, &weights).unwrap();
                let mut rec = Recording::new();
                let mut marks = vec![];
                ex.record(&gpu, &batch_data, &mut rec, &mut |e, m, r| { marks.push((e, [m.channels, m.height, m.width], r.launches().len())); Ok(()) }).unwrap();
                let mut from = 0;
                for (e, shape, to) in marks {
                    let Some(e) = e else { continue };
                    let mut parts: Vec<(String, f64, f64, usize)> = vec![];
                    for l in &rec.launches()[from..to] {
                        let mut one = Recording::new();
                        let reps = 3;
                        for _ in 0..reps { one.add(l.clone()); }
                        let mut best = 1e9f64;
                        for _ in 0..8 { let s = Instant::now(); gpu.run(&one).unwrap(); best = best.min(s.elapsed().as_secs_f64() / reps as f64); }
                        match parts.iter_mut().find(|p| p.0 == l.name()) { Some(p) => { p.1 += best; p.2 += l.operations(); p.3 += 1; } None => parts.push((l.name().into(), best, l.operations(), 1)) }
                    }
                    let text: Vec<String> = parts.iter().map(|(n, s, o, c)| format!("{n} x{c} {:.2} ms ({:.1} G/s)", s * 1e3, o / s / 1e9)).collect();
                    println!("   {:10} {shape:?} {:.2} ms: {}", network.entries[e].name, parts.iter().map(|p| p.1).sum::<f64>() * 1e3, text.join(", "));
                    from = to;
                }
            }
        }
    }
}
