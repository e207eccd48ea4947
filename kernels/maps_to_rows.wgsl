// rows[first_row + image, j] = word list[j] of the image's maps
//
//   x     [images][image_words]    words of maps
//   list  [quads]                  vec4 of places in an image's maps, one for each column
//   rows  [...][pitch_quads]       vec4 along columns; only columns 0 to count - 1 of the images' rows are
//                                  written, and zeros to the end of their last quad
//
// One invocation four columns, neighbours along a row: a division for four words is what they cost most.
//!use grid

struct Params { items: u32, quads: u32, count: u32, image_words: u32, first_row: u32, pitch_quads: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> list: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> rows: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 64u);
    if index >= p.items { return; }
    let image = index / p.quads;
    let quad = index - image * p.quads;
    let at = list[quad] + image * p.image_words;
    let values = vec4f(x[at.x], x[at.y], x[at.z], x[at.w]);
    let wanted = vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u) < vec4u(p.count);
    rows[(p.first_row + image) * p.pitch_quads + quad] = select(vec4f(), values, wanted);
}
