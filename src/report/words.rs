//! Numbers and lists as they stand in sentences.

/// A score or any other number, with about three digits.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "no value".into();
    }
    let size = value.abs();
    let text = match size {
        0.0 => return "0".into(),
        _ if !(1e-3..1e6).contains(&size) => return format!("{value:.1e}"),
        _ if size >= 100.0 => return grouped(value.round()),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 0.0995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    text.replace('-', "\u{2212}")
}

/// A share of one as per cent; the sign stays on the line of its number.
pub(super) fn percent(share: f64) -> String {
    let value = 100.0 * share;
    let small = (0.05..1.0).contains(&value.abs());
    if small { format!("{value:.1}\u{a0}%") } else { format!("{value:.0}\u{a0}%") }
}

/// A count with its thousands set apart.
pub(super) fn count(value: usize) -> String {
    grouped(value as f64)
}

fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("\u{2212}{text}") } else { text }
}

/// `1 neuron`, `2 neurons`.
pub(super) fn counted(n: usize, one: &str) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{} {one}{ending}", count(n))
}

/// Names joined by commas, at most `most` of them.
pub(super) fn list<T: AsRef<str>>(names: &[T], most: usize) -> String {
    let shown: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(most);
    if more == 0 { shown.join(", ") } else { format!("{} and {} more", shown.join(", "), count(more)) }
}

/// A text that fits into a plot: at most `most` letters, the middle left out.
pub(super) fn short(text: &str, most: usize) -> String {
    let letters: Vec<char> = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if letters.len() <= most {
        return letters.into_iter().collect();
    }
    let (head, tail) = (most.div_ceil(2), most / 2 - 1);
    let ends = [&letters[..head], &['\u{2026}'], &letters[letters.len() - tail..]];
    ends.concat().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let said = [0.5678, 0.099_99, -0.012_34, 12.34, 12_345.6, 0.000_012, -3.0, 0.0, f64::NAN].map(number);
        assert_eq!(
            said,
            ["0.57", "0.10", "\u{2212}0.012", "12.3", "12,346", "1.2e-5", "\u{2212}3.00", "0", "no value"]
        );
        assert_eq!(
            (counted(1, "neuron"), counted(1200, "image")),
            ("1 neuron".into(), "1,200 images".into())
        );
        assert_eq!([percent(0.964), percent(0.0), percent(0.004)], ["96\u{a0}%", "0\u{a0}%", "0.4\u{a0}%"]);
    }

    #[test]
    fn long_texts_are_cut_and_hold_no_control_letters() {
        assert_eq!(short("abcdefghij", 6), "abc\u{2026}ij");
        assert_eq!(short("a\nb\u{0}", 6), "a\u{fffd}b\u{fffd}");
        assert_eq!((list(&["a", "b", "c"], 2), list(&["a"], 2)), ("a, b and 1 more".into(), "a".into()));
    }
}
