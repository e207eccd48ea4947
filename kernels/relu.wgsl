// y = max(x, 0), NaN where x is
//
//   x, y  any buffers of vec4: maps or matrices, whose padding stays zero
//
// One invocation a vec4.
//!use grid
//!use nan

struct Params { items: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 64u);
    if index >= p.items { return; }
    y[index] = keep(vec4f(), x[index], x[index] > vec4f());
}
