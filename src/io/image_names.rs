//! Which image a table means by a name or a number.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::images::Images;
use super::responses::shorten;
use super::table::{counted_from, whole};
use crate::error::{Error, Result};

/// The images that tables speak of. Tables name them by their files, with or without folder and ending; or by
/// numbers. Numbers 0..n-1 or 1..n, each once, are rows of the images in their order. Images of an array have no
/// names: what a table calls them is taken for such numbers where it ends in some (`image7`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageNames {
    count: usize,
    files: Option<Vec<String>>,
}

impl ImageNames {
    /// So many images without names.
    pub fn counted(count: usize) -> Self {
        ImageNames { count, files: None }
    }

    /// Images with names; numbers are none.
    pub fn named(names: Vec<String>) -> Self {
        let count = names.len();
        let files = names.iter().any(|name| whole(name).is_none()).then_some(names);
        ImageNames { count, files }
    }

    /// The images of a folder or an array.
    pub fn of(images: &Images) -> Self {
        ImageNames { count: images.len(), files: images.are_files().then(|| images.names()) }
    }

    /// Some of them, in another order; one more than there are is a blank screen.
    pub fn chosen(&self, images: &[usize]) -> Self {
        let name = |files: &Vec<String>| {
            images.iter().map(|image| files.get(*image).map_or("blank", String::as_str).into()).collect()
        };
        ImageNames { count: images.len(), files: self.files.as_ref().map(name) }
    }

    /// How many images.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The row of the image that each name of a table of all images means; `what` says where the names stand.
    /// `in_order` says that numbers count something else, and must not be in another order than the images.
    ///
    /// # Errors
    /// Input: a name that stands twice or is of no image; names that mean two things.
    pub(super) fn all(&self, path: &Path, what: &str, ids: &[String], in_order: bool) -> Result<Vec<usize>> {
        let mut seen = HashSet::new();
        if let Some(twice) = ids.iter().find(|id| !seen.insert(id.as_str())) {
            let found = format!("{what} has '{}' twice", shorten(twice));
            let advice = "Average repeats of an image, or give them as a 3-D .npy array";
            return Err(Error::input(path, found, "each image once", advice));
        }
        let rows = self.by_name(ids).map_or_else(|| self.by_number(path, what, ids), Ok)?;
        if in_order && !rows.is_sorted() {
            let found = format!("{what} has numbers that are not in order");
            let advice = "Name the images there, or sort the table by image";
            return Err(Error::input(path, found, "names or numbers of images", advice));
        }
        Ok(rows)
    }

    /// The rows of some images, which a table names by files or by rows from 0.
    ///
    /// # Errors
    /// Input, with the line: a name or number of no image; names that mean two things.
    pub(super) fn some(&self, path: &Path, cells: &[(&str, u32)]) -> Result<Vec<usize>> {
        let names: Vec<&str> = cells.iter().map(|(cell, _)| *cell).collect();
        let named = self.by_name(&names).filter(|_| !names.is_empty());
        let row = |cell: &str| whole(cell).filter(|row| *row < self.count);
        let numbered: Option<Vec<usize>> = names.iter().map(|cell| row(cell)).collect();
        match (named, numbered) {
            (Some(named), Some(numbered)) if named != numbered => {
                let found = format!("'{}' is the name of an image and the row of another", shorten(names[0]));
                let advice = "Write file names with their endings";
                Err(Error::input(path, found, "names or rows of images", advice))
            }
            (Some(rows), _) | (None, Some(rows)) => Ok(rows),
            (None, None) => Err(self.no_image(path, cells, row)),
        }
    }

    fn no_image(&self, path: &Path, cells: &[(&str, u32)], row: impl Fn(&str) -> Option<usize>) -> Error {
        let known = |cell: &str| row(cell).is_some() || self.by_name(&[cell]).is_some();
        // Where all are known by themselves, names and numbers are mixed.
        let odd = cells.iter().find(|(cell, _)| !known(cell)).or_else(|| {
            let first = cells.first().is_some_and(|(cell, _)| row(cell).is_some());
            cells.iter().find(|(cell, _)| row(cell).is_some() != first)
        });
        let (cell, line) = odd.copied().unwrap_or_default();
        let found = format!("line {line}: '{}' is no image", shorten(cell));
        let mut wanted = format!("a whole number from 0 to {}", self.count.saturating_sub(1));
        if let Some(first) = self.files.as_ref().and_then(|files| files.first()) {
            wanted = format!("{wanted} throughout, or throughout the name of a file, as {}", shorten(first));
        }
        let advice = "Images are counted from 0, in the order of the image file or of the files' names";
        Error::input(path, found, wanted, advice)
    }

    /// Whether all of some names are names of image files, which differ from their rows.
    pub(super) fn are_names(&self, ids: &[String]) -> bool {
        ids.len() == self.count && self.by_name(ids).is_some()
    }

