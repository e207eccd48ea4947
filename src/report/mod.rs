//! Reports: a run folder as one page that needs nothing else, each of its plots as SVG and its numbers as
//! CSV.
//!
//! A section of the page reads what it needs of the folder, and is left out where that is not there.
//! Everything is read, computed and drawn before anything is written.

mod axis;
mod clusters;
mod comparison;
mod configurations;
mod correlations;
mod curves;
mod distributions;
mod each;
mod explainable;
mod field;
mod gallery;
mod layers;
mod links;
mod neurons;
mod page;
mod paired;
mod picture;
mod plot;
mod predictions;
mod provenance;
mod regularisation;
mod run;
mod section;
mod shapes;
mod statistics;
mod stimuli;
mod svg;
mod table;
mod weights;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::io::commit::{self, unwritable};
use crate::io::disk;
use run::{Command, Run};
use section::{Figure, Section};

/// The page in a run folder.
pub const PAGE: &str = "report.html";
/// The folder of its plots.
pub const PLOTS: &str = "plots";

/// What a report holds.
#[derive(Debug, Clone, Serialize)]
pub struct ReportSummary {
    /// The page.
    pub page: PathBuf,
    /// Titles of its sections, in order.
    pub sections: Vec<String>,
    /// Its figures, in order.
    pub figures: Vec<FigureSummary>,
}

/// A figure of a report.
#[derive(Debug, Clone, Serialize)]
pub struct FigureSummary {
    /// Its name; in the page it is `figure-NAME`.
    pub name: String,
    /// What stands above it.
    pub title: String,
    /// The drawing.
    pub svg: PathBuf,
    /// Its numbers.
    pub csv: PathBuf,
}

/// Reads the run folder of a fit, a sweep or a profile, and writes `report.html`, `plots/NAME.svg` and
/// `plots/NAME.csv` into it. Plots of an earlier report are replaced; the page is written last.
///
/// # Errors
/// Input, where the folder is no run folder or a file in it is damaged: nothing is written then, and an
/// earlier report stays. Output, where it cannot be written.
pub fn write(folder: &Path) -> Result<ReportSummary> {
    write_run(&Run::open(folder)?)
}

/// The same of a folder that does not have its name yet.
///
/// # Errors
/// As [`write()`].
pub fn write_named(folder: &Path, name: &str) -> Result<ReportSummary> {
    let mut run = Run::open(folder)?;
    run.name = name.into();
    write_run(&run)
}

fn write_run(run: &Run) -> Result<ReportSummary> {
    let sections = sections(run)?;
    let subtitle = subtitle(run);
    refuse_links(&run.folder)?;
    save(&run.folder.join(PAGE), PLOTS, &run.name, &subtitle, &sections)
}

/// A run of somebody else may have links where reports are written: they would be followed.
fn refuse_links(folder: &Path) -> Result<()> {
    let plots = folder.join(PLOTS);
    let drawn = fs::read_dir(&plots).into_iter().flatten().flatten().map(|entry| entry.path());
    let places: Vec<PathBuf> = [folder.join(PAGE), plots.clone()].into_iter().chain(drawn).collect();
    for place in places {
        let Ok(about) = fs::symlink_metadata(&place) else { continue };
        if !(about.is_file() || about.is_dir()) {
            let (what, wanted) = ("is a link, a pipe or a device", "a file that a report may replace");
            return Err(Error::new(Kind::Output, place.display(), what, wanted, "Delete it"));
        }
    }
    Ok(())
}

