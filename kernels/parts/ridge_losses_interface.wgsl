// What both families of ridge_losses share: parameters and bindings.

struct Params {
    // Images scored, neurons, depth of the sums in quads, and pitches in quads.
    images: u32, neurons: u32, depth_quads: u32, targets_pitch_quads: u32,
    left_pitch_quads: u32, right_pitch_quads: u32, shrinkage_pitch_quads: u32,
    // Words from one penalty's losses to the next.
    losses_pitch: u32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> left: array<Quad>;
@group(0) @binding(1) var<storage, read> shrinkage: array<Quad>;
@group(0) @binding(2) var<storage, read> right: array<Quad>;
@group(0) @binding(3) var<storage, read> targets: array<Quad>;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;

// Squared errors of four images for a thread's eight columns, added to its losses. Images beyond the last
// count nothing.
struct Losses { lo: vec4f, hi: vec4f }

fn quad_losses(before: Losses, image: u32, t: Columns,
    s0: vec4f, s1: vec4f, s2: vec4f, s3: vec4f, h0: vec4f, h1: vec4f, h2: vec4f, h3: vec4f) -> Losses {
    let counts = select(vec4f(), vec4f(1.0), image + vec4u(0, 1, 2, 3) < vec4u(p.images));
    let e0 = t.x0 - s0;
    let e1 = t.y0 - s1;
    let e2 = t.z0 - s2;
    let e3 = t.w0 - s3;
    let f0 = t.x1 - h0;
    let f1 = t.y1 - h1;
    let f2 = t.z1 - h2;
    let f3 = t.w1 - h3;
    return Losses(
        before.lo + (counts.x * e0 * e0 + counts.y * e1 * e1 + (counts.z * e2 * e2 + counts.w * e3 * e3)),
        before.hi + (counts.x * f0 * f0 + counts.y * f1 * f1 + (counts.z * f2 * f2 + counts.w * f3 * f3)),
    );
}

// Neurons and images beyond the end read the last one.
fn right_start(neuron: u32) -> u32 {
    return min(neuron, p.neurons - 1u) * p.right_pitch_quads;
}

fn left_start(image: u32) -> u32 {
    return min(image, p.images - 1u) * p.left_pitch_quads;
}

fn targets_start(neuron: u32) -> u32 {
    return min(neuron, p.neurons - 1u) * p.targets_pitch_quads;
}

// The quad of images that holds `image`; rows of targets end with a whole quad.
fn images_quad(image: u32) -> u32 {
    return min(image / 4u, p.targets_pitch_quads - 1u);
}
