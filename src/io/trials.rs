//! `trials.csv`: which image each presentation showed, in which repeat, and what the animal did.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::image_names::ImageNames;
use super::responses::shorten;
use super::table::{Decimals, Table, shown, whole};
use crate::error::{Error, Kind, Result};

/// Something that was measured of the animal in every trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Covariate {
    /// Mean running speed, in cm/s.
    RunningSpeed,
    /// Mean size of the pupil.
    Pupil,
}

impl Covariate {
    /// All of them.
    pub const ALL: [Covariate; 2] = [Covariate::RunningSpeed, Covariate::Pupil];

    /// Its name as an option.
    pub fn name(self) -> &'static str {
        match self {
            Covariate::RunningSpeed => "running-speed",
            Covariate::Pupil => "pupil",
        }
    }

    /// Its column in `trials.csv`.
    pub fn column(self) -> &'static str {
        match self {
            Covariate::RunningSpeed => "running_speed",
            Covariate::Pupil => "pupil",
        }
    }
}

impl fmt::Display for Covariate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Covariate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| {
            let wanted = Self::ALL.map(Self::name).join(" or ");
            Error::new(Kind::Usage, "covariate", format!("'{}' is none", shorten(text)), wanted, "")
        })
    }
}

/// One presentation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrialRow {
    /// Its image, as a row of the images.
    pub image: usize,
    /// Its place among the presentations of that image.
    pub repeat: usize,
    /// In the order of [`Covariate::ALL`]; NaN where it is not known.
    pub covariates: [f32; 2],
}

impl TrialRow {
    /// A covariate; NaN where it is not known.
    pub fn covariate(&self, which: Covariate) -> f32 {
        self.covariates[which as usize]
    }
}

/// Reads the presentations in the order of the file. A column `image` holds rows or names of images, a column
/// `repeat` indexes the responses; those of [`Covariate::column`] may be missing, and their cells empty; other
/// columns are passed over.
///
/// # Errors
/// With the line: an image or repeat that the responses do not have, one that is named twice, a covariate
/// that is no number.
pub fn read(path: &Path, images: &ImageNames, repeats: usize) -> Result<Vec<TrialRow>> {
    let table = Table::read(path)?;
    let places = places(&table, images, repeats)?;
    let columns = Covariate::ALL.map(|one| table.column(one.column()));
    let present: Vec<usize> = columns.iter().flatten().copied().collect();
    let decimals = table.decimals(&present)?;
    let rows = (1..).zip(places).map(|(row, [image, repeat])| {
        let mut covariates = [f32::NAN; 2];
        for (value, column) in covariates.iter_mut().zip(columns) {
            *value = column.map_or(Ok(f64::NAN), |column| number(&table, row, column, decimals))? as f32;
        }
        Ok(TrialRow { image, repeat, covariates })
    });
    rows.collect()
}

/// Image and repeat of each presentation in the order of a table: of each pair one.
///
/// # Errors
/// As [`read`].
pub fn places(table: &Table, images: &ImageNames, repeats: usize) -> Result<Vec<[usize; 2]>> {
    let (wanted, advice) = ("image and repeat", "Give the trials.csv that striate responses wrote");
    let [image, repeat] = [table.needed("image", wanted, advice)?, table.needed("repeat", wanted, advice)?];
    let cells: Vec<(&str, u32)> =
        (1..table.rows()).map(|row| (table.text(row, image), table.line(row))).collect();
    let mut lines = vec![0; images.count() * repeats];
    let each = (1..).zip(images.some(table.path(), &cells)?).map(|(row, image)| {
        let cell = table.cell(row, repeat);
        let repeat = whole(cell).filter(|number| *number < repeats).ok_or_else(|| {
            let found = format!("line {}: {} is no repeat of the responses", table.line(row), shown(cell));
            let wanted = format!("a whole number from 0 to {}", repeats.saturating_sub(1));
            Error::input(table.path(), found, wanted, "Give the trials that belong to these responses")
        })?;
        let earlier = std::mem::replace(&mut lines[image * repeats + repeat], table.line(row));
        if earlier > 0 {
            let found = format!(
                "line {} is repeat {repeat} of image {image} again, after line {earlier}",
                table.line(row)
            );
            let advice = "Delete one of the two lines";
            return Err(Error::input(table.path(), found, "each presentation once", advice));
        }
        Ok([image, repeat])
    });
    each.collect()
}

/// A number; NaN where the cell is empty.
///
/// # Errors
/// Input, if it is none, or not finite.
pub(crate) fn number(table: &Table, row: usize, column: usize, decimals: Decimals) -> Result<f64> {
    let cell = table.cell(row, column);
    decimals.number(cell).filter(|value| !value.is_infinite()).ok_or_else(|| {
        let found = format!("line {}: {} is no number", table.line(row), shown(cell));
        let wanted = "a finite number, or nothing where it is unknown";
        Error::input(table.path(), found, wanted, "Correct that cell")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::io::commit::scratch;

    fn table(name: &str, text: impl AsRef<[u8]>) -> Result<Vec<TrialRow>> {
        let path = scratch(&format!("trials-{name}")).join("trials.csv");
        std::fs::write(&path, text).unwrap();
        read(&path, &ImageNames::counted(3), 2)
    }

    #[test]
    fn trials_are_read_in_the_order_of_the_file() {
        let text = "trial,image,repeat,start,running_speed,pupil\n0,2,0,1.5,-0.25,\n1,0,1,1.75,,\n";
        let rows = table("order", text).unwrap();
        assert_eq!(rows.iter().map(|row| (row.image, row.repeat)).collect::<Vec<_>>(), [(2, 0), (0, 1)]);
        assert_eq!(rows[0].covariate(Covariate::RunningSpeed), -0.25);
        assert!(rows[0].covariate(Covariate::Pupil).is_nan() && rows[1].covariates[0].is_nan());
        let few = table("few", "pupil,repeat,image\n3,0,1\n").unwrap();
        assert_eq!(few[0].covariate(Covariate::Pupil), 3.0);
        assert!(few[0].covariate(Covariate::RunningSpeed).is_nan());
    }

    #[test]
    fn wrong_tables_name_the_line() {
        for (name, text, said) in [
            ("image", "image,repeat\n3,0\n", "line 2: '3' is no image"),
            ("repeat", "image,repeat\n0,0\n0,2\n", "line 3: '2' is no repeat"),
            ("twice", "image,repeat\n0,0\n1,1\n0,0\n", "line 4 is repeat 0 of image 0 again, after line 2"),
            ("word", "image,repeat,pupil\n0,0,wide\n", "line 2: 'wide' is no number"),
            ("infinite", "image,repeat,running_speed\n0,0,inf\n", "'inf' is no number"),
            ("columns", "image\n0\n", "no column 'repeat'"),
            ("short", "image,repeat\n0\n", "line 2 has 1 cells"),
        ] {
            let error = table(name, text).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("trials.csv"), "{name}: {error}");
        }
        assert!(table("binary", b"image,repeat\n\xff,0\n").is_err());
        assert_eq!("pupil".parse::<Covariate>().unwrap(), Covariate::Pupil);
        assert!("Pupil".parse::<Covariate>().unwrap_err().to_string().contains("running-speed or pupil"));
    }
}
