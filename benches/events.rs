use ndarray::Array2;
use std::time::Instant;
use striate::gpu::{AdapterChoice, Gpu, Matrix, Options, Recording};
use striate::kernels::oasis_pools::OasisPools;
use striate::random::Random;
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
struct P { v: f64, w: f64, t: usize, l: usize }
fn published(y: &[f32], g: f64, lam: f64, smin: f64, c: &mut [f64], s: &mut [f64]) {
    let lg = g.ln();
    let mut pools: Vec<P> = Vec::new();
    let n = y.len();
    for (t, v) in y.iter().enumerate() {
        let pen = if t + 1 == n { lam } else { lam * (1.0 - g) };
        pools.push(P { v: *v as f64 - pen, w: 1.0, t, l: 1 });
        while pools.len() > 1 {
            let k = pools.len();
            let (a, b) = (&pools[k - 2], &pools[k - 1]);
            if a.v / a.w * (lg * a.l as f64).exp() + smin > b.v / b.w {
                let b = pools.pop().unwrap();
                let a = pools.last_mut().unwrap();
                let d = (lg * a.l as f64).exp();
                a.v += b.v * d; a.w += b.w * d * d; a.l += b.l;
            } else { break; }
        }
    }
    for p in &pools {
        let mut h = (p.v / p.w).max(0.0);
        for i in 0..p.l { c[p.t + i] = h; h *= g; }
    }
    s[0] = 0.0;
    for t in 1..n { s[t] = c[t] - g * c[t - 1]; }
}
fn main() {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    let gpu = Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter");
    println!("{}", gpu.describe());
    let (n, t) = (800, 10_000);
    let mut random = Random::stream(1, "events");
    let g = 0.95f64;
    let y = Array2::from_shape_fn((n, t), |_| 0f32);
    let mut y = y;
    for mut row in y.rows_mut() {
        let mut c = 0.0;
        for v in row.iter_mut() {
            c *= g;
            if random.uniform() < 0.02 { c += 1.0; }
            *v = (c + 0.3 * random.normal()) as f32;
        }
    }
    let lam = 0.0;
    let (mut c, mut s) = (vec![0.0; t], vec![0.0; t]);
    for _ in 0..3 {
    let (a, b) = (Instant::now(), cpu_seconds());
    for row in y.rows() { published(row.as_slice().unwrap(), g, lam, 0.0, &mut c, &mut s); }
    let e = a.elapsed().as_secs_f64();
    println!("rust published {:.3} s, {:.2} cpu, {:.2} ns/sample", e, cpu_seconds() - b, e / (n * t) as f64 * 1e9);
    }
    let ym = Matrix::upload(&gpu, "y", y.view()).unwrap();
    let model: Vec<f32> = (0..n).flat_map(|_| [g as f32, lam as f32, 0.0, 0.0]).collect();
    let list: Vec<u32> = (0..n as u32).collect();
    let model = gpu.upload("model", &model).unwrap();
    let list = gpu.upload("list", &list).unwrap();
    let pools = gpu.allocate("pools", n * t * 4).unwrap();
    let rounds: usize = std::env::var("ROUNDS").map_or(2048, |r| r.parse().unwrap());
    for _ in 0..3 {
        let progress = gpu.upload("progress", &vec![0u32; 2 * n]).unwrap();
        let mut rec = Recording::new();
        for _ in 0..(8192 / rounds).max(1) { rec.add(OasisPools { y: &ym, model: &model, list: &list, items: n, progress: &progress, pools: &pools, rounds }.launch().unwrap()); }
        let (a, b) = (Instant::now(), cpu_seconds());
        gpu.run(&rec).unwrap();
        let e = a.elapsed().as_secs_f64();
        println!("gpu {:.3} s, {:.2} cpu, {:.2} ns/sample", e, cpu_seconds() - b, e / (n * t) as f64 * 1e9);
        let p: Vec<u32> = gpu.download(&progress).unwrap();
        let done = p.chunks(2).filter(|c| c[0] as usize == t).count();
        println!("done {done} pools {}", p.chunks(2).map(|c| c[1] as usize).sum::<usize>() as f64 / n as f64);
    }
}
