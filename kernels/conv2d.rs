//! Convolution with bias and ReLU: any kernel, stride, padding and groups. Dense layers are convolutions
//! whose kernel is the whole map.

use super::case::{Case, Guarded, Trial, Values};
use super::fit::check_maps;
use super::parts::PARTS;
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Family, Gpu, Grid, Kernel, Launch, Maps, Recording, Tile};
use crate::numbers::Bounded;
use ndarray::{Array4, ArrayView4};

/// The kernel. Tiles of 128 x 128, 64 x 128, 64 x 64 and 32 x 64 channels x pixels: few channels are common,
/// few pixels are not.
pub static KERNEL: Kernel = Kernel::with_broadcast(
    "conv2d",
    include_str!("conv2d.wgsl"),
    include_str!("conv2d_broadcast.wgsl"),
    PARTS,
)
.with_tiles(Family::Tiled, TILES);

const TILES: &[Tile] = &[
    Tile { rows: 16, columns: 16 },
    Tile { rows: 8, columns: 16 },
    Tile { rows: 8, columns: 8 },
    Tile { rows: 4, columns: 8 },
];

/// Output pixels, of all images, that one launch reaches: 65,535 workgroups of 64.
pub const MOST_PIXELS: usize = 65_535 * 64;

/// What a convolution does to shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Step from one output pixel to the next.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: usize,
    /// Groups of channels that see only their own.
    pub groups: usize,
    /// Whether negative results become zero.
    pub relu: bool,
}

/// Filters on the device, in the order that the kernel reads them.
pub struct Filters {
    chunks: Vec<Chunk>,
    groups: usize,
    group_quads: usize,
    group_out_quads: usize,
    outputs: usize,
    inputs: usize,
    kernel: [usize; 2],
    relu: bool,
    stride: usize,
    padding: usize,
}

/// Output channels that fit into one binding.
struct Chunk {
    weights: Buffer,
    bias: Buffer,
    first_quad: usize,
    rows: usize,
}

/// Merges groups until each holds whole quads of channels, on both sides. Depthwise filters of 64 channels
/// become 16 groups of four, with zeros between the four. One group is padded with zero channels instead.
fn merged_groups(groups: usize, inputs: usize, outputs: usize) -> usize {
    let quads = |channels: usize| channels.is_multiple_of(4);
    let whole = |g: usize| groups.is_multiple_of(g) && quads(inputs / g) && quads(outputs / g);
    (1..=groups).rev().find(|g| whole(*g)).unwrap_or(1)
}

impl Filters {
    /// Packs and uploads filters `weight [outputs, inputs / groups, height, width]` and `bias [outputs]`.
    ///
    /// # Errors
    /// Internal, if bias and groups do not fit the weights; Memory, if they do not fit the budget.
    pub fn upload(gpu: &Gpu, weight: ArrayView4<'_, f32>, bias: &[f32], geometry: Geometry) -> Result<Self> {
        let (outputs, per_group, height, width) = weight.dim();
        let inputs = per_group * geometry.groups;
        if bias.len() != outputs || geometry.groups == 0 || outputs % geometry.groups != 0 {
            return Err(Error::internal("conv2d", "bias, groups and filters do not fit each other"));
        }
        let groups = merged_groups(geometry.groups, inputs, outputs);
        let group_quads = (inputs / groups).div_ceil(4);
        let rows = (outputs / groups).next_multiple_of(4);
        let row_words = height * width * group_quads * 4;
        let fit = (gpu.max_binding_bytes() as usize / 4 / row_words.max(1)) & !3;
        // Only dense layers are too large for one binding, and they have one group.
        let per_chunk = if groups == 1 { rows.min(fit.max(4)) } else { rows };
        let mut chunks = Vec::new();
        for first in (0..rows).step_by(per_chunk) {
            let count = per_chunk.min(rows - first);
            let packing = Packing { groups, group_quads, first, count, total: outputs, geometry };
            let packed = packing.pack(weight);
            chunks.push(Chunk {
                weights: gpu.upload("filters", &packed)?,
                bias: gpu.upload("bias", &packing.pack_bias(bias))?,
                first_quad: first / 4,
                rows: count,
            });
        }
        Ok(Filters {
            chunks,
            groups,
            group_quads,
            group_out_quads: rows / 4,
            outputs,
            inputs,
            kernel: [height, width],
            relu: geometry.relu,
            stride: geometry.stride,
            padding: geometry.padding,
        })
    }
}

/// Which part of the filters goes where.
struct Packing {
    groups: usize,
    group_quads: usize,
    first: usize,
    count: usize,
    total: usize,
    geometry: Geometry,
}

impl Packing {
    /// The output channel of a packed row, if there is one.
    fn output(&self, group: usize, row: usize) -> Option<usize> {
        let within = self.first + row;
        let per_group = self.total / self.groups;
        (within < per_group).then_some(group * per_group + within)
    }

