//! Features of images: a network's layers, the images themselves, or a file, as slabs of a matrix on the
//! device.

mod convolution;
mod extract;
mod host;
mod layers;
mod network_source;
mod prepared;
mod slabs;
mod source;
mod trials;
mod weight_source;

pub use convolution::Convolution;
pub use extract::{Extractor, Sink, Wish};
pub use host::affordable;
pub use layers::{LayerColumns, LayersPlan, visit_layers};
pub use network_source::{LayerRequest, NetworkSource};
pub use slabs::{FeatureSpace, LARGEST, Prepare, Slab, SlabPlan, UNIT};
pub use source::{FileSource, Source};
pub use trials::Trials;
pub use weight_source::WeightSource;
