// What the choice of a penalty asks of a solution: how far it is from the trace, and how it moves with the
// penalty.
//
//   y         [traces][pitch_quads]  vec4 along frames; NaN where a frame is missing, which no sum counts
//   model     [traces]               decay g, penalty, baseline, smallest event
//   list      [items]                which traces
//   progress  [traces]               frames taken (not read), pools
//   pools     [traces][pitch]        v, w, d and the bits of the first frame, in order of frames
//   cursor    [traces]               frames seen, pools begun, c and q at the last frame (bits)
//   sums      [traces][4]            sums and what rounding took from them: high, low of (r r, q q, r q, r),
//                                    of (q, c, 1, 0)
//
// r = y - baseline - c, and q = -dc / dpenalty with the pools as they are: (1 - d) / w g^k at the k-th frame
// of a pool, in the last pool 1 / w g^k; zero where c is held at zero. One invocation a trace, which begins
// (`begin` is 1) or goes on where the launch before left off; compensated. `nothing` is zero: see the part
// `compensated`.
//!use grid
//!use nan
//!use compensated

struct Params { items: u32, frames: u32, pitch_quads: u32, rounds: u32, begin: u32, nothing: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> y: array<vec4f>;
@group(0) @binding(1) var<storage, read> model: array<vec4f>;
@group(0) @binding(2) var<storage, read> list: array<u32>;
@group(0) @binding(3) var<storage, read> progress: array<vec2u>;
@group(0) @binding(4) var<storage, read> pools: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> cursor: array<vec4u>;
@group(0) @binding(6) var<storage, read_write> sums: array<vec4f>;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 8u);
    if index >= p.items { return; }
    let trace = list[index];
    let decay = model[trace].x;
    let baseline = model[trace].z;
    let smallest = model[trace].w;
    let count = progress[trace].y;
    var state = vec4u();
    var residuals = Sums();
    var totals = Sums();
    if p.begin == 0u {
        state = cursor[trace];
        residuals = Sums(sums[4u * trace], sums[4u * trace + 1u]);
        totals = Sums(sums[4u * trace + 2u], sums[4u * trace + 3u]);
    }
    var frame = state.x;
    var begun = state.y;
    var c = bitcast<f32>(state.z);
    var q = bitcast<f32>(state.w);
    var next = vec4f();
    var ready = false;
    for (var round = 0u; round < p.rounds; round++) {
        if frame >= p.frames { break; }
        if !ready && begun < count {
            next = pools[trace * p.pitch_quads * 4u + begun];
            ready = true;
        }
        let quad = y[trace * p.pitch_quads + frame / 4u] - baseline;
        let skip = frame % 4u;
        var four = quad;
        if skip == 1u { four = quad.yzww; }
        if skip == 2u { four = quad.zwww; }
        if skip == 3u { four = quad.wwww; }
        var left = min(4u - skip, p.frames - frame);
        var some = vec4f();
        var more = vec4f();
        loop {
            if left == 0u || (!ready && begun < count) { break; }
            c *= decay;
            q *= decay;
            if ready && frame == bitcast<u32>(next.w) {
                begun++;
                ready = false;
                c = 0.0;
                q = 0.0;
                if next.x > 0.0 && !(frame > 0u && next.x < smallest * next.y) {
                    c = next.x / next.y;
                    q = select(1.0 - next.z, 1.0, begun == count) / next.y;
                }
            }
            if !is_nan(four).x {
                let r = four.x - c;
                some += vec4f(r * r, q * q, r * q, r);
                more += vec4f(q, c, 1.0, 0.0);
            }
            four = four.yzww;
            frame++;
            left--;
        }
        residuals = add(residuals, some, p.nothing);
        totals = add(totals, more, p.nothing);
    }
    sums[4u * trace] = residuals.high;
    sums[4u * trace + 1u] = residuals.low;
    sums[4u * trace + 2u] = totals.high;
    sums[4u * trace + 3u] = totals.low;
    cursor[trace] = vec4u(frame, begun, bitcast<u32>(c), bitcast<u32>(q));
}
