// NaN told by its bits: WGSL lets drivers assume that no NaN exists, and Metal's default mathematics do, so
// that comparisons and max() may lose it.
fn is_nan(v: vec4f) -> vec4<bool> {
    return (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
}

// v where it is better or NaN, unless the best is NaN already.
fn keep(best: vec4f, v: vec4f, better: vec4<bool>) -> vec4f {
    return select(best, v, (better | is_nan(v)) & !is_nan(best));
}
