// y[b, u] = f(y[b, u] + bias[u]) in place; f is ReLU, or the hyperbolic tangent (TANH)
//
//   bias  [pitch]            vec4 along units
//   y     [images][pitch]
//
// One invocation a vec4.
//!use grid

override TANH: bool = false;

struct Params { items: u32, quads: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> bias: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.items { return; }
    let x = y[at] + bias[at % p.quads];
    if TANH {
        // From the exponential of what is negative: beyond 10 some drivers' tanh is infinity over infinity.
        let tail = exp(-2.0 * abs(x));
        y[at] = sign(x) * (1.0 - tail) / (1.0 + tail);
    } else {
        // Not max(), which may lose NaN.
        y[at] = select(x, vec4f(), x < vec4f());
    }
}
