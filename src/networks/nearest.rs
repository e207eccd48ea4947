//! Which of the known names a mistyped one is nearest to.

/// `known`, the nearest to `wanted` first; names equally near keep their order. Both in lower case.
pub fn sorted<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_by_cached_key(|name| distance(wanted, name));
    known
}

/// Letters to insert, delete, replace or swap with the next to turn one into the other (optimal string alignment), one
/// row at a time.
pub fn distance(from: &str, to: &str) -> usize {
    // Names are short: what is longer cannot be a typing error, and is not worth the time.
    let from: Vec<char> = from.chars().take(64).collect();
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replaced = above[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[to.len()]
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
        assert_eq!([distance("fti", "fit"), distance("rleu1", "relu1"), distance("ca", "abc")], [1, 1, 3]);
    }

    #[test]
    fn the_nearest_comes_first_and_ties_keep_their_order() {
        assert_eq!(sorted("pol1", ["conv1", "pool2", "pool1"]), ["pool1", "pool2", "conv1"]);
        assert_eq!(sorted("x", ["a", "b"]), ["a", "b"]);
    }
}
