// high + low += sum over panels of panels[panel]
//
//   panels  [panels][words]
//   high    [words]   the sum rounded to f32
//   low     [words]   what that rounding left over
//
// One invocation a word. Two-sum keeps the rounding error of every addition, so that the sum of many panels
// is as exact as the panels themselves. The pair is normalised after every panel, so that the bits do not
// depend on how many panels one launch adds.
//!use grid

// `nothing` is 0. Shader compilers may rewrite (a + b) - a as b, which is what two-sum lives on; they cannot
// where the bits pass through a value that they do not know.
struct Params { words: u32, panels: u32, stride: u32, nothing: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> panels: array<f32>;
@group(0) @binding(1) var<storage, read_write> high: array<f32>;
@group(0) @binding(2) var<storage, read_write> low: array<f32>;

fn opaque(value: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(value) ^ p.nothing);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let word = item(id, groups, 64u);
    if word >= p.words { return; }
    var sum = high[word];
    var rest = low[word];
    for (var panel = 0u; panel < p.panels; panel++) {
        let value = panels[panel * p.stride + word];
        let next = opaque(sum + value);
        let part = opaque(next - sum);
        rest += (sum - (next - part)) + (value - part);
        sum = opaque(next + rest);
        rest -= opaque(sum - next);
    }
    high[word] = sum;
    low[word] = rest;
}
