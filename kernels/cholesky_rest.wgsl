// rest[b, r, c] = s[b, r, c] - rest[b, r, c]
//
//   s     [batch][rows][s_pitch]    vec4 along the columns: what a product is taken away from
//   rest  [batch][rest_stride]      rows of 64: the product, and what remains
//
// One invocation a quad. The first block of a factorisation has no product: its rest is s, and what rest
// holds is not looked at.
//!use grid

// Strides in quads; 0 uses the same s for the whole batch.
struct Params { rows: u32, items: u32, s_pitch_quads: u32, s_stride_quads: u32, rest_stride_quads: u32, products: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> s: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> rest: array<vec4f>;

const QUADS: u32 = 16u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let number = item(id, groups, 64u);
    if number >= p.items { return; }
    let quad = number % QUADS;
    let row = number / QUADS % p.rows;
    let batch = number / QUADS / p.rows;
    let to = batch * p.rest_stride_quads + row * QUADS + quad;
    let product = select(vec4f(), rest[to], p.products > 0u);
    rest[to] = s[batch * p.s_stride_quads + row * p.s_pitch_quads + quad] - product;
}
