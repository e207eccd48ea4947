//! A network on the device: its filters, two buffers that maps go back and forth between, and the steps of a
//! batch.

use super::convolution::{Convolution, Planned, plan};
use super::weight_source::WeightSource;
use crate::error::{Error, Kind, Result};
use crate::gpu::{Buffer, Gpu, Maps, Recording};
use crate::io::images::Batch;
use crate::kernels::adaptive_average_pool::AdaptiveAveragePool;
use crate::kernels::conv2d::{self, Conv2d, Filters, Geometry, MOST_PIXELS};
use crate::kernels::local_response::{LocalResponse, Normalisation};
use crate::kernels::max_pool::MaxPool;
use crate::kernels::pooling::Window;
use crate::kernels::relu::Relu;
use crate::networks::{Entry, INPUT_CHANNELS, Network, Operation, Shape};
use crate::routines::{Channels, Scratch, ScratchWords, WinogradFilters, filter_words, scratch_words};
use ndarray::Array4;

/// Takes each entry's index and maps as they are made; `None` is the image itself.
pub type Sink<'a> = dyn FnMut(Option<usize>, &Maps, &mut Recording) -> Result<()> + 'a;

/// What a step of the plan does.
enum Act {
    /// Convolution or dense layer, with the ReLU after it where nobody asked for what is before it.
    Convolve(Filters),
    /// The same by Winograd's products, and with a pool after that; the rows and columns of what is pooled.
    Winograd(WinogradFilters, [usize; 2]),
    Relu,
    MaxPool(Window),
    AveragePool,
    Normalise(Normalisation),
}

/// One step: the entry whose output it makes, and that output's shape.
struct Step {
    entry: usize,
    act: Act,
    shape: Shape,
}

/// A network up to the last layer asked for, ready to run batches.
pub struct Extractor {
    steps: Vec<Step>,
    input: Shape,
    batch: usize,
    slowest: f64,
    buffers: [Buffer; 2],
    scratch: Option<Scratch>,
}

/// What is asked of a network: which entries, how convolutions are made, and for images of which shape.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// The network.
    pub network: &'a Network,
    /// How convolutions are computed.
    pub convolution: Convolution,
    /// The entries whose maps are wanted.
    pub wanted: &'a [usize],
    /// The shape of an image.
    pub input: Shape,
}

impl Wish<'_> {
    /// The maps after each entry up to the last wanted one.
    fn shapes(&self) -> Result<Vec<Shape>> {
        let last = self.wanted.iter().max();
        last.map_or(Ok(vec![]), |l| self.network.shapes(self.input.height, self.input.width, *l))
    }

    /// The steps, and what the filters and the scratch of all take, in words.
    fn plan(&self, shapes: &[Shape], batch: usize) -> (Vec<Planned>, u64, ScratchWords) {
        let steps = plan(self.network, self.convolution, self.wanted, self.input, shapes);
        let (mut filters, mut scratch) = (0, ScratchWords::default());
        for step in &steps {
            let entry = &self.network.entries[step.entry];
            match (step.tiling, entry.operation) {
                (Some(tiling), Operation::Convolution { inputs, outputs, .. }) => {
                    let channels = Channels { inputs, outputs };
                    filters += filter_words(&tiling, channels) as u64;
                    scratch = scratch.or(scratch_words(&tiling, channels, batch));
                }
                _ => {
                    filters +=
                        entry.parameter().map_or(0, |p| p.weight_shape.iter().product::<usize>() as u64)
                }
            }
        }
        (steps, filters, scratch)
    }
}

/// Images of a batch at most: more would not be faster, and take memory.
pub(super) const LARGEST_BATCH: u64 = 64;

/// What running a network on a batch takes: a pure plan, before anything is allocated.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Estimate {
    /// Images of a batch at most; how many go together follows the speed that is measured.
    pub batch: usize,
    /// GPU memory for filters and maps, in bytes.
    pub bytes: u64,
    /// Operations for one image.
    pub operations: f64,
}

