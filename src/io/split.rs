//! Which images train the readouts, which choose the penalty, which only test.

use std::path::Path;

use super::commit;
use super::image_names::ImageNames;
use super::responses::shorten;
use super::table::Table;
use crate::error::{Error, Kind, Result};
use crate::random::Random;

/// The part that an image plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Readouts are fitted to it.
    Train,
    /// Penalties and layers are chosen by it.
    Validation,
    /// Scores are computed on it, and nothing else.
    Test,
}

/// Image rows (0-based) of each tier, each in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// Rows that readouts are fitted to; never empty.
    pub train: Vec<usize>,
    /// Rows that penalties are chosen by; empty where folds of the training rows do that.
    pub validation: Vec<usize>,
    /// Rows that scores are computed on; never empty.
    pub test: Vec<usize>,
    /// How many images no tier names; they are left out.
    pub unused: usize,
}

impl Split {
    /// Reads a table with the columns `image` (0-based row, or the name of the image's file) and `tier` (`train`,
    /// `validation` or `val`, `test`). Images that are not named are left out and counted in `unused`.
    ///
    /// # Errors
    /// With the line number: an unknown tier, an image that is unknown or named twice; and when there are no
    /// training or no test images.
    pub fn read(path: &Path, images: &ImageNames) -> Result<Split> {
        let table = Table::read(path)?;
        let (wanted, advice) = ("image,tier", "Add a first line: image,tier");
        let [image, tier] = [table.needed("image", wanted, advice)?, table.needed("tier", wanted, advice)?];
        let cells: Vec<(&str, u32)> =
            (1..table.rows()).map(|row| (table.text(row, image), table.line(row))).collect();
        let mut lines: Vec<Option<(u32, Tier)>> = vec![None; images.count()];
        for (row, image) in (1..).zip(images.some(path, &cells)?) {
            let line = table.line(row);
            let tier = read_tier(path, line, table.text(row, tier))?;
            if let Some((earlier, _)) = lines[image].replace((line, tier)) {
                let found = format!("line {line} names image {image} again, after line {earlier}");
                return Err(Error::input(path, found, "each image once", "Delete one of the two lines"));
            }
        }
        let rows = |wanted: Tier| -> Vec<usize> {
            let named = lines.iter().enumerate();
            named
                .filter(|(_, line)| line.is_some_and(|(_, tier)| tier == wanted))
                .map(|(row, _)| row)
                .collect()
        };
        let split = Split {
            train: rows(Tier::Train),
            validation: rows(Tier::Validation),
            test: rows(Tier::Test),
            unused: lines.iter().filter(|line| line.is_none()).count(),
        };
        for (rows, tier) in [(&split.train, "train"), (&split.test, "test")] {
            if rows.is_empty() {
                let advice = format!("Give some images the tier {tier}");
                return Err(Error::input(path, format!("has no {tier} images"), "at least one", advice));
            }
        }
        Ok(split)
    }

    /// A random split into training and test images: the rows 0..n are shuffled (Fisher-Yates over the
    /// ChaCha8 stream `split` of `seed`) and the first round(n * `test_fraction`) of them test, but at least
    /// one tests and at least one trains.
    ///
    /// # Errors
    /// [`Kind::Usage`] for fewer than 2 images or a fraction that is not between 0 and 1.
    pub fn random(n_images: usize, test_fraction: f64, seed: u64) -> Result<Split> {
        if !(test_fraction > 0.0 && test_fraction < 1.0) {
            let found = format!("{test_fraction} of the images cannot test");
            return Err(Error::new(
                Kind::Usage,
                "random split",
                found,
                "a fraction between 0 and 1",
                "Try 0.2",
            ));
        }
        if n_images < 2 {
            let found = format!("{n_images} images cannot be split");
            return Err(Error::new(Kind::Usage, "random split", found, "at least 2", "Give more images"));
        }
        let mut train: Vec<usize> = (0..n_images).collect();
        Random::stream(seed, "split").shuffle(&mut train);
        let tested = ((n_images as f64 * test_fraction).round() as usize).clamp(1, n_images - 1);
        let mut test: Vec<usize> = train.drain(..tested).collect();
        train.sort_unstable();
        test.sort_unstable();
        Ok(Split { train, validation: Vec::new(), test, unused: 0 })
    }

