//! What the columns of all matrices are: the neurons of one configuration after those of another.

/// `configurations` times `neurons` columns, of which the first `real` of each configuration are neurons and
/// the others pad them to a multiple of four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Columns {
    pub real: usize,
    pub neurons: usize,
    pub configurations: usize,
}

impl Columns {
    pub fn new(neurons: usize, configurations: usize) -> Self {
        Columns { real: neurons, neurons: neurons.next_multiple_of(4), configurations }
    }

    /// Columns of all configurations.
    pub fn all(&self) -> usize {
        self.neurons * self.configurations
    }

    /// The values of one configuration's neurons among those of all columns.
    pub fn of<'a, T>(&self, all: &'a [T], configuration: usize) -> &'a [T] {
        &all[configuration * self.neurons..][..self.real]
    }
}
