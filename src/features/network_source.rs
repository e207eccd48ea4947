//! Layers of a network over a set of images, as columns of matrices. All layers come out of one pass.

use super::convolution::Convolution;
use super::extract::{Estimate, Extractor, LARGEST_BATCH, Wish, input_shape};
use super::prepared::{HELD, Prepared};
use super::slabs::Slab;
use super::weight_source::WeightSource;
use crate::error::{Error, Kind, Result};
use crate::gpu::{Gpu, Maps, Recording};
use crate::io::image_names::ImageNames;
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
    /// Finds a layer by name. The network `pixels` has none: its layer is the image itself, asked for by
    /// `None`.
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
            Some(side) if side > shape.height.min(shape.width) => {
                let found = format!(
                    "maps of {} x {} cannot be averaged to {side} x {side}",
                    shape.height, shape.width
                );
                let wanted = format!("at most {}", shape.height.min(shape.width));
                return Err(Error::new(
                    Kind::Usage,
                    "--pool",
                    found,
                    wanted,
                    "Lower --pool, or raise --size",
                ));
            }
            Some(side) => Shape { height: side, width: side, ..shape },
        })
    }
}

/// A layer asked for, its shape after pooling, and the features kept of it.
struct Layer {
    request: LayerRequest,
    shape: Shape,
    sample: Option<Vec<u32>>,
}

impl Layer {
    fn features(&self) -> usize {
        self.sample.as_ref().map_or(self.shape.values(), Vec::len)
    }

    fn list(&self, gpu: &Gpu, columns: &Range<usize>) -> Result<FeatureList> {
        let numbers: Vec<u32> = match &self.sample {
            Some(sample) => sample[columns.clone()].to_vec(),
            None => (columns.start as u32..columns.end as u32).collect(),
        };
        FeatureList::upload(gpu, &numbers, self.shape.height * self.shape.width)
    }
}

/// Images, a network and one or more of its layers.
pub struct NetworkSource {
    images: Images,
    preparation: Preparation,
    network: Network,
    weights: WeightSource,
    convolution: Convolution,
    layers: Vec<Layer>,
    input: Shape,
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
        requests: Vec<LayerRequest>,
    ) -> Result<Self> {
        let size = images.data_size_for(&preparation)?;
        let input = input_shape(size.height, size.width);
        let mut layers = Vec::new();
        for request in requests {
            let shape = request.shape(&network, input)?;
            layers.push(Layer { request, shape, sample: None });
        }
        let (convolution, extractor) = (Convolution::default(), None);
        let source =
            NetworkSource { images, preparation, network, weights, convolution, layers, input, extractor };
        if let Some(last) = source.wanted().into_iter().max() {
            source.weights.check(&source.network, last)?;
        }
        Ok(source)
    }

    /// Has convolutions computed by another method, before anything is loaded.
    pub fn convolve_by(&mut self, convolution: Convolution) {
        self.convolution = convolution;
    }

    /// Keeps only `count` features of every layer, drawn at random without repetition (`--subsample`).
    ///
    /// # Errors
    /// Usage, if there are not so many.
    pub fn subsample(&mut self, count: usize, seed: u64) -> Result<()> {
        for layer in &mut self.layers {
            layer.sample = Some(draw(layer.shape.values(), count, seed)?);
        }
        Ok(())
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.images.len()
    }

    /// The images, for tables that name them.
    pub fn image_names(&self) -> ImageNames {
        ImageNames::of(&self.images)
    }

    /// Number of layers asked for.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Number of features of one image in a layer, counted as they were asked for.
    pub fn features(&self, layer: usize) -> usize {
        self.layers[layer].features()
    }

    /// Channels, rows and columns of a layer after pooling.
    pub fn shape(&self, layer: usize) -> Shape {
        self.layers[layer].shape
    }

    /// The same, unless only some of the layer's features are kept, which are no maps.
    pub fn maps(&self, layer: usize) -> Option<Shape> {
        let layer = &self.layers[layer];
        layer.sample.is_none().then_some(layer.shape)
    }

    fn wanted(&self) -> Vec<usize> {
        self.layers.iter().filter_map(|l| l.request.entry).collect()
    }

    fn wish<'a>(&'a self, wanted: &'a [usize]) -> Wish<'a> {
        Wish { network: &self.network, convolution: self.convolution, wanted, input: self.input }
    }

    /// What running the network takes.
    ///
    /// # Errors
    /// As [`Extractor::estimate`].
    pub fn estimate(&self, gpu: &Gpu) -> Result<Estimate> {
        Extractor::estimate(gpu, self.wish(&self.wanted()))
    }

    /// GPU memory besides the features themselves, in bytes.
    ///
    /// # Errors
    /// As [`NetworkSource::estimate`].
    pub fn overhead(&self, gpu: &Gpu) -> Result<u64> {
        self.overhead_by(gpu, self.convolution)
    }

    /// GPU memory in bytes that transforms of convolutions take: what direct sums would save.
    ///
    /// # Errors
    /// As [`NetworkSource::estimate`].
    pub fn transform_bytes(&self, gpu: &Gpu) -> Result<u64> {
        let direct = self.overhead_by(gpu, Convolution::Direct)?;
        Ok(self.overhead(gpu)?.saturating_sub(direct))
    }

    fn overhead_by(&self, gpu: &Gpu, convolution: Convolution) -> Result<u64> {
        let wanted = self.wanted();
        let estimate = Extractor::estimate(gpu, Wish { convolution, ..self.wish(&wanted) })?;
        let words = |layer: usize| {
            let s = self.shape(layer);
            Maps::words(estimate.batch, [s.channels, s.height, s.width]) + self.features(layer)
        };
        let pooled: usize = (0..self.layers()).map(words).sum();
        Ok(estimate.bytes + 4 * pooled as u64)
    }

    /// Host memory of the images that are prepared ahead, in bytes, in the largest batches.
    pub fn host_bytes(&self) -> u64 {
        let batch = self.images.len().min(LARGEST_BATCH as usize);
        (HELD * batch * self.input.height * self.input.width * size_of::<[f32; 4]>()) as u64
    }

    /// Loads the weights, once.
    ///
    /// # Errors
    /// As [`Extractor::new`].
    pub fn load(&mut self, gpu: &Gpu) -> Result<()> {
        if self.extractor.is_none() {
            self.images.limit(gpu.ledger().budget());
            let wanted = self.wanted();
            self.extractor = Some(Extractor::new(gpu, self.wish(&wanted), &self.weights)?);
        }
        Ok(())
    }

    /// Runs the network over a range of images and writes slabs of its features: row 0 of a slab is the
    /// range's first image. `progress` gets the share of the images done.
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
        let mut outputs = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            outputs.push(Output::new(gpu, layer, number, slabs, extractor.batch())?);
        }
        let total = self.images.len();
        let first = images.start;
        let prepared = Prepared { images: &self.images, preparation: &self.preparation, rows: images };
        prepared.each(&|| whole_power(extractor.next_batch(gpu)), &mut |rows, batch| {
            let mut recording = Recording::new();
            extractor.record(gpu, &batch, &mut recording, &mut |entry, maps, recording| {
                for output in outputs.iter().filter(|o| o.entry == entry) {
                    output.record(maps, rows.start - first, recording)?;
                }
                Ok(())
            })?;
            // The next images are decoded, and uploaded, while the device works on these.
            gpu.start(&recording)?;
            if rows.end == prepared.rows.end {
                gpu.finish()?;
            }
            progress((rows.end - first) as f64 / total as f64);
            Ok(())
        })
    }
}