    /// Training rows and rows that say when training stops: the validation rows, or where there are none
    /// round(n * `fraction`) of the n training rows, at least one and at most all but one, drawn by
    /// Fisher-Yates over the ChaCha8 stream `validation` of `seed`. Both ascend.
    ///
    /// # Errors
    /// [`Kind::Input`] for fewer than 2 training rows without validation rows.
    pub fn stopped_by(&self, fraction: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>)> {
        if !self.validation.is_empty() {
            return Ok((self.train.clone(), self.validation.clone()));
        }
        let rows = self.train.len();
        if rows < 2 {
            let found = format!("{rows} training images, of which some must say when training stops");
            let advice = "Put more images into the training tier";
            return Err(Error::new(Kind::Input, "split", found, "at least 2", advice));
        }
        let mut train = self.train.clone();
        Random::stream(seed, "validation").shuffle(&mut train);
        let stopping = ((rows as f64 * fraction).round() as usize).clamp(1, rows - 1);
        let mut validation: Vec<usize> = train.drain(..stopping).collect();
        train.sort_unstable();
        validation.sort_unstable();
        Ok((train, validation))
    }

    /// A null: which image stands in each image's place when images change places at random within their
    /// tier, by the ChaCha8 stream `shuffled images` of `seed`. Images of no tier stay.
    pub fn shuffled(&self, n_images: usize, seed: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n_images).collect();
        let mut random = Random::stream(seed, "shuffled images");
        for tier in [&self.train, &self.validation, &self.test] {
            let mut rows = tier.clone();
            random.shuffle(&mut rows);
            for (place, row) in tier.iter().zip(rows) {
                order[*place] = row;
            }
        }
        order
    }

    /// Writes the CSV that [`Split::read`] reads, in the order of the images.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let tiers = [("train", &self.train), ("validation", &self.validation), ("test", &self.test)];
        let mut lines: Vec<(usize, &str)> =
            tiers.iter().flat_map(|(tier, rows)| rows.iter().map(move |&row| (row, *tier))).collect();
        lines.sort_unstable();
        commit::write_with(path, |to| {
            writeln!(to, "image,tier")?;
            lines.iter().try_for_each(|(image, tier)| writeln!(to, "{image},{tier}"))
        })
    }
}

fn read_tier(path: &Path, line: u32, text: &str) -> Result<Tier> {
    match text.to_ascii_lowercase().as_str() {
        "train" => Ok(Tier::Train),
        "validation" | "val" => Ok(Tier::Validation),
        "test" => Ok(Tier::Test),
        _ => {
            let found = format!("line {line}: '{}' is no tier", shorten(text));
            let advice = "Delete the lines of images that play no part";
            Err(Error::input(path, found, "train, validation or test", advice))
        }
    }
}

