//! One plot: marks between two axes, drawn as SVG by plotters.

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::picture::{Cells, Picture};
use super::svg::{Colour, SCALE, Svg};
use super::words::short;
use crate::error::{Error, Result};

/// Size of the letters, in the plot's pixels.
const LETTERS: f64 = 13.0;
/// Width of a letter, by which room is left for words.
const LETTER_WIDTH: f64 = 0.56 * LETTERS;
/// Names longer than this are cut in the middle.
const LONGEST_NAME: usize = 26;

/// How far right of the plot the scale of colours stands, and how wide it is.
const BAR: (f64, f64) = (8.0, 10.0);

/// What is drawn between the axes, in their values.
#[derive(Debug, Clone)]
pub(super) enum Mark {
    /// A line through points, of this width in pixels.
    Line { points: Vec<(f64, f64)>, colour: Colour, width: f64 },
    /// A line of dashes from one point to another.
    Dashes { from: (f64, f64), to: (f64, f64), colour: Colour },
    /// A filled shape.
    Area { outline: Vec<(f64, f64)>, colour: Colour, opacity: f64 },
    /// A filled rectangle between two corners.
    Bar { corners: [(f64, f64); 2], colour: Colour, opacity: f64 },
    /// A dot of this radius in pixels.
    Dot { at: (f64, f64), colour: Colour, radius: f64, opacity: f64 },
    /// Cells of a matrix, the first row at the top, that fill the space between two corners.
    Cells { corners: [(f64, f64); 2], cells: Cells },
    /// A photograph at a `data:` address, between two corners.
    Photo { corners: [(f64, f64); 2], source: String },
}

/// A plot.
#[derive(Debug, Clone)]
pub(super) struct Plot {
    /// In pixels.
    pub size: (u32, u32),
    pub x: Axis,
    pub y: Axis,
    pub marks: Vec<Mark>,
    /// What colours mean; nothing where there is only one.
    pub legend: Vec<(String, Colour)>,
    /// What the colours of cells mean.
    pub bar: Option<ColourBar>,
    /// Height of the space between the axes over its width, where that is not left to the size.
    pub aspect: Option<f64>,
}

/// The scale of the colours of cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColourBar {
    /// From -`most` to `most`, as [`Cells::signed`]; from 0, as [`Cells::growing`], where it is not.
    pub signed: bool,
    pub most: f64,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Pixels kept free at each side of the plotting area, and how names below it stand.
struct Margins {
    top: f64,
    left: f64,
    right: f64,
    bottom: f64,
    upright: bool,
}

impl Plot {
    /// A plot of the usual size.
    pub(super) fn new(x: Axis, y: Axis, marks: Vec<Mark>) -> Plot {
        Plot { size: (400, 280), x, y, marks, legend: Vec::new(), bar: None, aspect: None }
    }

    /// The same plot with another height.
    pub(super) fn high(mut self, height: u32) -> Plot {
        self.size.1 = height;
        self
    }

    /// The same plot with an explanation of its colours.
    pub(super) fn with_legend(mut self, legend: Vec<(String, Colour)>) -> Plot {
        self.legend = legend;
        self
    }

    /// The same plot with a scale of the colours of its cells.
    pub(super) fn with_bar(mut self, bar: ColourBar) -> Plot {
        self.bar = Some(bar);
        self
    }

    /// The same plot, as high as makes the space between its axes so many times as high as wide.
    pub(super) fn with_aspect(mut self, aspect: f64) -> Plot {
        self.aspect = Some(aspect);
        self
    }

    /// Draws it.
    ///
    /// # Errors
    /// Internal, where a picture cannot be encoded.
    pub(super) fn draw(mut self) -> Result<Svg> {
        for (_, text) in self.x.ticks.iter_mut().chain(&mut self.y.ticks) {
            *text = short(text, LONGEST_NAME);
        }
        let failed = |why: &dyn std::fmt::Display| Error::internal("a plot", why);
        let (entries, rows) = self.place_legend();
        let margins = self.margins(rows);
        if let Some(aspect) = self.aspect {
            let inner = f64::from(self.size.0) - margins.left - margins.right;
            self.size.1 = (margins.top + margins.bottom + aspect * inner).round() as u32;
        }
        self.thin_ticks(&margins);
        let mut text = String::new();
        let pictures;
        {
            let size = (self.size.0 * SCALE, self.size.1 * SCALE);
            let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
            let mut chart = self.chart(&root, &margins).map_err(|why| failed(&why))?;
            pictures = self.pictures(&chart)?;
            self.grid(&root, &chart, &margins).map_err(|why| failed(&why))?;
            for mark in &self.marks {
                draw_mark(&mut chart, mark).map_err(|why| failed(&why))?;
            }
            self.label_bar(&root, &chart).map_err(|why| failed(&why))?;
            for (at, (name, colour)) in entries.iter().zip(&self.legend) {
                legend_entry(&root, *at, name, *colour).map_err(|why| failed(&why))?;
            }
            root.present().map_err(|why| failed(&why))?;
        }
        Ok(Svg::new(self.size, &text, pictures))
    }

