//! The rows of a table of regions of interest: ids, areas and depths of neurons.

use super::file::{File, absolute};
use crate::error::{Error, Kind, Result};
use crate::experiment::{Neuron, nwb, place, series, wording};
use crate::io::store::{Attribute, ElementType};

const CELLS: &str = "processing/ophys/ImageSegmentation/PlaneSegmentation";
const PLANE: &str = "general/optophysiology/ImagingPlane";

/// A table of regions (`PlaneSegmentation`), and their imaging plane.
pub(super) struct Cells {
    /// Its path.
    pub table: String,
    /// A number for each row, by which the region is known.
    ids: Vec<i64>,
    /// The imaging plane; none where the file does not say which.
    pub plane: Option<String>,
}

impl Cells {
    /// The table that a series refers to; where it refers to none, the only one there is.
    pub fn of(file: &File<'_>, series: &str) -> Result<Cells> {
        let named = file.store.attribute(&format!("{series}/rois"), "table")?;
        let table = match named {
            Some(Attribute::Reference(path)) => path,
            _ if file.target(CELLS).is_some() => absolute(CELLS),
            _ => file.only("processing", "PlaneSegmentation", "/ImageSegmentation")?.ok_or_else(|| {
                let place = place(file.store, series);
                let wanted =
                    "a reference to the table of regions that it is of, or one such table in the file";
                Error::new(Kind::Input, place, "it does not say what its columns are", wanted, "Add rois")
            })?,
        };
        let plane = file.target(&format!("{table}/imaging_plane")).or_else(|| file.target(PLANE));
        let plane = match plane {
            Some(plane) => Some(plane),
            None => file.only("general/optophysiology", "ImagingPlane", "/optophysiology")?,
        };
        Ok(Cells { ids: ids(file, &table)?, table, plane })
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// The neurons of some rows, in that order.
    pub fn neurons(&self, file: &File<'_>, rows: &[usize]) -> Result<Vec<Neuron>> {
        let plane = |what: &str| match &self.plane {
            Some(plane) => Ok(nwb::fact(file.store, &format!("{plane}/{what}"))?.unwrap_or_default()),
            None => Ok(String::new()),
        };
        let (location, description) = (plane("location")?, plane("description")?);
        let area = wording::area(&location).unwrap_or_default();
        let depth = wording::depth(&description).or_else(|| wording::depth(&location));
        let own =
            |names: &[&str]| names.iter().find_map(|name| self.texts(file, name).transpose()).transpose();
        let (areas, layers) = (own(&["area", "brain_area", "location"])?, own(&["layer"])?);
        let text = |own: &Option<Vec<String>>, row: usize, usual: &str| {
            own.as_ref().map_or(usual, |own| own[row].as_str()).to_string()
        };
        let neuron = |&row: &usize| Neuron {
            id: self.ids[row].to_string(),
            area: text(&areas, row, &area),
            layer: text(&layers, row, ""),
            depth,
            position: None,
        };
        Ok(rows.iter().map(neuron).collect())
    }

    /// A column of texts; none where there is none of that name, or it holds something else: the area of a
    /// region may be its size.
    fn texts(&self, file: &File<'_>, column: &str) -> Result<Option<Vec<String>>> {
        let name = format!("{}/{column}", self.table);
        if !file.store.has_array(&name)? {
            return Ok(None);
        }
        let array = file.store.array(&name)?;
        if array.element != ElementType::Text || array.shape != [self.rows()] {
            return Ok(None);
        }
        file.store.texts(&name).map(Some)
    }
}

/// Ids of cells across sessions, under the names that releases of Visual Coding gave them; else the rows'
/// own.
fn ids(file: &File<'_>, table: &str) -> Result<Vec<i64>> {
    for column in ["global_roi_id", "cell_specimen_id", "cell_specimen_ids"] {
        let name = format!("{table}/{column}");
        if file.store.has_array(&name)? {
            return nwb::ids(file.store, &name);
        }
    }
    nwb::ids(file.store, &format!("{table}/id"))
}

/// The row of the table for each column of a series, in the columns' order; none where the series does not
/// say.
pub(super) fn rows(file: &File<'_>, series: &str, cells: &Cells) -> Result<Option<Vec<usize>>> {
    let name = format!("{series}/rois");
    if !file.store.has_array(&name)? {
        return Ok(None);
    }
    let wrong = |found: String| {
        let wanted = format!("each column's row of {}, from 0 and below {}", cells.table, cells.rows());
        Error::new(Kind::Input, place(file.store, &name), found, wanted, "Check how the file was written")
    };
    let mut seen = vec![false; cells.rows()];
    let mut rows = Vec::new();
    for row in nwb::ids(file.store, &name)? {
        let known = usize::try_from(row).ok().filter(|row| *row < seen.len());
        let known = known.ok_or_else(|| wrong(format!("it names row {row}")))?;
        if std::mem::replace(&mut seen[known], true) {
            return Err(wrong(format!("it names row {row} twice")));
        }
        rows.push(known);
    }
    Ok(Some(rows))
}

/// The shares of the neuropil of some rows. Their table has a share for each row of the regions' table; one
/// that is as short as the series has them in the order of its columns.
pub(super) fn shares(file: &File<'_>, name: &str, rows: &[usize], cells: &Cells) -> Result<Option<Vec<f64>>> {
    if !file.store.has_array(name)? {
        return Ok(None);
    }
    let shape = file.store.array(name)?.shape;
    let all = |count: usize| crate::experiment::nwb1::shares_of(file.store, name, count);
    Ok(Some(match shape[..] {
        [count] if count == cells.rows() => {
            let shares = all(count)?;
            rows.iter().map(|row| shares[*row]).collect()
        }
        _ => all(rows.len())?,
    }))
}

/// Whether a text says that it is dF/F.
pub(super) fn says_dff(text: &str) -> bool {
    let plain: String = text.to_lowercase().replace('\u{3b4}', "d").replace("delta", "d");
    let plain: String = plain.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).collect();
    ["df/f", "dff", "doverf", "dfoverf"].iter().any(|name| plain.contains(name))
}

/// The factor that turns a unit of dF/F into a ratio.
pub(super) fn ratio(unit: &str) -> f64 {
    match unit.trim().to_lowercase().as_str() {
        "%" | "percent" | "per cent" | "%df/f" | "% df/f" | "df/f (%)" | "df/f in percent" => 0.01,
        _ => 1.0,
    }
}

/// The unit of a series' data; empty where it is not said.
pub(super) fn unit(file: &File<'_>, series: &str) -> Result<String> {
    series::text_attribute(file.store, &format!("{series}/data"), "unit")
}