    /// The rows of names, if every one is the name of a file: as it stands, else without endings, else in any case.
    fn by_name<S: AsRef<str>>(&self, ids: &[S]) -> Option<Vec<usize>> {
        let files = self.files.as_ref()?;
        let forms: [fn(&str) -> String; 3] =
            [|name| last(name).into(), |name| stem(name).into(), |name| stem(name).to_lowercase()];
        forms.into_iter().find_map(|form| {
            let mut rows = HashMap::new();
            for (row, file) in files.iter().enumerate() {
                // A form that two files share names neither.
                rows.entry(form(file)).and_modify(|row| *row = None).or_insert(Some(row));
            }
            ids.iter().map(|id| rows.get(&form(id.as_ref())).copied().flatten()).collect()
        })
    }

    fn by_number(&self, path: &Path, what: &str, ids: &[String]) -> Result<Vec<usize>> {
        let refused =
            |found: String, wanted: &str, advice: &str| Err(Error::input(path, found, wanted, advice));
        let plain: Option<Vec<usize>> = ids.iter().map(|id| whole(id)).collect();
        let numbers = match (&self.files, plain) {
            (_, Some(plain)) => plain,
            (None, None) => match ends(ids.iter().map(String::as_str)) {
                Some(numbers) => numbers,
                // Words of no order: the array's.
                None => return Ok((0..ids.len()).collect()),
            },
            (Some(files), None) => {
                let unknown = ids.iter().find(|id| self.by_name(&[id.as_str()]).is_none()).unwrap_or(&ids[0]);
                let found = format!("{what} has '{}', which is the name of no image", shorten(unknown));
                let wanted = format!("the names of the images, as {}", shorten(&files[0]));
                return refused(found, &wanted, "Give the images that belong to this table");
            }
        };
        let rows = counted_from(&numbers).map(|base| numbers.iter().map(|n| n - base).collect::<Vec<_>>());
        let files = self.files.as_ref().and_then(|files| by_ends(files, &numbers));
        match (rows, files) {
            (Some(rows), Some(files)) if rows != files => {
                let found =
                    format!("{what} has numbers that may be rows of images or numbers in their names");
                refused(found, "numbers that mean one thing", "Write the names of the files there")
            }
            (Some(rows), _) | (None, Some(rows)) => Ok(rows),
            (None, None) if self.files.is_none() && numbers.is_sorted() => Ok((0..ids.len()).collect()),
            (None, None) => {
                let found = format!("{what} has the number {}, which tells no image", numbers[0]);
                let wanted =
                    format!("the names of files, or all of 0 to {0} or 1 to {1}", ids.len() - 1, ids.len());
                refused(found, &wanted, "Sort the table in the order of the images and number it anew")
            }
        }
    }
}

/// The name of a file without folders.
fn last(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// The same without the ending of an image.
fn stem(name: &str) -> &str {
    let name = last(name);
    match name.rsplit_once('.') {
        Some((stem, ending)) if Images::is_ending(ending) => stem,
        _ => name,
    }
}

/// The numbers that names end in, if they are the same up to there.
fn ends<'a>(names: impl Iterator<Item = &'a str>) -> Option<Vec<usize>> {
    let mut common = None;
    names
        .map(|name| {
            let name = stem(name);
            let word = name.trim_end_matches(|c: char| c.is_ascii_digit());
            (*common.get_or_insert(word) == word).then(|| name[word.len()..].parse().ok()).flatten()
        })
        .collect()
}

/// The files whose names end in some numbers, if these are those of all files.
fn by_ends(files: &[String], numbers: &[usize]) -> Option<Vec<usize>> {
    let numbered = ends_of_any(files)?;
    let rows: HashMap<usize, usize> = numbered.iter().enumerate().map(|(row, n)| (*n, row)).collect();
    let found: Option<Vec<usize>> = numbers.iter().map(|n| rows.get(n).copied()).collect();
    found.filter(|_| rows.len() == files.len())
}

