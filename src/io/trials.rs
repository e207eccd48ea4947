//! `trials.csv`: which image each presentation showed, in which repeat, and what the animal did.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::response_table::broken;
use super::responses::shorten;
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

/// Reads the presentations in the order of the file. Columns `image` and `repeat` index the responses; those
/// of [`Covariate::column`] may be missing, and their cells empty; other columns are passed over.
///
/// # Errors
/// With the line: an image or repeat that the responses do not have, one that is named twice, a covariate
/// that is no number.
pub fn read(path: &Path, images: usize, repeats: usize) -> Result<Vec<TrialRow>> {
    let file = super::file::open(path)?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(file);
    let header = reader.headers().map_err(|why| broken(path, why))?.clone();
    let column = |name: &str| header.iter().position(|cell| cell.eq_ignore_ascii_case(name));
    let needed = |name: &str| {
        column(name).ok_or_else(|| {
            let advice = "Give the trials.csv that striate responses wrote";
            let found = format!("has no column '{name}' in its first line");
            Error::input(path, found, "the columns image and repeat", advice)
        })
    };
    let (image, repeat) = (needed("image")?, needed("repeat")?);
    let covariates = Covariate::ALL.map(|one| column(one.column()));
    let (mut rows, mut lines) = (Vec::new(), vec![0u64; images * repeats]);
    for record in reader.records() {
        let record = record.map_err(|why| broken(path, why))?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |column: usize| record.get(column).unwrap_or("");
        let image = below(path, line, ("image", cell(image)), images)?;
        let repeat = below(path, line, ("repeat", cell(repeat)), repeats)?;
        let earlier = std::mem::replace(&mut lines[image * repeats + repeat], line);
        if earlier > 0 {
            let found =
                format!("line {line} is repeat {repeat} of image {image} again, after line {earlier}");
            return Err(Error::input(path, found, "each presentation once", "Delete one of the two lines"));
        }
        let mut values = [f32::NAN; 2];
        for (value, column) in values.iter_mut().zip(covariates) {
            *value = column.map_or(Ok(f32::NAN), |column| number(path, line, cell(column)))?;
        }
        rows.push(TrialRow { image, repeat, covariates: values });
    }
    Ok(rows)
}

fn below(path: &Path, line: u64, (what, text): (&str, &str), count: usize) -> Result<usize> {
    text.parse::<usize>().ok().filter(|number| *number < count).ok_or_else(|| {
        let found = format!("line {line}: '{}' is no {what} of the responses", shorten(text));
        let wanted = format!("a whole number from 0 to {}", count.saturating_sub(1));
        Error::input(path, found, wanted, "Give the trials that belong to these responses")
    })
}

fn number(path: &Path, line: u64, text: &str) -> Result<f32> {
    if text.is_empty() {
        return Ok(f32::NAN);
    }
    text.parse::<f32>().ok().filter(|value| !value.is_infinite()).ok_or_else(|| {
        let found = format!("line {line}: '{}' is no number", shorten(text));
        Error::input(path, found, "a finite number, or nothing where it is unknown", "Correct that cell")
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
        read(&path, 3, 2)
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
            ("short", "image,repeat\n0\n", "line 2: '' is no repeat"),
        ] {
            let error = table(name, text).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("trials.csv"), "{name}: {error}");
        }
        assert!(table("binary", b"image,repeat\n\xff,0\n").is_err());
        assert_eq!("pupil".parse::<Covariate>().unwrap(), Covariate::Pupil);
        assert!("Pupil".parse::<Covariate>().unwrap_err().to_string().contains("running-speed or pupil"));
    }
}
