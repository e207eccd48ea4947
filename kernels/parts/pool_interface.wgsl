// What max_pool and average_pool share: parameters, bindings, and where a window starts.

// Rows and columns of a window; a constant, so that compilers unroll small ones (20 % faster on lavapipe).
override SIDE: u32 = 2u;

struct Params {
    // Output quads in all; maps lie one after the other, so images and quads of channels need not be told
    // apart.
    items: u32,
    in_height: u32, in_width: u32, out_height: u32, out_width: u32,
    stride: u32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

// The first quad of the window of output quad `index`.
fn corner(index: u32) -> u32 {
    let area = p.out_height * p.out_width;
    let position = index % area;
    let row = position / p.out_width * p.stride;
    let column = position % p.out_width * p.stride;
    return (index / area * p.in_height + row) * p.in_width + column;
}
