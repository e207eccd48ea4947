//! Where the elements of a strided tensor lie.

/// Shape and strides, checked to fit a computer's memory.
#[derive(Debug)]
pub(super) struct Geometry {
    shape: Vec<usize>,
    strides: Vec<usize>,
    pub elements: usize,
    /// Elements from the first to the last in memory, both counted.
    pub span: usize,
}

impl Geometry {
    /// None where the two do not belong together or the sizes overflow.
    pub fn new(shape: &[usize], strides: &[usize]) -> Option<Self> {
        if shape.len() != strides.len() {
            return None;
        }
        let elements = shape.iter().try_fold(1_usize, |all, &n| all.checked_mul(n))?;
        let mut span = usize::from(elements > 0);
        for (&n, &stride) in shape.iter().zip(strides) {
            if elements > 0 {
                span = span.checked_add((n - 1).checked_mul(stride)?)?;
            }
        }
        Some(Geometry { shape: shape.to_vec(), strides: strides.to_vec(), elements, span })
    }

    /// Strides of an array in C order.
    pub fn rows_first(shape: &[usize]) -> Vec<usize> {
        let mut strides = vec![1_usize; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis].saturating_mul(shape[axis].max(1));
        }
        strides
    }

    /// The elements in C order, from the `span` elements in memory order.
    pub fn gather(&self, span: Vec<f32>) -> Vec<f32> {
        let contiguous = Self::rows_first(&self.shape);
        let axes = self.shape.iter().zip(&self.strides).zip(&contiguous);
        if axes.into_iter().all(|((&n, stride), plain)| n == 1 || stride == plain) || self.elements == 0 {
            return span;
        }
        let mut values = Vec::with_capacity(self.elements);
        let mut index = vec![0_usize; self.shape.len()];
        let mut at = 0;
        for _ in 0..self.elements {
            values.push(span[at]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= self.strides[axis] * index[axis];
                index[axis] = 0;
            }
        }
        values
    }

    /// The index along each axis of the element at a place in C order.
    pub fn index(&self, mut place: usize) -> Vec<usize> {
        let mut index: Vec<usize> = self
            .shape
            .iter()
            .rev()
            .map(|&n| {
                let here = place % n.max(1);
                place /= n.max(1);
                here
            })
            .collect();
        index.reverse();
        index
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn gathers_a_transpose_and_an_expanded_axis() {
        let memory: Vec<f32> = (0..6).map(|v| v as f32).collect();
        let transposed = Geometry::new(&[3, 2], &[1, 3]).unwrap();
        assert_eq!(transposed.gather(memory.clone()), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let repeated = Geometry::new(&[2, 3], &[0, 2]).unwrap();
        assert_eq!((repeated.span, repeated.elements), (5, 6));
        assert_eq!(repeated.gather(memory[..5].to_vec()), [0.0, 2.0, 4.0, 0.0, 2.0, 4.0]);
        assert_eq!(Geometry::new(&[2, 3], &[3, 1]).unwrap().gather(memory.clone()), memory);
        assert_eq!(Geometry::new(&[2, 3], &[3, 1]).unwrap().index(4), [1, 1]);
    }

    #[test]
    fn refuses_sizes_that_overflow() {
        assert!(Geometry::new(&[1 << 40, 1 << 40], &[1, 1]).is_none());
        assert!(Geometry::new(&[3], &[usize::MAX]).is_none());
        assert!(Geometry::new(&[3], &[]).is_none());
        assert_eq!(Geometry::new(&[0, 3], &[usize::MAX, 1]).unwrap().span, 0);
    }
}
