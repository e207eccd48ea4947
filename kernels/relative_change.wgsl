// y[n, t] = (y[n, t] - b[n, t]) / max(b[n, t], least[n]), without the least where LEAST is not set
//
//   b      [neurons][quads]     vec4 along frames: the baseline
//   least  [neurons]            the least that is divided by
//   y      [neurons][quads]     fluorescence, then its change; zero beyond the last frame
//
// NaN where either is not finite, or the divisor is zero. One invocation four frames. `nothing` is zero,
// which the driver cannot know: NaN is made by its bits.
//!use grid

override LEAST: bool = false;

struct Params { items: u32, frames: u32, quads: u32, nothing: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> b: array<vec4f>;
@group(0) @binding(1) var<storage, read> least: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

fn not_finite(v: vec4f) -> vec4<bool> {
    return (bitcast<vec4u>(v) & vec4u(0x7f800000u)) == vec4u(0x7f800000u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.items { return; }
    let neuron = at / p.quads;
    let value = y[at];
    let base = b[at];
    var divisor = base;
    if LEAST { divisor = max(base, vec4f(least[neuron])); }
    let missing = not_finite(value) | not_finite(base) | (divisor == vec4f());
    let change = (value - base) / select(divisor, vec4f(1.0), missing);
    let columns = vec4u(4u * (at - neuron * p.quads)) + vec4u(0u, 1u, 2u, 3u);
    let nan = bitcast<vec4f>(vec4u(0x7fc00000u ^ p.nothing));
    y[at] = select(vec4f(), select(change, nan, missing), columns < vec4u(p.frames));
}
