//! Whole numbers as names.

/// A whole number from 0 on, written as 7 or as 7.0.
pub(crate) fn whole(cell: &str) -> Option<usize> {
    let digits = cell
        .split_once(['.', ','])
        .map_or(cell, |(whole, zeros)| if zeros.bytes().all(|byte| byte == b'0') { whole } else { cell });
    // A sign or a blank is none of a name's.
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What distinct numbers begin with, if they are 0..n-1 or 1..n in any order.
pub(crate) fn counted_from(numbers: &[usize]) -> Option<usize> {
    [0, 1].into_iter().find(|base| {
        let mut seen = vec![false; numbers.len()];
        numbers.iter().all(|number| {
            let place = number.checked_sub(*base).and_then(|at| seen.get_mut(at));
            place.is_some_and(|seen| !std::mem::replace(seen, true))
        })
    })
}
