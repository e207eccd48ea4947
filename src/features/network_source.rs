//! One layer of a network over a set of images, as columns of a matrix.

use super::extract::{Estimate, Extractor, input_shape};
use super::slabs::Slab;
use super::weight_source::WeightSource;
use crate::error::{Error, Kind, Result};
use crate::gpu::{Gpu, Maps, Recording};
use crate::io::images::{Images, Preparation};
use crate::kernels::adaptive_average_pool::AdaptiveAveragePool;
use crate::kernels::maps_to_rows::{FeatureList, MapsToRows};
use crate::networks::{Network, Shape};
use crate::random::Random;
use std::ops::Range;

/// A layer, and what is done to it before it becomes features.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LayerRequest {
    /// The entry of the network; `None` is the image itself.
    pub entry: Option<usize>,
    /// Side to which maps are pooled (adaptive average), if they are.
    pub pool: Option<usize>,
}

impl LayerRequest {
    /// Finds a layer by name. The network `pixels` has none: its layer is the image itself, asked for by `None`.
    ///
    /// # Errors
    /// Usage, if the network has no such layer, or none was named where one is needed.
    pub fn new(network: &Network, layer: Option<&str>, pool: Option<usize>) -> Result<Self> {
        let entry = match layer {
            Some(name) => Some(network.find(name)?),
            None if network.entries.is_empty() => None,
            None => {
                let wanted = format!("a layer of {}", network.name);
                return Err(Error::new(
                    Kind::Usage,
                    "--layer",
                    "no layer was named",
                    wanted,
                    "Try --layer pool1",
                ));
            }
        };
        Ok(LayerRequest { entry, pool })
    }

    /// The layer's shape after pooling, for images of a size.
    fn shape(&self, network: &Network, input: Shape) -> Result<Shape> {
        let shape = match self.entry {
            None => input,
            Some(entry) => network.shapes(input.height, input.width, entry)?[entry],
        };
        Ok(match self.pool {
            None => shape,
            Some(0) => {
                return Err(Error::new(
                    Kind::Usage,
                    "--pool",
                    "0",
                    "a side of at least 1",
                    "Leave it out to pool nothing",
                ));
            }
            Some(side) => Shape { height: side, width: side, ..shape },
        })
    }
}

/// Images, a network and one of its layers.
pub struct NetworkSource {
    images: Images,
    preparation: Preparation,
    network: Network,
    weights: WeightSource,
    request: LayerRequest,
    input: Shape,
    shape: Shape,
    sample: Option<Vec<u32>>,
    extractor: Option<Extractor>,
}

impl NetworkSource {
    /// Checks that everything fits together; reads headers only.
    ///
    /// # Errors
    /// Usage or Input: images too small for the layer, sizes that differ, weights that are missing.
    pub fn new(
        images: Images,
        preparation: Preparation,
        network: Network,
        weights: WeightSource,
        request: LayerRequest,
    ) -> Result<Self> {
        let size = images.data_size_for(&preparation)?;
        let input = input_shape(size.height, size.width);
        let shape = request.shape(&network, input)?;
        if let Some(entry) = request.entry {
            weights.check(&network, entry)?;
        }
        Ok(NetworkSource {
            images,
            preparation,
            network,
            weights,
            request,
            input,
            shape,
            sample: None,
            extractor: None,
        })
    }

    /// Keeps only `count` features, drawn at random without repetition (`--subsample`).
    ///
    /// # Errors
    /// Usage, if there are not so many.
    pub fn subsample(&mut self, count: usize, seed: u64) -> Result<()> {
        let all = self.shape.values();
        if count == 0 || count > all {
            let wanted = format!("1 to {all}, the layer's features");
            return Err(Error::new(Kind::Usage, "--subsample", count, wanted, "Ask for fewer"));
        }
        let mut numbers: Vec<u32> = (0..all as u32).collect();
        Random::stream(seed, "subsample").shuffle(&mut numbers);
        numbers.truncate(count);
        numbers.sort_unstable();
        self.sample = Some(numbers);
        Ok(())
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.images.len()
    }

