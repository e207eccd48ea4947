//! What a page is made of: sections with sentences, figures, pictures and tables.

use super::plot::Plot;
use super::svg::Svg;
use super::table::Sheet;
use super::words::number;
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
    pub galleries: Vec<Gallery>,
    pub grids: Vec<Grid>,
    /// A text in fixed letters: a command.
    pub command: Option<String>,
    /// Other pages and files: address and what it says.
    pub links: Vec<(String, String)>,
}

impl Section {
    /// An empty section.
    pub(super) fn new(id: &'static str, title: impl Into<String>) -> Section {
        Section {
            id,
            title: title.into(),
            findings: Vec::new(),
            figures: Vec::new(),
            galleries: Vec::new(),
            grids: Vec::new(),
            command: None,
            links: Vec::new(),
        }
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

/// Small pictures in a row, each with words below it.
#[derive(Debug)]
pub(super) struct Gallery {
    pub caption: String,
    pub tiles: Vec<Tile>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Tile {
    /// A JPEG as a `data:` address.
    pub source: String,
    /// What it is.
    pub name: String,
    /// Lines below it.
    pub lines: Vec<String>,
}

/// A table for reading.
#[derive(Debug)]
pub(super) struct Grid {
    pub caption: String,
    pub header: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
    /// Whether a reader may sort it by any column.
    pub sortable: bool,
}

/// A cell of it.
#[derive(Debug)]
pub(super) struct Cell {
    pub text: String,
    /// The number that it is sorted by, with all its digits.
    pub value: Option<f64>,
    /// The page that it leads to.
    pub link: Option<String>,
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell { text, value: None, link: None }
    }
}

/// A number as it is said, empty for none.
impl From<Option<f64>> for Cell {
    fn from(value: Option<f64>) -> Cell {
        Cell { text: value.map_or(String::new(), number), value, link: None }
    }
}

impl Grid {
    /// An empty table.
    pub(super) fn new(caption: impl Into<String>, header: &[&str]) -> Grid {
        let header = header.iter().map(|name| (*name).to_string()).collect();
        Grid { caption: caption.into(), header, rows: Vec::new(), sortable: false }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<Cell>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

/// A name of files and of parts of a page: small letters, digits and `_`.
pub(super) fn slug(text: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    text.chars().take(40).map(letter).collect()
}
