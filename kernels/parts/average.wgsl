// WGSL's division may be 2.5 roundoffs off even by one, where the average must be the value itself.
fn average(sum: vec4f, n: u32) -> vec4f {
    return select(sum / f32(n), sum, n == 1u);
}
