//! A trained readout on disk. One without hidden layers is a linear model like that of a ridge (see
//! [`super::model`]), with `spatial_masks [neurons, height, width]` and `feature_weights [neurons, channels]`
//! where it is factored. An `mlp` has `layers.N.weights [inputs, units]`, `layers.N.bias [units]`, and what
//! features and responses were standardised by, of which the means are f64.

use crate::error::{Error, Result};
use crate::io::commit;
use crate::io::weights::WeightFile;
use crate::training::{Readout, Shared};
use ndarray::{Array1, Array2};
use safetensors::tensor::{Dtype, TensorView, serialize};
use std::collections::HashMap;
use std::path::Path;

/// A tensor of f32: its name, shape and values.
type Tensor = (String, Vec<usize>, Vec<f32>);

/// Writes a readout that was trained to features and responses less `offsets`; of features these may be none.
pub(super) fn write(path: &Path, readout: &Readout, offsets: [&[f64]; 2]) -> Result<()> {
    let failed = |why: &dyn std::fmt::Display| Error::internal("model", why);
    let tensors = readout.linear().map_or_else(
        || readout.tensors(),
        |linear| {
            let [_, height, width] = readout.feature_shape();
            let mut tensors = vec![matrix("weights", &linear.weights)];
            tensors.push(("feature_means".into(), vec![linear.feature_means.len()], linear.feature_means));
            tensors.push(("intercepts".into(), vec![linear.intercepts.len()], linear.intercepts.to_vec()));
            if let Some([masks, features]) = &linear.factors {
                let (name, _, values) = matrix("spatial_masks", masks);
                tensors.push((name, vec![masks.nrows(), height, width], values));
                tensors.push(matrix("feature_weights", features));
            }
            tensors
        },
    );
    let [of_features, of_responses] = offsets;
    let bytes = tensors.iter().map(|(name, _, values)| {
        let own = match name.as_str() {
            "feature_means" => of_features,
            "intercepts" | "response_means" => of_responses,
            _ => return (Dtype::F32, bytemuck::cast_slice(values).to_vec()),
        };
        let offset = |at: usize| own.get(at).copied().unwrap_or(0.0);
        let wide = values.iter().enumerate().flat_map(|(at, v)| (f64::from(*v) + offset(at)).to_le_bytes());
        (Dtype::F64, wide.collect())
    });
    let bytes: Vec<(Dtype, Vec<u8>)> = bytes.collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), (element, bytes))| {
        TensorView::new(*element, shape.clone(), bytes).map(|view| (name.clone(), view))
    });
    let views: Vec<_> = views.collect::<std::result::Result<_, _>>().map_err(|e| failed(&e))?;
    let metadata = HashMap::from([("format".to_string(), "striate readout".to_string())]);
    commit::write(path, &serialize(views, Some(metadata)).map_err(|e| failed(&e))?)
}

fn matrix(name: &str, values: &Array2<f32>) -> Tensor {
    (name.into(), vec![values.nrows(), values.ncols()], values.iter().copied().collect())
}

/// Reads an `mlp` of a shape that the record of its run tells, for features from the first `taken` of which
/// the means are taken off; it predicts less its response means, which come with it.
///
/// # Errors
/// Input, if the file is damaged or does not fit the record.
pub(super) fn read(
    path: &Path,
    shared: &Shared,
    shape: [usize; 3],
    taken: usize,
) -> Result<(Readout, Vec<f64>)> {
    let file = WeightFile::open(path)?;
    let wrong = |found: String| {
        Error::input(path, found, "an mlp as `striate fit` writes it", "Run `striate fit` again")
    };
    let means = file.read_f64("response_means")?;
    let one = |name: &str| -> Result<Array1<f32>> {
        let mut values: Array1<f32> = file.read(name)?.iter().copied().collect();
        let off = match name {
            "feature_means" => taken.min(values.len()),
            "response_means" => values.len(),
            _ => 0,
        };
        values.iter_mut().take(off).for_each(|value| *value = 0.0);
        Ok(values)
    };
    let two = |name: &str| -> Result<Array2<f32>> {
        let values = file.read(name)?;
        let shape = values.shape().to_vec();
        values.into_dimensionality().map_err(|_| wrong(format!("{name} has the shape {shape:?}")))
    };
    let readout = Readout::from_tensors(shared, shape, &one, &two)?;
    Ok((readout.ok_or_else(|| wrong("has tensors of other shapes".into()))?, means))
}

/// What is taken off features before they enter an `mlp`.
///
/// # Errors
/// Input, if the file is damaged.
pub(super) fn feature_means(path: &Path) -> Result<Vec<f64>> {
    WeightFile::open(path)?.read_f64("feature_means")
}
