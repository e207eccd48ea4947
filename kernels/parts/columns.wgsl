// Eight columns of four values each, turned so that one operation serves four columns.
struct Columns {
    x0: vec4f, y0: vec4f, z0: vec4f, w0: vec4f,
    x1: vec4f, y1: vec4f, z1: vec4f, w1: vec4f,
}

fn turn(c0: vec4f, c1: vec4f, c2: vec4f, c3: vec4f, c4: vec4f, c5: vec4f, c6: vec4f, c7: vec4f) -> Columns {
    return Columns(
        vec4f(c0.x, c1.x, c2.x, c3.x), vec4f(c0.y, c1.y, c2.y, c3.y),
        vec4f(c0.z, c1.z, c2.z, c3.z), vec4f(c0.w, c1.w, c2.w, c3.w),
        vec4f(c4.x, c5.x, c6.x, c7.x), vec4f(c4.y, c5.y, c6.y, c7.y),
        vec4f(c4.z, c5.z, c6.z, c7.z), vec4f(c4.w, c5.w, c6.w, c7.w),
    );
}