    fn pack(&self, weight: ArrayView4<'_, f32>) -> Vec<f32> {
        let (outputs, per_group, height, width) = weight.dim();
        let mut packed = vec![0f32; self.groups * self.count * height * width * self.group_quads * 4];
        let own_outputs = outputs / self.geometry.groups;
        let merged_inputs = per_group * self.geometry.groups / self.groups;
        for group in 0..self.groups {
            for row in 0..self.count {
                let Some(output) = self.output(group, row) else { continue };
                // The first input channel of this output's own group, seen from the merged group.
                let offset = output / own_outputs * per_group - group * merged_inputs;
                let start = (group * self.count + row) * height * width * self.group_quads * 4;
                for (tap, (r, c)) in (0..height).flat_map(|r| (0..width).map(move |c| (r, c))).enumerate() {
                    let at = start + tap * self.group_quads * 4 + offset;
                    for channel in 0..per_group {
                        packed[at + channel] = weight[[output, channel, r, c]];
                    }
                }
            }
        }
        packed
    }

    fn pack_bias(&self, bias: &[f32]) -> Vec<f32> {
        let rows = (0..self.groups).flat_map(|g| (0..self.count).map(move |r| (g, r)));
        rows.map(|(g, r)| self.output(g, r).map_or(0.0, |o| bias[o])).collect()
    }
}

/// Rows or columns of the output of a window that slides over `size` padded pixels; `None` if it does not
/// fit.
pub fn output_side(size: usize, kernel: usize, stride: usize, padding: usize) -> Option<usize> {
    Some((size + 2 * padding).checked_sub(kernel)? / stride + 1)
}

/// `y = relu?(x * filters + bias)`.
pub struct Conv2d<'a> {
    /// Input maps.
    pub x: &'a Maps,
    /// The filters.
    pub filters: &'a Filters,
    /// Output maps.
    pub y: &'a Maps,
}

impl Conv2d<'_> {
    /// The launches, one for each chunk of the filters.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other.
    pub fn launches(&self) -> Result<Vec<Launch>> {
        let (x, y, f) = (self.x, self.y, self.filters);
        let [height, width] = f.kernel;
        let expected = [
            output_side(x.height, height, f.stride, f.padding),
            output_side(x.width, width, f.stride, f.padding),
        ];
        check_maps(KERNEL.name(), &[("x", x), ("y", y)])?;
        if x.channels != f.inputs || y.channels != f.outputs || x.images != y.images {
            return Err(Error::internal("conv2d", format!("{x:?} and {y:?} do not fit the filters")));
        }
        if expected != [Some(y.height), Some(y.width)] {
            return Err(Error::internal(
                "conv2d",
                format!("output {}x{} is not {expected:?}", y.height, y.width),
            ));
        }
        Ok(f.chunks.iter().map(|chunk| self.launch(chunk)).collect())
    }

    fn launch(&self, chunk: &Chunk) -> Launch {
        let (x, y, f) = (self.x, self.y, self.filters);
        let pixels = y.images * y.area();
        let depth = f.kernel[0] * f.kernel[1] * f.group_quads * 4;
        Launch::new(&KERNEL, Grid::Tiles([pixels, chunk.rows, f.groups]))
            .read("x", &x.buffer)
            .read("weights", &chunk.weights)
            .read("bias", &chunk.bias)
            .write("y", &y.buffer)
            .set("images", x.images)
            .set("in_quads", x.quads())
            .set("in_height", x.height)
            .set("in_width", x.width)
            .set("out_quads", y.quads())
            .set("out_height", y.height)
            .set("out_width", y.width)
            .set("kernel_height", f.kernel[0])
            .set("kernel_width", f.kernel[1])
            .set("stride", f.stride)
            .set("padding", f.padding)
            .set("group_quads", f.group_quads)
            .set("rows", chunk.rows)
            .set("group_out_quads", f.group_out_quads)
            .set("first_quad", chunk.first_quad)
            .set("relu", usize::from(f.relu))
            .cost(2.0 * pixels as f64 * (chunk.rows * f.groups) as f64 * depth as f64)
    }
}

/// The same in f64 over `x [images, channels, height, width]`: value and bound of `[image, channel, row,
/// column]`.
pub fn oracle(x: ArrayView4<'_, f32>, w: ArrayView4<'_, f32>, bias: &[f32], g: Geometry) -> Array4<Bounded> {
    let (images, _, in_height, in_width) = x.dim();
    let (outputs, per_group, height, width) = w.dim();
    let side = |size, kernel| output_side(size, kernel, g.stride, g.padding).unwrap_or(0);
    let shape = (images, outputs, side(in_height, height), side(in_width, width));
    Array4::from_shape_fn(shape, |(i, o, r, c)| {
        let first = o / (outputs / g.groups) * per_group;
        let (mut value, mut magnitude) = (f64::from(bias[o]), f64::from(bias[o]).abs());
        for tr in 0..height {
            for tc in 0..width {
                let (row, column) = (r * g.stride + tr, c * g.stride + tc);
                let inside = row >= g.padding && column >= g.padding;
                if !inside || row - g.padding >= in_height || column - g.padding >= in_width {
                    continue;
                }
                for q in 0..per_group {
                    let term = f64::from(x[[i, first + q, row - g.padding, column - g.padding]])
                        * f64::from(w[[o, q, tr, tc]]);
                    value += term;
                    magnitude += term.abs();
                }
            }
        }
        let bounded = Bounded::sum(value, magnitude, per_group * height * width + 1);
        if g.relu && value < 0.0 { Bounded { value: 0.0, ..bounded } } else { bounded }
    })
}

