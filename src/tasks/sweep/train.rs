//! Which configurations train together, and how they are cut where memory does not suffice.

use super::configuration::Configuration;
use crate::training::{Settings, Shared};
use std::collections::BTreeMap;

/// Configurations of one input that train together.
#[derive(Debug, Clone)]
pub(super) struct Group<'a> {
    pub shared: &'a Shared,
    pub members: Vec<&'a Configuration>,
}

impl<'a> Group<'a> {
    /// The groups of some configurations, in the order of their first members.
    pub fn of(configurations: impl Iterator<Item = &'a Configuration>) -> Vec<Group<'a>> {
        let (mut groups, mut known): (Vec<Group<'a>>, BTreeMap<String, usize>) = Default::default();
        for one in configurations {
            // Every field counts, and there are no NaN among them.
            let key = format!("{:?}", one.shared);
            let at = *known.entry(key).or_insert_with(|| {
                groups.push(Group { shared: &one.shared, members: Vec::new() });
                groups.len() - 1
            });
            groups[at].members.push(one);
        }
        groups
    }

    /// The same members in groups of at most `most`.
    pub fn cut(self, most: usize) -> Vec<Group<'a>> {
        let part = |members: &[&'a Configuration]| Group { shared: self.shared, members: members.to_vec() };
        self.members.chunks(most.max(1)).map(part).collect()
    }

    /// What is each member's own.
    pub fn settings(&self) -> Vec<Settings> {
        self.members.iter().map(|one| one.settings.clone()).collect()
    }

    /// The members' numbers.
    pub fn numbers(&self) -> Vec<usize> {
        self.members.iter().map(|one| one.number).collect()
    }
}

/// The largest number, up to `count`, for which `bytes` are at most `free`; 0 if there is none. `bytes`
/// grows with it.
pub(super) fn most(count: usize, free: u64, bytes: impl Fn(usize) -> u64) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if bytes(middle) <= free { low = middle } else { high = middle - 1 }
    }
    low
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::tasks::{FeaturesInput, Input};
    use crate::training::Optimiser;

    #[test]
    fn groups_share_what_is_shared() {
        let one = |number: usize| {
            let input = Input::Features(FeaturesInput { file: "f.npy".into(), subsample: None });
            let optimiser = if number.is_multiple_of(3) { Optimiser::Sgd } else { Optimiser::Adam };
            let shared = Shared { optimiser, ..Shared::default() };
            let settings = Settings { learning_rate: number as f64, ..Settings::default() };
            Configuration { number, stage: 0, input, shared, settings }
        };
        let all: Vec<Configuration> = (0..7).map(one).collect();
        let groups = Group::of(all.iter());
        assert_eq!(groups.iter().map(Group::numbers).collect::<Vec<_>>(), [vec![0, 3, 6], vec![1, 2, 4, 5]]);
        assert_eq!(groups[1].settings()[2].learning_rate, 4.0);
        let parts = groups[1].clone().cut(3);
        assert_eq!(parts.iter().map(Group::numbers).collect::<Vec<_>>(), [vec![1, 2, 4], vec![5]]);
    }

    #[test]
    fn as_many_train_together_as_fit() {
        let bytes = |count: usize| 100 + 10 * count as u64;
        assert_eq!(most(8, 150, bytes), 5);
        assert_eq!(most(8, 149, bytes), 4);
        assert_eq!((most(8, 1000, bytes), most(8, 109, bytes), most(0, 1000, bytes)), (8, 0, 0));
    }
}
