// levels[level, row, w].lefts = how many values of the words before w go left on this level
//
//   levels  [33][rows][words + 1]       (bits, lefts before the word); the word after the last says how many
//                                       go left at all
//
// One invocation a row, words in order.
//!use grid

struct Params { rows: u32, words: u32, level: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read_write> levels: array<vec2u>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let row = item(id, groups, 64u);
    if row >= p.rows { return; }
    let first = (p.level * p.rows + row) * (p.words + 1u);
    var lefts = 0u;
    for (var w = 0u; w < p.words; w++) {
        let bits = levels[first + w].x;
        levels[first + w].y = lefts;
        lefts += 32u - countOneBits(bits);
    }
    levels[first + p.words] = vec2u(0u, lefts);
}
