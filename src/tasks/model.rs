//! A fitted linear readout on disk: safetensors with `weights [neurons, features]` and `penalties [neurons]` in
//! f32, `feature_means [features]` and `intercepts [neurons]` in f64. `y = (x - feature_means) weightsᵀ +
//! intercepts`.

use crate::error::{Error, Result};
use crate::features::{FeatureSpace, Slab};
use crate::gpu::{Gpu, Matrix, Recording};
use crate::io::commit::unwritable;
use crate::io::disk;
use crate::io::file;
use crate::io::weights::WeightFile;
use crate::kernels::centre::Centre;
use crate::kernels::gemm::{self, Gemm};
use crate::kernels::transpose::Transpose;
use ndarray::{Array2, ArrayView2, s};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Name of the file in a run folder.
pub const FILE: &str = "model.safetensors";

/// Bytes of weights computed at once, where memory is not scarce.
const CHUNK_BYTES: usize = 64 << 20;

/// A readout whose weights stay on disk until they are needed.
pub struct Model {
    path: PathBuf,
    weights_at: u64,
    /// Number of neurons.
    pub neurons: usize,
    /// Number of features.
    pub features: usize,
    /// What is taken off every feature.
    pub means: Vec<f64>,
    /// What is added to every prediction.
    pub intercepts: Vec<f64>,
}

/// The vectors that a model holds beside its weights.
pub(super) struct Vectors {
    pub intercepts: Vec<f64>,
    pub penalties: Vec<f32>,
}

/// Turns weights of a slab's features, of a range of neurons, into weights of the features as they came.
pub(super) type Finish<'a> = dyn Fn(&Gpu, Matrix, Range<usize>) -> Result<Matrix> + 'a;

/// Computes the weights, `image_weights` (neurons, images) times the features, slab by slab, and writes the
/// model. `finish` is for features that were changed after they were centred.
pub(super) fn write(
    gpu: &Gpu,
    space: &mut FeatureSpace,
    image_weights: ArrayView2<'_, f32>,
    vectors: &Vectors,
    finish: &Finish<'_>,
    path: &Path,
    progress: &mut dyn FnMut(f64),
) -> Result<()> {
    let (neurons, features) = (image_weights.nrows(), space.source().features());
    let (header, starts) = header(neurons, features);
    let failed = |why: std::io::Error| unwritable(path, &why);
    let mut file = disk::File::create(path).map_err(failed)?;
    file.write_all(&header).map_err(failed)?;
    let mut put = |at: u64, bytes: &[u8]| -> Result<()> {
        file.seek(SeekFrom::Start(header.len() as u64 + at)).map_err(failed)?;
        file.write_all(bytes).map_err(failed)
    };
    put(starts[1], bytemuck::cast_slice(&vectors.intercepts))?;
    put(starts[2], bytemuck::cast_slice(&vectors.penalties))?;
    let weights_at = 0;
    let mut means = vec![0.0; features];
    space.visit(gpu, progress, &mut |slab| {
        let own = means[slab.columns.clone()].iter_mut().zip(&slab.means);
        own.for_each(|(mean, own)| *mean = f64::from(*own));
        slab_weights(gpu, slab, image_weights, finish, &mut |neuron, row| {
            let at = weights_at + 4 * (neuron * features + slab.columns.start) as u64;
            put(at, bytemuck::cast_slice(row))
        })
    })?;
    // Features of a file were read less these.
    means.iter_mut().zip(space.source().offsets()).for_each(|(mean, offset)| *mean += offset);
    put(starts[0], bytemuck::cast_slice(&means))
}

/// Neurons from `first` on whose rows, of `words` in all their operands, stay within [`CHUNK_BYTES`] and a
/// quarter of what is free, and whose product, of `operations` each, ends in the time of a submission.
fn chunk(gpu: &Gpu, first: usize, neurons: usize, words: usize, operations: f64) -> Range<usize> {
    let bytes = CHUNK_BYTES.min((gpu.ledger().free() / 4) as usize);
    let affordable = (gpu.affordable(&gemm::KERNEL) / operations) as usize;
    first..(first + (bytes / 4 / words).min(affordable.max(LEAST_NEURONS)).max(1)).min(neurons)
}

