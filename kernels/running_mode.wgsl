// modes[n, t] = the number of the bin that holds most of x[n, t - half .. t + half), of equals the smallest;
// bin i holds what rounds to lowest[n] + i
//
//   x          [rows][x_pitch]         from row `first` on
//   lowest     [rows of all]           a whole number, to which the smallest value of the row rounds
//   histogram  [items][bins]           scratch: how many values of the window are in each bin
//   modes      [rows][frames]          u32; MISSING where the window holds no finite value
//
// Windows end at the first and the last frame; what is not finite is left out. One invocation a segment of
// frames of a row: a histogram of its first window, of which then one value goes and one comes with every
// frame.
//!use grid

struct Params {
    items: u32, segments: u32, segment: u32, frames: u32, x_pitch: u32, first: u32, bins: u32, half: u32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> lowest: array<f32>;
@group(0) @binding(2) var<storage, read_write> histogram: array<u32>;
@group(0) @binding(3) var<storage, read_write> modes: array<u32>;

const MISSING: u32 = 0xffffffffu;

// The bin of a value; MISSING, which is no bin, of what is not finite.
fn bin_of(bits: u32, low: f32) -> u32 {
    if (bits & 0x7f800000u) == 0x7f800000u { return MISSING; }
    return min(u32(max(round(bitcast<f32>(bits)) - low, 0.0)), p.bins - 1u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 64u);
    if index >= p.items { return; }
    let row = index / p.segments;
    let start = (index - row * p.segments) * p.segment;
    let values = (p.first + row) * p.x_pitch;
    let counts = index * p.bins;
    let low = lowest[p.first + row];
    for (var i = 0u; i < p.bins; i++) { histogram[counts + i] = 0u; }
    var mode = 0u;
    var most = 0u;
    // The window of the first frame, then of those after it: a value comes, another goes.
    let before = start - min(start, p.half);
    let held = min(start + p.half, p.frames) - before;
    for (var i = 0u; i < held; i++) {
        let bin = bin_of(x[values + before + i], low);
        if bin < p.bins {
            let count = histogram[counts + bin] + 1u;
            histogram[counts + bin] = count;
            if count > most || (count == most && bin < mode) { mode = bin; most = count; }
        }
    }
    let end = min(start + p.segment, p.frames);
    for (var frame = start; frame < end; frame++) {
        modes[row * p.frames + frame] = select(mode, MISSING, most == 0u);
        if frame + p.half < p.frames {
            let bin = bin_of(x[values + frame + p.half], low);
            if bin < p.bins {
                let count = histogram[counts + bin] + 1u;
                histogram[counts + bin] = count;
                if count > most || (count == most && bin < mode) { mode = bin; most = count; }
            }
        }
        if frame >= p.half {
            let bin = bin_of(x[values + frame - p.half], low);
            if bin < p.bins {
                histogram[counts + bin] -= 1u;
                if bin == mode {
                    most = 0u;
                    mode = 0u;
                    for (var i = 0u; i < p.bins; i++) {
                        let count = histogram[counts + i];
                        if count > most { mode = i; most = count; }
                    }
                }
            }
        }
    }
}
