//! The page: sections put into a template that escapes what it is given.

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

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
    /// Sorts tables, and is all that the page is allowed to run.
    script: &'static str,
    /// Its SHA-256 in base 64, by which the page's policy knows it.
    script_hash: String,
    sections: &'a [Section],
}

/// The page as HTML.
///
/// # Errors
/// Internal, if the template fails.
pub(super) fn render(title: &str, subtitle: &str, plots: &str, sections: &[Section]) -> Result<String> {
    let style = include_str!("../../templates/report.css");
    let script = include_str!("../../templates/report.js");
    let script_hash = STANDARD.encode(Sha256::digest(script));
    let page = Page { title, subtitle, plots, style, script, script_hash, sections };
    page.render().map_err(|why| Error::internal("the page of a report", why))
}