    /// Left ends of the legend's entries in pixels, and how many rows they take.
    fn place_legend(&self) -> (Vec<(f64, f64)>, usize) {
        let (mut at, mut row) = (8.0, 0);
        let mut places = Vec::new();
        for (name, _) in &self.legend {
            let width = 24.0 + LETTER_WIDTH * short(name, LONGEST_NAME).chars().count() as f64 + 12.0;
            if at > 8.0 && at + width > f64::from(self.size.0) {
                (at, row) = (8.0, row + 1);
            }
            places.push((at, 11.0 + 18.0 * row as f64));
            at += width;
        }
        let rows = if self.legend.is_empty() { 0 } else { row + 1 };
        (places, rows)
    }

    fn margins(&self, legend_rows: usize) -> Margins {
        let inner = f64::from(self.size.0) - 80.0;
        let crowded = (self.x.longest() as f64 + 1.5) * LETTER_WIDTH * self.x.ticks.len() as f64 > inner;
        let upright = self.x.names && crowded;
        let names = if upright { self.x.longest() as f64 * LETTER_WIDTH } else { LETTERS };
        let of_label = |axis: &Axis| if axis.label.is_empty() { 0.0 } else { 1.5 * LETTERS };
        Margins {
            top: 10.0 + 18.0 * legend_rows as f64,
            left: 12.0 + self.y.longest() as f64 * LETTER_WIDTH + of_label(&self.y),
            right: if self.bar.is_some() { 14.0 + BAR.1 + 6.0 + 7.0 * LETTER_WIDTH } else { 14.0 },
            bottom: 10.0 + names + of_label(&self.x),
            upright,
        }
    }

    /// Leaves out every second number below a narrow plot until they stand apart.
    fn thin_ticks(&mut self, margins: &Margins) {
        let inner = f64::from(self.size.0) - margins.left - margins.right;
        let width = |axis: &Axis| (axis.longest() as f64 + 1.5) * LETTER_WIDTH * axis.ticks.len() as f64;
        while !self.x.names && self.x.ticks.len() > 2 && width(&self.x) > inner {
            // Zero, where it is there, stays.
            let zero = self.x.ticks.iter().position(|(at, _)| *at == 0.0).unwrap_or(0);
            let mut place = 0;
            self.x.ticks.retain(|_| {
                place += 1;
                (place - 1) % 2 == zero % 2
            });
        }
    }

    fn chart<'a, 'b>(
        &self,
        root: &'a Area<'b>,
        margins: &Margins,
    ) -> std::result::Result<Chart<'a, 'b>, DrawingAreaErrorKind<std::io::Error>> {
        ChartBuilder::on(root)
            .margin_top(scaled(margins.top))
            .margin_left(scaled(margins.left))
            .margin_bottom(scaled(margins.bottom))
            .margin_right(scaled(margins.right))
            .build_cartesian_2d(self.x.low..self.x.high, self.y.low..self.y.high)
    }

    /// Where the pictures lie.
    fn pictures(&self, chart: &Chart) -> Result<Vec<Picture>> {
        let mut pictures = Vec::new();
        let place = |corners: &[(f64, f64); 2]| {
            let [a, b] = corners.map(|corner| chart.backend_coord(&corner));
            ((a.0.min(b.0), a.1.min(b.1)), ((a.0 - b.0).abs(), (a.1 - b.1).abs()))
        };
        for mark in &self.marks {
            if let Mark::Cells { corners, cells } = mark {
                let (at, size) = place(corners);
                pictures.push(cells.picture(at, size)?);
            } else if let Mark::Photo { corners, source } = mark {
                let (at, size) = place(corners);
                pictures.push(Picture { at, size, source: source.clone() });
            }
        }
        if let Some(bar) = self.bar {
            let ((left, top), (width, height)) =
                place(&[(self.x.low, self.y.low), (self.x.high, self.y.high)]);
            let at = (left + width + scaled(BAR.0), top);
            pictures.push(Cells::scale(bar.signed).picture(at, (scaled(BAR.1), height))?);
        }
        Ok(pictures)
    }

