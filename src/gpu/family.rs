//! The families of the heavy kernels: which of them an adapter has, which one runs, and why.

use super::cooperative;
use super::device::Gpu;
use super::kernel::{Grid, Kernel, Launch};
use super::recording::Recording;
use crate::error::Result;
use std::fmt;

/// The families of the heavy kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Tiles in workgroup memory: GPUs. Every adapter runs it.
    Tiled,
    /// Tiles in registers, one operand broadcast across a subgroup of eight: CPU adapters.
    Broadcast,
    /// Cooperative matrices of f16, eight by eight, where a kernel has a source for them, otherwise tiles.
    /// Never chosen by itself, until it has been measured on a GPU.
    Cooperative8,
    /// The same, sixteen by sixteen.
    Cooperative16,
}

impl Family {
    /// Every family, with its name.
    pub const ALL: [(&'static str, Family); 4] = [
        ("tiled", Family::Tiled),
        ("broadcast", Family::Broadcast),
        ("cooperative8", Family::Cooperative8),
        ("cooperative16", Family::Cooperative16),
    ];

    /// What an adapter must have for it; empty for the tiled family.
    pub fn needs(self) -> &'static str {
        match self {
            Family::Tiled => "",
            Family::Broadcast => "subgroups of eight lanes, 64-bit integers",
            Family::Cooperative8 => "8 x 8 matrices of f16 summed in f32, subgroups of one width",
            Family::Cooperative16 => "16 x 16 matrices of f16 summed in f32, subgroups of one width",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Family::ALL.into_iter().find(|(_, family)| family == self).map_or("", |(name, _)| name);
        f.pad(name)
    }
}

/// Which family runs, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FamilyChoice {
    /// The one that runs.
    pub used: Family,
    /// The one that was asked for, or that is this kind of adapter's, where another runs instead.
    pub refused: Option<Family>,
    /// What was found that decided it.
    pub why: String,
}

impl FamilyChoice {
    /// Before any has been tried: the one that is asked for where the adapter lacks nothing for it, otherwise
    /// its own.
    fn first(asked: Option<Family>, own: Family, lacks: impl Fn(Family) -> Option<String>) -> Self {
        let own_why = "this kind of adapter's own".to_string();
        match asked.map(|family| (family, lacks(family))) {
            None => FamilyChoice { used: own, refused: None, why: own_why },
            Some((used, None)) => FamilyChoice { used, refused: None, why: "asked for".into() },
            Some((family, Some(found))) => FamilyChoice { used: own, refused: Some(family), why: found },
        }
    }

    /// After the one that is used has failed.
    fn next(&self, own: Family, found: String) -> Self {
        let why = if self.refused.is_some() { format!("{}; {found}", self.why) } else { found };
        let used = if self.used == own { Family::Tiled } else { own };
        FamilyChoice { used, refused: self.refused.or(Some(self.used)), why }
    }
}

/// What the broadcast family needs of the adapter beside subgroups of eight lanes: it loads two words as one
/// of 64 bits.
pub(super) const BROADCAST: wgpu::Features = wgpu::Features::SUBGROUP.union(wgpu::Features::SHADER_INT64);

/// The families of one adapter.
pub(super) struct Families {
    own: Family,
    lacks: Vec<(Family, String)>,
    pub choice: FamilyChoice,
}

impl Families {
    pub fn new(adapter: &wgpu::Adapter, asked: Option<Family>) -> Self {
        let lacks = Family::ALL.into_iter().filter_map(|(_, family)| Some((family, lack(adapter, family)?)));
        let lacks: Vec<_> = lacks.collect();
        let broadcasts = !lacks.iter().any(|(family, _)| *family == Family::Broadcast);
        let is_cpu = adapter.get_info().device_type == wgpu::DeviceType::Cpu;
        let own = if is_cpu && broadcasts { Family::Broadcast } else { Family::Tiled };
        let choice = FamilyChoice::first(asked, own, |family| Some(found(&lacks, family)?.to_owned()));
        Families { own, lacks, choice }
    }

    /// Replaces the one that is used, unless it is the tiled one: `why` says what was found of it.
    pub fn refuse(&mut self, why: impl FnOnce(Family) -> String) {
        self.choice = self.choice.next(self.own, why(self.choice.used));
    }
}

/// What was found to be missing for a family.
fn found(lacks: &[(Family, String)], family: Family) -> Option<&str> {
    lacks.iter().find(|(other, _)| *other == family).map(|(_, what)| what.as_str())
}

/// What an adapter does not have that a family needs.
fn lack(adapter: &wgpu::Adapter, family: Family) -> Option<String> {
    let info = adapter.get_info();
    match family {
        Family::Tiled => None,
        Family::Broadcast if !adapter.features().contains(wgpu::Features::SUBGROUP) => {
            Some("the adapter has no subgroups".into())
        }
        Family::Broadcast if [info.subgroup_min_size, info.subgroup_max_size] != [8, 8] => Some(format!(
            "the adapter's subgroups have {} to {} lanes, not eight",
            info.subgroup_min_size, info.subgroup_max_size
        )),
        Family::Broadcast => (!adapter.features().contains(BROADCAST))
            .then(|| "the adapter has no 64-bit integers in shaders".into()),
        Family::Cooperative8 => cooperative::lack(adapter, 8),
        Family::Cooperative16 => cooperative::lack(adapter, 16),
    }
}

