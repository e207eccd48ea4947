//! Arrays with their elements as stored, whatever their type.

use std::ops::Range;

use ndarray::{ArrayD, IxDyn, ShapeBuilder, Slice};

use super::Element;
use super::values::Stored;

macro_rules! values {
    ($($variant:ident($number:ty): $to_f32:expr, $to_f64:expr, $to_i64:expr;)*) => {
        /// An array of one of the stored types, values unchanged.
        #[allow(missing_docs, reason = "the names say it")]
        #[derive(Debug, Clone, PartialEq)]
        pub enum Values {
            $($variant(ArrayD<$number>),)*
        }

        impl Values {
            /// Elements of this type from their bytes, in C order.
            ///
            /// # Errors
            /// Another number of bytes than the shape has, in words.
            pub(in crate::io) fn from_bytes(
                element: Element,
                bytes: &[u8],
                big_endian: bool,
                shape: &[usize],
            ) -> Result<Self, String> {
                match element {
                    $(Element::$variant => {
                        let mut values = Vec::with_capacity(bytes.len() / element.bytes());
                        <$number>::extend(bytes, big_endian, &mut values);
                        let array = ArrayD::from_shape_vec(shape, values).map_err(|why| {
                            format!("{} bytes are no array of the shape {shape:?} ({why})", bytes.len())
                        })?;
                        Ok(Values::$variant(array))
                    })*
                }
            }

            /// A list as an array of this shape whose first axis runs fastest, in C order.
            ///
            /// # Errors
            /// Another number of elements than the shape has, in words.
            pub(in crate::io) fn columns_first(self, shape: &[usize]) -> Result<Self, String> {
                match self {
                    $(Values::$variant(list) => {
                        let (list, count) = (list.into_raw_vec_and_offset().0, shape.iter().product::<usize>());
                        let found = list.len();
                        let array = ArrayD::from_shape_vec(IxDyn(shape).f(), list).map_err(|_| {
                            format!("it has {found} elements where its shape has {count}")
                        })?;
                        Ok(Values::$variant(array.as_standard_layout().into_owned()))
                    })*
                }
            }

            /// The same with its axes in the opposite order, in C order.
            pub(in crate::io) fn transposed(self) -> Self {
                match self {
                    $(Values::$variant(array) => {
                        Values::$variant(array.reversed_axes().as_standard_layout().into_owned())
                    })*
                }
            }

            /// A region that is within the array.
            pub(in crate::io) fn part(&self, region: &[Range<usize>]) -> Self {
                match self {
                    $(Values::$variant(array) => {
                        let slice = array.slice_each_axis(|axis| Slice::from(region[axis.axis.index()].clone()));
                        Values::$variant(slice.as_standard_layout().into_owned())
                    })*
                }
            }

            /// Lengths of the axes.
            pub fn shape(&self) -> &[usize] {
                match self {
                    $(Values::$variant(array) => array.shape(),)*
                }
            }

            /// As f32: what f32 does not have is rounded to the nearest.
            pub fn into_f32(self) -> ArrayD<f32> {
                match self {
                    $(Values::$variant(array) => array.mapv_into_any($to_f32),)*
                }
            }

            /// As f64: integers above 2^53 are rounded to the nearest.
            pub fn into_f64(self) -> ArrayD<f64> {
                match self {
                    $(Values::$variant(array) => array.mapv_into_any($to_f64),)*
                }
            }

            /// As whole numbers.
            ///
            /// # Errors
            /// The first value that is none, or that i64 does not have, as text.
            pub fn into_i64(self) -> Result<ArrayD<i64>, String> {
                match self {
                    $(Values::$variant(array) => {
                        let convert: fn($number) -> Option<i64> = $to_i64;
                        if let Some(odd) = array.iter().find(|&&value| convert(value).is_none()) {
                            return Err(odd.to_string());
                        }
                        Ok(array.mapv_into_any(|value| convert(value).unwrap_or(0)))
                    })*
                }
            }
        }
    };
}

