// The transforms of Winograd's convolutions along one axis, for 4, 5, 6 or 8 points, one of them infinity:
//   4: 0, 1, -1      5: .5, -.5, 1.25, -1.25      6: 0, .625, -.625, 1.5, -1.5      8: 0, .5, -.5, 1, -1, 2, -2
// Points and their squares are exact in f32, and come in pairs of both signs, whose even and odd parts are
// shared. `points` is a constant at every call, so that one branch is left of the four.

// Values along an axis; those beyond the last point are not looked at.
struct Line { a: vec4f, b: vec4f, c: vec4f, d: vec4f, e: vec4f, f: vec4f, g: vec4f, h: vec4f }

// Of an input: row j has the coefficients of the product of (x - point k) over all k but j; that of infinity,
// over all.
fn before(points: u32, v: Line) -> Line {
    var t: Line;
    if points == 4u {
        t.a = v.c - v.a;
        t.b = v.c + v.b;
        t.c = v.c - v.b;
        t.d = v.d - v.b;
    } else if points == 5u {
        let near = v.d - 1.5625 * v.b;
        let near_odd = 0.5 * (v.c - 1.5625 * v.a);
        let far = v.d - 0.25 * v.b;
        let far_odd = 1.25 * (v.c - 0.25 * v.a);
        t.a = near + near_odd;
        t.b = near - near_odd;
        t.c = far + far_odd;
        t.d = far - far_odd;
        t.e = v.e - 1.8125 * v.c + 0.390625 * v.a;
    } else if points == 6u {
        let near = v.e - 2.25 * v.c;
        let near_odd = 0.625 * (v.d - 2.25 * v.b);
        let far = v.e - 0.390625 * v.c;
        let far_odd = 1.5 * (v.d - 0.390625 * v.b);
        t.a = v.e - 2.640625 * v.c + 0.87890625 * v.a;
        t.b = near + near_odd;
        t.c = near - near_odd;
        t.d = far + far_odd;
        t.e = far - far_odd;
        t.f = v.f - 2.640625 * v.d + 0.87890625 * v.b;
    } else {
        let near = v.g - 5.0 * v.e + 4.0 * v.c;
        let near_odd = 0.5 * (v.f - 5.0 * v.d + 4.0 * v.b);
        let one = v.g - 4.25 * v.e + v.c;
        let one_odd = v.f - 4.25 * v.d + v.b;
        let far = v.g - 1.25 * v.e + 0.25 * v.c;
        let far_odd = 2.0 * (v.f - 1.25 * v.d + 0.25 * v.b);
        t.a = v.g - 5.25 * v.e + 5.25 * v.c - v.a;
        t.b = near + near_odd;
        t.c = near - near_odd;
        t.d = one + one_odd;
        t.e = one - one_odd;
        t.f = far + far_odd;
        t.g = far - far_odd;
        t.h = v.h - 5.25 * v.f + 5.25 * v.d - v.b;
    }
    return t;
}

// Of a product: result i is the sum over j of (point j)^i value j; infinity adds to the last of `results`
// only.
fn after(points: u32, results: u32, v: Line) -> Line {
    var t: Line;
    var infinite = v.d;
    if points == 4u {
        t.a = v.a + (v.b + v.c);
        t.b = v.b - v.c;
    } else if points == 5u {
        let near = v.a + v.b;
        let near_odd = v.a - v.b;
        let far = v.c + v.d;
        let far_odd = v.c - v.d;
        t.a = near + far;
        t.b = 0.5 * near_odd + 1.25 * far_odd;
        t.c = 0.25 * near + 1.5625 * far;
        infinite = v.e;
    } else if points == 6u {
        let near = v.b + v.c;
        let near_odd = v.b - v.c;
        let far = v.d + v.e;
        let far_odd = v.d - v.e;
        t.a = v.a + (near + far);
        t.b = 0.625 * near_odd + 1.5 * far_odd;
        t.c = 0.390625 * near + 2.25 * far;
        t.d = 0.244140625 * near_odd + 3.375 * far_odd;
        infinite = v.f;
    } else {
        let near = v.b + v.c;
        let near_odd = v.b - v.c;
        let one = v.d + v.e;
        let one_odd = v.d - v.e;
        let far = v.f + v.g;
        let far_odd = v.f - v.g;
        t.a = v.a + (near + one + far);
        t.b = 0.5 * near_odd + one_odd + 2.0 * far_odd;
        t.c = 0.25 * near + one + 4.0 * far;
        t.d = 0.125 * near_odd + one_odd + 8.0 * far_odd;
        t.e = 0.0625 * near + one + 16.0 * far;
        t.f = 0.03125 * near_odd + one_odd + 32.0 * far_odd;
        infinite = v.h;
    }
    if results == 2u { t.b += infinite; }
    if results == 3u { t.c += infinite; }
    if results == 4u { t.d += infinite; }
    if results == 6u { t.f += infinite; }
    return t;
}
