// One step of Adam or of SGD with momentum, with penalties, for every column its own
//
//   gradient  [rows][pitch]          of the loss; vec4 along columns
//   maps      [rows][pitch]          Laplacian of the weights (LAPLACE)
//   own       [segments][3][pitch]   penalty_sums of these weights (NORMALISED)
//   other     [segments][3][pitch]   penalty_sums of the other factor (PRODUCT)
//   hyper     [configurations][2]    (rate, momentum, l1, l2), (laplace, 0, 0, 0)
//   weights, first, second  [rows][pitch]    first and second moments; SGD has no second
//
// g = gradient + l1 sign(w) + 2 l2 w + 2 laplace L*(L*w). PROXIMAL: L1 by soft thresholding after the step.
// NON_NEGATIVE: w and its first moment change sign where w falls below 0, which is the step of |w|.
// PRODUCT: l1 is multiplied by the other factor's sum of magnitudes. NORMALISED: the Laplacian's energy is
// divided by that of the weights. One invocation four columns of one row.
//!use grid
//!use laplace

override ADAM: bool = true;
override PROXIMAL: bool = false;
override NON_NEGATIVE: bool = false;
override LAPLACE: bool = false;
override PRODUCT: bool = false;
override NORMALISED: bool = false;

struct Params {
    items: u32, quads: u32, configuration_quads: u32, height: u32, width: u32,
    own_segments: u32, other_segments: u32,
    // 1 / (1 - beta^steps) of Adam's two moments.
    first_scale: f32, second_scale: f32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(1) var<storage, read> maps: array<vec4f>;
@group(0) @binding(2) var<storage, read> own: array<vec4f>;
@group(0) @binding(3) var<storage, read> other: array<vec4f>;
@group(0) @binding(4) var<storage, read> hyper: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> first: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> second: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.items { return; }
    let quad = at % p.quads;
    let settings = hyper[2u * (quad / p.configuration_quads)];
    let bend = hyper[2u * (quad / p.configuration_quads) + 1u].x;
    let before = weights[at];
    var g = gradient[at];
    var l1 = vec4f(settings.z);
    var l2 = vec4f(settings.w);
    if PRODUCT {
        var norm = vec4f();
        for (var s = 0u; s < p.other_segments; s++) { norm += other[3u * s * p.quads + quad]; }
        l1 *= norm;
    }
    if LAPLACE {
        var laplacian = vec4f(bend);
        if NORMALISED {
            var square = vec4f();
            var energy = vec4f();
            for (var s = 0u; s < p.own_segments; s++) {
                square += own[(3u * s + 1u) * p.quads + quad];
                energy += own[(3u * s + 2u) * p.quads + quad];
            }
            // Weights that are all zero have no curvature.
            laplacian = select(vec4f(), laplacian / square, square > vec4f());
            l2 -= select(vec4f(), laplacian * energy / square, square > vec4f());
        }
        g += 2.0 * laplacian * laplace(at, p.quads, p.height, p.width);
    }
    g += 2.0 * l2 * before;
    if !PROXIMAL { g += l1 * sign(before); }
    var moment = vec4f();
    var rate = vec4f(settings.x);
    if ADAM {
        moment = 0.9 * first[at] + 0.1 * g;
        let spread = 0.999 * second[at] + 0.001 * g * g;
        second[at] = spread;
        rate /= sqrt(spread * p.second_scale) + 1e-8;
        var after = before - rate * (moment * p.first_scale);
        if PROXIMAL { after = sign(after) * max(abs(after) - rate * l1, vec4f()); }
        store(at, after, moment);
    } else {
        moment = settings.y * first[at] + g;
        var after = before - rate * moment;
        if PROXIMAL { after = sign(after) * max(abs(after) - rate * l1, vec4f()); }
        store(at, after, moment);
    }
}

fn store(at: u32, after: vec4f, moment: vec4f) {
    if NON_NEGATIVE {
        weights[at] = abs(after);
        first[at] = select(moment, -moment, after < vec4f());
    } else {
        weights[at] = after;
        first[at] = moment;
    }
}