/// Operations that a slab takes for one neuron.
fn product_cost(slab: &Slab) -> f64 {
    2.0 * slab.matrix.rows as f64 * slab.matrix.columns as f64
}

/// Neurons of a product's tile: fewer are no faster.
const LEAST_NEURONS: usize = 64;

/// Bytes of the whole file.
pub(super) fn file_bytes(neurons: usize, features: usize) -> u64 {
    let (header, starts) = header(neurons, features);
    header.len() as u64 + starts[2] + 4 * neurons as u64
}

/// Header of the file, padded to a multiple of 8 as the format asks, and where the vectors start after it.
fn header(neurons: usize, features: usize) -> (Vec<u8>, [u64; 3]) {
    let vectors = [("feature_means", features, 8), ("intercepts", neurons, 8), ("penalties", neurons, 4)];
    let mut at = 4 * (neurons * features) as u64;
    let tensor = |shape: &[usize], bytes: usize, from: u64, to: u64| {
        let (element, offsets) = (if bytes == 8 { "F64" } else { "F32" }, [from, to]);
        serde_json::json!({"dtype": element, "shape": shape, "data_offsets": offsets})
    };
    let mut all = serde_json::Map::new();
    all.insert("__metadata__".into(), serde_json::json!({"format": "striate readout"}));
    all.insert("weights".into(), tensor(&[neurons, features], 4, 0, at));
    let mut starts = [0; 3];
    for ((name, length, bytes), start) in vectors.into_iter().zip(&mut starts) {
        *start = at;
        at += (bytes * length) as u64;
        all.insert(name.into(), tensor(&[length], bytes, *start, at));
    }
    let mut json = serde_json::Value::Object(all).to_string().into_bytes();
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.extend(json);
    (header, starts)
}

/// Weights of all neurons for one slab, a row at a time.
fn slab_weights(
    gpu: &Gpu,
    slab: &Slab,
    image_weights: ArrayView2<'_, f32>,
    finish: &Finish<'_>,
    each: &mut dyn FnMut(usize, &[f32]) -> Result<()>,
) -> Result<()> {
    let turned = Matrix::zeros(gpu, "features by column", slab.columns.len(), slab.matrix.rows)?;
    let mut recording = Recording::new();
    recording.add(Transpose { x: &slab.matrix, y: &turned }.launch()?);
    gpu.start(&recording)?;
    // Twice the product: finishing it may take another.
    let (words, operations) = (2 * slab.matrix.pitch() + turned.pitch(), product_cost(slab));
    let mut first = 0;
    while first < image_weights.nrows() {
        let range = chunk(gpu, first, image_weights.nrows(), words, operations);
        first = range.end;
        let left = Matrix::upload(gpu, "image weights", image_weights.slice(s![range.clone(), ..]))?;
        let product = Matrix::zeros(gpu, "readout weights", range.len(), slab.columns.len())?;
        let mut recording = Recording::new();
        recording.add(Gemm::of(&left, &turned, &product).launch()?);
        gpu.start(&recording)?;
        let weights = finish(gpu, product, range.clone())?;
        for (neuron, row) in range.zip(weights.download(gpu)?.rows()) {
            each(neuron, &row.to_vec())?;
        }
    }
    Ok(())
}

