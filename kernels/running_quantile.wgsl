// y[row, t] = value number n permille / 1000 (rounded down, at most n - 1) of the n sorted values of
// x[row, t - half ..= t + half] that are not missing, for t = start .. start + wide; where nothing was rounded,
// the mean of that value and the one before it; NaN where there is none
//
//   levels  [33][rows][words + 1]       (bits, lefts before the word) of x from frame `first` on; key_bits
//                                       says more
//   y       [rows][pitch]               bits of values; zero beyond the last frame
//
// Windows end at the first and the last frame. One invocation a value. On every level, what the window holds
// lies together; counts on both ends say how many of it go left, and so where the value sought is. All is whole
// numbers, and exact, but for the mean of two values.
//!use grid
//!use keys

struct Params {
    items: u32, rows: u32, words: u32, first: u32, frames: u32, start: u32, wide: u32, pitch: u32, y_first: u32, half: u32,
    permille: u32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> levels: array<vec2u>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;

// How many of the first `count` values of a row go left.
fn lefts(row_first: u32, count: u32) -> u32 {
    let word = levels[row_first + count / 32u];
    let before = (1u << (count % 32u)) - 1u;
    return word.y + countOneBits(~word.x & before);
}

fn is_finite(bits: u32) -> bool {
    return (bits & 0x7f800000u) != 0x7f800000u;
}

// The key of value number `sought` of what lies from `first` to `end` on the first level after sorting.
fn key_at(row_first: u32, first: u32, end: u32, sought: u32) -> u32 {
    let pitch = p.words + 1u;
    var level = row_first;
    var low = first;
    var high = end;
    var rank = sought;
    var key = 0u;
    for (var i = 0u; i < 32u; i++) {
        level += p.rows * pitch;
        let low_lefts = lefts(level, low);
        let high_lefts = lefts(level, high);
        let rights = levels[level + p.words].y;
        let count = high_lefts - low_lefts;
        let right = rank >= count;
        rank -= select(0u, count, right);
        low = select(low_lefts, rights + low - low_lefts, right);
        high = select(high_lefts, rights + high - high_lefts, right);
        key |= select(0u, 1u, right) << (31u - i);
    }
    return key;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = item(id, groups, 64u);
    if at >= p.items { return; }
    let row = at / p.wide;
    let frame = p.start + at - row * p.wide;
    if frame >= p.frames {
        y[p.y_first + row * p.pitch + frame] = 0u;
        return;
    }
    let from_frame = frame - min(frame, p.half);
    let to_frame = min(frame + p.half + 1u, p.frames);
    let row_first = row * (p.words + 1u);
    let low = lefts(row_first, from_frame - p.first);
    let high = lefts(row_first, to_frame - p.first);
    let present = high - low;
    let share = present * p.permille;
    let rank = min(share / 1000u, max(present, 1u) - 1u);
    let key = key_at(row_first, low, high, rank);
    var value = bits_of(select(key, NAN_KEY, present == 0u));
    if share % 1000u == 0u && rank > 0u && share / 1000u == rank {
        let before = bits_of(key_at(row_first, low, high, rank - 1u));
        // Infinities have no mean.
        if before != value && is_finite(before) && is_finite(value) {
            value = bitcast<u32>(0.5 * bitcast<f32>(before) + 0.5 * bitcast<f32>(value));
        }
    }
    y[p.y_first + row * p.pitch + frame] = value;
}
