// y[n, k] = x[n, k] shrinkage[choice[n], k]
//
//   x          [neurons][depth]     vec4 along k
//   shrinkage  [penalties][depth]   1 / (eigenvalue + penalty)
//   choice     [neurons]            which penalty a neuron took
//   y          [neurons][depth]
//
// One invocation a quad.
//!use grid

struct Params { neurons: u32, pitch_quads: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> shrinkage: array<vec4f>;
@group(0) @binding(2) var<storage, read> choice: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.neurons * p.pitch_quads { return; }
    y[at] = x[at] * shrinkage[choice[at / p.pitch_quads] * p.pitch_quads + at % p.pitch_quads];
}
