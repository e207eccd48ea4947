// y = f(z + bias); g[b, l] = scale d loss(y, t) / d z; bias_gradient[l] = sum_b g[b, l]; losses[l] += scale
// sum_b loss
//
//   z              [images][pitch]          vec4 along columns: configurations x neurons
//   bias           [pitch]
//   targets        [all images][neurons]    responses; the columns of each configuration are all neurons,
//                                           padded to four
//   index          [..]                     which image, from `start` on
//   g              [images][pitch]
//   bias_gradient  [pitch]
//   losses         [pitch]
//
// Loss: (y - t)^2, or y - t ln(y + 1e-8) (POISSON). One invocation four of the columns from `first_quad` on,
// images in order.
//!use grid
//!use nonlinearity

override POISSON: bool = false;

struct Params {
    images: u32, quads: u32, first_quad: u32, pitch_quads: u32, target_quads: u32,
    // Neurons of a configuration that are no padding: what pads has neither loss nor gradient.
    neurons: u32,
    start: u32, scale: f32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> z: array<vec4f>;
@group(0) @binding(1) var<storage, read> bias: array<vec4f>;
@group(0) @binding(2) var<storage, read> targets: array<vec4f>;
@group(0) @binding(3) var<storage, read> index: array<u32>;
@group(0) @binding(4) var<storage, read_write> g: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> bias_gradient: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> losses: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at_quad = item(id, groups, 64u);
    if at_quad >= p.quads { return; }
    let quad = p.first_quad + at_quad;
    let target_quad = quad % p.target_quads;
    let real = 4u * target_quad + vec4u(0u, 1u, 2u, 3u) < vec4u(p.neurons);
    let offset = bias[quad];
    var loss = vec4f();
    var gradient = vec4f();
    for (var b = 0u; b < p.images; b++) {
        let at = b * p.pitch_quads + quad;
        let y = respond(z[at] + offset);
        let t = targets[index[p.start + b] * p.target_quads + target_quad];
        var slope = vec4f();
        if POISSON {
            loss += y.value - t * log(y.value + 1e-8);
            slope = 1.0 - t / (y.value + 1e-8);
        } else {
            let error = y.value - t;
            loss += error * error;
            slope = 2.0 * error;
        }
        let one = select(vec4f(), p.scale * slope * y.slope, real);
        g[at] = one;
        gradient += one;
    }
    bias_gradient[quad] = gradient;
    losses[quad] += select(vec4f(), p.scale * loss, real);
}
