// Denoised calcium and events of the pools that `oasis_pools` made, in pieces.
//
//   pools     [traces][pitch]        v, w, d and the bits of the first frame, in order of frames
//   model     [traces]               decay g, penalty, baseline, smallest event
//   progress  [traces]               frames taken (not read), pools
//   cursor    [traces]               quads written, pools begun, c at the last frame (bits), frames of the next quad
//   calcium   [traces][pitch_quads]  vec4 along frames; zero beyond the last
//   events    [traces][pitch_quads]  vec4 along frames: c_t - g c_(t-1) at the first frame of a pool, else zero
//
// One invocation a trace, which begins (`begin` is 1) or goes on where the launch before left off. c is v / w at a pool's first frame, zero where that is negative or below the smallest event,
// and decays from there. The inner loop makes frames until every invocation wants memory: a whole quad, or a pool.
//!use grid

struct Params { items: u32, frames: u32, pitch_quads: u32, rounds: u32, begin: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> pools: array<vec4f>;
@group(0) @binding(1) var<storage, read> model: array<vec4f>;
@group(0) @binding(2) var<storage, read> progress: array<vec2u>;
@group(0) @binding(3) var<storage, read_write> cursor: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> calcium: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> events: array<vec4f>;

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
    var next = vec4f();
    var ready = false;
    var lane = state.w;
    var made = vec4f();
    var jumps = vec4f();
    if lane > 0u {
        made = calcium[trace * p.pitch_quads + quad];
        jumps = events[trace * p.pitch_quads + quad];
    }
    for (var round = 0u; round < p.rounds; round++) {
        if quad >= p.pitch_quads { break; }
        if !ready && begun < count {
            next = pools[trace * p.pitch_quads * 4u + begun];
            ready = true;
        }
        loop {
            let frame = quad * 4u + lane;
            if lane == 4u || (!ready && begun < count) { break; }
            let starts = ready && frame == bitcast<u32>(next.w);
            let before = decay * c;
            c = before;
            var jump = 0.0;
            if starts {
                var first = 0.0;
                if next.y > 0.0 { first = max(next.x / next.y, 0.0); }
                if frame > 0u && first < smallest { first = 0.0; }
                if frame > 0u { jump = max(first - before, 0.0); }
                c = first;
                ready = false;
                begun++;
            }
            if frame >= p.frames { c = 0.0; }
            made = vec4f(made.yzw, c);
            jumps = vec4f(jumps.yzw, jump);
            lane++;
        }
        if lane == 4u {
            calcium[trace * p.pitch_quads + quad] = made;
            events[trace * p.pitch_quads + quad] = jumps;
            quad++;
            lane = 0u;
        }
    }
    if lane > 0u {
        // Part of a quad waits where the whole one will be.
        calcium[trace * p.pitch_quads + quad] = made;
        events[trace * p.pitch_quads + quad] = jumps;
    }
    cursor[trace] = vec4u(quad, begun, bitcast<u32>(c), lane);
}
