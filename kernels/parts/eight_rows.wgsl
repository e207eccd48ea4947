// Rows for a subgroup of eight lanes: lane r holds row r's four depth values, and hands them to all lanes. A
// load on lavapipe is a loop over lanes whose cost is per component and the same from one shared address, so
// operands are bound as pairs of 64 bits (15 % faster than vec4f at 512), and the row operand is loaded once
// for eight rows.

// The four depth values of four columns, turned so that one multiplication serves four columns.
struct Four { x: vec4f, y: vec4f, z: vec4f, w: vec4f }

fn four(c0: vec4f, c1: vec4f, c2: vec4f, c3: vec4f) -> Four {
    return Four(
        vec4f(c0.x, c1.x, c2.x, c3.x), vec4f(c0.y, c1.y, c2.y, c3.y),
        vec4f(c0.z, c1.z, c2.z, c3.z), vec4f(c0.w, c1.w, c2.w, c3.w),
    );
}

// Adds one row's four depth values times the columns.
fn row_of_four(sums: ptr<function, Sums>, at: u32, a: vec4f, b: Four) {
    (*sums)[at] += a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

// Eight rows of four columns; a row has two vec4 of sums. Every index is a constant: an index that is not
// would move the sums to memory.
fn eight_rows(sums: ptr<function, Sums>, at: u32, a: vec4f, b: Four) {
    row_of_four(sums, at + 0u, subgroupBroadcast(a, 0u), b);
    row_of_four(sums, at + 2u, subgroupBroadcast(a, 1u), b);
    row_of_four(sums, at + 4u, subgroupBroadcast(a, 2u), b);
    row_of_four(sums, at + 6u, subgroupBroadcast(a, 3u), b);
    row_of_four(sums, at + 8u, subgroupBroadcast(a, 4u), b);
    row_of_four(sums, at + 10u, subgroupBroadcast(a, 5u), b);
    row_of_four(sums, at + 12u, subgroupBroadcast(a, 6u), b);
    row_of_four(sums, at + 14u, subgroupBroadcast(a, 7u), b);
}

// Sixteen rows of four columns.
fn sixteen_rows(sums: ptr<function, Sums>, at: u32, a0: vec4f, a1: vec4f, b: Four) {
    eight_rows(sums, at, a0, b);
    eight_rows(sums, at + 16u, a1, b);
}

// Thirty-two rows of four columns: `half` is 0 for a row's first vec4 of sums, 1 for its second. All rows
// take four columns before any takes the next four, which keeps these in registers (9 % faster at 512 than
// row by row).
fn rows_of_four(sums: ptr<function, Sums>, half: u32, a0: vec4f, a1: vec4f, a2: vec4f, a3: vec4f, b: Four) {
    sixteen_rows(sums, half, a0, a1, b);
    sixteen_rows(sums, half + 32u, a2, a3, b);
}
