// d[o, l] = sum_b g[b, l] u[b outers + o, l]
//
//   u  [images outers][u_pitch]   vec4 along columns: some of the columns, from `first_quad` on
//   g  [images][pitch]            gradient of each image's sum
//   d  [outers][pitch]            gradient of the outer factor
//
// One invocation four columns of one o, images in order.
//!use grid

struct Params {
    items: u32, quads: u32, outers: u32, images: u32, u_pitch_quads: u32, pitch_quads: u32, first_quad: u32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> u: array<vec4f>;
@group(0) @binding(1) var<storage, read> g: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> d: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.items { return; }
    let o = at / p.quads;
    let quad = at % p.quads;
    var sum = vec4f();
    var from_u = o * p.u_pitch_quads + quad;
    var from_g = p.first_quad + quad;
    for (var b = 0u; b < p.images; b++) {
        sum += g[from_g] * u[from_u];
        from_u += p.outers * p.u_pitch_quads;
        from_g += p.pitch_quads;
    }
    d[o * p.pitch_quads + p.first_quad + quad] = sum;
}
