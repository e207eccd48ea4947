// product[m, n] = (3 m + 1) (n n + 1): lane m makes a row of what lane n has, and stores it as pairs of 64
// bits.
@group(0) @binding(0) var<storage, read_write> product: array<u64>;

fn pair(x: f32, y: f32) -> u64 {
    return u64(bitcast<u32>(x)) | (u64(bitcast<u32>(y)) << 32u);
}

@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) lane: u32) {
    let x = f32(lane * lane + 1u);
    let y = f32(3u * lane + 1u);
    product[4u * lane] = pair(y * subgroupBroadcast(x, 0u), y * subgroupBroadcast(x, 1u));
    product[4u * lane + 1u] = pair(y * subgroupBroadcast(x, 2u), y * subgroupBroadcast(x, 3u));
    product[4u * lane + 2u] = pair(y * subgroupBroadcast(x, 4u), y * subgroupBroadcast(x, 5u));
    product[4u * lane + 3u] = pair(y * subgroupBroadcast(x, 6u), y * subgroupBroadcast(x, 7u));
}
