// What both families of conv2d share: parameters, bindings, where a pixel reads, and where it is stored.

struct Params {
    images: u32, in_quads: u32, in_height: u32, in_width: u32,
    out_quads: u32, out_height: u32, out_width: u32,
    kernel_height: u32, kernel_width: u32, stride: u32, padding: u32,
    // Quads of input channels that a group reads, rows (output channels) of this weight buffer, and where the first
    // group's first quad goes.
    group_quads: u32, rows: u32, group_out_quads: u32, first_quad: u32,
    relu: u32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<Quad>;
@group(0) @binding(1) var<storage, read> weights: array<Quad>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

// An output pixel: its image, the input row and column of its first tap (may be negative), and whether it exists.
struct Pixel { image: u32, top: i32, left: i32 }

fn pixels() -> u32 {
    return p.images * p.out_height * p.out_width;
}

fn pixel(index: u32) -> Pixel {
    let inside = min(index, pixels() - 1u);
    let area = p.out_height * p.out_width;
    let position = inside % area;
    return Pixel(
        inside / area,
        i32(position / p.out_width * p.stride) - i32(p.padding),
        i32(position % p.out_width * p.stride) - i32(p.padding),
    );
}

// Whether a tap falls inside the image, and the word of its first quad in the group.
struct Source { inside: bool, at: u32 }

fn source(pixel: Pixel, tap_row: u32, tap_column: u32, group: u32) -> Source {
    let row = pixel.top + i32(tap_row);
    let column = pixel.left + i32(tap_column);
    let inside = row >= 0 && row < i32(p.in_height) && column >= 0 && column < i32(p.in_width);
    let plane = (pixel.image * p.in_quads + group * p.group_quads) * p.in_height;
    return Source(inside, select(0u, (plane + u32(row)) * p.in_width + u32(column), inside));
}

// Bias and ReLU of four channels.
fn finish(row: u32, group: u32, sums: vec4f) -> vec4f {
    let value = sums + bias[(group * p.rows + row) / 4u];
    // NaN is not less than zero; max() may lose it.
    return select(value, vec4f(), (value < vec4f()) & vec4<bool>(p.relu != 0u));
}

// The word of a pixel's first quad of the group in y.
fn place(index: u32, group: u32) -> u32 {
    let area = p.out_height * p.out_width;
    return (index / area * p.out_quads + p.first_quad + group * p.group_out_quads) * area + index % area;
}
