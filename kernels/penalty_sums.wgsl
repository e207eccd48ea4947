// sums[s, kind, l] = sum over the rows r of segment s of |w[r, l]|, w[r, l]^2, maps[r, l]^2; totals += sums
//
//   w       [rows][pitch]           vec4 along columns
//   maps    [rows][pitch]           the Laplacian of w; looked at where LAPLACE is set
//   sums    [segments][3][pitch]    of this step
//   totals  [segments][3][pitch]    of all steps since they were zero
//
// One invocation four columns of one segment, rows in order.
//!use grid

override LAPLACE: bool = false;

struct Params { items: u32, quads: u32, rows: u32, segment: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> w: array<vec4f>;
@group(0) @binding(1) var<storage, read> maps: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> totals: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.items { return; }
    let first = at / p.quads * p.segment;
    let count = min(p.segment, p.rows - first);
    let quad = at % p.quads;
    var magnitude = vec4f();
    var square = vec4f();
    var bend = vec4f();
    for (var r = 0u; r < count; r++) {
        let value = w[(first + r) * p.quads + quad];
        magnitude += abs(value);
        square += value * value;
        if LAPLACE {
            let curve = maps[(first + r) * p.quads + quad];
            bend += curve * curve;
        }
    }
    let to = at / p.quads * 3u * p.quads + quad;
    sums[to] = magnitude;
    sums[to + p.quads] = square;
    sums[to + 2u * p.quads] = bend;
    totals[to] += magnitude;
    totals[to + p.quads] += square;
    totals[to + 2u * p.quads] += bend;
}
