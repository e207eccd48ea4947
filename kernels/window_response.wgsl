// y[n, j] = the mean or the largest of x[n, s + window .. + window_frames], s = starts[j], less the mean b of
// x[n, s + baseline .. + baseline_frames] if there are any; in percent of b where PERCENT
//
//   x       [neurons][x_pitch]       traces
//   starts  [trials]                 a column of x for each trial
//   y       [neurons][quads]         vec4 along trials; zero beyond the last
//
// NaN where a frame of the two windows is not finite, or the result is not. One invocation four trials of a
// neuron, frames in order. All is summed as differences from the baseline's first frame, which are exact
// where fluorescence is large and its changes are small; sums are compensated. `nothing` is zero: see the
// part `compensated`.
//!use grid
//!use compensated

override MAXIMUM: bool = false;
override PERCENT: bool = false;

struct Params {
    items: u32, trials: u32, quads: u32, x_pitch: u32, window: u32, window_frames: u32, baseline: u32, baseline_frames: u32,
    nothing: u32, window_share: f32, baseline_share: f32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

fn at(columns: vec4u) -> vec4f {
    return vec4f(x[columns.x], x[columns.y], x[columns.z], x[columns.w]);
}

fn not_finite(v: vec4f) -> vec4<bool> {
    return (bitcast<vec4u>(v) & vec4u(0x7f800000u)) == vec4u(0x7f800000u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 64u);
    if index >= p.items { return; }
    let neuron = index / p.quads;
    let trials = vec4u(4u * (index - neuron * p.quads)) + vec4u(0u, 1u, 2u, 3u);
    let inside = min(trials, vec4u(p.trials - 1u));
    let first = vec4u(starts[inside.x], starts[inside.y], starts[inside.z], starts[inside.w])
        + vec4u(neuron * p.x_pitch);
    var missing = vec4<bool>();
    var origin = vec4f();
    if p.baseline_frames > 0u { origin = at(first + vec4u(p.baseline)); }
    var sums = Sums();
    for (var i = 0u; i < p.baseline_frames; i++) {
        let value = at(first + vec4u(p.baseline + i));
        missing |= not_finite(value);
        sums = add(sums, value - origin, p.nothing);
    }
    let baseline = (sums.high - sums.low) * p.baseline_share;
    var largest = at(first + vec4u(p.window));
    sums = Sums();
    for (var i = 0u; i < p.window_frames; i++) {
        let value = at(first + vec4u(p.window + i));
        missing |= not_finite(value);
        largest = select(largest, value, value > largest);
        sums = add(sums, value - origin, p.nothing);
    }
    var result = select((sums.high - sums.low) * p.window_share, largest - origin, MAXIMUM) - baseline;
    if PERCENT {
        let whole = origin + baseline;
        missing |= whole == vec4f();
        result = 100.0 * result / select(whole, vec4f(1.0), whole == vec4f());
    }
    missing |= not_finite(result);
    result = select(result, bitcast<vec4f>(vec4u(0x7fc00000u ^ p.nothing)), missing);
    y[index] = select(vec4f(), result, trials < vec4u(p.trials));
}
