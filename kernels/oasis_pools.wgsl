// Non-negative deconvolution of an AR(1) trace by pools (OASIS, Friedrich, Zhou & Paninski 2017), in pieces.
//
//   y         [traces][pitch_quads]  vec4 along frames; NaN where a frame is missing
//   model     [traces]               decay g, penalty, baseline, smallest event
//   list      [items]                which traces
//   progress  [traces]               frames taken, and one more when all is done; pools that lie in `pools`
//   pools     [traces][pitch]        v, w, d and the bits of the first frame: c = v / w at the first frame,
//                                    d = g^frames
//
// One invocation a trace, which begins (`begin` is 1) or goes on where the launch before left off. What lies
// on top of the stack is held in registers: `top`, and up to three pools below it. The inner loop takes
// frames and merges pools without touching memory, until every invocation of the subgroup needs it; a round
// then reads eight frames, and writes or reads a pool. Comparisons are products, so that nothing is divided.
// A missing frame counts for the length alone.
//!use grid
//!use nan

struct Params { items: u32, frames: u32, pitch_quads: u32, rounds: u32, begin: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> y: array<vec4f>;
@group(0) @binding(1) var<storage, read> model: array<vec4f>;
@group(0) @binding(2) var<storage, read> list: array<u32>;
@group(0) @binding(3) var<storage, read_write> progress: array<vec2u>;
@group(0) @binding(4) var<storage, read_write> pools: array<vec4f>;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 8u);
    if index >= p.items { return; }
    let trace = list[index];
    let base = trace * p.pitch_quads * 4u;
    let decay = model[trace].x;
    let penalty = model[trace].y;
    let baseline = model[trace].z + penalty * (1.0 - decay);
    let smallest = model[trace].w;
    var taken = 0u;
    var stored = 0u;
    if p.begin == 0u {
        taken = progress[trace].x;
        stored = progress[trace].y;
    }
    if taken > p.frames { return; }
    var held = 0u;
    var top = vec4f(0.0, 0.0, 1.0, 0.0);
    if stored > 0u {
        stored--;
        top = pools[base + stored];
    }
    var one = vec4f();
    var two = vec4f();
    var three = vec4f();
    for (var round = 0u; round < p.rounds; round++) {
        let fill = held == 0u && stored > 0u;
        let spill = held == 3u;
        if spill {
            pools[base + stored] = three;
            stored++;
            held = 2u;
        }
        if fill {
            stored--;
            one = pools[base + stored];
            held = 1u;
        }
        let at = trace * p.pitch_quads + min(taken / 4u, p.pitch_quads - 1u);
        var next = y[at] - baseline;
        var after = y[min(at + 1u, (trace + 1u) * p.pitch_quads - 1u)] - baseline;
        let skip = taken % 4u;
        if (skip & 1u) != 0u {
            next = vec4f(next.yzw, after.x);
            after = after.yzww;
        }
        if (skip & 2u) != 0u {
            next = vec4f(next.zw, after.xy);
            after = after.zwww;
        }
        var left = min(8u - skip, p.frames - taken);
        var waits = false;
        // At most eight frames, the pools they make and the three below: twenty times.
        loop {
            let merge = held > 0u && (one.x * one.z + smallest * one.y) * top.y > top.x * one.y;
            if merge {
                top = vec4f(one.x + one.z * top.x, one.y + one.z * one.z * top.y, one.z * top.z, one.w);
                one = two;
                two = three;
                held--;
            }
            let again = held > 0u && (one.x * one.z + smallest * one.y) * top.y > top.x * one.y;
            let blind = held == 0u && stored > 0u;
            let take = !again && !blind && left > 0u;
            let last = taken + 1u == p.frames;
            let value = next.x - select(0.0, penalty * decay, last);
            let missing = is_nan(next).x;
            let absorb = missing || (top.x * top.z + smallest * top.y > value * top.y) || taken == 0u;
            let push = take && !absorb && held < 3u;
            let grow = take && absorb;
            if grow {
                top = vec4f(
                    top.x + select(top.z * value, 0.0, missing),
                    top.y + select(top.z * top.z, 0.0, missing),
                    top.z * decay,
                    top.w
                );
            }
            if push {
                three = two;
                two = one;
                one = top;
                top = vec4f(value, 1.0, decay, bitcast<f32>(taken));
                held++;
            }
            if grow || push {
                taken++;
                left--;
                next = vec4f(next.yzw, after.x);
                after = after.yzww;
            }
            waits = !(again || grow || push);
            if waits { break; }
        }
        if taken == p.frames && waits && (held > 0u || stored == 0u) {
            taken++;
            break;
        }
    }
    if held > 2u { pools[base + stored] = three; stored++; }
    if held > 1u { pools[base + stored] = two; stored++; }
    if held > 0u { pools[base + stored] = one; stored++; }
    pools[base + stored] = top;
    progress[trace] = vec2u(taken, stored + 1u);
}
