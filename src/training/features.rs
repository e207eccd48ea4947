//! Features of all images on the device, standardised, laid out as the readout wants them.

use super::settings::{Model, Shared, Standardise};
use crate::error::{Error, Kind, Result};
use crate::gpu::{Buffer, Gpu, Matrix, Recording};
use crate::host::room;
use crate::kernels::gather_rows::GatherRows;
use half::f16;
use ndarray::ArrayView2;
use rayon::prelude::*;
use std::borrow::Cow;

/// How the features of one image lie: rows of columns. A dense readout has one row; a factored one a row for
/// each value of its outer factor, the axis with fewer values, and a column for each of the inner one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Channels, height and width of the maps.
    pub shape: [usize; 3],
    /// Values of the outer factor.
    pub rows: usize,
    /// Values of the inner factor, or all features.
    pub columns: usize,
    /// Whether the outer factor is the mask, over positions.
    pub mask_outside: bool,
}

impl Layout {
    pub fn new(model: &Model, shape: [usize; 3]) -> Self {
        let (channels, positions) = (shape[0], shape[1] * shape[2]);
        match model {
            Model::Factored if positions <= channels => {
                Layout { shape, rows: positions, columns: channels, mask_outside: true }
            }
            Model::Factored => Layout { shape, rows: channels, columns: positions, mask_outside: false },
            _ => Layout { shape, rows: 1, columns: channels * positions, mask_outside: false },
        }
    }

    pub fn pitch(&self) -> usize {
        self.columns.next_multiple_of(4)
    }

    /// Words of one image.
    pub fn words(&self) -> usize {
        self.rows * self.pitch()
    }

    /// Where a feature, counted channel by channel, lies in an image.
    fn place(&self, feature: usize) -> usize {
        let positions = self.shape[1] * self.shape[2];
        let (channel, position) = (feature / positions, feature % positions);
        match (self.rows, self.mask_outside) {
            (1, false) => feature,
            (_, true) => position * self.pitch() + channel,
            (_, false) => channel * self.pitch() + position,
        }
    }
}

/// Some images, in one binding.
struct Chunk {
    first: usize,
    count: usize,
    buffer: Buffer,
}

/// Features of all images, resident on the device.
pub struct Resident {
    pub(super) layout: Layout,
    /// Number of rows that are trained with: images, or presentations of them.
    pub images: usize,
    /// The image of each row, where an image is stored once and shown several times.
    shown: Option<Vec<u32>>,
    half: bool,
    chunks: Vec<Chunk>,
    /// What was taken off every feature, counted channel by channel.
    pub means: Vec<f32>,
    /// What every feature was divided by.
    pub scales: Vec<f32>,
}

