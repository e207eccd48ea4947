// A product by cooperative matrices of f16 with the accuracy of f32, for whatever f32 holds. Each operand is
// x = high + low / 2^11, both f16, and c = high high + (high low + low high) / 2^11 in f32 (Ootomo & Yokota,
// arXiv 2203.03341).
//
// Each row of the tile is first multiplied by a power of two that brings its largest element to [2^14, 2^15):
// neither high (at most 2^15) nor low (at most 2^14) overflows then, nor a sum of 131,072 products (below
// 2^47). When the sums are stored, both rows' powers are taken back. Error of a term, where no element of its
// rows but zero is below 2^-12: high is rounded to eleven bits, which leaves 2^-11 x at most; low is rounded
// to eleven bits, an error of 2^-23 x at most, or, below 2^-14, to a multiple of 2^-24, of less than 2^-24 /
// 2^11 <= 2^-23 x, whichever way the device rounds. With low low, which is left out, that is 2^-22 + 2 / 2^23
// = 2^-21 of the term at most: 8 roundoffs of f32. Sums add theirs as in f32, on devices that round them;
// those that truncate add more, and none has been measured.
//
// A tile with a row that spans more (26 powers of two), or has infinities or NaN, is summed in f32, lane by
// lane: there no power serves a row and all of its terms, since the largest element may meet a zero. Tiles of
// 16 x 16 sums over 4,096 Gaussian numbers do so once in 300. The kernel declares SIZE, Left, Right and Sums.

// Lanes of a subgroup, which the adapter says: a workgroup is one subgroup.
override LANES: u32 = 32u;
const TILE_ROWS: u32 = 2u * SIZE;
const TILE_COLUMNS: u32 = 2u * SIZE;
const ROWS: u32 = TILE_ROWS + TILE_COLUMNS;
alias Quad = vec4f;
alias Stored = f32;
const SCALE: f32 = 2048.0;

// [row][k] of both operands, and a square of sums.
var<workgroup> a_high: array<f16, 2u * SIZE * SIZE>;
var<workgroup> a_low: array<f16, 2u * SIZE * SIZE>;
var<workgroup> b_high: array<f16, 2u * SIZE * SIZE>;
var<workgroup> b_low: array<f16, 2u * SIZE * SIZE>;
var<workgroup> most: array<f32, SIZE * SIZE>;
var<workgroup> rest: array<f32, SIZE * SIZE>;
// Of each row, those of b after those of a: the bits of the largest element, those of the smallest but zero
// less one, and the exponent of its power of two; then whether some row spans too much.
var<workgroup> largest: array<atomic<u32>, ROWS>;
var<workgroup> least: array<atomic<u32>, ROWS>;
var<workgroup> powers: array<i32, ROWS>;
var<workgroup> spans: u32;

// The nearest value of eleven bits. By its bits, because compilers may take f32(f16(x)) for x.
fn nearest(x: vec4f) -> vec4f {
    return bitcast<vec4f>((bitcast<vec4u>(x) + vec4u(0x1000u)) & vec4u(0xffffe000u));
}

fn power(exponent: i32) -> f32 {
    return bitcast<f32>(u32(exponent + 127) << 23u);
}

// Where a row of the tile starts: one of a, or of b.
fn row_start(group: vec3u, row: u32) -> u32 {
    if row < TILE_ROWS { return a_start(group.y * TILE_ROWS + row, group.z); }
    return b_start(group.x * TILE_COLUMNS + row - TILE_ROWS, group.z);
}

// Chooses the powers of all rows, and says whether some row spans too much. By bits, whose order is that of
// magnitudes with NaN above infinity.
fn measure(group: vec3u, depth: u32, lane: u32) -> bool {
    for (var row = lane; row < ROWS; row += LANES) {
        atomicStore(&largest[row], 0u);
        atomicStore(&least[row], 0xffffffffu);
    }
    workgroupBarrier();
    for (var row = 0u; row < ROWS; row++) {
        let start = row_start(group, row);
        var high = vec4u();
        var low = vec4u(0xffffffffu);
        for (var k = lane; k < depth; k += LANES) {
            var x: vec4f;
            if row < TILE_ROWS { x = a[start + k]; } else { x = b[start + k]; }
            let bits = bitcast<vec4u>(x) & vec4u(0x7fffffffu);
            high = max(high, bits);
            // Zero becomes the largest of all.
            low = min(low, bits - vec4u(1u));
        }
        atomicMax(&largest[row], max(max(high.x, high.y), max(high.z, high.w)));
        atomicMin(&least[row], min(min(low.x, low.y), min(low.z, low.w)));
    }
    workgroupBarrier();
    var some = 0u;
    for (var row = 0u; row < ROWS; row++) {
        let exponent = i32(atomicLoad(&largest[row]) >> 23u);
        // No larger, so that half of what takes two of them back is a power of f32 as well.
        let chosen = min(14 + 127 - exponent, 126);
        let wide = i32(atomicLoad(&least[row]) >> 23u) < max(127 - 12 - chosen, 1);
        some |= select(0u, 1u, wide || exponent == 255);
        if lane == 0u { powers[row] = chosen; }
    }
    if lane == 0u { spans = some; }
    return workgroupUniformLoad(&spans) != 0u;
}