values! {
    Bool(bool): f32::from, f64::from, |v| Some(i64::from(v));
    U8(u8): f32::from, f64::from, |v| Some(i64::from(v));
    I8(i8): f32::from, f64::from, |v| Some(i64::from(v));
    U16(u16): f32::from, f64::from, |v| Some(i64::from(v));
    I16(i16): f32::from, f64::from, |v| Some(i64::from(v));
    U32(u32): |v| v as f32, f64::from, |v| Some(i64::from(v));
    I32(i32): |v| v as f32, f64::from, |v| Some(i64::from(v));
    U64(u64): |v| v as f32, |v| v as f64, |v| i64::try_from(v).ok();
    I64(i64): |v| v as f32, |v| v as f64, Some;
    F16(half::f16): half::f16::to_f32, half::f16::to_f64, |v| whole(v.to_f64());
    F32(f32): |v| v, f64::from, |v| whole(f64::from(v));
    F64(f64): |v| v as f32, |v| v, whole;
}

impl Values {
    /// The same numbers as another type.
    ///
    /// # Errors
    /// The first number that the type does not have, as text.
    pub(in crate::io) fn cast(self, element: Element) -> Result<Self, String> {
        macro_rules! whole {
            ($($variant:ident: $number:ty),*) => {
                match element {
                    $(Element::$variant => {
                        let values = self.into_i64()?;
                        match values.iter().find(|&&value| <$number>::try_from(value).is_err()) {
                            Some(odd) => Err(odd.to_string()),
                            None => Ok(Values::$variant(values.mapv_into_any(|value| value as $number))),
                        }
                    })*
                    Element::Bool => Ok(Values::Bool(self.into_f64().mapv_into_any(|value| value != 0.0))),
                    Element::F16 => Ok(Values::F16(self.into_f32().mapv_into_any(half::f16::from_f32))),
                    Element::F32 => Ok(Values::F32(self.into_f32())),
                    Element::F64 => Ok(Values::F64(self.into_f64())),
                }
            };
        }
        match (&self, element) {
            // Beyond i64, and already of the type.
            (Values::U64(_), Element::U64) => Ok(self),
            _ => whole!(U8: u8, I8: i8, U16: u16, I16: i16, U32: u32, I32: i32, U64: u64, I64: i64),
        }
    }
}

/// A float that is a whole number of i64.
fn whole(value: f64) -> Option<i64> {
    // 2^63 is the first float beyond i64.
    let inside = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;
    (inside.contains(&value) && value.fract() == 0.0).then_some(value as i64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use ndarray::arr1;

    use super::*;

    #[test]
    fn whole_numbers_are_kept_and_all_else_is_named() {
        let of = |values: Vec<f64>| Values::F64(arr1(&values).into_dyn()).into_i64();
        let limit = 9_223_372_036_854_775_808.0;
        assert_eq!(of(vec![-0.0, -limit, 4.0]).unwrap(), arr1(&[0, i64::MIN, 4]).into_dyn());
        for (odd, text) in
            [(0.5, "0.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf"), (limit, "9223372036854776000")]
        {
            assert_eq!(of(vec![1.0, odd]).unwrap_err(), text);
        }
        let large = Values::U64(arr1(&[1, u64::MAX]).into_dyn());
        assert_eq!(large.clone().into_i64().unwrap_err(), "18446744073709551615");
        assert_eq!(large.into_f64(), arr1(&[1.0, 2.0 * limit]).into_dyn());
        assert_eq!(Values::U32(arr1(&[16_777_217]).into_dyn()).into_f32(), arr1(&[16_777_216.0]).into_dyn());
        assert_eq!(
            Values::Bool(arr1(&[true, false]).into_dyn()).into_i64().unwrap(),
            arr1(&[1, 0]).into_dyn()
        );
    }
}
