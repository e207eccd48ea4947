//! Matrices as pictures: colours for values, small PNGs inside a drawing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ImageEncoder, codecs::png::PngEncoder};
use ndarray::{Array2, ArrayView2};

use crate::error::{Error, Result};

/// Rows and columns that a picture has at most.
pub(super) const MOST_CELLS: usize = 360;

/// Red, green, blue, opacity.
type Pixel = [u8; 4];

/// Coloured cells of a matrix.
#[derive(Debug, Clone)]
pub(super) struct Cells(Array2<Pixel>);

/// A picture at its place in a drawing.
pub(super) struct Picture {
    pub at: (i32, i32),
    pub size: (i32, i32),
    /// A `data:` address.
    pub source: String,
}

/// Blue over grey to vermilion, for values around 0: its middle can be seen on white and on black.
const SIGNED: [[f64; 3]; 5] = [
    [0.0, 68.0, 136.0],
    [86.0, 170.0, 220.0],
    [236.0, 236.0, 236.0],
    [240.0, 150.0, 80.0],
    [165.0, 50.0, 0.0],
];
/// Dark blue over grey to yellow, in which lightness grows evenly.
const GROWING: [[f64; 3]; 5] = [
    [0.0, 32.0, 77.0],
    [65.0, 77.0, 107.0],
    [124.0, 123.0, 120.0],
    [188.0, 175.0, 111.0],
    [255.0, 234.0, 70.0],
];

/// Opacity, of 255, of the darkest part of an aperture.
const DARKEST: f64 = 215.0;

/// The colour of a share from 0 to 1; see-through for NaN.
fn colour(stops: &[[f64; 3]; 5], share: f64) -> Pixel {
    if share.is_nan() {
        return [0; 4];
    }
    let at = share.clamp(0.0, 1.0) * 4.0;
    let (stop, part) = ((at as usize).min(3), at - (at as usize).min(3) as f64);
    let mix = |c: usize| (stops[stop][c] + part * (stops[stop + 1][c] - stops[stop][c])).round() as u8;
    [mix(0), mix(1), mix(2), 255]
}

impl Cells {
    /// Values from -`most` to `most`.
    pub(super) fn signed(values: ArrayView2<f64>, most: f64) -> Cells {
        Cells(values.mapv(|v| colour(&SIGNED, 0.5 + 0.5 * v / most)))
    }

    /// Values from 0 to `most`.
    pub(super) fn growing(values: ArrayView2<f64>, most: f64) -> Cells {
        Cells(values.mapv(|v| colour(&GROWING, v / most)))
    }

    /// What darkens a photograph where values are near 0, compared with the others, and leaves it alone where
    /// they are largest.
    pub(super) fn aperture(values: ArrayView2<f64>) -> Cells {
        let (low, high) = super::axis::range(values.iter().map(|v| v.abs()));
        let shade = |v: &f64| (DARKEST * (1.0 - (v.abs() - low) / (high - low))).round() as u8;
        Cells(values.map(|v| [0, 0, 0, shade(v)]))
    }

    /// What the colours of [`Cells::signed`] or of [`Cells::growing`] mean, the highest at the top.
    pub(super) fn scale(signed: bool) -> Cells {
        const STEPS: usize = 64;
        let share = |row: usize| 1.0 - row as f64 / (STEPS - 1) as f64;
        let values = Array2::from_shape_fn((STEPS, 1), |(row, _)| share(row));
        if signed {
            Cells::signed(values.mapv(|v| 2.0 * v - 1.0).view(), 1.0)
        } else {
            Cells::growing(values.view(), 1.0)
        }
    }

    /// A strip of one row in given colours.
    pub(super) fn strip(colours: impl IntoIterator<Item = (u8, u8, u8)>) -> Cells {
        let pixels: Vec<Pixel> = colours.into_iter().map(|(r, g, b)| [r, g, b, 255]).collect();
        Cells(Array2::from_shape_fn((1, pixels.len()), |(_, column)| pixels[column]))
    }

    /// The picture at a place of a drawing.
    ///
    /// # Errors
    /// Internal, where it cannot be encoded.
    pub(super) fn picture(&self, at: (i32, i32), size: (i32, i32)) -> Result<Picture> {
        let (rows, columns) = self.0.dim();
        let bytes: Vec<u8> = self.0.iter().flatten().copied().collect();
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(&bytes, columns as u32, rows as u32, image::ExtendedColorType::Rgba8)
            .map_err(|why| Error::internal("the picture of a matrix", why))?;
        let source = format!("data:image/png;base64,{}", STANDARD.encode(&png));
        Ok(Picture { at, size, source })
    }
}

impl Picture {
    /// As an element of a drawing.
    pub(super) fn element(&self) -> String {
        format!(
            "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" \
             style=\"image-rendering:pixelated\" href=\"{}\"/>\n",
            self.at.0, self.at.1, self.size.0, self.size.1, self.source
        )
    }
}

/// A matrix of this shape, given by its values; neighbouring rows and columns averaged until there are at
/// most [`MOST_CELLS`] of each; also how many went into one. NaN counts for nothing, and stays where there
/// is nothing else.
pub(super) fn reduced(
    (rows, columns): (usize, usize),
    value: impl Fn(usize, usize) -> f64,
) -> (Array2<f64>, usize) {
    let each = rows.max(columns).div_ceil(MOST_CELLS).max(1);
    let average = |(row, column): (usize, usize)| {
        let (row, column) = (row * each, column * each);
        let rows = row..(row + each).min(rows);
        let block =
            rows.flat_map(|row| (column..(column + each).min(columns)).map(move |column| (row, column)));
        let values = block.map(|(row, column)| value(row, column)).filter(|v| !v.is_nan());
        let (sum, n) = values.fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
        sum / n
    };
    (Array2::from_shape_fn((rows.div_ceil(each), columns.div_ceil(each)), average), each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_run_from_end_to_end() {
        assert_eq!(colour(&SIGNED, 0.5), [236, 236, 236, 255]);
        assert_eq!((colour(&GROWING, -3.0), colour(&GROWING, 1.0)), ([0, 32, 77, 255], [255, 234, 70, 255]));
        assert_eq!(colour(&SIGNED, f64::NAN), [0; 4]);
    }

    #[test]
    fn an_aperture_is_open_where_values_are_largest() {
        let shades = Cells::aperture(ndarray::array![[-4.0, 2.0], [3.0, 2.0]].view()).0;
        assert_eq!(shades.mapv(|pixel| pixel[3]), ndarray::array![[0, 215], [108, 215]]);
    }

    #[test]
    fn large_matrices_are_averaged_in_blocks() {
        let (small, each) = reduced((721, 721), |row, column| (row / 3 + column / 3) as f64);
        assert_eq!((small.dim(), each), ((241, 241), 3));
        assert_eq!((small[[0, 0]], small[[240, 240]], small[[7, 9]]), (0.0, 480.0, 16.0));
        assert!(reduced((400, 2), |_, _| f64::NAN).0.iter().all(|v| v.is_nan()));
        assert_eq!(reduced((2, 2), |row, column| (10 * row + column) as f64).0[[1, 0]], 10.0);
    }
}
