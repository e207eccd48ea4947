// y[r, (o length + a) stride + j] = sum over i of table[i, a] x[r, (o length + i) stride + j]
//
//   x, y   [rows][pitch]              maps side by side; words of y beyond the last map are not written
//   table  [length][ceil(length/4)]   vec4 along a: the sine basis; beyond the last a, the last one again
//
// A line is what one transform runs along: (o, j), `stride` words from one of its values to the next. One
// invocation makes four frequencies of a line in four rows, from four values and one vec4 a step. Rows and
// frequencies beyond the last are the last again and stored over it, the same value twice: no branch at a
// store.
//!use grid

struct Params {
    items: u32, lines: u32, length: u32, stride: u32, quads: u32, first_row: u32, end_row: u32, pitch: u32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 64u);
    if index >= p.items { return; }
    let line = index % p.lines;
    let rest = index / p.lines;
    let quad = rest % p.quads;
    let rows = min(vec4u(p.first_row + 4u * (rest / p.quads)) + vec4u(0u, 1u, 2u, 3u), vec4u(p.end_row - 1u));
    let start = rows * p.pitch + vec4u((line / p.stride) * p.length * p.stride + line % p.stride);
    var first = vec4f();
    var second = vec4f();
    var third = vec4f();
    var fourth = vec4f();
    for (var i = 0u; i < p.length; i++) {
        let sines = table[i * p.quads + quad];
        let at = start + vec4u(i * p.stride);
        first += x[at.x] * sines;
        second += x[at.y] * sines;
        third += x[at.z] * sines;
        fourth += x[at.w] * sines;
    }
    let ends = p.stride * min(vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u), vec4u(p.length - 1u));
    y[start.x + ends.x] = first.x;
    y[start.x + ends.y] = first.y;
    y[start.x + ends.z] = first.z;
    y[start.x + ends.w] = first.w;
    y[start.y + ends.x] = second.x;
    y[start.y + ends.y] = second.y;
    y[start.y + ends.z] = second.z;
    y[start.y + ends.w] = second.w;
    y[start.z + ends.x] = third.x;
    y[start.z + ends.y] = third.y;
    y[start.z + ends.z] = third.z;
    y[start.z + ends.w] = third.w;
    y[start.w + ends.x] = fourth.x;
    y[start.w + ends.y] = fourth.y;
    y[start.w + ends.z] = fourth.z;
    y[start.w + ends.w] = fourth.w;
}
