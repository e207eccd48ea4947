// y[r, c] = x[index[start + r] - first, c], for the rows whose image lies in x
//
//   x      [count][pitch]    rows first .. first + count of a larger matrix; f32, or f16 two to a word (HALF)
//   index  [..]              which row of the larger matrix
//   y      [rows][pitch]     vec4 along columns; rows that lie elsewhere are left alone
//
// One invocation a vec4. An index below `first` wraps beyond `count`.
//!use grid

override HALF: bool = false;

struct Params { items: u32, quads: u32, start: u32, first: u32, count: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<vec2u>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.items { return; }
    let row = index[p.start + at / p.quads] - p.first;
    if row >= p.count { return; }
    let source = row * p.quads + at % p.quads;
    if HALF {
        let halves = x[source];
        y[at] = vec4f(unpack2x16float(halves.x), unpack2x16float(halves.y));
    } else {
        y[at] = vec4f(bitcast<vec2f>(x[2u * source]), bitcast<vec2f>(x[2u * source + 1u]));
    }
}
