// What both families of conv2d share: parameters, bindings, where a pixel reads, and where it is stored.

struct Params {
    images: u32, in_quads: u32, in_height: u32, in_width: u32,
    out_quads: u32, out_height: u32, out_width: u32,
    kernel_height: u32, kernel_width: u32, stride: u32, padding: u32,
    // Quads of input channels that a group reads, rows (output channels) of this weight buffer, and where the
    // first group's first quad goes.
    group_quads: u32, rows: u32, group_out_quads: u32, first_quad: u32,
    relu: u32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<Quad>;
@group(0) @binding(1) var<storage, read> weights: array<Quad>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<Quad>;

// An output pixel.
struct Pixel { image: u32, row: u32, column: u32 }

fn pixels() -> u32 {
    return p.images * p.out_height * p.out_width;
}

// Pixels beyond the last are the last.
fn pixel(index: u32) -> Pixel {
    let inside = min(index, pixels() - 1u);
    let row = inside / p.out_width;
    let image = row / p.out_height;
    return Pixel(image, row - image * p.out_height, inside - row * p.out_width);
}

// The input row or column of the first tap of an output row or column; may be negative.
fn first_tap(at: u32) -> i32 {
    return i32(at * p.stride) - i32(p.padding);
}

// Whether a tap falls inside the image, and the word of its first quad in the group.
struct Source { inside: bool, at: u32 }

fn source(pixel: Pixel, tap_row: u32, tap_column: u32, group: u32) -> Source {
    let row = first_tap(pixel.row) + i32(tap_row);
    let column = first_tap(pixel.column) + i32(tap_column);
    let inside = row >= 0 && row < i32(p.in_height) && column >= 0 && column < i32(p.in_width);
    let plane = (pixel.image * p.in_quads + group * p.group_quads) * p.in_height;
    return Source(inside, select(0u, (plane + u32(row)) * p.in_width + u32(column), inside));
}

// The bias of four channels.
fn bias_of(row: u32, group: u32) -> vec4f {
    return bias[(group * p.rows + row) / 4u];
}

// Bias and ReLU of four channels.
fn finish(sums: vec4f, add: vec4f) -> vec4f {
    let value = sums + add;
    // NaN is not less than zero; max() may lose it.
    return select(value, vec4f(), (value < vec4f()) & vec4<bool>(p.relu != 0u));
}

// The word of a pixel's first quad of the group in y.
fn place(pixel: Pixel, group: u32) -> u32 {
    let quad = pixel.image * p.out_quads + p.first_quad + group * p.group_out_quads;
    return (quad * p.out_height + pixel.row) * p.out_width + pixel.column;
}