/// Mean and deviation of every feature over the training images, or of every channel over images and
/// positions.
fn statistics(features: ArrayView2<'_, f32>, train: &[usize], group: usize) -> (Vec<f32>, Vec<f32>) {
    let of = |first: usize| {
        let values = || {
            let row = |image: &usize| features.row(*image).slice_move(ndarray::s![first..first + group]);
            train.iter().flat_map(move |image| row(image).into_iter().map(|v| f64::from(*v)))
        };
        let count = (train.len() * group) as f64;
        let mean = values().sum::<f64>() / count;
        let deviation = (values().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
        // A feature that never changes says nothing, whatever it is divided by.
        (mean as f32, if deviation > 0.0 { deviation as f32 } else { 1.0 })
    };
    let starts: Vec<usize> = (0..features.ncols()).step_by(group).collect();
    let pairs: Vec<(f32, f32)> = starts.into_par_iter().map(of).collect();
    let spread = |value: fn(&(f32, f32)) -> f32| {
        pairs.iter().flat_map(|pair| std::iter::repeat_n(value(pair), group)).collect()
    };
    (spread(|pair| pair.0), spread(|pair| pair.1))
}

impl Resident {
    /// Uploads `features` (images, channels x height x width) of the given shape, standardised over the
    /// images `train` as `shared` asks.
    ///
    /// # Errors
    /// Memory, if they do not fit the budget; Input, if a feature is not a number; Internal, if shapes do not
    /// fit.
    pub fn new(
        gpu: &Gpu,
        features: ArrayView2<'_, f32>,
        shape: [usize; 3],
        train: &[usize],
        shared: &Shared,
    ) -> Result<Self> {
        let count = shape.iter().product::<usize>();
        if features.ncols() != count || train.is_empty() {
            return Err(Error::internal("training features", format!("{:?} of {shape:?}", features.dim())));
        }
        let (means, scales) = match shared.standardise {
            Standardise::None => (vec![0.0; count], vec![1.0; count]),
            Standardise::Channel => statistics(features, train, shape[1] * shape[2]),
            Standardise::Feature => statistics(features, train, 1),
        };
        Self::with(gpu, features, shape, (means, scales), shared)
    }

    /// The same with means and scales that are known, for images that were not trained with.
    ///
    /// # Errors
    /// As [`Resident::new`].
    pub fn with(
        gpu: &Gpu,
        features: ArrayView2<'_, f32>,
        shape: [usize; 3],
        (means, scales): (Vec<f32>, Vec<f32>),
        shared: &Shared,
    ) -> Result<Self> {
        let layout = Layout::new(&shared.model, shape);
        let half = shared.half_features;
        let image_bytes = layout.words() as u64 * if half { 2 } else { 4 };
        let at_once = (gpu.max_binding_bytes() / image_bytes) as usize;
        if at_once == 0 {
            return Err(crate::gpu::beyond_binding(
                "features of one image",
                image_bytes,
                gpu.max_binding_bytes(),
            ));
        }
        let places: Vec<usize> = (0..features.ncols()).map(|f| layout.place(f)).collect();
        let mut chunks = Vec::new();
        for first in (0..features.nrows()).step_by(at_once) {
            let count = at_once.min(features.nrows() - first);
            room("features", 6 * (count * layout.words()) as u64)?;
            let mut words = vec![0f32; count * layout.words()];
            words.par_chunks_exact_mut(layout.words()).enumerate().for_each(|(image, out)| {
                let row = features.row(first + image);
                for (feature, value) in row.iter().enumerate() {
                    out[places[feature]] = (value - means[feature]) / scales[feature];
                }
            });
            if let Some(at) = words.iter().position(|v| !v.is_finite()) {
                let image = first + at / layout.words();
                let found = format!("image {image} has a feature that is not a finite number");
                return Err(Error::new(
                    Kind::Input,
                    "features",
                    found,
                    "finite numbers",
                    "Look at that image",
                ));
            }
            let buffer = if half {
                let halves: Vec<u16> = words.par_iter().map(|v| f16::from_f32(*v).to_bits()).collect();
                if let Some(at) = halves.iter().position(|v| !f16::from_bits(*v).is_finite()) {
                    let image = first + at / layout.words();
                    let found = format!("image {image} has the feature {}, beyond half precision", words[at]);
                    let advice = "Leave --half-features out, or add --standardise channel";
                    return Err(Error::new(Kind::Input, "features", found, "at most 65,504", advice));
                }
                gpu.upload("training features", bytemuck::cast_slice::<u16, u32>(&halves))?
            } else {
                gpu.upload("training features", &words)?
            };
            gpu.flush("training features")?;
            chunks.push(Chunk { first, count, buffer });
        }
        Ok(Resident { layout, images: features.nrows(), shown: None, half, chunks, means, scales })
    }

    /// The same features, of rows that each show one of the images: what is trained with then counts rows.
    pub fn shown_by(self, rows: Vec<u32>) -> Self {
        Resident { images: rows.len(), shown: Some(rows), ..self }
    }

    /// Where the features of some rows are stored.
    pub(super) fn stored<'a>(&self, rows: &'a [u32]) -> Cow<'a, [u32]> {
        match &self.shown {
            None => Cow::Borrowed(rows),
            Some(shown) => rows.iter().map(|row| shown[*row as usize]).collect(),
        }
    }

    /// Bytes on the device.
    pub fn bytes(shared: &Shared, shape: [usize; 3], images: usize) -> u64 {
        let words = Layout::new(&shared.model, shape).words() as u64;
        images as u64 * words * if shared.half_features { 2 } else { 4 }
    }

    /// Adds launches that gather what is stored at `index[start..start + images]` into `x`, one after the
    /// other.
    pub(super) fn gather(
        &self,
        recording: &mut Recording,
        (index, start): (&Buffer, usize),
        images: usize,
        x: &Buffer,
    ) -> Result<()> {
        let y = Matrix { buffer: x.clone(), rows: images, columns: self.layout.words() };
        for Chunk { first, count, buffer } in &self.chunks {
            let (first, count) = (*first, *count);
            let gather = GatherRows { x: buffer, half: self.half, first, count, index, start, y: &y };
            recording.add(gather.launch()?);
        }
        Ok(())
    }
}
