//! Which of the known names a mistyped one is nearest to.

/// `known`, the nearest to `wanted` first; names equally near keep their order. Both in lower case.
pub(super) fn sorted<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_by_cached_key(|name| distance(wanted, name));
    known
}

/// Letters to insert, delete or replace to turn one into the other (Levenshtein's distance), one row at a
/// time.
fn distance(from: &str, to: &str) -> usize {
    // Names are short: what is longer cannot be a typing error, and is not worth the time.
    let from: Vec<char> = from.chars().take(64).collect();
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("vgg19", "vgg19"), 0);
        assert_eq!(distance("relu31", "relu3_1"), 1);
    }

    #[test]
    fn the_nearest_comes_first_and_ties_keep_their_order() {
        assert_eq!(sorted("pol1", ["conv1", "pool2", "pool1"]), ["pool1", "pool2", "conv1"]);
        assert_eq!(sorted("x", ["a", "b"]), ["a", "b"]);
    }
}
