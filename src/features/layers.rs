//! All layers of a network from one pass over the images: the slabs of all of them are filled together.

use super::slabs::{LARGEST, Slab, centre};
use super::source::Source;
use crate::error::{Error, Kind, Result};
use crate::gpu::{Gpu, LONGEST_LOOP, Matrix};
use std::ops::Range;

/// Features of a layer, and the columns of it that must stay together: a slab has a multiple of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct LayerColumns {
    /// All of them.
    pub features: usize,
    /// Those that stay together; [`UNIT`](super::UNIT) but for maps that must not be cut.
    pub unit: usize,
}

impl LayerColumns {
    /// Columns of a slab, of about so many.
    fn slab(&self, about: usize) -> usize {
        (about / self.unit * self.unit).max(self.unit).min(self.features)
    }
}

/// How the features of several layers are cut to fit into memory.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LayersPlan {
    layers: Vec<LayerColumns>,
    /// Features of a slab, about: whole units of each layer.
    about: usize,
    /// Columns that are held at once.
    held: usize,
    /// Number of slabs of all layers.
    pub slabs: usize,
    /// Times that all images pass through the network.
    pub passes: usize,
    /// Bytes of the slabs of the largest pass.
    pub bytes: u64,
}

impl LayersPlan {
    /// Cuts layers of `images` rows, so that `bytes` hold as many slabs as they can.
    ///
    /// # Errors
    /// Usage, for more images than a mean can be taken over; Memory, if not even one slab of the smallest
    /// size fits.
    pub fn new(gpu: &Gpu, images: usize, layers: Vec<LayerColumns>, bytes: u64) -> Result<Self> {
        if images > LONGEST_LOOP as usize {
            let wanted = format!("at most {LONGEST_LOOP}, over which a mean can be taken on every adapter");
            let advice = "Split them into several profiles";
            return Err(Error::new(Kind::Usage, "images", images, wanted, advice));
        }
        let column_bytes = 4 * images as u64;
        let least = Self::least_bytes(images, &layers);
        let (limit, bound) = (bytes.min(gpu.max_binding_bytes()), gpu.max_binding_bytes() / column_bytes);
        if least > limit {
            return Err(crate::gpu::too_large("features", least, limit, gpu.ledger().budget()));
        }
        let fit = (bytes / column_bytes) as usize;
        let all: usize = layers.iter().map(|layer| words(layer, LARGEST)).sum();
        // Where they cannot all stay, small slabs waste least.
        let about = if all <= fit { LARGEST } else { fit / 8 }.min(bound as usize / 4 * 4);
        let passes = passes(&layers, about, fit);
        let largest =
            passes.iter().map(|pass| pass.iter().map(|(_, range)| padded(range)).sum::<usize>()).max();
        Ok(LayersPlan {
            about,
            held: fit,
            slabs: passes.iter().map(Vec::len).sum(),
            passes: passes.len(),
            bytes: column_bytes * largest.unwrap_or(0) as u64,
            layers,
        })
    }

    /// The bytes that [`LayersPlan::new`] needs at least.
    pub fn least_bytes(images: usize, layers: &[LayerColumns]) -> u64 {
        let widest = layers.iter().map(|layer| layer.slab(0).next_multiple_of(4)).max().unwrap_or(4);
        4 * (images * widest) as u64
    }
}

/// Columns that a range takes in memory: rows are padded to whole quads.
fn padded(columns: &Range<usize>) -> usize {
    columns.len().next_multiple_of(4)
}

/// Slabs of a layer.
fn slabs(layer: &LayerColumns, about: usize) -> impl Iterator<Item = Range<usize>> {
    let (columns, features) = (layer.slab(about), layer.features);
    (0..features).step_by(columns.max(1)).map(move |start| start..(start + columns).min(features))
}

fn words(layer: &LayerColumns, about: usize) -> usize {
    slabs(layer, about).map(|range| padded(&range)).sum()
}

/// Layer and columns of every slab of every pass, layer after layer; `fit` columns stay at once.
fn passes(layers: &[LayerColumns], about: usize, fit: usize) -> Vec<Vec<(usize, Range<usize>)>> {
    let (mut passes, mut left) = (Vec::<Vec<_>>::new(), 0);
    for (number, layer) in layers.iter().enumerate() {
        for range in slabs(layer, about) {
            let words = padded(&range);
            match passes.last_mut() {
                Some(pass) if words <= left => pass.push((number, range)),
                _ => {
                    passes.push(vec![(number, range)]);
                    left = fit;
                }
            }
            left = left.saturating_sub(words);
        }
    }
    passes
}

/// Calls `each` with every slab of every layer of `source`, layer after layer and in the order of their
/// columns. Layers that fit together come out of one pass. If `rows` names images, the mean over these is
/// taken off every column. `progress` gets the share of the passes that is done.
///
/// # Errors
/// As [`Source::fill`], and those of `each`.
pub fn visit_layers(
    gpu: &Gpu,
    source: &mut Source,
    plan: &LayersPlan,
    rows: &[usize],
    progress: &mut dyn FnMut(f64),
    each: &mut dyn FnMut(&Slab) -> Result<()>,
) -> Result<()> {
    let images = source.images();
    let passes = passes(&plan.layers, plan.about, plan.held);
    let count = passes.len() as f64;
    for (number, pass) in passes.into_iter().enumerate() {
        let slab = |(layer, columns): (usize, Range<usize>)| {
            let matrix = Matrix::zeros(gpu, "features", images, columns.len())?;
            Ok(Slab { layer, columns, matrix, means: Vec::new() })
        };
        let mut slabs = pass.into_iter().map(slab).collect::<Result<Vec<_>>>()?;
        source.fill(gpu, 0..images, &slabs, &mut |share| progress((number as f64 + share) / count))?;
        if !rows.is_empty() {
            for slab in &mut slabs {
                slab.means = centre(gpu, &slab.matrix, rows)?;
            }
        }
        for slab in slabs {
            each(&slab)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::UNIT;
    use super::*;

    #[test]
    fn passes_hold_every_column_once_and_no_more_than_fits() {
        let layers = [(700, UNIT), (4, UNIT), (3000, UNIT), (513, 49 * 10), (1024, 2000)]
            .map(|(features, unit)| LayerColumns { features, unit });
        for (about, fit) in [(512, 1024), (64, 1200), (1024, 4000), (4096, 1 << 20)] {
            let passes = passes(&layers, about, fit);
            let mut next = vec![0; layers.len()];
            let mut last = 0;
            for pass in &passes {
                let words: usize = pass.iter().map(|(_, range)| padded(range)).sum();
                assert!(words <= fit, "{words} of {fit}");
                for (layer, range) in pass {
                    let whole = range.start % layers[*layer].unit == 0;
                    assert!(*layer >= last && range.start == next[*layer] && whole);
                    (last, next[*layer]) = (*layer, range.end);
                }
            }
            assert_eq!(next, layers.map(|layer| layer.features));
        }
        assert_eq!(passes(&layers, 4096, 1 << 20).len(), 1);
    }
}