impl Extractor {
    /// Plans a batch.
    ///
    /// # Errors
    /// Usage, if the images are too small for the network, or too large for a launch; Memory, if the maps of
    /// one image are too large for the adapter.
    pub fn estimate(gpu: &Gpu, wish: Wish<'_>) -> Result<Estimate> {
        let Wish { network, input, .. } = wish;
        let last = wish.wanted.iter().copied().max();
        let shapes = wish.shapes()?;
        let macs = last.map_or(Ok(vec![]), |l| network.macs(input.height, input.width, l))?;
        let words = |s: &Shape| Maps::words(1, [s.channels, s.height, s.width]) as u64;
        let largest = shapes.iter().chain([&input]).map(words).max().unwrap_or(1);
        let limit = gpu.max_binding_bytes();
        if 4 * largest > limit {
            return Err(crate::gpu::beyond_binding("feature maps of one image", 4 * largest, limit));
        }
        let pixels = |s: &Shape| (s.height * s.width) as u64;
        let by_grid = MOST_PIXELS as u64 / shapes.iter().map(pixels).max().unwrap_or(1).max(1);
        if by_grid == 0 {
            let found = format!("images of {} x {}", input.height, input.width);
            let wanted = format!("layers of at most {MOST_PIXELS} pixels, which one launch reaches");
            return Err(Error::new(Kind::Usage, "--size", found, wanted, "Use a smaller --size"));
        }
        let by_memory = limit.min(gpu.ledger().budget() / 8) / (4 * largest);
        let mut batch = by_grid.min(by_memory).clamp(1, LARGEST_BATCH);
        let (_, filters, mut scratch) = wish.plan(&shapes, batch as usize);
        // Maps and what is between them take a quarter of the budget at most, or one image at a time.
        while batch > 1 && 8 * batch * largest + scratch.bytes() > gpu.ledger().budget() / 4 {
            batch /= 2;
            scratch = wish.plan(&shapes, batch as usize).2;
        }
        Ok(Estimate {
            batch: batch as usize,
            bytes: 4 * (filters + 2 * batch * largest) + scratch.bytes(),
            operations: 2.0 * macs.iter().sum::<u64>() as f64,
        })
    }

    /// Loads the weights up to the last wanted entry and allocates the maps.
    ///
    /// # Errors
    /// Input, if weights are missing or wrong; Memory, if they do not fit.
    pub fn new(gpu: &Gpu, wish: Wish<'_>, weights: &WeightSource) -> Result<Self> {
        let Wish { network, input, wanted, .. } = wish;
        let estimate = Self::estimate(gpu, wish)?;
        if let Some(last) = wanted.iter().copied().max() {
            weights.check(network, last)?;
        }
        let shapes = wish.shapes()?;
        let macs = wanted.iter().max().map_or(Ok(vec![]), |l| network.macs(input.height, input.width, *l))?;
        let (planned, _, needs) = wish.plan(&shapes, estimate.batch);
        let (mut steps, mut slowest) = (Vec::new(), 1.0f64);
        for step in planned {
            let before = if step.entry == 0 { input } else { shapes[step.entry - 1] };
            let act = act(gpu, network, weights, step, before, shapes[step.entry])?;
            // Tiles go in parts, which are short whatever the batch.
            if step.tiling.is_none() {
                slowest = slowest.max(2.0 * macs[step.entry] as f64);
            }
            steps.push(Step { entry: step.last, act, shape: shapes[step.last] });
        }
        let words = |s: Shape| Maps::words(estimate.batch, [s.channels, s.height, s.width]);
        let largest = steps.iter().map(|s| words(s.shape)).chain([words(input)]).max().unwrap_or(1);
        let buffers = [gpu.allocate("feature maps", largest)?, gpu.allocate("feature maps", largest)?];
        let scratch = if needs.v == 0 { None } else { Some(Scratch::new(gpu, needs)?) };
        Ok(Extractor { steps, input, batch: estimate.batch, slowest, buffers, scratch })
    }

    /// Images that go together at most.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Images that should go together now: as many as let the slowest layer, which is one launch, end in the
    /// time of a submission at the speed measured so far.
    pub fn next_batch(&self, gpu: &Gpu) -> usize {
        ((gpu.affordable(&conv2d::KERNEL) / self.slowest) as usize).clamp(1, self.batch)
    }

