//! The networks themselves.
//!
//! - `alexnet`: Krizhevsky 2014 ("One weird trick"), as torchvision has it: one column, no normalisation.
//! - `alexnet-krizhevsky`: Krizhevsky, Sutskever and Hinton 2012: two groups, normalisation before pooling. k
//!   = 2, and alpha as in section 3.3 of the paper, used with this crate's division by `size`.
//! - `caffenet`: Caffe's variant of it: pooling before normalisation, k = 1.
//! - `vgg11` to `vgg19`: configurations A, B, D and E of Simonyan and Zisserman 2015; `vgg11_bn` to `vgg19_bn`
//!   with batch normalisation (Ioffe and Szegedy 2015) after each convolution, as torchvision has them. The two
//!   are one step here, so that there is no layer between them.

use super::{Entry, INPUT_CHANNELS, Operation};

/// The entries of one of [`super::NAMES`]; none for `pixels`.
pub(super) fn entries(name: &str) -> Vec<Entry> {
    match name {
        "alexnet" => alexnet(),
        "alexnet-krizhevsky" => two_groups(2.0, true),
        "caffenet" => two_groups(1.0, false),
        "vgg11" => vgg([1, 1, 2, 2, 2], false),
        "vgg11_bn" => vgg([1, 1, 2, 2, 2], true),
        "vgg13" => vgg([2, 2, 2, 2, 2], false),
        "vgg13_bn" => vgg([2, 2, 2, 2, 2], true),
        "vgg16" => vgg([2, 2, 3, 3, 3], false),
        "vgg16_bn" => vgg([2, 2, 3, 3, 3], true),
        "vgg19" => vgg([2, 2, 4, 4, 4], false),
        "vgg19_bn" => vgg([2, 2, 4, 4, 4], true),
        _ => Vec::new(),
    }
}

/// Entries as they are added, with the counter of torch's `Sequential` they are added to.
struct Builder {
    entries: Vec<Entry>,
    sequential: &'static str,
    module: usize,
    channels: usize,
}

impl Builder {
    fn new() -> Self {
        Builder { entries: Vec::new(), sequential: "features", module: 0, channels: INPUT_CHANNELS }
    }

    fn key(&self) -> String {
        format!("{}.{}", self.sequential, self.module)
    }

    fn add(&mut self, name: impl Into<String>, operation: Operation) {
        self.entries.push(Entry { key: self.key(), name: name.into(), operation, normalises: None });
        self.module += 1;
    }

    /// Makes the convolution that was added last one step with the batch normalisation that follows it.
    fn normalise(&mut self, suffix: &str) {
        let key = self.key();
        if let Some(entry) = self.entries.last_mut() {
            entry.normalises = Some(std::mem::replace(&mut entry.key, key));
            entry.name = format!("bn{suffix}");
        }
        self.module += 1;
    }

    /// A convolution and the rectification that follows it: `conv<suffix>`, `relu<suffix>`.
    fn convolution(&mut self, suffix: &str, outputs: usize, geometry: [usize; 3], groups: usize) {
        self.linear(suffix, outputs, geometry, groups);
        self.add(format!("relu{suffix}"), Operation::Relu);
    }

    fn linear(&mut self, suffix: &str, outputs: usize, [kernel, stride, padding]: [usize; 3], groups: usize) {
        let inputs = self.channels;
        let operation = Operation::Convolution { inputs, outputs, kernel, stride, padding, groups };
        self.add(format!("conv{suffix}"), operation);
        self.channels = outputs;
    }

    fn pool(&mut self, number: usize, kernel: usize) {
        self.add(format!("pool{number}"), Operation::MaxPool { kernel, stride: 2 });
    }

    fn average_pool(&mut self, side: usize) {
        let (key, name) = ("avgpool".to_owned(), "avgpool".to_owned());
        let operation = Operation::AdaptiveAveragePool { side };
        self.entries.push(Entry { key, name, operation, normalises: None });
    }

    /// The three dense layers over a map of `side` x `side`. torchvision's AlexNet puts its two dropouts
    /// before fc6 and fc7, all others put them after relu6 and relu7.
    fn classifier(mut self, side: usize, dropout_first: bool) -> Vec<Entry> {
        (self.sequential, self.module) = ("classifier", 0);
        let mut inputs = self.channels * side * side;
        for number in [6, 7] {
            self.module += usize::from(dropout_first);
            self.add(format!("fc{number}"), Operation::Dense { inputs, outputs: 4096 });
            self.add(format!("relu{number}"), Operation::Relu);
            self.module += usize::from(!dropout_first);
            inputs = 4096;
        }
        self.add("fc8", Operation::Dense { inputs, outputs: 1000 });
        self.entries
    }
}

fn alexnet() -> Vec<Entry> {
    let mut network = Builder::new();
    network.convolution("1", 64, [11, 4, 2], 1);
    network.pool(1, 3);
    network.convolution("2", 192, [5, 1, 2], 1);
    network.pool(2, 3);
    network.convolution("3", 384, [3, 1, 1], 1);
    network.convolution("4", 256, [3, 1, 1], 1);
    network.convolution("5", 256, [3, 1, 1], 1);
    network.pool(5, 3);
    network.average_pool(6);
    network.classifier(6, true)
}

/// The network of 2012 and Caffe's variant of it. Neither averages before its dense layers, which therefore
/// want images of 227 x 227.
fn two_groups(k: f32, normalisation_first: bool) -> Vec<Entry> {
    let mut network = Builder::new();
    let normalisation = Operation::LocalResponseNormalisation { size: 5, alpha: 1e-4, beta: 0.75, k };
    for (number, outputs, geometry, groups) in [(1, 96, [11, 4, 0], 1), (2, 256, [5, 1, 2], 2)] {
        network.convolution(&number.to_string(), outputs, geometry, groups);
        if normalisation_first {
            network.add(format!("norm{number}"), normalisation);
            network.pool(number, 3);
        } else {
            network.pool(number, 3);
            network.add(format!("norm{number}"), normalisation);
        }
    }
    network.convolution("3", 384, [3, 1, 1], 1);
    network.convolution("4", 384, [3, 1, 1], 2);
    network.convolution("5", 256, [3, 1, 1], 2);
    network.pool(5, 3);
    network.classifier(6, false)
}

/// Five blocks with that many convolutions each, with batch normalisation or without.
fn vgg(convolutions: [usize; 5], normalised: bool) -> Vec<Entry> {
    let mut network = Builder::new();
    for (block, (count, outputs)) in convolutions.into_iter().zip([64, 128, 256, 512, 512]).enumerate() {
        for number in 1..=count {
            let suffix = format!("{}_{number}", block + 1);
            network.linear(&suffix, outputs, [3, 1, 1], 1);
            if normalised {
                network.normalise(&suffix);
            }
            network.add(format!("relu{suffix}"), Operation::Relu);
        }
        network.pool(block + 1, 2);
    }
    network.average_pool(7);
    network.classifier(7, false)
}
