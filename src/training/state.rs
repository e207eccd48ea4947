//! A group under way as bytes, from which it goes on bit for bit.

use super::course::Course;
use super::settings::{Settings, Shared};
use super::trainer::{Data, Trainer};
use crate::error::{Error, Kind, Result};
use crate::gpu::Gpu;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What stands beside the weights.
#[derive(Serialize, Deserialize)]
struct Position {
    epoch: usize,
    steps: usize,
    courses: Vec<Course>,
}

/// Key of the position in the file's metadata.
const POSITION: &str = "position";

impl<'a> Trainer<'a> {
    /// Everything that is needed to go on, as safetensors.
    ///
    /// # Errors
    /// Device, if the weights cannot be read back.
    pub fn state(&self) -> Result<Vec<u8>> {
        let failed = |why: &dyn std::fmt::Display| Error::internal("training state", why);
        let mut words: Vec<(String, [usize; 2], Vec<f32>)> = Vec::new();
        for (number, block) in self.network.blocks().into_iter().enumerate() {
            for (name, matrix) in block.state() {
                let values = self.gpu.download(&matrix.buffer)?;
                words.push((format!("{number}.{name}"), [matrix.rows, matrix.pitch()], values));
            }
        }
        let view = |(name, shape, values): &'_ (String, [usize; 2], Vec<f32>)| -> Result<(String, Vec<usize>, Vec<u8>)> {
            Ok((name.clone(), shape.to_vec(), bytemuck::cast_slice(values).to_vec()))
        };
        let parts: Vec<(String, Vec<usize>, Vec<u8>)> = words.iter().map(view).collect::<Result<_>>()?;
        let tensors = parts.iter().map(|(name, shape, bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|tensor| (name.clone(), tensor))
        });
        let tensors: Vec<(String, TensorView<'_>)> =
            tensors.collect::<std::result::Result<_, _>>().map_err(|e| failed(&e))?;
        let position = Position { epoch: self.epoch, steps: self.steps, courses: self.courses.clone() };
        let text = serde_json::to_string(&position).map_err(|e| failed(&e))?;
        let metadata = HashMap::from([(POSITION.to_string(), text)]);
        serialize(tensors, Some(metadata)).map_err(|e| failed(&e))
    }

    /// The group that [`Trainer::state`] was taken of, with the same data and settings.
    ///
    /// # Errors
    /// Input, if the bytes are damaged or of another group; as [`Trainer::new`].
    pub fn restore(
        gpu: &'a Gpu,
        data: Data<'a>,
        shared: &Shared,
        settings: &[Settings],
        state: &[u8],
    ) -> Result<Self> {
        let wrong = |found: String| {
            let advice = "Delete the unfinished sweep and start it again";
            Error::new(Kind::Input, "state of training", found, "one of the same grid and data", advice)
        };
        let (_, header) = SafeTensors::read_metadata(state).map_err(|e| wrong(format!("is damaged: {e}")))?;
        let text = header.metadata().as_ref().and_then(|all| all.get(POSITION));
        let text = text.ok_or_else(|| wrong("has no position".into()))?;
        let position: Position = serde_json::from_str(text).map_err(|e| wrong(format!("is damaged: {e}")))?;
        if position.courses.is_empty() || position.courses.iter().any(|c| c.configuration >= settings.len()) {
            return Err(wrong("names configurations that are not there".into()));
        }
        let tensors = SafeTensors::deserialize(state).map_err(|e| wrong(format!("is damaged: {e}")))?;
        let mut trainer = Trainer::with(gpu, data, shared, settings, position.courses)?;
        (trainer.epoch, trainer.steps) = (position.epoch, position.steps);
        for (number, block) in trainer.network.blocks().into_iter().enumerate() {
            for (name, matrix) in block.state() {
                let key = format!("{number}.{name}");
                let tensor = tensors.tensor(&key).map_err(|e| wrong(format!("{key}: {e}")))?;
                let word = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                let values: Vec<f32> = tensor.data().chunks_exact(4).map(word).collect();
                if values.len() != matrix.rows * matrix.pitch() {
                    return Err(wrong(format!("{key} has {} words", values.len())));
                }
                gpu.write(&matrix.buffer, 0, &values)?;
            }
        }
        trainer.set_rates()?;
        Ok(trainer)
    }
}
