// z[b, l] = sum_o outer[o, l] u[b outers + o, l]
//
//   u      [images outers][u_pitch]   vec4 along columns: some of the columns, from `first_quad` on
//   outer  [outers][pitch]            the factor that is summed last
//   z      [images][pitch]
//
// One invocation four columns of one image, o in order.
//!use grid

struct Params { items: u32, quads: u32, outers: u32, u_pitch_quads: u32, pitch_quads: u32, first_quad: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> u: array<vec4f>;
@group(0) @binding(1) var<storage, read> outer: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> z: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.items { return; }
    let image = at / p.quads;
    let quad = at % p.quads;
    var sum = vec4f();
    var from_u = image * p.outers * p.u_pitch_quads + quad;
    var from_outer = p.first_quad + quad;
    for (var o = 0u; o < p.outers; o++) {
        sum += outer[from_outer] * u[from_u];
        from_u += p.u_pitch_quads;
        from_outer += p.pitch_quads;
    }
    z[image * p.pitch_quads + p.first_quad + quad] = sum;
}