    /// Uploads a batch and records its passage. `sink` is called with each entry's index and maps as they are
    /// made (`None` is the image itself), to record what is done with them before the next step overwrites
    /// them.
    ///
    /// # Errors
    /// Internal, if the batch does not fit the plan; as [`Gpu::write`].
    pub fn record(
        &self,
        gpu: &Gpu,
        batch: &Batch,
        recording: &mut Recording,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        if (batch.height, batch.width) != (self.input.height, self.input.width) || batch.count > self.batch {
            return Err(Error::internal("feature extraction", "the batch does not fit the plan"));
        }
        let mut from = 0;
        let mut x = self.maps(from, batch.count, self.input);
        gpu.write(&x.buffer, 0, &batch.pixels)?;
        sink(None, &x, recording)?;
        for step in &self.steps {
            let y = self.maps(1 - from, batch.count, step.shape);
            match &step.act {
                Act::Convolve(filters) => {
                    // A dense layer sees its whole map as one window.
                    for launch in (Conv2d { x: &x, filters, y: &y }).launches()? {
                        recording.add(launch);
                    }
                }
                Act::Winograd(filters, results) => {
                    let scratch = self.scratch.as_ref();
                    let scratch =
                        scratch.ok_or_else(|| Error::internal("feature extraction", "no scratch"))?;
                    filters.record(&x, &y, scratch, *results, recording)?;
                }
                Act::Relu => recording.add(Relu { x: &x.buffer, y: &y.buffer }.launch()?),
                Act::MaxPool(window) => recording.add(MaxPool { x: &x, y: &y, window: *window }.launch()?),
                Act::AveragePool => recording.add(AdaptiveAveragePool { x: &x, y: &y }.launch()?),
                Act::Normalise(constants) => {
                    recording.add(LocalResponse { x: &x, y: &y, constants: *constants }.launch()?);
                }
            }
            sink(Some(step.entry), &y, recording)?;
            x = y;
            from = 1 - from;
        }
        Ok(())
    }

    fn maps(&self, which: usize, images: usize, s: Shape) -> Maps {
        let shape = [s.channels, s.height, s.width];
        let buffer = self.buffers[which].slice(0, Maps::words(images, shape));
        Maps { buffer, images, channels: s.channels, height: s.height, width: s.width }
    }
}

/// The act of an entry, its filters uploaded.
fn act(
    gpu: &Gpu,
    network: &Network,
    weights: &WeightSource,
    step: Planned,
    before: Shape,
    after: Shape,
) -> Result<Act> {
    let entry: &Entry = &network.entries[step.entry];
    let geometry = |stride, padding, groups| Geometry { stride, padding, groups, relu: step.relu };
    Ok(match entry.operation {
        Operation::Convolution { outputs, inputs, kernel, stride, padding, groups } => {
            let shape = (outputs, inputs / groups, kernel, kernel);
            let (weight, bias) = parameters(network, weights, entry, shape)?;
            let geometry = geometry(stride, padding, groups);
            match step.tiling {
                None => Act::Convolve(Filters::upload(gpu, weight.view(), &bias, geometry)?),
                Some(tiling) => Act::Winograd(
                    WinogradFilters::upload(gpu, weight.view(), &bias, tiling, geometry)?,
                    [after.height, after.width],
                ),
            }
        }
        Operation::Dense { outputs, .. } => {
            let shape = (outputs, before.channels, before.height, before.width);
            let (weight, bias) = parameters(network, weights, entry, shape)?;
            Act::Convolve(Filters::upload(gpu, weight.view(), &bias, geometry(1, 0, 1))?)
        }
        Operation::Relu => Act::Relu,
        Operation::MaxPool { kernel, stride } => Act::MaxPool(Window { kernel, stride }),
        Operation::AdaptiveAveragePool { .. } => Act::AveragePool,
        Operation::LocalResponseNormalisation { size, alpha, beta, k } => {
            Act::Normalise(Normalisation { size, alpha, beta, k })
        }
    })
}

type Shape4 = (usize, usize, usize, usize);

fn parameters(
    network: &Network,
    weights: &WeightSource,
    entry: &Entry,
    shape: Shape4,
) -> Result<(Array4<f32>, Vec<f32>)> {
    let (weight, bias) = weights.parameters(network, entry)?;
    let found = format!("{} has the shape {:?}", entry.key, weight.shape());
    let weight = weight.into_shape_with_order(shape).map_err(|_| Error::internal("weights", found))?;
    Ok((weight, bias))
}

/// The shape of images that enter a network.
pub(super) fn input_shape(height: usize, width: usize) -> Shape {
    Shape { channels: INPUT_CHANNELS, height, width }
}