impl Model {
    /// Opens the model of a run folder; reads everything but the weights.
    ///
    /// # Errors
    /// Input, if it is missing, damaged, or no readout.
    pub fn open(path: &Path) -> Result<Self> {
        let file = WeightFile::open(path)?;
        let wrong = |found: String| {
            let wanted =
                "weights [neurons, features] and vectors that fit them, as `striate fit` writes them";
            Error::input(path, found, wanted, "Run `striate fit` again")
        };
        let weights = file.tensors().iter().find(|t| t.name == "weights");
        let Some([neurons, features]) = weights.map(|w| w.shape.as_slice()) else {
            return Err(wrong("has no weights [neurons, features]".into()));
        };
        let (neurons, features) = (*neurons, *features);
        let vector = |name: &str, length: usize| -> Result<Vec<f64>> {
            let values = file.read_f64(name)?;
            if values.len() == length {
                Ok(values)
            } else {
                Err(wrong(format!("{name} has {} values for {length}", values.len())))
            }
        };
        let means = vector("feature_means", features)?;
        let intercepts = vector("intercepts", neurons)?;
        let Some(weights_at) = file.plain_f32_at("weights") else {
            return Err(wrong("has weights that are not f32, row by row".into()));
        };
        Ok(Model { path: path.into(), weights_at, neurons, features, means, intercepts })
    }

    /// Weights of some neurons for some features: (neurons, features).
    fn weights(&self, neurons: Range<usize>, columns: Range<usize>) -> Result<Array2<f32>> {
        let unreadable = |why| Error::unreadable(&self.path, &why);
        let mut file = file::open(&self.path)?;
        let mut weights = Array2::<f32>::zeros((neurons.len(), columns.len()));
        let mut row_bytes = vec![0u8; 4 * columns.len()];
        for (neuron, mut row) in neurons.zip(weights.rows_mut()) {
            let at = self.weights_at + 4 * (neuron * self.features + columns.start) as u64;
            file.seek(SeekFrom::Start(at)).map_err(unreadable)?;
            file.read_exact(&mut row_bytes).map_err(unreadable)?;
            for (value, word) in row.iter_mut().zip(row_bytes.chunks_exact(4)) {
                *value = f32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            }
            if row.iter().any(|v| !v.is_finite()) {
                let found = format!("the weights of neuron {neuron} hold NaN or infinity");
                return Err(Error::input(&self.path, found, "finite numbers", "Run `striate fit` again"));
            }
        }
        Ok(weights)
    }

    /// Predictions for every image of a feature space, which must not be centred but for the first `taken`
    /// features, from which the means are taken off already: (neurons, images).
    ///
    /// # Errors
    /// As [`FeatureSpace::visit`].
    pub fn predict(
        &self,
        gpu: &Gpu,
        space: &mut FeatureSpace,
        taken: usize,
        progress: &mut dyn FnMut(f64),
    ) -> Result<Array2<f64>> {
        let left = |(feature, mean): (usize, &f64)| if feature < taken { 0.0 } else { *mean as f32 };
        let all_means: Vec<f32> = self.means.iter().enumerate().map(left).collect();
        let mut sums = Array2::<f64>::zeros((self.neurons, space.source().images()));
        space.visit(gpu, progress, &mut |slab| {
            let means = ArrayView2::from_shape((1, slab.columns.len()), &all_means[slab.columns.clone()])
                .map_err(|e| Error::internal("feature means", e))?;
            let means = Matrix::upload(gpu, "feature means", means)?;
            let mut recording = Recording::new();
            recording.add(Centre { m: &slab.matrix, means: &means }.launch()?);
            gpu.start(&recording)?;
            let (words, operations) = (slab.matrix.pitch() + slab.matrix.rows, product_cost(slab));
            let mut first = 0;
            while first < self.neurons {
                let neurons = chunk(gpu, first, self.neurons, words, operations);
                first = neurons.end;
                let weights = self.weights(neurons.clone(), slab.columns.clone())?;
                let weights = Matrix::upload(gpu, "readout weights", weights.view())?;
                let product = Matrix::zeros(gpu, "predictions", neurons.len(), slab.matrix.rows)?;
                let mut recording = Recording::new();
                recording.add(Gemm::of(&weights, &slab.matrix, &product).launch()?);
                gpu.start(&recording)?;
                let mut rows = sums.slice_mut(s![neurons, ..]);
                rows += &product.download(gpu)?.mapv(f64::from);
            }
            Ok(())
        })?;
        for (mut row, intercept) in sums.rows_mut().into_iter().zip(&self.intercepts) {
            row += *intercept;
        }
        Ok(sums)
    }
}
