// y[n, t] = lowest[n] + the mean of bins[n, t - half .. t + half), MISSING ones left out; NaN where all are
//
//   bins    [rows][frames]       whole numbers below 2^15
//   lowest  [rows of all]        what bin 0 stands for
//   y       [rows][pitch]        from row `first` on; zero beyond the last frame
//
// Windows end at the first and the last frame. One invocation a segment of frames of a row: sums of whole
// numbers, of which one goes and one comes with every frame. `nothing` is zero, which the driver cannot know:
// NaN is made by its bits.
//!use grid

struct Params {
    items: u32, segments: u32, segment: u32, frames: u32, pitch: u32, first: u32, half: u32, nothing: u32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> bins: array<u32>;
@group(0) @binding(1) var<storage, read> lowest: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const MISSING: u32 = 0xffffffffu;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 64u);
    if index >= p.items { return; }
    let row = index / p.segments;
    let start = (index - row * p.segments) * p.segment;
    let values = row * p.frames;
    let to = (p.first + row) * p.pitch;
    var sum = 0u;
    var count = 0u;
    let before = start - min(start, p.half);
    let held = min(start + p.half, p.frames) - before;
    for (var i = 0u; i < held; i++) {
        let bin = bins[values + before + i];
        sum += select(bin, 0u, bin == MISSING);
        count += select(1u, 0u, bin == MISSING);
    }
    let end = min(start + p.segment, p.frames);
    for (var frame = start; frame < end; frame++) {
        let mean = lowest[p.first + row] + f32(sum) / f32(max(count, 1u));
        y[to + frame] = select(mean, bitcast<f32>(0x7fc00000u ^ p.nothing), count == 0u);
        if frame + p.half < p.frames {
            let bin = bins[values + frame + p.half];
            sum += select(bin, 0u, bin == MISSING);
            count += select(1u, 0u, bin == MISSING);
        }
        if frame >= p.half {
            let bin = bins[values + frame - p.half];
            sum -= select(bin, 0u, bin == MISSING);
            count -= select(1u, 0u, bin == MISSING);
        }
    }
    if end == p.frames {
        for (var frame = end; frame < p.pitch; frame++) { y[to + frame] = 0.0; }
    }
}
