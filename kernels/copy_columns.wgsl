// y[r, to[i]] = x[r, from[i]], in columns of four
//
//   x      [rows][x_pitch]   vec4 along columns
//   pairs  [pairs]           (quad of x, quad of y)
//   y      [rows][y_pitch]   quads that no pair names are left alone
//
// One invocation a quad.
//!use grid

struct Params { items: u32, pairs: u32, x_pitch_quads: u32, y_pitch_quads: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> pairs: array<vec2u>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.items { return; }
    let pair = pairs[at % p.pairs];
    let row = at / p.pairs;
    y[row * p.y_pitch_quads + pair.y] = x[row * p.x_pitch_quads + pair.x];
}