    /// Number of features of one image.
    pub fn features(&self) -> usize {
        self.sample.as_ref().map_or(self.shape.values(), Vec::len)
    }

    /// Channels, rows and columns of the layer after pooling.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The features that a subsample keeps, as numbers in the flattened layer.
    pub fn sample(&self) -> Option<&[u32]> {
        self.sample.as_deref()
    }

    fn wanted(&self) -> Vec<usize> {
        self.request.entry.into_iter().collect()
    }

    /// What running the network takes.
    ///
    /// # Errors
    /// As [`Extractor::estimate`].
    pub fn estimate(&self, gpu: &Gpu) -> Result<Estimate> {
        Extractor::estimate(gpu, &self.network, &self.wanted(), self.input)
    }

    /// Loads the weights, once.
    ///
    /// # Errors
    /// As [`Extractor::new`].
    pub fn load(&mut self, gpu: &Gpu) -> Result<()> {
        if self.extractor.is_none() {
            let wanted = self.wanted();
            self.extractor = Some(Extractor::new(gpu, &self.network, &self.weights, &wanted, self.input)?);
        }
        Ok(())
    }

    fn list(&self, gpu: &Gpu, columns: &Range<usize>) -> Result<FeatureList> {
        let numbers: Vec<u32> = match &self.sample {
            Some(sample) => sample[columns.clone()].to_vec(),
            None => (columns.start as u32..columns.end as u32).collect(),
        };
        FeatureList::upload(gpu, &numbers)
    }

    /// Runs the network over a range of images and writes slabs of its features: row 0 of a slab is the range's first
    /// image. `progress` gets the share of the images done.
    ///
    /// # Errors
    /// Input, if an image cannot be used; as [`Gpu::run`].
    pub fn fill(
        &mut self,
        gpu: &Gpu,
        images: Range<usize>,
        slabs: &[Slab],
        progress: &mut dyn FnMut(f64),
    ) -> Result<()> {
        self.load(gpu)?;
        let Some(extractor) = &self.extractor else { return Ok(()) };
        let lists = slabs.iter().map(|s| self.list(gpu, &s.columns)).collect::<Result<Vec<_>>>()?;
        let pooled = match self.request.pool {
            Some(_) => Some(self.maps(gpu, extractor.batch())?),
            None => None,
        };
        for first in images.clone().step_by(extractor.batch()) {
            let rows = first..(first + extractor.batch()).min(images.end);
            let batch = self.images.batch(rows.clone(), &self.preparation)?;
            let mut recording = Recording::new();
            extractor.record(gpu, &batch, &mut recording, &mut |entry, maps, recording| {
                if entry != self.request.entry {
                    return Ok(());
                }
                let mut layer = maps.clone();
                if let Some(pooled) = &pooled {
                    let words = Maps::words(batch.count, [pooled.channels, pooled.height, pooled.width]);
                    let y =
                        Maps { images: batch.count, buffer: pooled.buffer.slice(0, words), ..pooled.clone() };
                    recording.add(AdaptiveAveragePool { x: maps, y: &y }.launch()?);
                    layer = y;
                }
                for (slab, list) in slabs.iter().zip(&lists) {
                    let first_row = rows.start - images.start;
                    recording.add(MapsToRows { x: &layer, list, rows: &slab.matrix, first_row }.launch()?);
                }
                Ok(())
            })?;
            gpu.run(&recording)?;
            progress((rows.end - images.start) as f64 / images.len() as f64);
        }
        Ok(())
    }

    fn maps(&self, gpu: &Gpu, images: usize) -> Result<Maps> {
        let s = self.shape;
        Maps::zeros(gpu, "pooled maps", images, [s.channels, s.height, s.width])
    }
}
