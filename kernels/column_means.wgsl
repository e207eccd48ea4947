// means[c] = share sum_{r: include[r] != 0} m[r, c]
//
//   m        [rows][pitch]    vec4 along columns, zero beyond the last
//   include  [rows]           0 leaves a row out, whatever it holds
//   means    [pitch]          zero beyond the last column
//
// One invocation four columns, rows in order, compensated. `nothing` is zero: see the part `compensated`.
//!use grid
//!use compensated

struct Params { rows: u32, pitch_quads: u32, nothing: u32, share: f32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> m: array<vec4f>;
@group(0) @binding(1) var<storage, read> include: array<f32>;
@group(0) @binding(2) var<storage, read_write> means: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let quad = item(id, groups, 64u);
    if quad >= p.pitch_quads { return; }
    var sums = Sums();
    for (var r = 0u; r < p.rows; r++) {
        if include[r] != 0.0 {
            sums = add(sums, m[r * p.pitch_quads + quad], p.nothing);
        }
    }
    means[quad] = (sums.high - sums.low) * p.share;
}
