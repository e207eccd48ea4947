//! The images of a folder, in the order in which a person would count them.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Whether the name ends like an image file that Striate reads.
pub(super) fn is_image(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(is_ending)
}

/// The same of the ending alone.
pub(super) fn is_ending(ending: &str) -> bool {
    ["png", "jpg", "jpeg", "tif", "tiff"].iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// The image files of a folder in natural order. Hidden files, other files and folders are passed over.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |e: std::io::Error| Error::unreadable(folder, &e);
    let mut images = Vec::new();
    let mut others = 0;
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if name(&path).starts_with('.') {
            continue;
        }
        // Follows links, unlike the entry's own type.
        if is_image(&path) && !path.is_dir() {
            images.push(path);
        } else {
            others += 1;
        }
    }
    if images.is_empty() {
        let found = format!("no image among {others} files and folders");
        return Err(Error::input(folder, found, "files ending in .png, .jpg, .jpeg, .tif or .tiff", ""));
    }
    images.sort_by(|a, b| natural(&name(a), &name(b)).then_with(|| a.cmp(b)));
    Ok(images)
}

/// The last part of a path, for people.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Compares names with runs of digits by their value: image2 before image10.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (Some(x), Some(y)) = (a.chars().next(), b.chars().next()) else {
            return a.len().cmp(&b.len());
        };
        let (order, a_step, b_step) = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (left, right) = (digits(a), digits(b));
            let (m, n) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
            (m.len().cmp(&n.len()).then_with(|| m.cmp(n)), left.len(), right.len())
        } else {
            (x.cmp(&y), x.len_utf8(), y.len_utf8())
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (&a[a_step..], &b[b_step..]);
    }
}

fn digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count() {
        let mut names = [
            "b1",
            "image10.png",
            "image2.png",
            "image002b",
            "image",
            "image2",
            "é9",
            "a99999999999999999999",
        ];
        names.sort_by(|a, b| natural(a, b));
        let sorted = [
            "a99999999999999999999",
            "b1",
            "image",
            "image2",
            "image2.png",
            "image002b",
            "image10.png",
            "é9",
        ];
        assert_eq!(names, sorted);
    }

    #[test]
    fn endings_in_any_case_are_images() {
        assert!(is_image(Path::new("a/B.JPeG")) && is_image(Path::new("x.tif")));
        assert!(!is_image(Path::new("png")) && !is_image(Path::new("a.npy")));
    }
}
