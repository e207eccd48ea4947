//! Where the cells of a map are in the image, and a neuron's weights drawn there.

use ndarray::Array2;
use serde_json::Value;

use super::axis::Axis;
use super::neurons::Chosen;
use super::picture::Cells;
use super::plot::{Mark, Plot};
use super::predictions::Tested;
use super::run::Run;
use super::section::Figure;
use super::table::{Sheet, field};
use super::words::{counted, number, short};
use crate::error::Result;
use crate::networks::Network;

/// Longer side in pixels of the photograph behind a field.
const SIDE: usize = 192;

/// The space of a map: pixels of the image where the network and its layer are known, else cells.
pub(super) struct Field {
    /// Edges of the map: left, right, top, bottom.
    edges: [f64; 4],
    /// Rows and columns of the map.
    cells: [usize; 2],
    /// The image in pixels, and how many of them a cell sees each way; none where axes are cells.
    pixels: Option<Pixels>,
}

struct Pixels {
    height: usize,
    width: usize,
    sees: usize,
}

impl Field {
    /// Of a fit whose features have this shape.
    pub(super) fn of(fit: &Run, [_, height, width]: [usize; 3]) -> Field {
        let in_pixels = || {
            let input = fit.record.input.get("network")?;
            let side = |pointer: &str| input.pointer(pointer)?.as_u64().and_then(|n| usize::try_from(n).ok());
            let (rows, columns) = (side("/size/height")?, side("/size/width")?);
            let network = Network::named(input.get("network")?.as_str()?).ok()?;
            let layer = input.get("layers")?.as_array()?.first().and_then(Value::as_str);
            let index = layer.map(|layer| network.find(layer)).transpose().ok()?;
            let places = network.places(index)?;
            let map = match index {
                Some(index) => {
                    network.shapes(rows, columns, index).ok()?.last().map(|map| [map.height, map.width])?
                }
                None => [rows, columns],
            };
            // Pooled maps cut the same space into fewer cells.
            let pooled = side("/pool").map(|side| [side, side]);
            if pooled.unwrap_or(map) != [height, width] {
                return None;
            }
            let ([left, right], [top, bottom]) = (places.edges(map[1]), places.edges(map[0]));
            let step = (right - left) / width as f64;
            let sees = places.field + (step - places.step).max(0.0).round() as usize;
            let pixels = Some(Pixels { height: rows, width: columns, sees });
            Some(Field { edges: [left, right, top, bottom], cells: [height, width], pixels })
        };
        let edges = [-0.5, width as f64 - 0.5, -0.5, height as f64 - 0.5];
        in_pixels().unwrap_or(Field { edges, cells: [height, width], pixels: None })
    }

    /// How the map is placed over the image.
    pub(super) fn sentence(&self) -> Option<String> {
        let pixels = self.pixels.as_ref()?;
        let [rows, columns] = self.cells;
        Some(format!(
            "The network saw images of {} x {} pixels (height x width); the map has {rows} x {columns} \
             cells, and each of them sees a square of {} a side.",
            pixels.height,
            pixels.width,
            counted(pixels.sees, "pixel")
        ))
    }

    /// The centre of a place that is given in cells.
    fn at(&self, row: f64, column: f64) -> (f64, f64) {
        let [left, right, top, bottom] = self.edges;
        let [rows, columns] = self.cells.map(|n| n as f64);
        (left + (column + 0.5) * (right - left) / columns, top + (row + 0.5) * (bottom - top) / rows)
    }

    /// That place in words.
    pub(super) fn place(&self, row: f64, column: f64) -> String {
        let (x, y) = self.at(row, column);
        match self.pixels {
            Some(_) => {
                format!("x = {}, y = {} pixels from the image's upper left corner", number(x), number(y))
            }
            None => format!("row {}, column {} of the map", number(row), number(column)),
        }
    }

    /// What the axes are.
    pub(super) fn axes(&self) -> &'static str {
        if self.pixels.is_some() { "axes in pixels of the image" } else { "axes in cells of the map" }
    }

    /// Opposite corners of the map.
    pub(super) fn corners(&self) -> [(f64, f64); 2] {
        let [left, right, top, bottom] = self.edges;
        [(left, top), (right, bottom)]
    }

    /// A plot over the whole image, the first row at the top.
    pub(super) fn plot(&self, marks: Vec<Mark>) -> Plot {
        let [left, right, top, bottom] = self.edges;
        let (unit, [left, right, top, bottom]) = match &self.pixels {
            Some(Pixels { height, width, .. }) => {
                let far = [right.max(*width as f64), bottom.max(*height as f64)];
                ("pixels", [left.min(0.0), far[0], top.min(0.0), far[1]])
            }
            None => ("cells", self.edges),
        };
        let axis = |name: &str, low: f64, high: f64| {
            let mut axis = Axis::linear(&format!("{name} ({unit})"), low, high);
            axis.ticks.retain(|(at, _)| at.fract().abs() < 1e-9);
            axis
        };
        let aspect = ((bottom - top) / (right - left)).clamp(0.2, 2.0);
        Plot::new(axis("x", left, right), axis("y", top, bottom).reversed(), marks).with_aspect(aspect)
    }

    /// Weights by cell, with the centres of the cells.
    pub(super) fn sheet(&self, mask: &Array2<f64>) -> Sheet {
        let centre = if self.pixels.is_some() { ["x_pixels", "y_pixels"] } else { ["x_cells", "y_cells"] };
        let mut sheet = Sheet::new(&["row", "column", centre[0], centre[1], "weight"]);
        for ((row, column), value) in mask.indexed_iter() {
            let (x, y) = self.at(row as f64, column as f64);
            sheet.row([row.to_string(), column.to_string(), field(x), field(y), field(*value)]);
        }
        sheet
    }

    /// The test image that drives a neuron most, where it is still there; its number and its picture.
    pub(super) fn photo(&self, fit: &Run, tested: &Tested, neuron: usize) -> Option<(usize, String)> {
        self.pixels.as_ref()?;
        let image = tested.strongest(neuron).first()?.0;
        let stimuli = fit.stimuli(tested.images()).ok()?;
        stimuli.pictures([image], SIDE).ok()?.into_iter().next()
    }

    /// That image, dark where the weights are small.
    pub(super) fn figure(
        &self,
        one: &Chosen,
        mask: &Array2<f64>,
        (image, source): (usize, String),
    ) -> Result<Figure> {
        let (width, height) = self.pixels.as_ref().map_or((0.0, 0.0), |p| (p.width as f64, p.height as f64));
        let marks = vec![
            Mark::Photo { corners: [(0.0, 0.0), (width, height)], source },
            Mark::Cells { corners: self.corners(), cells: Cells::aperture(mask.view()) },
        ];
        let title = format!("What neuron {} ({}) sees of an image", short(&one.name, 24), one.rank);
        let description = format!(
            "Test image {image}, which drives the neuron most, darkened where its weights are small; {}.",
            self.axes()
        );
        Figure::new(format!("field_{}", one.rank), title, description, self.plot(marks), self.sheet(mask))
    }
}
