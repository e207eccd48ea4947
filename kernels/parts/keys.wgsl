// Keys of f32 that are ordered as the values are, bit for bit: 0 and -0 are one, NaN is the largest of all.
const NAN_KEY: u32 = 0xffffffffu;

// From the bits of a value, so that no driver flushes it.
fn key_of(bits: u32) -> u32 {
    let magnitude = bits & 0x7fffffffu;
    if magnitude > 0x7f800000u { return NAN_KEY; }
    if magnitude == 0u { return 0x80000000u; }
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

// The bits of a key's value; 0x7fffffff, a NaN, of NAN_KEY.
fn bits_of(key: u32) -> u32 {
    return select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u);
}

// Whether a key goes right on a level: missing values on level 0, then keys with the bits from the highest
// down.
fn is_one(key: u32, level: u32) -> bool {
    if level == 0u { return key == NAN_KEY; }
    return (key >> (32u - level) & 1u) == 1u;
}
