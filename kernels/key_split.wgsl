// y[row] = the keys of x[row] that go left on a level, in their order, then those that go right, in theirs
//
//   x       [rows][x_quads]             vec4u along columns: bits of values (VALUES), or keys
//   levels  [33][rows][words + 1]       (bits, lefts before the word)
//   y       [rows][32 words]            keys; what lay beyond the last column is NAN_KEY
//
// One invocation a word of 32.
//!use grid
//!use keys

override VALUES: bool = false;

struct Params { items: u32, words: u32, columns: u32, x_quads: u32, x_first: u32, level: u32, rows: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<vec4u>;
@group(0) @binding(1) var<storage, read> levels: array<vec2u>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.items { return; }
    let row = at / p.words;
    let word = at - row * p.words;
    let first = (p.level * p.rows + row) * (p.words + 1u);
    let here = levels[first + word];
    var left = 32u * p.words * row + here.y;
    var right = 32u * p.words * row + levels[first + p.words].y + 32u * word - here.y;
    for (var i = 0u; i < 8u; i++) {
        let column = 32u * word + 4u * i;
        var keys = vec4u(NAN_KEY);
        if column < p.columns { keys = x[row * p.x_quads + p.x_first + 8u * word + i]; }
        for (var j = 0u; j < 4u; j++) {
            var key = keys[j];
            if VALUES { key = key_of(key); }
            if column + j >= p.columns { key = NAN_KEY; }
            let one = here.x >> (4u * i + j) & 1u;
            y[select(left, right, one == 1u)] = key;
            left += 1u - one;
            right += one;
        }
    }
}
