// A product by cooperative matrices of f16 with the accuracy of f32: each operand is x = high + low / 2^11, both f16,
// and c = high high + (high low + low high) / 2^11 in f32 (Ootomo & Yokota, arXiv 2203.03341). What is left out, low low
// and the last bits of low, is at most 3 / 2^22 of each term, 12 roundoffs of f32. Values of 65,504 and more overflow;
// of those below 2^-14 only low is kept, to 2^-26 at worst. The kernel declares SIZE, Left, Right and Sums.

// Lanes of a subgroup, which the adapter says: a workgroup is one subgroup.
override LANES: u32 = 32u;
const TILE_ROWS: u32 = 2u * SIZE;
const TILE_COLUMNS: u32 = 2u * SIZE;
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

// The nearest value of eleven bits. By its bits, because compilers may take f32(f16(x)) for x.
fn high(x: vec4f) -> vec4f {
    let bits = bitcast<vec4u>(x);
    let nearest = (bits + vec4u(0x1000u)) & vec4u(0xffffe000u);
    return bitcast<vec4f>(select(nearest, vec4u(), (bits & vec4u(0x7fffffffu)) < vec4u(0x38800000u)));
}

// Rows of both operands, SIZE values of k from quad k on.
fn split(group: vec3u, k: u32, lane: u32) {
    for (var i = lane; i < TILE_ROWS * SIZE / 4u; i += LANES) {
        let row = i / (SIZE / 4u);
        let quad = i % (SIZE / 4u);
        var x = vec4f();
        var y = vec4f();
        if k + quad < p.depth_quads {
            x = a[a_start(group.y * TILE_ROWS + row, group.z) + k + quad];
            y = b[b_start(group.x * TILE_COLUMNS + row, group.z) + k + quad];
        }
        let a_most = high(x);
        let b_most = high(y);
        let a_rest = vec4<f16>((x - a_most) * SCALE);
        let b_rest = vec4<f16>((y - b_most) * SCALE);
        let at = row * SIZE + 4u * quad;
        for (var j = 0u; j < 4u; j++) {
            a_high[at + j] = f16(a_most[j]);
            a_low[at + j] = a_rest[j];
            b_high[at + j] = f16(b_most[j]);
            b_low[at + j] = b_rest[j];
        }
    }
}

// Stores a square of sums, which lie in workgroup memory; with `skip` none.
fn put(row: u32, column: u32, batch: u32, lane: u32, skip: bool) {
    for (var i = lane; i < SIZE * SIZE; i += LANES) {
        let m = row + i / SIZE;
        let n = column + i % SIZE;
        if m < p.rows && n < (p.columns + 3u) / 4u * 4u && !skip {
            let sum = select(0.0, p.alpha * (most[i] + rest[i] / SCALE), n < p.columns);
            c[4u * (batch * p.c_batch_quads + m * p.c_pitch_quads) + n] = sum;
        }
    }
}

fn multiply(group: vec3u, lane: u32) {
    let row = group.y * TILE_ROWS;
    let column = group.x * TILE_COLUMNS;
    let skip = UPPER && column + TILE_COLUMNS <= row;
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
    put(row, column, group.z, lane, skip);
    workgroupBarrier();
    coopStoreT(s01, &most[0], SIZE);
    coopStoreT(t01, &rest[0], SIZE);
    workgroupBarrier();
    put(row, column + SIZE, group.z, lane, skip);
    workgroupBarrier();
    coopStoreT(s10, &most[0], SIZE);
    coopStoreT(t10, &rest[0], SIZE);
    workgroupBarrier();
    put(row + SIZE, column, group.z, lane, skip);
    workgroupBarrier();
    coopStoreT(s11, &most[0], SIZE);
    coopStoreT(t11, &rest[0], SIZE);
    workgroupBarrier();
    put(row + SIZE, column + SIZE, group.z, lane, skip);
}
