//! A published file under torchvision's names.
//!
//! The VGG-19 with mean-normalised activations (Gatys, Ecker and Bethge 2015) circulates with a 1x1
//! convolution in front, key `0`, that turns RGB in 0..1 into BGR in 0..255 minus a mean. Folded into the
//! first convolution, it takes torchvision's input instead. Borders: with folded weights, zero padding pads
//! torchvision's normalised image.

use ndarray::{ArrayD, IxDyn};

use super::{TensorInfo, WeightFile};
use crate::error::Result;

/// torchvision's mean and standard deviation of RGB in 0..1.
const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f64; 3] = [0.229, 0.224, 0.225];

/// Keys of the convolutions in the file and in torchvision's `features`.
const LAYERS: [(&str, &str); 5] = [("2", "0"), ("5", "2"), ("9", "5"), ("12", "7"), ("16", "10")];

/// The renaming, and the fold of the first two convolutions into one.
pub(super) struct Fold;

impl Fold {
    /// Whether these are the tensors of that file.
    pub fn recognise(tensors: &[TensorInfo]) -> Option<Self> {
        let has = |name: &str, shape: &[usize]| tensors.iter().any(|t| t.name == name && t.shape == shape);
        let known = has("0.weight", &[3, 3, 1, 1])
            && has("0.bias", &[3])
            && has("2.weight", &[64, 3, 3, 3])
            && has("5.weight", &[64, 64, 3, 3])
            && has("9.weight", &[128, 64, 3, 3])
            && has("12.weight", &[128, 128, 3, 3])
            && has("16.weight", &[256, 128, 3, 3]);
        known.then_some(Fold)
    }

    /// The file's name of a tensor with torchvision's.
    pub fn original(&self, name: &str) -> Option<&'static str> {
        let (layer, part) = name.strip_prefix("features.")?.split_once('.')?;
        let at = LAYERS.iter().position(|(_, torchvision)| *torchvision == layer)?;
        const NAMES: [[&str; 2]; 5] = [
            ["2.weight", "2.bias"],
            ["5.weight", "5.bias"],
            ["9.weight", "9.bias"],
            ["12.weight", "12.bias"],
            ["16.weight", "16.bias"],
        ];
        match part {
            "weight" => Some(NAMES[at][0]),
            "bias" => Some(NAMES[at][1]),
            _ => None,
        }
    }

    /// The tensors under torchvision's names; the 1x1 convolution is gone.
    pub fn tensors(&self, tensors: &[TensorInfo]) -> Vec<TensorInfo> {
        let renamed = |tensor: &TensorInfo| {
            let (layer, part) = tensor.name.split_once('.')?;
            let (_, torchvision) = LAYERS.iter().find(|(file, _)| *file == layer)?;
            Some(TensorInfo { name: format!("features.{torchvision}.{part}"), ..tensor.clone() })
        };
        tensors.iter().filter_map(renamed).collect()
    }

    /// Whether the 1x1 convolution changes this tensor.
    pub fn concerns(&self, name: &str) -> bool {
        matches!(name, "features.0.weight" | "features.0.bias")
    }

    /// One of the two tensors of the folded convolution.
    ///
    /// With `x' = W (s t + m) + v` in front of `y = K * x' + b`, where `t` is torchvision's input, `m` its
    /// mean and `s` its deviation: `y = K' * t + b'` with `K'[o, j] = sum_c K[o, c] W[c, j] s[j]` and `b'[o]
    /// = b[o] + sum_c (sum of K[o, c] over its window) (W m + v)[c]`. In f64.
    pub fn read(&self, file: &WeightFile, name: &str) -> Result<ArrayD<f32>> {
        let first = file.read_entry(file.stored_name("0.weight"), name)?.mapv(f64::from);
        let offset = file.read_entry(file.stored_name("0.bias"), name)?.mapv(f64::from);
        let kernel = file.read_entry(file.stored_name("2.weight"), name)?.mapv(f64::from);
        let bias = file.read_entry(file.stored_name("2.bias"), name)?.mapv(f64::from);
        let outputs = kernel.shape()[0].min(bias.len());
        let folded = if name.ends_with("bias") {
            ArrayD::from_shape_fn(IxDyn(&[outputs]), |at| {
                let of_colour = |c: usize| {
                    let level = offset[[c]] + (0..3).map(|j| first[[c, j, 0, 0]] * MEAN[j]).sum::<f64>();
                    let window: f64 = (0..9).map(|k| kernel[[at[0], c, k / 3, k % 3]]).sum();
                    window * level
                };
                bias[[at[0]]] + (0..3).map(of_colour).sum::<f64>()
            })
        } else {
            ArrayD::from_shape_fn(IxDyn(kernel.shape()), |at| {
                let of_colour = |c: usize| kernel[[at[0], c, at[2], at[3]]] * first[[c, at[1], 0, 0]];
                (0..3).map(of_colour).sum::<f64>() * DEVIATION[at[1]]
            })
        };
        Ok(folded.mapv(|v| v as f32))
    }
}
