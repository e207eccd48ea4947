// d[b, u] *= f'(a[b, u]), told from the activation itself; bias_gradient[u] = sum_b d[b, u]
//
//   a              [images][pitch]    activations: ReLU, or the hyperbolic tangent (TANH); vec4 along units
//   d              [images][pitch]    gradient after the activation, then before it
//   bias_gradient  [pitch]
//
// One invocation four units, images in order.
//!use grid

override TANH: bool = false;

struct Params { images: u32, quads: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> d: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> bias_gradient: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let quad = item(id, groups, 64u);
    if quad >= p.quads { return; }
    var sum = vec4f();
    for (var b = 0u; b < p.images; b++) {
        let at = b * p.quads + quad;
        var before = vec4f();
        if TANH {
            before = d[at] * (1.0 - a[at] * a[at]);
        } else {
            before = select(vec4f(), d[at], a[at] > vec4f());
        }
        d[at] = before;
        sum += before;
    }
    bias_gradient[quad] = sum;
}
