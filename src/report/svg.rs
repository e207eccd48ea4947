//! Drawings as they stand in a page and in a file of their own.

use plotters::style::RGBColor;

use super::picture::Picture;
use super::words::short;

/// Units of a drawing in a pixel: coordinates are whole numbers, and lines are finer than that.
pub(super) const SCALE: u32 = 4;

/// Colours that people with any colour vision tell apart: Okabe and Ito's, without the yellow that white
/// paper swallows. The ink is that of the page's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Ink,
    Blue,
    Orange,
    Green,
    Purple,
    Sky,
    Vermilion,
}

/// The order in which things get their colours.
pub(super) const SERIES: [Colour; 6] =
    [Colour::Blue, Colour::Orange, Colour::Green, Colour::Purple, Colour::Sky, Colour::Vermilion];

impl Colour {
    const ALL: [Colour; 7] = [
        Colour::Ink,
        Colour::Blue,
        Colour::Orange,
        Colour::Green,
        Colour::Purple,
        Colour::Sky,
        Colour::Vermilion,
    ];

    /// The colour on white paper.
    pub(super) fn plain(self) -> RGBColor {
        match self {
            Colour::Ink => RGBColor(0x22, 0x22, 0x22),
            Colour::Blue => RGBColor(0x00, 0x72, 0xb2),
            Colour::Orange => RGBColor(0xe6, 0x9f, 0x00),
            Colour::Green => RGBColor(0x00, 0x9e, 0x73),
            Colour::Purple => RGBColor(0xcc, 0x79, 0xa7),
            Colour::Sky => RGBColor(0x56, 0xb4, 0xe9),
            Colour::Vermilion => RGBColor(0xd5, 0x5e, 0x00),
        }
    }

    /// As it is said in the page, whose style chooses by light and dark.
    fn themed(self) -> String {
        let name = match self {
            Colour::Ink => return "currentColor".into(),
            Colour::Blue => "blue",
            Colour::Orange => "orange",
            Colour::Green => "green",
            Colour::Purple => "purple",
            Colour::Sky => "sky",
            Colour::Vermilion => "vermilion",
        };
        format!("var(--{name},{})", self.hex())
    }

    fn hex(self) -> String {
        let RGBColor(r, g, b) = self.plain();
        format!("#{r:02X}{g:02X}{b:02X}")
    }
}

/// The colour of the series `n`; they come again after six.
pub(super) fn series(n: usize) -> Colour {
    SERIES[n % SERIES.len()]
}

/// A drawing.
#[derive(Debug, Clone)]
pub(super) struct Svg {
    size: (u32, u32),
    body: String,
}

impl Svg {
    /// Takes what plotters has drawn, and puts pictures below it.
    pub(super) fn new(size: (u32, u32), drawn: &str, pictures: Vec<Picture>) -> Svg {
        // The first line is the opening tag, the last one the closing tag.
        let inside = drawn.split_once('\n').map_or("", |(_, rest)| rest);
        let inside = inside.rsplit_once("</svg>").map_or(inside, |(inside, _)| inside);
        let pictures: String = pictures.iter().map(Picture::element).collect();
        Svg { size, body: pictures + inside }
    }

    fn opening(&self, more: &str) -> String {
        let (width, height) = (self.size.0 * SCALE, self.size.1 * SCALE);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" {more}>"
        )
    }

    /// The drawing inside a page, in the page's colours; `id` begins the names of its parts.
    pub(super) fn in_page(&self, id: &str, title: &str, description: &str) -> String {
        let mut body = self.body.clone();
        for colour in Colour::ALL {
            // Quotes in texts are escaped: only attributes can match.
            body = body.replace(&format!("=\"{}\"", colour.hex()), &format!("=\"{}\"", colour.themed()));
        }
        let opening = self.opening(&format!("aria-labelledby=\"{id}-title {id}-description\""));
        let (title, description) = (escaped(title), escaped(description));
        format!(
            "{opening}<title id=\"{id}-title\">{title}</title><desc \
             id=\"{id}-description\">{description}</desc>\n\
             {body}</svg>"
        )
    }

    /// The drawing as a file.
    pub(super) fn alone(&self, title: &str, description: &str) -> String {
        let size = format!("width=\"{}\" height=\"{}\"", self.size.0, self.size.1);
        let (title, description) = (escaped(title), escaped(description));
        let opening = self.opening(&size);
        format!("{opening}<title>{title}</title><desc>{description}</desc>\n{}</svg>\n", self.body)
    }
}

/// A text inside XML.
fn escaped(text: &str) -> String {
    let plain = short(text, usize::MAX);
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
