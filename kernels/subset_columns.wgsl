// y[r, j] = x[r, index[j]]
//
//   x      [rows][x_pitch]
//   index  [count]            columns of x
//   y      [rows][y_pitch]    only columns 0 to count - 1 are written
//
// One invocation a word, neighbours along a row.
//!use grid

struct Params { items: u32, count: u32, x_pitch: u32, y_pitch: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.items { return; }
    let row = at / p.count;
    let column = at % p.count;
    y[row * p.y_pitch + column] = x[row * p.x_pitch + index[column]];
}