// Rows of both operands, SIZE values of k from quad k on.
fn split(group: vec3u, k: u32, lane: u32) {
    for (var i = lane; i < TILE_ROWS * SIZE / 4u; i += LANES) {
        let row = i / (SIZE / 4u);
        let quad = i % (SIZE / 4u);
        var x = vec4f();
        var y = vec4f();
        if k + quad < p.depth_quads {
            x = power(powers[row]) * a[row_start(group, row) + k + quad];
            y = power(powers[TILE_ROWS + row]) * b[row_start(group, TILE_ROWS + row) + k + quad];
        }
        let a_most = nearest(x);
        let b_most = nearest(y);
        let a_rest = vec4<f16>(nearest((x - a_most) * SCALE));
        let b_rest = vec4<f16>(nearest((y - b_most) * SCALE));
        let at = row * SIZE + 4u * quad;
        for (var j = 0u; j < 4u; j++) {
            a_high[at + j] = f16(a_most[j]);
            a_low[at + j] = a_rest[j];
            b_high[at + j] = f16(b_most[j]);
            b_low[at + j] = b_rest[j];
        }
    }
}

// Stores the product of a sum, in whole quads of columns: zeros beyond the last.
fn store(m: u32, n: u32, batch: u32, sum: f32) {
    if m < p.rows && n < (p.columns + 3u) / 4u * 4u {
        let at = 4u * (batch * p.c_batch_quads + m * p.c_pitch_quads) + n;
        c[at] = select(0.0, p.alpha * sum, n < p.columns);
    }
}

// Stores the square of sums that lie in workgroup memory, `down` and `across` squares from the tile's first;
// with `skip` none.
fn put(group: vec3u, down: u32, across: u32, lane: u32, skip: bool) {
    for (var i = lane; i < SIZE * SIZE; i += LANES) {
        let row = down * SIZE + i / SIZE;
        let column = across * SIZE + i % SIZE;
        let m = group.y * TILE_ROWS + row;
        let n = group.x * TILE_COLUMNS + column;
        if !skip {
            // In two steps: the power of both rows together may be none of f32.
            let exponent = -(powers[row] + powers[TILE_ROWS + column]);
            let half = exponent / 2;
            let sum = (most[i] + rest[i] / SCALE) * power(half) * power(exponent - half);
            store(m, n, group.z, sum);
        }
    }
}

// The tile's sums in f32.
fn put_plain(group: vec3u, lane: u32) {
    for (var i = lane; i < TILE_ROWS * TILE_COLUMNS; i += LANES) {
        let m = group.y * TILE_ROWS + i / TILE_COLUMNS;
        let n = group.x * TILE_COLUMNS + i % TILE_COLUMNS;
        var sums = vec4f();
        for (var k = 0u; k < p.depth_quads; k++) {
            sums += a[a_start(m, group.z) + k] * b[b_start(n, group.z) + k];
        }
        store(m, n, group.z, (sums.x + sums.y) + (sums.z + sums.w));
    }
}

fn multiply(group: vec3u, lane: u32) {
    let leaves = UPPER && (group.x + 1u) * TILE_COLUMNS <= group.y * TILE_ROWS;
    let plain = measure(group, select(p.depth_quads, 0u, leaves), lane);
    let skip = leaves || plain;
    var s00: Sums;
    var s01: Sums;
    var s10: Sums;
    var s11: Sums;
    var t00: Sums;
    var t01: Sums;
    var t10: Sums;
    var t11: Sums;
    let depth = select(p.depth_quads, 0u, skip);
    for (var k = 0u; k < depth; k += SIZE / 4u) {
        split(group, k, lane);
        workgroupBarrier();
        let a0 = coopLoadT<Left>(&a_high[0], SIZE);
        let a1 = coopLoadT<Left>(&a_high[SIZE * SIZE], SIZE);
        let a0_low = coopLoadT<Left>(&a_low[0], SIZE);
        let a1_low = coopLoadT<Left>(&a_low[SIZE * SIZE], SIZE);
        let b0 = coopLoad<Right>(&b_high[0], SIZE);
        let b1 = coopLoad<Right>(&b_high[SIZE * SIZE], SIZE);
        let b0_low = coopLoad<Right>(&b_low[0], SIZE);
        let b1_low = coopLoad<Right>(&b_low[SIZE * SIZE], SIZE);
        s00 = coopMultiplyAdd(a0, b0, s00);
        s01 = coopMultiplyAdd(a0, b1, s01);
        s10 = coopMultiplyAdd(a1, b0, s10);
        s11 = coopMultiplyAdd(a1, b1, s11);
        t00 = coopMultiplyAdd(a0, b0_low, coopMultiplyAdd(a0_low, b0, t00));
        t01 = coopMultiplyAdd(a0, b1_low, coopMultiplyAdd(a0_low, b1, t01));
        t10 = coopMultiplyAdd(a1, b0_low, coopMultiplyAdd(a1_low, b0, t10));
        t11 = coopMultiplyAdd(a1, b1_low, coopMultiplyAdd(a1_low, b1, t11));
        workgroupBarrier();
    }
    coopStoreT(s00, &most[0], SIZE);
    coopStoreT(t00, &rest[0], SIZE);
    workgroupBarrier();
    put(group, 0u, 0u, lane, skip);
    workgroupBarrier();
    coopStoreT(s01, &most[0], SIZE);
    coopStoreT(t01, &rest[0], SIZE);
    workgroupBarrier();
    put(group, 0u, 1u, lane, skip);
    workgroupBarrier();
    coopStoreT(s10, &most[0], SIZE);
    coopStoreT(t10, &rest[0], SIZE);
    workgroupBarrier();
    put(group, 1u, 0u, lane, skip);
    workgroupBarrier();
    coopStoreT(s11, &most[0], SIZE);
    coopStoreT(t11, &rest[0], SIZE);
    workgroupBarrier();
    put(group, 1u, 1u, lane, skip);
    if plain { put_plain(group, lane); }
}
