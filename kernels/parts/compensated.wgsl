// Compensated sums (Kahan 1965): the error is 2 roundoffs of the sum of magnitudes, however many the terms.
// An infinite term makes the sum NaN.

struct Sums { high: vec4f, low: vec4f }

// `nothing` is zero, which the driver cannot know: fast mathematics (Metal's default) would otherwise see
// that low is always zero in exact arithmetic, and leave it out.
fn add(sums: Sums, term: vec4f, nothing: u32) -> Sums {
    let wanted = term - sums.low;
    let high = bitcast<vec4f>(bitcast<vec4u>(sums.high + wanted) ^ vec4u(nothing));
    return Sums(high, (high - sums.high) - wanted);
}

// All four sums as one, in every component.
fn fold(sums: Sums, nothing: u32) -> vec4f {
    var all = Sums(sums.high.xxxx, sums.low.xxxx);
    all = add(all, sums.high.yyyy, nothing);
    all = add(all, -sums.low.yyyy, nothing);
    all = add(all, sums.high.zzzz, nothing);
    all = add(all, -sums.low.zzzz, nothing);
    all = add(all, sums.high.wwww, nothing);
    all = add(all, -sums.low.wwww, nothing);
    return all.high - all.low;
}
