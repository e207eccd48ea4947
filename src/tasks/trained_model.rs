//! A trained readout on disk. One without hidden layers is a linear model like that of a ridge (see
//! [`super::model`]), with `spatial_masks [neurons, height, width]` and `feature_weights [neurons, channels]`
//! where it is factored. An `mlp` has `layers.N.weights [inputs, units]`, `layers.N.bias [units]`, and what
//! features and responses were standardised by.

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

/// Writes a readout.
pub(super) fn write(path: &Path, readout: &Readout) -> Result<()> {
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
    let bytes: Vec<&[u8]> = tensors.iter().map(|(_, _, values)| bytemuck::cast_slice(values)).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.clone(), view))
    });
    let views: Vec<_> = views.collect::<std::result::Result<_, _>>().map_err(|e| failed(&e))?;
    let metadata = HashMap::from([("format".to_string(), "striate readout".to_string())]);
    commit::write(path, &serialize(views, Some(metadata)).map_err(|e| failed(&e))?)
}

fn matrix(name: &str, values: &Array2<f32>) -> Tensor {
    (name.into(), vec![values.nrows(), values.ncols()], values.iter().copied().collect())
}

/// Reads an `mlp` of a shape that the record of its run tells.
///
/// # Errors
/// Input, if the file is damaged or does not fit the record.
pub(super) fn read(path: &Path, shared: &Shared, shape: [usize; 3]) -> Result<Readout> {
    let file = WeightFile::open(path)?;
    let wrong = |found: String| {
        Error::input(path, found, "an mlp as `striate fit` writes it", "Run `striate fit` again")
    };
    let one = |name: &str| -> Result<Array1<f32>> { Ok(file.read(name)?.iter().copied().collect()) };
    let two = |name: &str| -> Result<Array2<f32>> {
        let values = file.read(name)?;
        let shape = values.shape().to_vec();
        values.into_dimensionality().map_err(|_| wrong(format!("{name} has the shape {shape:?}")))
    };
    Readout::from_tensors(shared, shape, &one, &two)?
        .ok_or_else(|| wrong("has tensors of other shapes".into()))
}
