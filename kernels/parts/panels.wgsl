// A workgroup's tile: THREAD_ROWS x THREAD_COLUMNS threads make 8 x 8 sums each. Operands come by panels of
// eight depth values in workgroup memory, depth first: what a thread needs of a depth value is two quads of
// rows and two of columns, half a tile apart, so that neighbouring threads read neighbouring quads. Every
// tile walks the depth in the same order, one value after the other, so the tile changes no bit of a sum.

override THREAD_ROWS: u32 = 8u;
override THREAD_COLUMNS: u32 = 8u;
override TILE_ROWS: u32 = 8u * THREAD_ROWS;
override TILE_COLUMNS: u32 = 8u * THREAD_COLUMNS;
override THREADS: u32 = THREAD_ROWS * THREAD_COLUMNS;
// One quad of padding a depth value: the two depth quads of a row quad are then stored to different banks.
override ROW_PITCH: u32 = 2u * THREAD_ROWS + 1u;
override COLUMN_PITCH: u32 = 2u * THREAD_COLUMNS + 1u;
// Named, because naga cannot resolve a size that is an expression of overrides.
override ROW_QUADS: u32 = 8u * ROW_PITCH;
override COLUMN_QUADS: u32 = 8u * COLUMN_PITCH;
// Quads of the depth in a panel.
const PANEL: u32 = 2u;
// How operands are bound.
alias Quad = vec4f;
alias Sums = array<vec4f, 16>;

var<workgroup> row_panel: array<vec4f, ROW_QUADS>;
var<workgroup> column_panel: array<vec4f, COLUMN_QUADS>;

// Where a thread's sums stand in the tile: rows 4 down .. 4 down + 3 and as many half a tile below; columns
// likewise. Thirty-two threads, which most GPUs run together, are four by eight: they share more of what they
// read than in a line.
struct Place { down: u32, across: u32 }

fn place_of(thread: u32) -> Place {
    let warp = thread / 32u;
    let wide = THREAD_COLUMNS / 8u;
    return Place(warp / wide * 4u + thread / 8u % 4u, warp % wide * 8u + thread % 8u);
}

// Four rows of one operand, a quad of the depth each. The first threads load the rows' blocks, the last ones
// the columns', one block each at most: a tile has half as many row quads as the workgroup has threads, or
// fewer.
struct Block { q0: vec4f, q1: vec4f, q2: vec4f, q3: vec4f }

fn loads_rows(thread: u32) -> bool {
    return thread < 4u * THREAD_ROWS;
}

fn loads_columns(thread: u32) -> bool {
    return thread + 4u * THREAD_COLUMNS >= THREADS;
}

// The number of a thread's block of columns; its block of rows has the thread's own.
fn column_block(thread: u32) -> u32 {
    return thread + 4u * THREAD_COLUMNS - THREADS;
}

// Block number n is depth quad n % 2 of rows 4 (n / 2) .. 4 (n / 2) + 3.
fn store_rows(number: u32, block: Block) {
    let at = number % PANEL * 4u * ROW_PITCH + number / PANEL;
    row_panel[at] = vec4f(block.q0.x, block.q1.x, block.q2.x, block.q3.x);
    row_panel[at + ROW_PITCH] = vec4f(block.q0.y, block.q1.y, block.q2.y, block.q3.y);
    row_panel[at + 2u * ROW_PITCH] = vec4f(block.q0.z, block.q1.z, block.q2.z, block.q3.z);
    row_panel[at + 3u * ROW_PITCH] = vec4f(block.q0.w, block.q1.w, block.q2.w, block.q3.w);
}

fn store_columns(number: u32, block: Block) {
    let at = number % PANEL * 4u * COLUMN_PITCH + number / PANEL;
    column_panel[at] = vec4f(block.q0.x, block.q1.x, block.q2.x, block.q3.x);
    column_panel[at + COLUMN_PITCH] = vec4f(block.q0.y, block.q1.y, block.q2.y, block.q3.y);
    column_panel[at + 2u * COLUMN_PITCH] = vec4f(block.q0.z, block.q1.z, block.q2.z, block.q3.z);
    column_panel[at + 3u * COLUMN_PITCH] = vec4f(block.q0.w, block.q1.w, block.q2.w, block.q3.w);
}

// Adds the products of eight values and eight others: sums[2 i] and sums[2 i + 1] belong to the i-th of the
// first.
fn outer(sums: ptr<function, Sums>, lo: vec4f, hi: vec4f, left: vec4f, right: vec4f) {
    (*sums)[0] = fma(vec4f(lo.x), left, (*sums)[0]);
    (*sums)[1] = fma(vec4f(lo.x), right, (*sums)[1]);
    (*sums)[2] = fma(vec4f(lo.y), left, (*sums)[2]);
    (*sums)[3] = fma(vec4f(lo.y), right, (*sums)[3]);
    (*sums)[4] = fma(vec4f(lo.z), left, (*sums)[4]);
    (*sums)[5] = fma(vec4f(lo.z), right, (*sums)[5]);
    (*sums)[6] = fma(vec4f(lo.w), left, (*sums)[6]);
    (*sums)[7] = fma(vec4f(lo.w), right, (*sums)[7]);
    (*sums)[8] = fma(vec4f(hi.x), left, (*sums)[8]);
    (*sums)[9] = fma(vec4f(hi.x), right, (*sums)[9]);
    (*sums)[10] = fma(vec4f(hi.y), left, (*sums)[10]);
    (*sums)[11] = fma(vec4f(hi.y), right, (*sums)[11]);
    (*sums)[12] = fma(vec4f(hi.z), left, (*sums)[12]);
    (*sums)[13] = fma(vec4f(hi.z), right, (*sums)[13]);
    (*sums)[14] = fma(vec4f(hi.w), left, (*sums)[14]);
    (*sums)[15] = fma(vec4f(hi.w), right, (*sums)[15]);
}

// One depth value of the panel, for sums whose vectors lie along the columns.
fn add_depth(sums: ptr<function, Sums>, k: u32, place: Place) {
    let r = k * ROW_PITCH + place.down;
    let c = k * COLUMN_PITCH + place.across;
    outer(sums, row_panel[r], row_panel[r + THREAD_ROWS], column_panel[c], column_panel[c + THREAD_COLUMNS]);
}

// The whole panel, written out: nothing unrolls a `for` of naga's.
fn add_panel(sums: ptr<function, Sums>, place: Place) {
    add_depth(sums, 0u, place);
    add_depth(sums, 1u, place);
    add_depth(sums, 2u, place);
    add_depth(sums, 3u, place);
    add_depth(sums, 4u, place);
    add_depth(sums, 5u, place);
    add_depth(sums, 6u, place);
    add_depth(sums, 7u, place);
}
