// z = L * x for every map and column, L = [[.5, 1, .5], [1, -6, 1], [.5, 1, .5]], zero beyond the edge
//
//   x  [maps height width][pitch]   a row a position, row by row of each map; vec4 along columns
//   z  [maps height width][pitch]
//
// One invocation a vec4.
//!use grid
//!use laplace

struct Params { items: u32, quads: u32, height: u32, width: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> maps: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> z: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.items { return; }
    z[at] = laplace(at, p.quads, p.height, p.width);
}
