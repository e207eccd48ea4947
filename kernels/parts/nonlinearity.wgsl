// What stands after the linear sum of a readout, and its slope. NONLINEARITY: 0 identity, 1 ReLU, 2 softplus,
// 3 ELU + 1, 4 exponential.
override NONLINEARITY: u32 = 0u;

struct Response { value: vec4f, slope: vec4f }

fn respond(x: vec4f) -> Response {
    if NONLINEARITY == 1u {
        // Not max(), which may lose NaN.
        return Response(select(x, vec4f(), x < vec4f()), select(vec4f(), vec4f(1.0), x > vec4f()));
    }
    if NONLINEARITY == 2u {
        let tail = exp(-abs(x));
        let slope = select(tail, vec4f(1.0), x >= vec4f()) / (1.0 + tail);
        return Response(max(x, vec4f()) + log(1.0 + tail), slope);
    }
    if NONLINEARITY == 3u {
        let grown = exp(min(x, vec4f()));
        return Response(select(grown, x + 1.0, x > vec4f()), grown);
    }
    if NONLINEARITY == 4u {
        let grown = exp(x);
        return Response(grown, grown);
    }
    return Response(x, vec4f(1.0));
}
