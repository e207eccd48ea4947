// levels[level, row, w].bits = 32 bits: whether values 32 w .. 32 w + 31 of the row go right on this level
//
//   x       [rows][x_quads]             vec4u along columns: bits of values (VALUES), or keys
//   levels  [33][rows][words + 1]       (bits, lefts before the word): bits of this level are written
//
// Level 0 sends missing values to the right, level 1 those whose key has the highest bit, and so on to
// level 32. What lies beyond the last column counts as missing. One invocation a word.
//!use grid
//!use keys

override VALUES: bool = false;

struct Params { items: u32, words: u32, columns: u32, x_quads: u32, x_first: u32, level: u32, rows: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> levels: array<vec2u>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.items { return; }
    let row = at / p.words;
    let word = at - row * p.words;
    var bits = 0u;
    for (var i = 0u; i < 8u; i++) {
        let column = 32u * word + 4u * i;
        // A quad begins in the row wherever one of its columns is there.
        var keys = vec4u(NAN_KEY);
        if column < p.columns {
            keys = x[row * p.x_quads + p.x_first + 8u * word + i];
            if VALUES {
                keys = vec4u(key_of(keys.x), key_of(keys.y), key_of(keys.z), key_of(keys.w));
            }
        }
        let inside = column + vec4u(0u, 1u, 2u, 3u) < vec4u(p.columns);
        keys = select(vec4u(NAN_KEY), keys, inside);
        let ones = vec4<bool>(
            is_one(keys.x, p.level), is_one(keys.y, p.level), is_one(keys.z, p.level), is_one(keys.w, p.level));
        let four = select(vec4u(), vec4u(1u, 2u, 4u, 8u), ones);
        bits |= (four.x | four.y | four.z | four.w) << (4u * i);
    }
    levels[(p.level * p.rows + row) * (p.words + 1u) + word].x = bits;
}