/// The numbers that names end in, whatever stands before.
fn ends_of_any(files: &[String]) -> Option<Vec<usize>> {
    let number = |file: &String| {
        let name = stem(file);
        name[name.trim_end_matches(|c: char| c.is_ascii_digit()).len()..].parse().ok()
    };
    files.iter().map(number).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn files(names: &[&str]) -> ImageNames {
        ImageNames { count: names.len(), files: Some(strings(names)) }
    }

    fn all(images: &ImageNames, ids: &[&str]) -> std::result::Result<Vec<usize>, String> {
        images.all(Path::new("r.csv"), "the first line", &strings(ids), false).map_err(|why| why.to_string())
    }

    #[test]
    fn names_are_those_of_files() {
        let images = files(&["a.png", "b.tif", "c.JPG"]);
        assert_eq!(all(&images, &["c.JPG", "a.png", "b.tif"]).unwrap(), [2, 0, 1]);
        assert_eq!(all(&images, &["c", "a", "b"]).unwrap(), [2, 0, 1]);
        assert_eq!(all(&images, &["x/b.tif", "C:\\y\\c.JPG", "./a.png"]).unwrap(), [1, 2, 0]);
        assert_eq!(all(&images, &["C.jpg", "B.TIF", "A.png"]).unwrap(), [2, 1, 0]);
        assert!(all(&images, &["a", "b", "d"]).unwrap_err().contains("'d', which is the name of no image"));
        assert!(all(&images, &["a", "b", "a"]).unwrap_err().contains("'a' twice"));
        // An ending that is none of a picture belongs to the name.
        assert_eq!(all(&files(&["s.1.png", "s.2.png"]), &["s.2", "s.1"]).unwrap(), [1, 0]);
        // Two files of one stem are told by their endings alone.
        let twins = files(&["a.jpg", "a.png"]);
        assert_eq!(all(&twins, &["a.png", "a.jpg"]).unwrap(), [1, 0]);
        assert!(all(&twins, &["a", "b"]).is_err());
    }

    #[test]
    fn numbers_are_rows_or_those_in_names() {
        let array = ImageNames::counted(3);
        assert_eq!(all(&array, &["2", "0", "1"]).unwrap(), [2, 0, 1]);
        assert_eq!(all(&array, &["3.0", "1.0", "2.0"]).unwrap(), [2, 0, 1]);
        assert_eq!(all(&array, &["im12", "im15", "im99"]).unwrap(), [0, 1, 2]);
        assert_eq!(all(&array, &["im2", "im3", "im1"]).unwrap(), [1, 2, 0]);
        assert_eq!(all(&array, &["cat", "ape", "bee"]).unwrap(), [0, 1, 2]);
        assert!(all(&array, &["7", "5", "9"]).unwrap_err().contains("tells no image"));
        assert!(all(&array, &["im7", "im5", "im9"]).is_err());
        let later = files(&["image0004.png", "image0009.png", "image0010.png"]);
        assert_eq!(all(&later, &["10", "4", "9"]).unwrap(), [2, 0, 1]);
        assert_eq!(all(&later, &["3", "1", "2"]).unwrap(), [2, 0, 1]);
        assert!(all(&later, &["4", "9", "11"]).is_err());
        assert!(all(&later, &["im1", "im2", "im3"]).is_err());
        // Rows in the order of names are not the numbers in the names here.
        assert!(
            all(&files(&["a1.png", "a3.png", "b2.png"]), &["3", "1", "2"]).unwrap_err().contains("may be")
        );
        let plain = files(&["1.png", "2.png", "3.png"]);
        assert_eq!(all(&plain, &["3", "1", "2"]).unwrap(), [2, 0, 1]);
        assert_eq!(all(&plain, &["2", "0", "1"]).unwrap(), [2, 0, 1]);
        let trials = array.all(Path::new("r.csv"), "x", &strings(&["1", "0", "2"]), true);
        assert!(trials.unwrap_err().to_string().contains("not in order"));
    }

    #[test]
    fn some_images_are_named_or_numbered() {
        let some = |images: &ImageNames, cells: &[&str]| {
            let cells: Vec<(&str, u32)> = cells.iter().zip(2..).map(|(cell, line)| (*cell, line)).collect();
            images.some(Path::new("split.csv"), &cells).map_err(|why| why.to_string())
        };
        let images = files(&["a.png", "b.png", "c.png"]);
        assert_eq!(some(&images, &["c", "a"]).unwrap(), [2, 0]);
        assert_eq!(some(&images, &["2.0", "0"]).unwrap(), [2, 0]);
        assert!(some(&images, &["a", "1"]).unwrap_err().contains("line 3: '1' is no image"));
        assert!(some(&images, &["a", "d"]).unwrap_err().contains("line 3: 'd' is no image"));
        assert!(some(&images, &["3"]).unwrap_err().contains("from 0 to 2"));
        let plain = files(&["1.png", "2.png", "3.png"]);
        assert!(some(&plain, &["1", "2"]).unwrap_err().contains("the row of another"));
        assert_eq!(some(&plain, &["1.png", "3.png"]).unwrap(), [0, 2]);
        assert_eq!(some(&plain, &["0", "2"]).unwrap(), [0, 2]);
        assert_eq!(some(&plain, &["3", "1"]).unwrap(), [2, 0]);
        assert_eq!(some(&ImageNames::counted(3), &["1", "2"]).unwrap(), [1, 2]);
        assert!(some(&ImageNames::counted(3), &["im1"]).is_err());
    }
}
