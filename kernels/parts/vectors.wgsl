// Four words as a vector: what `pairs` is to a processor.
alias Quad = vec4f;

fn words(q: Quad) -> vec4f {
    return q;
}

fn quad(v: vec4f) -> Quad {
    return v;
}