/// Cuts `rows` into `k` folds and gives (training rows, validation rows) of each. With a seed the rows are
/// first shuffled (Fisher-Yates over the ChaCha8 stream `folds`); without, folds are contiguous blocks. The
/// first `rows.len() % k` folds are one row longer. Both lists keep the order that `rows` has.
///
/// # Errors
/// [`Kind::Usage`] when `k` is below 2 or above the number of rows.
pub fn folds(rows: &[usize], k: usize, seed: Option<u64>) -> Result<Vec<(Vec<usize>, Vec<usize>)>> {
    if k < 2 || k > rows.len() {
        let found = format!("{k} folds of {} training images", rows.len());
        let advice = "Ask for another number of folds, or train on more images";
        let wanted = "at least 2 folds, and an image for each";
        return Err(Error::new(Kind::Usage, "--folds", found, wanted, advice));
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    if let Some(seed) = seed {
        Random::stream(seed, "folds").shuffle(&mut order);
    }
    let (length, longer) = (rows.len() / k, rows.len() % k);
    let mut fold_of = vec![0; rows.len()];
    let mut next = order.into_iter();
    for fold in 0..k {
        for at in next.by_ref().take(length + usize::from(fold < longer)) {
            fold_of[at] = fold;
        }
    }
    let pick = |fold: usize, inside: bool| -> Vec<usize> {
        rows.iter().zip(&fold_of).filter(|&(_, &f)| (f == fold) == inside).map(|(&row, _)| row).collect()
    };
    Ok((0..k).map(|fold| (pick(fold, false), pick(fold, true))).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::io::commit::scratch;

    fn read(name: &str, text: &str, n_images: usize) -> Result<Split> {
        let path = scratch(&format!("split-{name}")).join("split.csv");
        std::fs::write(&path, text).unwrap();
        Split::read(&path, &ImageNames::counted(n_images))
    }

    #[test]
    fn training_stops_by_validation_rows_or_by_a_share_of_the_others() {
        let split = Split { train: (5..25).collect(), test: vec![0], ..Split::default() };
        let (train, validation) = split.stopped_by(0.2, 3).unwrap();
        assert_eq!((train.len(), validation.len()), (16, 4));
        let mut both = [train.clone(), validation.clone()].concat();
        both.sort_unstable();
        assert_eq!(both, split.train);
        assert!(train.is_sorted() && validation.is_sorted());
        assert_eq!(split.stopped_by(0.2, 3).unwrap(), (train.clone(), validation.clone()));
        assert_ne!(split.stopped_by(0.2, 4).unwrap().1, validation);
        assert_eq!(split.stopped_by(0.999, 4).unwrap().0.len(), 1);
        let named = Split { validation: vec![2], ..split };
        assert_eq!(named.stopped_by(0.5, 3).unwrap(), ((5..25).collect(), vec![2]));
        assert!(Split { train: vec![1], ..Split::default() }.stopped_by(0.5, 0).is_err());
    }

    #[test]
    fn a_split_is_read_and_written() {
        let split = read("read", "image,tier\n4,test\n0,train\n2, VAL\n1,train\n", 6).unwrap();
        assert_eq!(
            (&split.train[..], &split.validation[..], &split.test[..]),
            (&[0, 1][..], &[2][..], &[4][..])
        );
        assert_eq!(split.unused, 2);
        let path = scratch("split-write").join("split.csv");
        split.write(&path).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "image,tier\n0,train\n1,train\n2,validation\n4,test\n"
        );
        assert_eq!(Split::read(&path, &ImageNames::counted(6)).unwrap(), split);
        let turned = read("turned", "tier,note,image\ntrain,x,0\ntest,y,1\n", 2).unwrap();
        assert_eq!((turned.train, turned.test), (vec![0], vec![1]));
    }

    #[test]
    fn damaged_splits_name_the_line() {
        let message = |text: &str| read("damaged", text, 3).unwrap_err().to_string();
        assert!(message("image,tier\n0,train\n1,tset\n").contains("line 3: 'tset' is no tier"));
        assert!(
            message("image,tier\n0,train\n0,test\n").contains("line 3 names image 0 again, after line 2")
        );
        for wrong in ["3", "-1", "1.5", "x", ""] {
            assert!(message(&format!("image,tier\n{wrong},train\n")).contains("a whole number from 0 to 2"));
        }
        assert!(message("image,tier\n0,train\n1,train\n").contains("no test images"));
        assert!(message("image,tier\n0,test\n").contains("no train images"));
        assert!(message("0,train\n1,test\n").contains("has no column 'image'"));
        assert!(message("image,tier\n0\n").contains("line 2 has 1 cells; wanted 2"));
    }

    #[test]
    fn a_random_split_is_repeatable_and_complete() {
        let split = Split::random(101, 0.2, 5).unwrap();
        assert_eq!((split.train.len(), split.test.len()), (81, 20));
        let mut all = [&split.train[..], &split.test[..]].concat();
        all.sort_unstable();
        assert_eq!(all, (0..101).collect::<Vec<_>>());
        assert_eq!(split, Split::random(101, 0.2, 5).unwrap());
        assert_ne!(split, Split::random(101, 0.2, 6).unwrap());
        assert_eq!(Split::random(3, 0.01, 0).unwrap().test.len(), 1);
        assert!(Split::random(1, 0.5, 0).is_err() && Split::random(9, f64::NAN, 0).is_err());
    }

    #[test]
    fn folds_cover_every_row_once() {
        let rows: Vec<usize> = (10..21).collect();
        let blocks = folds(&rows, 3, None).unwrap();
        let validation: Vec<_> = blocks.iter().map(|(_, v)| v.clone()).collect();
        assert_eq!(validation, [vec![10, 11, 12, 13], vec![14, 15, 16, 17], vec![18, 19, 20]]);
        assert_eq!(blocks[1].0, [10, 11, 12, 13, 18, 19, 20]);
        let shuffled = folds(&rows, 4, Some(3)).unwrap();
        assert_eq!(shuffled.iter().map(|(_, v)| v.len()).collect::<Vec<_>>(), [3, 3, 3, 2]);
        let mut all: Vec<usize> = shuffled.iter().flat_map(|(_, v)| v.clone()).collect();
        all.sort_unstable();
        assert_eq!(all, rows);
        for (train, validation) in &shuffled {
            assert_eq!(train.len() + validation.len(), 11);
            assert!(train.iter().all(|row| !validation.contains(row)));
        }
        assert_ne!(shuffled, folds(&rows, 4, Some(4)).unwrap());
        assert!(folds(&rows, 1, None).is_err() && folds(&rows, 12, None).is_err());
    }
}
