// y[c] = x[c] / (k + share sum_{c - size/2 <= d <= c + (size-1)/2} x[d]^2)^beta, at every pixel
//
//   x  [images][quads][area]    vec4 of four neighbouring channels, zero beyond the last
//   y  [images][quads][area]    the same
//
// One invocation an output quad: it reads the quads that its four windows reach and adds each square to the
// lanes that are near enough. Windows are cut at the first and the last channel. Channels beyond the last
// stay zero even where their window holds a NaN.
//!use grid

struct Params { items: u32, area: u32, quads: u32, channels: u32, size: u32, share: f32, beta: f32, k: f32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

// A channel's square for each lane whose window holds the channel.
fn seen(square: f32, channel: u32, lanes: vec4u) -> vec4f {
    let inside = (vec4u(channel + p.size / 2u) >= lanes) & (vec4u(channel) <= lanes + vec4u((p.size - 1u) / 2u));
    return select(vec4f(), vec4f(square), inside);
}

// x^0.75 from square roots, which hardware rounds well; pow goes through a logarithm.
fn power(base: vec4f) -> vec4f {
    if p.beta == 0.75 {
        let root = sqrt(base);
        return root * sqrt(root);
    }
    return pow(base, vec4f(p.beta));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 64u);
    if index >= p.items { return; }
    let quad = index / p.area % p.quads;
    let lanes = 4u * quad + vec4u(0u, 1u, 2u, 3u);
    let start = index - quad * p.area;
    let first = (max(lanes.x, p.size / 2u) - p.size / 2u) / 4u;
    let end = min((lanes.w + (p.size - 1u) / 2u) / 4u + 1u, p.quads);
    var sum = vec4f();
    for (var q = first; q < end; q++) {
        let value = x[start + q * p.area];
        let squares = value * value;
        sum += seen(squares.x, 4u * q, lanes);
        sum += seen(squares.y, 4u * q + 1u, lanes);
        sum += seen(squares.z, 4u * q + 2u, lanes);
        sum += seen(squares.w, 4u * q + 3u, lanes);
    }
    let value = x[index] / power(p.k + p.share * sum);
    y[index] = select(vec4f(), value, lanes < vec4u(p.channels));
}
