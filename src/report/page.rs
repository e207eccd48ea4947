//! The page: sections put into a template that escapes what it is given.

use askama::Template;

use super::section::Section;
use crate::error::{Error, Result};

/// `templates/report.html`.
#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: &'a str,
    subtitle: &'a str,
    /// Where the files of the figures lie, as seen from the page.
    plots: &'a str,
    style: &'static str,
    sections: &'a [Section],
}

/// The page as HTML.
///
/// # Errors
/// Internal, if the template fails.
pub(super) fn render(title: &str, subtitle: &str, plots: &str, sections: &[Section]) -> Result<String> {
    let style = include_str!("../../templates/report.css");
    let page = Page { title, subtitle, plots, style, sections };
    page.render().map_err(|why| Error::internal("the page of a report", why))
}
