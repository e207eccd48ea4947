//! Which part of an image each cell of a map sees.

use super::{Network, Operation};

/// The cells of a map over the image, alike along rows and columns: in pixels from the image's edge, where
/// the first pixel reaches from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Places {
    /// Centre of the first cell.
    pub first: f64,
    /// From the centre of a cell to that of the next.
    pub step: f64,
    /// Side of the square of pixels that a cell depends on.
    pub field: usize,
}

impl Places {
    /// The edges of the space that so many cells stand for, each of them one step wide.
    pub fn edges(&self, cells: usize) -> [f64; 2] {
        let first = self.first - 0.5 * self.step;
        [first, first + self.step * cells as f64]
    }
}

impl Network {
    /// The places of the map after entry `up_to`; those of the image's pixels for `None`. None where cells
    /// have no places of their own: behind dense layers and averages over the whole map.
    pub fn places(&self, up_to: Option<usize>) -> Option<Places> {
        let mut places = Places { first: 0.5, step: 1.0, field: 1 };
        for entry in self.entries.iter().take(up_to.map_or(0, |index| index + 1)) {
            let (kernel, stride, padding) = match entry.operation {
                Operation::Relu | Operation::LocalResponseNormalisation { .. } => continue,
                Operation::Convolution { kernel, stride, padding, .. } => (kernel, stride, padding),
                Operation::MaxPool { kernel, stride } => (kernel, stride, 0),
                _ => return None,
            };
            places.first += (0.5 * (kernel as f64 - 1.0) - padding as f64) * places.step;
            places.field += (kernel - 1) * places.step as usize;
            places.step *= stride as f64;
        }
        Some(places)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Which inputs a cell depends on, by walking back through the windows of one axis.
    fn traced(network: &Network, up_to: usize, cell: i64) -> [i64; 2] {
        let mut range = [cell, cell];
        for entry in network.entries[..=up_to].iter().rev() {
            let (kernel, stride, padding) = match entry.operation {
                Operation::Convolution { kernel, stride, padding, .. } => (kernel, stride, padding),
                Operation::MaxPool { kernel, stride } => (kernel, stride, 0),
                _ => continue,
            };
            let first = |cell: i64| cell * stride as i64 - padding as i64;
            range = [first(range[0]), first(range[1]) + kernel as i64 - 1];
        }
        range
    }

    #[test]
    fn places_are_those_of_the_windows_walked_back() {
        for (name, layer) in
            [("vgg19", "relu3_1"), ("vgg11", "pool5"), ("alexnet", "relu5"), ("caffenet", "pool2")]
        {
            let network = Network::named(name).unwrap();
            let index = network.find(layer).unwrap();
            let places = network.places(Some(index)).unwrap();
            for cell in [0, 1, 7] {
                let [first, last] = traced(&network, index, cell);
                // The pixels reach from `first` to `last + 1`.
                let centre = 0.5 * (first + last + 1) as f64;
                assert_eq!(places.first + places.step * cell as f64, centre, "{name} {layer} {cell}");
                assert_eq!(places.field as i64, last - first + 1, "{name} {layer}");
            }
        }
        let vgg = Network::named("vgg19").unwrap();
        assert_eq!(vgg.places(vgg.find("relu3_1").ok()).unwrap().edges(28), [0.0, 112.0]);
        assert!(vgg.places(vgg.find("fc6").ok()).is_none());
        assert_eq!(vgg.places(None).unwrap().edges(24), [0.0, 24.0]);
    }
}
