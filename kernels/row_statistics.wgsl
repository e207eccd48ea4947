// statistics[r] = (sum, sum of squares, smallest, largest) of m[r]; all NaN if one of the row is
//
//   m           [rows][pitch]    vec4 along columns, zero beyond the last
//   statistics  [rows]           vec4
//
// One invocation a row, the sums compensated in four lanes. `nothing` is zero: see the part `compensated`.
//!use grid
//!use nan
//!use compensated

struct Params { rows: u32, columns: u32, pitch_quads: u32, nothing: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> m: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> statistics: array<vec4f>;

fn smaller(a: vec4f, b: vec4f) -> vec4f {
    return keep(a, b, b < a);
}

fn larger(a: vec4f, b: vec4f) -> vec4f {
    return keep(a, b, b > a);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let row = item(id, groups, 64u);
    if row >= p.rows { return; }
    let first = vec4f(m[row * p.pitch_quads].x);
    var sums = Sums();
    var squares = Sums();
    var low = first;
    var high = first;
    for (var q = 0u; q < p.pitch_quads; q++) {
        let quad = m[row * p.pitch_quads + q];
        sums = add(sums, quad, p.nothing);
        squares = add(squares, quad * quad, p.nothing);
        // The padding's zeros are no values of the row.
        let value = select(first, quad, 4u * q + vec4u(0u, 1u, 2u, 3u) < vec4u(p.columns));
        low = smaller(low, value);
        high = larger(high, value);
    }
    low = smaller(low, low.zwxy);
    high = larger(high, high.zwxy);
    low = smaller(low, low.yxwz);
    high = larger(high, high.yxwz);
    statistics[row] = vec4f(fold(sums, p.nothing).x, fold(squares, p.nothing).x, low.x, high.x);
}
