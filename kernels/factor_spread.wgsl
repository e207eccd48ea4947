// v[l, b outers + o] = g[b, l] outer[o, l]
//
//   g      [images][pitch]      vec4 along columns; columns from `first_quad` on are read
//   outer  [outers][pitch]
//   v      [4 quads][v_pitch]   a row a column: the right operand of a product; its padding is written as
//                               zero
//
// One invocation turns a block of 4 x 4 in registers.
//!use grid

struct Params {
    items: u32, quads: u32, depth: u32, outers: u32, v_pitch_quads: u32, pitch_quads: u32, first_quad: u32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> g: array<vec4f>;
@group(0) @binding(1) var<storage, read> outer: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4f>;

fn term(depth: u32, quad: u32) -> vec4f {
    let inside = min(depth, p.depth - 1u);
    let value = g[inside / p.outers * p.pitch_quads + quad] * outer[inside % p.outers * p.pitch_quads + quad];
    return select(vec4f(), value, depth < p.depth);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.items { return; }
    let quad = at % p.quads;
    let across = at / p.quads;
    let a = term(4u * across, p.first_quad + quad);
    let b = term(4u * across + 1u, p.first_quad + quad);
    let c = term(4u * across + 2u, p.first_quad + quad);
    let d = term(4u * across + 3u, p.first_quad + quad);
    let row = 4u * quad * p.v_pitch_quads + across;
    v[row] = vec4f(a.x, b.x, c.x, d.x);
    v[row + p.v_pitch_quads] = vec4f(a.y, b.y, c.y, d.y);
    v[row + 2u * p.v_pitch_quads] = vec4f(a.z, b.z, c.z, d.z);
    v[row + 3u * p.v_pitch_quads] = vec4f(a.w, b.w, c.w, d.w);
}