/// The largest power of two up to `images`: batches of a few sizes, whatever the speed that is measured at
/// the moment, so that what was made for one serves the next.
fn whole_power(images: usize) -> usize {
    1 << images.max(1).ilog2()
}

/// Features among which some are drawn at most: all their numbers are in memory meanwhile.
const MOST_DRAWN_FROM: usize = 1 << 28;

/// `count` of the numbers below `all`, ascending, drawn without repetition.
pub(super) fn draw(all: usize, count: usize, seed: u64) -> Result<Vec<u32>> {
    if count == 0 || count > all || all > MOST_DRAWN_FROM {
        let wanted = format!("1 to {all}, the number of features, which may be {MOST_DRAWN_FROM}");
        return Err(Error::new(Kind::Usage, "--subsample", count, wanted, "Ask for fewer"));
    }
    let mut numbers: Vec<u32> = (0..all as u32).collect();
    Random::stream(seed, "subsample").shuffle(&mut numbers);
    numbers.truncate(count);
    numbers.sort_unstable();
    Ok(numbers)
}

/// Where the maps of one layer go.
struct Output<'a> {
    entry: Option<usize>,
    pooled: Option<Maps>,
    slabs: Vec<(&'a Slab, FeatureList)>,
}

impl<'a> Output<'a> {
    fn new(gpu: &Gpu, layer: &Layer, number: usize, slabs: &'a [Slab], batch: usize) -> Result<Self> {
        let s = layer.shape;
        let own = slabs.iter().filter(|slab| slab.layer == number);
        let pooled = match layer.request.pool {
            Some(_) => Some(Maps::zeros(gpu, "pooled maps", batch, [s.channels, s.height, s.width])?),
            None => None,
        };
        let slabs = own.map(|slab| Ok((slab, layer.list(gpu, &slab.columns)?))).collect::<Result<_>>()?;
        Ok(Output { entry: layer.request.entry, pooled, slabs })
    }

    /// Pools a batch of maps, if asked, and writes them to the slabs from row `first_row` on.
    fn record(&self, maps: &Maps, first_row: usize, recording: &mut Recording) -> Result<()> {
        let mut layer = maps.clone();
        if let Some(pooled) = &self.pooled {
            let words = Maps::words(maps.images, [pooled.channels, pooled.height, pooled.width]);
            let y = Maps { images: maps.images, buffer: pooled.buffer.slice(0, words), ..pooled.clone() };
            recording.add(AdaptiveAveragePool { x: maps, y: &y }.launch()?);
            layer = y;
        }
        for (slab, list) in &self.slabs {
            recording.add(MapsToRows { x: &layer, list, rows: &slab.matrix, first_row }.launch()?);
        }
        Ok(())
    }
}
