//! Features of one layer, from images to the device.

use super::networks::unprepared;
use crate::error::Result;
use crate::features::{Convolution, LayerRequest, NetworkSource, Slab, WeightSource};
use crate::gpu::{Gpu, Matrix};
use crate::io::images::Images;
use crate::networks::Network;

/// Images as they are, and a network up to one layer, ready to run.
pub struct Problem {
    source: NetworkSource,
}

impl Problem {
    /// Loads the weights.
    ///
    /// # Errors
    /// Those of [`NetworkSource::new`] and [`NetworkSource::load`].
    pub fn new(
        gpu: &Gpu,
        images: Images,
        [network, layer]: [&str; 2],
        weights: WeightSource,
        convolution: Convolution,
    ) -> Result<Self> {
        let network = Network::named(network)?;
        let request = LayerRequest::new(&network, Some(layer), None)?;
        let mut source = NetworkSource::new(images, unprepared(), network, weights, vec![request])?;
        source.convolve_by(convolution);
        source.load(gpu)?;
        Ok(Problem { source })
    }

    /// A slab for the features of some images on the device.
    ///
    /// # Errors
    /// Memory, if they do not fit.
    pub fn slab(&self, gpu: &Gpu, images: usize) -> Result<Slab> {
        let columns = self.source.features(0);
        let matrix = Matrix::zeros(gpu, "features", images, columns)?;
        Ok(Slab { layer: 0, columns: 0..columns, matrix, means: Vec::new() })
    }

    /// Computes the features of as many images, from the first on, as the slab has rows.
    ///
    /// # Errors
    /// As [`NetworkSource::fill`].
    pub fn solve(&mut self, gpu: &Gpu, slab: &Slab) -> Result<()> {
        self.source.fill(gpu, 0..slab.matrix.rows, std::slice::from_ref(slab), &mut |_| ())
    }

    /// Operations of the direct sums for one image.
    ///
    /// # Errors
    /// As [`NetworkSource::estimate`].
    pub fn operations(&self, gpu: &Gpu) -> Result<f64> {
        Ok(self.source.estimate(gpu)?.operations)
    }
}
