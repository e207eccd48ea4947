// Four words as two of 64 bits: a load or a store on lavapipe is a loop over lanes whose cost is per
// component.
alias Quad = vec2<u64>;

fn words(q: Quad) -> vec4f {
    return bitcast<vec4f>(vec4u(u32(q.x), u32(q.x >> 32u), u32(q.y), u32(q.y >> 32u)));
}

fn quad(v: vec4f) -> Quad {
    let bits = bitcast<vec4u>(v);
    return Quad(u64(bits.x) | (u64(bits.y) << 32u), u64(bits.z) | (u64(bits.w) << 32u));
}
