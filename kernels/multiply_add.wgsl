// y[i] = sum over j in 0..8 of v_j, where v_j starts as y[i] + j and becomes v_j factor + term, 8 rounds
// times
//
//   y  [items]    vec4
//
// Nothing but multiplications and additions in registers, eight independent chains of them an invocation: the
// most that the device does in a second, against which other kernels are measured.
//!use grid

struct Params { items: u32, rounds: u32, factor: f32, term: f32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;

fn step(v: vec4f) -> vec4f {
    return v * p.factor + p.term;
}

// Eight steps, so that the loop itself costs little.
fn steps(v: vec4f) -> vec4f {
    return step(step(step(step(step(step(step(step(v))))))));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 64u);
    if index >= p.items { return; }
    let start = y[index];
    var a = start;
    var b = start + 1.0;
    var c = start + 2.0;
    var d = start + 3.0;
    var e = start + 4.0;
    var f = start + 5.0;
    var g = start + 6.0;
    var h = start + 7.0;
    for (var round = 0u; round < p.rounds; round++) {
        a = steps(a);
        b = steps(b);
        c = steps(c);
        d = steps(d);
        e = steps(e);
        f = steps(f);
        g = steps(g);
        h = steps(h);
    }
    y[index] = ((a + b) + (c + d)) + ((e + f) + (g + h));
}