/// Arrays `[images, channels, height, width]` as words in channel quads.
pub fn to_quads<T: Copy>(maps: ArrayView4<'_, T>, zero: T) -> Vec<T> {
    let (images, channels, height, width) = maps.dim();
    let quads = channels.div_ceil(4);
    let mut words = vec![zero; images * quads * height * width * 4];
    for ((i, c, r, w), value) in maps.indexed_iter() {
        words[(((i * quads + c / 4) * height + r) * width + w) * 4 + c % 4] = *value;
    }
    words
}

/// `[images, inputs, height, width]` to `outputs` channels.
struct Shape {
    x: [usize; 4],
    outputs: usize,
    kernel: [usize; 2],
}

fn case(shape: Shape, geometry: Geometry, exact: bool) -> Case {
    let label = format!(
        "{:?} to {} channels, {:?} stride {} padding {} groups {}{}{}",
        shape.x,
        shape.outputs,
        shape.kernel,
        geometry.stride,
        geometry.padding,
        geometry.groups,
        if geometry.relu { " relu" } else { "" },
        if exact { " exact" } else { "" }
    );
    Case::new(label, move |gpu| {
        let Shape { x: [images, inputs, height, width], outputs, kernel } = shape;
        let mut values = Values::new((inputs * 131 + outputs * 17 + height) as u64);
        let mut fill = |_: f32| values.fill(exact, 1)[0];
        let x = Array4::<f32>::zeros((images, inputs, height, width)).mapv_into(&mut fill);
        let w = Array4::<f32>::zeros((outputs, inputs / geometry.groups, kernel[0], kernel[1]))
            .mapv_into(&mut fill);
        let bias: Vec<f32> = (0..outputs).map(|_| fill(0.0)).collect();
        let want = oracle(x.view(), w.view(), &bias, geometry);
        let (_, _, out_height, out_width) = want.dim();
        let buffer = gpu.upload("x", &to_quads(x.view(), 0.0))?;
        let input = Maps { buffer, images, channels: inputs, height, width };
        let output = Guarded::new(gpu, Maps::words(images, [outputs, out_height, out_width]))?;
        let buffer = output.buffer.clone();
        let y = Maps { buffer, images, channels: outputs, height: out_height, width: out_width };
        let filters = Filters::upload(gpu, w.view(), &bias, geometry)?;
        let mut recording = Recording::new();
        for launch in (Conv2d { x: &input, filters: &filters, y: &y }).launches()? {
            recording.add(launch);
        }
        let expected = to_quads(want.view(), Bounded::exact(0.0));
        let exactly = |b: Bounded| if exact { Bounded::exact(b.value) } else { b };
        Ok(Trial { recording, output, expected: expected.into_iter().map(|b| Some(exactly(b))).collect() })
    })
}

/// Sizes that hurt: one pixel, channels that fill no quad, strides beside padding, groups of every kind, a
/// whole map.
pub fn cases() -> Vec<Case> {
    let geometry = |stride, padding, groups, relu| Geometry { stride, padding, groups, relu };
    let shape = |x, outputs, kernel| Shape { x, outputs, kernel: [kernel, kernel] };
    vec![
        case(shape([1, 1, 1, 2], 1, 1), geometry(1, 0, 1, false), true),
        case(shape([2, 3, 9, 7], 5, 3), geometry(1, 1, 1, true), true),
        case(shape([3, 6, 11, 10], 70, 5), geometry(2, 2, 1, false), false),
        case(shape([1, 3, 23, 31], 33, 11), geometry(4, 2, 1, true), false),
        case(shape([2, 8, 6, 6], 8, 3), geometry(1, 1, 2, false), true),
        case(shape([2, 6, 5, 5], 9, 3), geometry(1, 1, 3, false), true),
        case(shape([1, 16, 6, 5], 16, 3), geometry(1, 1, 16, false), true),
        case(shape([1, 96, 13, 13], 64, 5), geometry(1, 2, 2, true), false),
        case(Shape { x: [2, 4, 8, 9], outputs: 4, kernel: [2, 3] }, geometry(3, 1, 1, false), true),
        case(shape([3, 20, 6, 6], 37, 6), geometry(1, 0, 1, false), false),
        case(shape([2, 64, 24, 24], 128, 3), geometry(1, 1, 1, true), false).timed(),
    ]
}
