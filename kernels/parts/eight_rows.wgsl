// Eight rows for a subgroup of eight lanes: lane r holds row r's four depth values in a, and hands them to all lanes.
// A load on lavapipe costs as much from one shared address as from eight, so the row operand is loaded once.
fn eight_rows(sums: ptr<function, Sums>, at: u32, a: vec4f, b: Columns) {
    one_row(sums, at + 0u, subgroupBroadcast(a, 0u), b);
    one_row(sums, at + 2u, subgroupBroadcast(a, 1u), b);
    one_row(sums, at + 4u, subgroupBroadcast(a, 2u), b);
    one_row(sums, at + 6u, subgroupBroadcast(a, 3u), b);
    one_row(sums, at + 8u, subgroupBroadcast(a, 4u), b);
    one_row(sums, at + 10u, subgroupBroadcast(a, 5u), b);
    one_row(sums, at + 12u, subgroupBroadcast(a, 6u), b);
    one_row(sums, at + 14u, subgroupBroadcast(a, 7u), b);
}
