//! What a page is made of: sections with sentences, figures and tables.

use super::plot::Plot;
use super::svg::Svg;
use super::table::Sheet;
use crate::error::Result;

/// A part of a report.
#[derive(Debug)]
pub(super) struct Section {
    /// Its name in the page's addresses.
    pub id: &'static str,
    pub title: String,
    /// What is seen, in sentences.
    pub findings: Vec<String>,
    pub figures: Vec<Figure>,
    pub grids: Vec<Grid>,
    /// A text in fixed letters: a command.
    pub command: Option<String>,
}

impl Section {
    /// An empty section.
    pub(super) fn new(id: &'static str, title: impl Into<String>) -> Section {
        let (findings, figures, grids) = (Vec::new(), Vec::new(), Vec::new());
        Section { id, title: title.into(), findings, figures, grids, command: None }
    }

    /// Adds a sentence.
    pub(super) fn say(&mut self, sentence: impl Into<String>) {
        self.findings.push(sentence.into());
    }
}

/// A figure: a drawing and its numbers.
#[derive(Debug)]
pub(super) struct Figure {
    /// Its name in the page, and that of its files.
    pub name: String,
    pub title: String,
    /// What it shows, for those who cannot see it and for those who can.
    pub description: String,
    pub svg: Svg,
    /// A CSV file.
    pub numbers: Vec<u8>,
}

impl Figure {
    /// Draws a plot.
    ///
    /// # Errors
    /// Internal, if the drawing fails.
    pub(super) fn new(
        name: impl Into<String>,
        title: impl Into<String>,
        description: impl Into<String>,
        plot: Plot,
        numbers: Sheet,
    ) -> Result<Figure> {
        let (name, title, description) = (name.into(), title.into(), description.into());
        Ok(Figure { name, title, description, svg: plot.draw()?, numbers: numbers.bytes()? })
    }

    /// The drawing as the page holds it.
    pub(super) fn drawing(&self) -> String {
        self.svg.in_page(&self.name, &self.title, &self.description)
    }
}

/// A table for reading.
#[derive(Debug)]
pub(super) struct Grid {
    pub caption: String,
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Grid {
    /// An empty table.
    pub(super) fn new(caption: impl Into<String>, header: &[&str]) -> Grid {
        let header = header.iter().map(|name| (*name).to_string()).collect();
        Grid { caption: caption.into(), header, rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// A name of files and of parts of a page: small letters, digits and `_`.
pub(super) fn slug(text: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    text.chars().take(40).map(letter).collect()
}
