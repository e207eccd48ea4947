// rows[first_row + image, j] = feature list[j] of the image, features counted channel by channel as PyTorch
// flattens
//
//   x     [images][quads][area][4]    words of channel quads
//   list  [count]                     numbers of features
//   rows  [...][pitch]                only columns 0 to count - 1 of the images' rows are written
//
// One invocation a word, neighbours along a row.
//!use grid

struct Params { items: u32, quads: u32, area: u32, count: u32, first_row: u32, pitch: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> list: array<u32>;
@group(0) @binding(2) var<storage, read_write> rows: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 64u);
    if index >= p.items { return; }
    let image = index / p.count;
    let column = index % p.count;
    let feature = list[column];
    let channel = feature / p.area;
    let quad = image * p.quads + channel / 4u;
    rows[(p.first_row + image) * p.pitch + column] = x[(quad * p.area + feature % p.area) * 4u + channel % 4u];
}