/// Reads several run folders and writes one page that compares them to `out`, and its plots beside it, into
/// a folder of the same name with `-plots` in the place of its ending.
///
/// # Errors
/// As [`write()`]; Usage for fewer than two runs or where none has scores.
pub fn compare(folders: &[PathBuf], out: &Path) -> Result<ReportSummary> {
    if folders.len() < 2 {
        let found = format!("{} run to compare", folders.len());
        let advice = "Name more runs, or leave --out away: the report is written into the run's own folder";
        return Err(Error::new(Kind::Usage, "--out", found, "at least two", advice));
    }
    let runs: Vec<Run> = folders.iter().map(|folder| Run::open(folder)).collect::<Result<_>>()?;
    let sections = comparison::sections(&runs, out)?;
    let name = out.file_stem().map_or("comparison".into(), |stem| stem.to_string_lossy().into_owned());
    // The page of a study is called as that of a run; its folder says more.
    let folder = out.parent().and_then(Path::file_name).filter(|_| out.ends_with(PAGE));
    let title = folder.map_or(name.clone(), |folder| folder.to_string_lossy().into_owned());
    let subtitle = format!("{} runs compared by Striate {}.", runs.len(), env!("CARGO_PKG_VERSION"));
    save(out, &format!("{name}-plots"), &title, &subtitle, &sections)
}

fn subtitle(run: &Run) -> String {
    let what = match run.record.command {
        Command::Fit => "A fit",
        Command::Sweep => "A sweep",
        Command::Profile => "A profile",
    };
    let fit = run.fitted().unwrap_or(run);
    let readout = fit.record.summary.get("readout").and_then(serde_json::Value::as_str);
    let readout = readout.map_or(String::new(), |name| format!(", readout {name}"));
    let neurons = run.count("n_neurons").or_else(|| fit.count("n_neurons"));
    let neurons = neurons.map_or(String::new(), |n| format!(", {}", words::counted(n, "neuron")));
    format!("{what}{readout}{neurons}; reported by Striate {}.", env!("CARGO_PKG_VERSION"))
}

/// Makes a section of a run, or none where the folder lacks its data.
type Reader = fn(&Run) -> Result<Option<Section>>;

/// All sections for which the folder has the data, in their order.
fn sections(run: &Run) -> Result<Vec<Section>> {
    let readers: [Reader; 11] = [
        explainable::section,
        distributions::section,
        each::section,
        regularisation::section,
        curves::section,
        layers::section,
        correlations::section,
        clusters::section,
        predictions::section,
        gallery::section,
        weights::section,
    ];
    let mut sections = Vec::new();
    for read in readers {
        sections.extend(read(run)?);
    }
    sections.push(provenance::section(run));
    Ok(sections)
}

/// Writes plots, then the page, each file whole; then takes away what an earlier report had more.
fn save(
    page: &Path,
    plots: &str,
    title: &str,
    subtitle: &str,
    sections: &[Section],
) -> Result<ReportSummary> {
    let folder = page.parent().unwrap_or(Path::new("")).join(plots);
    let html = page::render(title, subtitle, plots, sections)?;
    let figures: Vec<&Figure> = sections.iter().flat_map(|section| &section.figures).collect();
    disk::create_dir_all(&folder).map_err(|why| unwritable(&folder, &why))?;
    let mut summary = ReportSummary {
        page: page.into(),
        sections: sections.iter().map(|section| section.title.clone()).collect(),
        figures: Vec::new(),
    };
    let mut files = Vec::new();
    let drawings: Vec<String> =
        figures.iter().map(|figure| figure.svg.alone(&figure.title, &figure.description)).collect();
    for (figure, drawing) in figures.iter().zip(&drawings) {
        let [svg, csv] = ["svg", "csv"].map(|ending| folder.join(format!("{}.{ending}", figure.name)));
        files.extend([(svg.clone(), drawing.as_bytes()), (csv.clone(), figure.numbers.as_slice())]);
        let (name, title) = (figure.name.clone(), figure.title.clone());
        summary.figures.push(FigureSummary { name, title, svg, csv });
    }
    commit::write_all(&files)?;
    commit::write(page, html.as_bytes())?;
    clear(&folder, &summary)?;
    Ok(summary)
}

/// Removes plots that are not of this report.
fn clear(folder: &Path, summary: &ReportSummary) -> Result<()> {
    let failed = |why: std::io::Error| unwritable(folder, &why);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_plot = path.extension().is_some_and(|ending| ending == "svg" || ending == "csv");
        if is_plot && !summary.figures.iter().any(|figure| figure.svg == path || figure.csv == path) {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(())
}
