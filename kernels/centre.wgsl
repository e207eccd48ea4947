// m[r, c] -= means[c], in place
//
//   m      [rows][pitch]    vec4 along columns; words beyond the last column stay zero, whatever means holds
//                           there
//   means  [pitch]
//
// One invocation a vec4.
//!use grid

struct Params { items: u32, columns: u32, pitch_quads: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> means: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> m: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 64u);
    if index >= p.items { return; }
    let quad = index % p.pitch_quads;
    let inside = 4u * quad + vec4u(0u, 1u, 2u, 3u) < vec4u(p.columns);
    m[index] = select(vec4f(), m[index] - means[quad], inside);
}
