//! lab: times WGSL from files. lab KERNEL.wgsl... ; kind told by name: *input*, *output*
use std::time::Instant;
use striate::gpu::*;
fn cpu() -> f64 {
    let mut ns = 0u64;
    for t in std::fs::read_dir("/proc/self/task").unwrap() {
        let p = t.unwrap().path().join("schedstat");
        ns += std::fs::read_to_string(p).ok().and_then(|s| s.split(' ').next().and_then(|v| v.parse::<u64>().ok())).unwrap_or(0);
    }
    ns as f64 / 1e9
}
fn load(path: &str) -> &'static str {
    let text = std::fs::read_to_string(path).unwrap();
    let mut out = text.clone();
    for l in text.lines() { if let Some(n) = l.strip_prefix("//!use ") {
        let local = std::path::Path::new(path).parent().unwrap().join(format!("{n}.wgsl"));
        let p = if local.exists() { local } else { format!("/tmp/wt-winograd/kernels/parts/{n}.wgsl").into() };
        out.push('\n'); out.push_str(&std::fs::read_to_string(p).unwrap()); } }
    Box::leak(out.into_boxed_str())
}
fn main() {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let gpu = Gpu::open(&Options::default()).unwrap();
    let e = |k: &str, d: usize| std::env::var(k).ok().and_then(|v| v.parse().ok()).unwrap_or(d);
    let (images, side, cin, cout, points, results) = (e("IMAGES", 4), e("SIDE", 48), e("CIN", 64), e("COUT", 64), e("POINTS", 6), e("RESULTS", 4));
    let pool = e("POOL", 1);
    let per = side.div_ceil(results);
    let tiles = images * per * per;
    let x = gpu.upload("x", &vec![1.0f32; images * cin * side * side]).unwrap();
    let v = gpu.upload("v", &vec![1.0f32; points * points * tiles * cin]).unwrap();
    let m = gpu.upload("m", &vec![1.0f32; points * points * tiles * cout]).unwrap();
    let u = gpu.upload("u", &vec![1.0f32; points * points * cin * cout]).unwrap();
    let bias = gpu.upload("b", &vec![1.0f32; cout]).unwrap();
    let out_side = if pool == 1 { side / 2 } else { side };
    let y = gpu.upload("y", &vec![1.0f32; images * cout * out_side * out_side]).unwrap();
    let mut recs = vec![];
    for f in &files {
        let kernel: &'static Kernel = Box::leak(Box::new(Kernel::new(Box::leak(f.clone().into_boxed_str()), load(f), &[])));
        let launch = if f.contains("input") {
            Launch::new(kernel, Grid::Tiles([cin / 4, tiles, 1])).constant("ROWS", points as f64).constant("COLUMNS", points as f64).constant("STRIDE", 1.0)
                .read("x", &x).write("v", &v).set("first", 0).set("tiles", tiles).set("tiles_down", per).set("tiles_across", per)
                .set("tile_height", results).set("tile_width", results).set("in_quads", cin / 4).set("in_height", side).set("in_width", side)
                .set("padding", 1).set("group_quads", cin / 4).set("depth_quads", cin / 4).set("pitch_quads", cin / 4).cost((tiles * cin * points * points * 2) as f64)
        } else if f.contains("output") {
            Launch::new(kernel, Grid::Tiles([cout / 4, tiles, 1])).constant("ROWS", points as f64).constant("COLUMNS", points as f64)
                .constant("HEIGHT", results as f64).constant("WIDTH", results as f64).constant("RELU", 1.0).constant("POOL", pool as f64)
                .read("m", &m).read("bias", &bias).write("y", &y).set("first", 0).set("tiles", tiles).set("tiles_down", per).set("tiles_across", per)
                .set("out_quads", cout / 4).set("out_height", out_side).set("out_width", out_side).set("group_quads", cout / 4).set("pitch_quads", cout / 4)
                .cost((tiles * cout * (points * points + out_side * out_side * images / tiles)) as f64)
        } else {
            Launch::new(kernel, Grid::Tiles([cout, tiles, points * points])).constant("UPPER", 0.0)
                .read("a", &v).read("b", &u).write("c", &m).set("rows", tiles).set("columns", cout).set("depth_quads", cin / 4)
                .set("a_pitch_quads", cin / 4).set("b_pitch_quads", cin / 4).set("c_pitch", cout).set("a_batch_quads", tiles * cin / 4).set("b_batch_quads", cout * cin / 4).set("c_batch", tiles * cout)
                .set_float("alpha", 1.0).cost(2.0 * (tiles * cin * cout * points * points) as f64)
        };
        let mut r = Recording::new();
        r.add(launch.clone());
        let s = Instant::now();
        gpu.run(&r).unwrap();
        println!("{f}: first {:.3}", s.elapsed().as_secs_f64());
        recs.push((r, 1e9f64, 1e9f64, launch.operations()));
    }
    for _ in 0..e("ROUNDS", 40) {
        for (r, wall, best, _) in recs.iter_mut() {
            let (s, c) = (Instant::now(), cpu());
            gpu.run(r).unwrap();
            *best = best.min(cpu() - c);
            *wall = wall.min(s.elapsed().as_secs_f64());
        }
    }
    for (f, (_, wall, best, ops)) in files.iter().zip(&recs) { println!("{f}: cpu {:.3} ms wall {:.3} ms, {:.3} ns/op cpu, {:.2} Gop/s cpu", best * 1e3, wall * 1e3, best / ops * 1e9, ops / best / 1e9); }
}
