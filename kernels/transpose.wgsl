// y[c, r] = x[r, c]
//
//   x  [rows][x_pitch]       vec4 along columns, zero beyond the last
//   y  [columns][y_pitch]    vec4 along rows, written as zero beyond the last
//
// One invocation turns a block of 4 x 4 in registers: whole vec4s on both sides, and no workgroup memory.
//!use grid

struct Params { items: u32, rows: u32, columns: u32, x_pitch_quads: u32, y_pitch_quads: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

fn load(row: u32, quad: u32) -> vec4f {
    var value = vec4f();
    if row < p.rows { value = x[row * p.x_pitch_quads + quad]; }
    return value;
}

fn store(column: u32, quad: u32, value: vec4f) {
    if column < p.columns { y[column * p.y_pitch_quads + quad] = value; }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 64u);
    if index >= p.items { return; }
    let across = index % p.x_pitch_quads;
    let down = index / p.x_pitch_quads;
    let a = load(4u * down, across);
    let b = load(4u * down + 1u, across);
    let c = load(4u * down + 2u, across);
    let d = load(4u * down + 3u, across);
    store(4u * across, down, vec4f(a.x, b.x, c.x, d.x));
    store(4u * across + 1u, down, vec4f(a.y, b.y, c.y, d.y));
    store(4u * across + 2u, down, vec4f(a.z, b.z, c.z, d.z));
    store(4u * across + 3u, down, vec4f(a.w, b.w, c.w, d.w));
}
