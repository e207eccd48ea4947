//! Which sections and rows were asked for, by the words that a person wrote.

use super::report::Section;
use crate::error::{Error, Kind, Result};
use crate::kernels::ALL;

/// Words of a command line: sections, kernels, networks, works. Empty for the usual.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    sections: Vec<Section>,
    names: Vec<String>,
}

/// The sections by name.
const SECTIONS: [(&str, Section); 4] = [
    ("kernels", Section::Kernels),
    ("layers", Section::Layers),
    ("tasks", Section::Tasks),
    ("growth", Section::Growth),
];

/// Networks whose layers and features are timed.
pub const NETWORKS: [&str; 2] = ["alexnet", "vgg19"];

/// Whole jobs.
const WORKS: [&str; 3] = ["features", "ridge", "readout"];

/// What works are made larger by, beside features, which are also a work.
const AXES: [&str; 4] = ["images", "neurons", "penalties", "batch"];

impl Selection {
    /// Sorts words into sections and names; upper and lower case are the same.
    pub fn of(words: &[String]) -> Self {
        let mut selection = Selection::default();
        for word in words.iter().map(|word| word.trim().to_lowercase()) {
            match SECTIONS.iter().find(|(name, _)| *name == word) {
                Some((_, section)) => selection.sections.push(*section),
                None => selection.names.push(word),
            }
        }
        selection
    }

    /// Names that mean something in a section.
    fn known(section: Section) -> Vec<&'static str> {
        match section {
            Section::Kernels => ALL.iter().map(|entry| entry.kernel.name()).collect(),
            Section::Layers => NETWORKS.to_vec(),
            Section::Tasks => [&WORKS[..], &NETWORKS].concat(),
            Section::Growth => [&WORKS[..], &AXES].concat(),
        }
    }

    fn sections(&self) -> impl Iterator<Item = Section> {
        SECTIONS.into_iter().map(|(_, section)| section).filter(|section| self.names_section(*section))
    }

    fn names_section(&self, section: Section) -> bool {
        match self.sections.is_empty() {
            // A question of its own, which takes minutes.
            true => section != Section::Growth,
            false => self.sections.contains(&section),
        }
    }

    /// Whether anything of a section was asked for.
    pub fn has(&self, section: Section) -> bool {
        let known = Self::known(section);
        let named = self.names.is_empty() || self.names.iter().any(|name| known.contains(&name.as_str()));
        self.names_section(section) && named
    }

    /// Whether a row that goes by any of these names was asked for.
    pub fn wants(&self, names: &[&str]) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| names.contains(&name.as_str()))
    }

    /// Whether a network was asked for: where some network is named, only those that are.
    pub fn wants_network(&self, network: &str) -> bool {
        let some = self.names.iter().any(|name| NETWORKS.contains(&name.as_str()));
        self.wants(&[if some { network } else { "features" }])
    }

    /// Refuses names that mean nothing in the sections asked for.
    ///
    /// # Errors
    /// Usage, with the names there are.
    pub fn check(&self) -> Result<()> {
        let mut known: Vec<&str> = self.sections().flat_map(Self::known).collect();
        known.sort_unstable();
        known.dedup();
        let Some(strange) = self.names.iter().find(|name| !known.contains(&name.as_str())) else {
            return Ok(());
        };
        let found = format!("nothing called {strange:?} is timed here");
        let sections = SECTIONS.map(|(name, _)| name).join(", ");
        let wanted = format!("{sections}, or one of {}", known.join(", "));
        Err(Error::new(Kind::Usage, "bench", found, wanted, "See striate bench --help"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn of(words: &str) -> Selection {
        Selection::of(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_name_chooses_the_sections_that_know_it() {
        let sections = |words: &str| {
            let selection = of(words);
            selection.check().unwrap();
            SECTIONS.map(|(_, section)| selection.has(section))
        };
        assert_eq!(sections(""), [true, true, true, false]);
        assert_eq!(sections("GEMM"), [true, false, false, false]);
        assert_eq!(sections("vgg19"), [false, true, true, false]);
        assert_eq!(sections("layers vgg19"), [false, true, false, false]);
        assert_eq!(sections("tasks kernels"), [true, false, true, false]);
        assert_eq!(sections("gemm ridge"), [true, false, true, false]);
        assert_eq!(sections("growth penalties"), [false, false, false, true]);
        assert!(
            of("gemm").wants(&["gemm"]) && !of("gemm").wants(&["conv2d"]) && of("tasks").wants(&["ridge"])
        );
    }

    #[test]
    fn where_a_network_is_named_no_other_is_timed() {
        let both = |words: &str| NETWORKS.map(|network| of(words).wants_network(network));
        assert_eq!(both("tasks features vgg19"), [false, true]);
        assert_eq!(
            (both("features"), both("tasks"), both("vgg19 alexnet")),
            ([true; 2], [true; 2], [true; 2])
        );
        assert_eq!(both("tasks ridge"), [false; 2]);
    }

    #[test]
    fn a_strange_name_is_refused_with_those_there_are() {
        for words in ["gem", "layers gemm", "kernels vgg19"] {
            let why = of(words).check().unwrap_err();
            assert_eq!(why.kind(), Kind::Usage, "{words}");
        }
        let said = of("gem").check().unwrap_err().to_string();
        assert!(said.contains("\"gem\"") && said.contains("gemm") && said.contains("vgg19"), "{said}");
    }
}