static BROADCAST_TEST: Kernel = Kernel::new("broadcast_test", include_str!("wgsl/broadcast_test.wgsl"), &[]);

impl Gpu {
    /// The family of heavy kernels that runs here.
    pub fn family(&self) -> Family {
        self.families.choice.used
    }

    /// The same, with why it is that one.
    pub fn family_choice(&self) -> &FamilyChoice {
        &self.families.choice
    }

    /// What the adapter does not have that a family needs; `None` where nothing is missing.
    pub fn lacks(&self, family: Family) -> Option<&str> {
        found(&self.families.lacks, family)
    }

    /// Runs the small test of the family that is to be used, and falls back to another where it fails.
    pub(super) fn settle_family(&mut self, right: impl Fn(&Gpu) -> Result<bool>) -> Result<()> {
        while self.family() != Family::Tiled {
            let what = match right(self) {
                Ok(true) => break,
                Ok(false) => "is wrong".into(),
                Err(why) => format!("failed: {why}"),
            };
            self.families.refuse(|used| format!("the {used} product of two small matrices {what}"));
        }
        self.check("self-test")
    }

    /// Whether the family's product of two small matrices of whole numbers is right.
    pub(super) fn family_is_right(&self) -> Result<bool> {
        match self.family() {
            Family::Tiled => Ok(true),
            Family::Broadcast => self.broadcasts(),
            Family::Cooperative8 => self.multiplies_matrices(8),
            Family::Cooperative16 => self.multiplies_matrices(16),
        }
    }

    fn broadcasts(&self) -> Result<bool> {
        let product = self.allocate("broadcast self-test", 64)?;
        let mut recording = Recording::new();
        recording.add(Launch::new(&BROADCAST_TEST, Grid::Items(1)).write("product", &product));
        self.run(&recording)?;
        let value = |i: usize| ((3 * (i / 8) + 1) * ((i % 8) * (i % 8) + 1)) as f32;
        Ok(self.download::<f32>(&product)?.into_iter().eq((0..64).map(value)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::gpu::Options;

    #[test]
    fn what_is_missing_or_wrong_is_replaced_by_the_adapters_own_and_that_by_tiles() {
        use Family::{Broadcast, Cooperative8, Tiled};
        let lacks = |family| (family == Cooperative8).then(|| "no matrices".to_string());
        let choice = |used, refused, why: &str| FamilyChoice { used, refused, why: why.into() };
        let own = "this kind of adapter's own";
        assert_eq!(FamilyChoice::first(None, Broadcast, lacks), choice(Broadcast, None, own));
        assert_eq!(FamilyChoice::first(Some(Tiled), Broadcast, lacks), choice(Tiled, None, "asked for"));
        let first = FamilyChoice::first(Some(Cooperative8), Broadcast, lacks);
        assert_eq!(first, choice(Broadcast, Some(Cooperative8), "no matrices"));
        let then = first.next(Broadcast, "wrong".into());
        assert_eq!(then, choice(Tiled, Some(Cooperative8), "no matrices; wrong"));
        let asked = FamilyChoice::first(Some(Cooperative8), Broadcast, |_| None);
        assert_eq!(asked.next(Broadcast, "wrong".into()), choice(Broadcast, Some(Cooperative8), "wrong"));
        assert_eq!(asked.next(Tiled, "wrong".into()), choice(Tiled, Some(Cooperative8), "wrong"));
    }

    /// Each kind of failure, of whatever family runs here: the device works on with tiles.
    #[test]
    fn a_family_whose_test_fails_is_not_used() {
        let failures: [fn(&Gpu) -> Result<bool>; 2] =
            [|_| Ok(false), |_| Err(crate::error::Error::internal("test", "no such instruction"))];
        for (fails, said) in failures.into_iter().zip(["wrong", "no such instruction"]) {
            let mut gpu =
                Gpu::open(&Options { family: Some(Family::Broadcast), ..Options::default() }).unwrap();
            let before = gpu.family();
            gpu.settle_family(fails).unwrap();
            assert_eq!(gpu.family(), Family::Tiled);
            if before != Family::Tiled {
                let choice = gpu.family_choice();
                assert!(choice.refused == Some(before) && choice.why.contains(said), "{choice:?}");
            }
            assert_eq!(gpu.count_loop(10).unwrap(), 10);
        }
    }

    #[test]
    fn names_are_those_of_the_document() {
        for (name, family) in Family::ALL {
            assert_eq!(serde_json::to_value(family).unwrap(), name);
            assert_eq!(family.to_string(), name);
        }
    }
}
