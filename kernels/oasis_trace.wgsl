// Denoised calcium of the pools that `oasis_pools` made, in pieces.
//
//   pools     [traces][pitch]        v, w, d and the bits of the first frame, in order of frames
//   model     [traces]               decay g, penalty, baseline, smallest event
//   progress  [traces]               frames taken (not read), pools
//   cursor    [traces]               quads written, pools begun, c at the last frame (bits), frames of the
//                                    next quads
//   calcium   [traces][pitch_quads]  vec4 along frames: c, as -c at the first frame of a pool; zero beyond
//                                    the last
//
// One invocation a trace, which begins (`begin` is 1) or goes on where the launch before left off. c is v / w
// at a pool's first frame, zero where that is negative or below the smallest event, and decays from there. It
// is never negative, so that its sign can say where pools begin: half of what would be written and read back
// otherwise. The inner loop makes frames until every invocation of the subgroup wants memory: eight frames
// are made, or a pool is needed.
//!use grid

struct Params { items: u32, frames: u32, pitch_quads: u32, rounds: u32, begin: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> pools: array<vec4f>;
@group(0) @binding(1) var<storage, read> model: array<vec4f>;
@group(0) @binding(2) var<storage, read> progress: array<vec2u>;
@group(0) @binding(3) var<storage, read_write> cursor: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> calcium: array<vec4f>;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let trace = item(id, groups, 8u);
    if trace >= p.items { return; }
    let decay = model[trace].x;
    let smallest = model[trace].w;
    let count = progress[trace].y;
    var state = vec4u();
    if p.begin == 0u { state = cursor[trace]; }
    var quad = state.x;
    var begun = state.y;
    var c = bitcast<f32>(state.z);
    var lane = state.w;
    var early = vec4f();
    var late = vec4f();
    let row = trace * p.pitch_quads;
    if lane > 0u {
        early = calcium[row + quad];
        if quad + 1u < p.pitch_quads { late = calcium[row + quad + 1u]; }
    }
    var next = vec4f();
    var ready = false;
    for (var round = 0u; round < p.rounds; round++) {
        if quad >= p.pitch_quads { break; }
        if !ready && begun < count {
            next = pools[row * 4u + begun];
            ready = true;
        }
        loop {
            let frame = quad * 4u + lane;
            if lane == 8u || (!ready && begun < count) { break; }
            c *= decay;
            var shown = c;
            if ready && frame == bitcast<u32>(next.w) {
                c = 0.0;
                if next.y > 0.0 { c = max(next.x / next.y, 0.0); }
                if frame > 0u && c < smallest { c = 0.0; }
                shown = -c;
                ready = false;
                begun++;
            }
            if frame >= p.frames { shown = 0.0; }
            early = vec4f(early.yzw, late.x);
            late = vec4f(late.yzw, shown);
            lane++;
        }
        if lane == 8u {
            calcium[row + quad] = early;
            if quad + 1u < p.pitch_quads { calcium[row + quad + 1u] = late; }
            quad += 2u;
            lane = 0u;
        }
    }
    if lane > 0u {
        calcium[row + quad] = early;
        if quad + 1u < p.pitch_quads { calcium[row + quad + 1u] = late; }
    }
    cursor[trace] = vec4u(quad, begun, bitcast<u32>(c), lane);
}