    /// Numbers beside the ends and the middle of the scale of colours.
    fn label_bar(
        &self,
        root: &Area,
        chart: &Chart,
    ) -> std::result::Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let Some(bar) = self.bar else { return Ok(()) };
        let [a, b] =
            [(self.x.low, self.y.low), (self.x.high, self.y.high)].map(|at| chart.backend_coord(&at));
        let (left, top, bottom) = (a.0.max(b.0) + scaled(BAR.0 + BAR.1 + 5.0), a.1.min(b.1), a.1.max(b.1));
        let low = if bar.signed { -bar.most } else { 0.0 };
        let labels = [(bar.most, top, VPos::Top), (low, bottom, VPos::Bottom)];
        let middle = (0.5 * (low + bar.most), (top + bottom) / 2, VPos::Center);
        for (value, at, side) in labels.into_iter().chain([middle]) {
            root.draw_text(&super::words::number(value), &words(HPos::Left, side), (left, at))?;
        }
        Ok(())
    }

    /// Lines and words at the ticks, and the names of the axes.
    fn grid(
        &self,
        root: &Area,
        chart: &Chart,
        margins: &Margins,
    ) -> std::result::Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let (x, y) = (&self.x, &self.y);
        let (left, bottom) = chart.backend_coord(&(x.low, y.low));
        let (right, top) = chart.backend_coord(&(x.high, y.high));
        let faint = |ends: [(i32, i32); 2]| {
            let style = ink(0.13).stroke_width(scaled(1.0) as u32);
            root.draw(&PathElement::new(ends.to_vec(), style))
        };
        for (value, text) in &x.ticks {
            let at = chart.backend_coord(&(*value, y.low)).0;
            if !x.names {
                faint([(at, bottom), (at, top)])?;
            }
            if margins.upright {
                let style = words(HPos::Right, VPos::Center).transform(FontTransform::Rotate270);
                root.draw_text(text, &style, (at, bottom + scaled(6.0)))?;
            } else {
                root.draw_text(text, &words(HPos::Center, VPos::Top), (at, bottom + scaled(6.0)))?;
            }
        }
        for (value, text) in &y.ticks {
            let at = chart.backend_coord(&(x.low, *value)).1;
            faint([(left, at), (right, at)])?;
            root.draw_text(text, &words(HPos::Right, VPos::Center), (left - scaled(6.0), at))?;
        }
        let line = ink(0.6).stroke_width(scaled(1.0) as u32);
        root.draw(&PathElement::new(vec![(left, top), (left, bottom), (right, bottom)], line))?;
        let foot = ((left + right) / 2, scaled(f64::from(self.size.1) - 2.0));
        root.draw_text(&x.label, &words(HPos::Center, VPos::Bottom), foot)?;
        let turned = words(HPos::Center, VPos::Top).transform(FontTransform::Rotate270);
        root.draw_text(&y.label, &turned, (scaled(2.0), (top + bottom) / 2))
    }
}

fn legend_entry(
    root: &Area,
    (left, middle): (f64, f64),
    name: &str,
    colour: Colour,
) -> std::result::Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let corners = [(scaled(left), scaled(middle - 4.0)), (scaled(left + 14.0), scaled(middle + 4.0))];
    root.draw(&Rectangle::new(corners, colour.plain().filled()))?;
    let name = short(name, LONGEST_NAME);
    root.draw_text(&name, &words(HPos::Left, VPos::Center), (scaled(left + 20.0), scaled(middle)))
}

fn draw_mark(
    chart: &mut Chart,
    mark: &Mark,
) -> std::result::Result<(), DrawingAreaErrorKind<std::io::Error>> {
    match mark {
        Mark::Line { points, colour, width } => {
            let style = colour.plain().stroke_width(scaled(*width) as u32);
            chart.draw_series([PathElement::new(points.clone(), style)])?;
        }
        Mark::Dashes { from, to, colour } => {
            let style = colour.plain().stroke_width(scaled(1.5) as u32);
            const DASHES: usize = 20;
            let between = |share: f64| (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
            let dash = |n: usize| {
                let start = n as f64 / DASHES as f64;
                PathElement::new(vec![between(start), between(start + 0.6 / DASHES as f64)], style)
            };
            chart.draw_series((0..DASHES).map(dash))?;
        }
        Mark::Area { outline, colour, opacity } => {
            chart.draw_series([Polygon::new(outline.clone(), colour.plain().mix(*opacity).filled())])?;
        }
        Mark::Bar { corners, colour, opacity } => {
            chart.draw_series([Rectangle::new(*corners, colour.plain().mix(*opacity).filled())])?;
        }
        Mark::Dot { at, colour, radius, opacity } => {
            let style = colour.plain().mix(*opacity).filled();
            chart.draw_series([Circle::new(*at, scaled(*radius), style)])?;
        }
        // Pictures are put in afterwards, below everything else.
        Mark::Cells { .. } | Mark::Photo { .. } => {}
    }
    Ok(())
}

/// Pixels of the drawing.
fn scaled(pixels: f64) -> i32 {
    (pixels * f64::from(SCALE)).round() as i32
}

fn ink(opacity: f64) -> RGBAColor {
    Colour::Ink.plain().mix(opacity)
}

fn words(horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    // The backend divides by 1.24 what it is told.
    let font = ("sans-serif", LETTERS * f64::from(SCALE) * 1.24).into_font();
    font.color(&ink(1.0)).pos(Pos::new(horizontal, vertical))
}
