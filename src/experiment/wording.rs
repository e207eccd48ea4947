//! What texts about an imaging plane say: its depth and its area, where they say so, and nothing else.

/// A piece of a text.
#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Word(String),
    Number(f64),
    /// The end of a phrase: a full stop, a comma, a bracket, a line.
    End,
}

/// Words allowed between "depth" and its number.
const FILLERS: [&str; 14] = [
    "of",
    "is",
    "was",
    "at",
    "about",
    "approximately",
    "approx",
    "ca",
    "around",
    "in",
    "below",
    "the",
    "surface",
    "pia",
];

/// Words that make a length before them a depth.
const DEEP: [&str; 5] = ["deep", "depth", "below", "beneath", "under"];

/// A depth in micrometres, of a text such as `depth 175 um`, `275 microns deep`, or nothing but
/// `275 microns`. None where the text names no depth, or several.
pub(super) fn depth(text: &str) -> Option<f64> {
    let pieces = pieces(text);
    if let [Piece::Number(number), Piece::Word(unit)] = &pieces[..] {
        return micrometres(unit).map(|unit| number * unit);
    }
    let mut found: Vec<f64> = (0..pieces.len()).filter_map(|at| depth_at(&pieces, at)).collect();
    found.dedup();
    match found[..] {
        [depth] => Some(depth),
        _ => None,
    }
}

/// The number at a place, if it is a depth.
fn depth_at(pieces: &[Piece], at: usize) -> Option<f64> {
    let Piece::Number(number) = pieces[at] else { return None };
    let word = |piece: Option<&Piece>| match piece {
        Some(Piece::Word(word)) => Some(word.clone()),
        _ => None,
    };
    let unit_after = word(pieces.get(at + 1)).and_then(|word| micrometres(&word));
    // Back to "depth", with the unit perhaps before the number: "depth (um): 175".
    let (mut unit_before, mut said) = (None, false);
    for piece in pieces[..at].iter().rev() {
        match piece {
            Piece::Word(word) if word == "depth" => {
                said = true;
                break;
            }
            Piece::Word(word) if micrometres(word).is_some() => unit_before = micrometres(word),
            Piece::Word(word) if FILLERS.contains(&word.as_str()) => {}
            _ => break,
        }
    }
    if let Some(unit) = unit_after.or(unit_before).filter(|_| said) {
        return Some(number * unit);
    }
    let unit = unit_after?;
    let next = word(pieces.get(at + 2));
    let measured = matches!(next.as_deref(), Some("in" | "of" | "cortical" | "imaging"));
    let after = if measured { word(pieces.get(at + 3)) } else { next };
    // Of a range only the last number has the unit.
    let alone = !matches!(pieces[..at], [.., Piece::Number(_)]);
    after.filter(|word| alone && DEEP.contains(&word.as_str())).map(|_| number * unit)
}

/// Micrometres in a unit of length.
fn micrometres(unit: &str) -> Option<f64> {
    match unit {
        "um" | "\u{b5}m" | "\u{3bc}m" | "micron" | "microns" | "micrometer" | "micrometers"
        | "micrometre" | "micrometres" => Some(1.0),
        "mm" | "millimeter" | "millimeters" | "millimetre" | "millimetres" => Some(1000.0),
        _ => None,
    }
}

/// Words and numbers of a text, in lower case.
fn pieces(text: &str) -> Vec<Piece> {
    let lower = text.to_lowercase();
    let letters: Vec<char> = lower.chars().collect();
    let (mut pieces, mut at) = (Vec::new(), 0);
    while at < letters.len() {
        let from = at;
        let letter = letters[at];
        if letter.is_ascii_digit() {
            let inside = |at: usize| {
                letters[at].is_ascii_digit()
                    || matches!(letters[at], '.' | ',')
                        && letters.get(at + 1).is_some_and(char::is_ascii_digit)
            };
            while at < letters.len() && inside(at) {
                at += 1;
            }
            let number: String = letters[from..at].iter().collect();
            let sign = from > 0 && letters[from - 1] == '-';
            let negative = sign && (from < 2 || !letters[from - 2].is_alphanumeric());
            // 1,200 and 187,5 may be anything.
            pieces.push(match number.parse() {
                Ok(number) if !negative => Piece::Number(number),
                _ => Piece::Word(number),
            });
        } else if letter.is_alphabetic() || letter == '\u{b5}' {
            while at < letters.len() && (letters[at].is_alphabetic() || letters[at] == '\'') {
                at += 1;
            }
            pieces.push(Piece::Word(letters[from..at].iter().collect()));
        } else {
            if matches!(letter, '.' | ',' | ';' | '\n') {
                pieces.push(Piece::End);
            }
            at += 1;
        }
    }
    if pieces.last() == Some(&Piece::End) {
        pieces.pop();
    }
    pieces
}

/// The area that the text of an imaging plane's location names: all of it, or what follows "area" in it, or
/// its first phrase. None where it is unknown.
pub(super) fn area(location: &str) -> Option<String> {
    let known = |text: &str| {
        let text = text.trim().trim_end_matches('.').trim();
        let unknown = ["", "unknown", "none", "n/a", "na", "n.a", "not specified", "unspecified", "brain"];
        let measured = depth(text).is_some() || text.starts_with(|c: char| c.is_ascii_digit());
        (!measured && !unknown.contains(&text.to_lowercase().as_str())).then(|| text.to_string())
    };
    let phrases: Vec<&str> = location.split([',', ';', '\n']).map(str::trim).collect();
    let labelled = phrases.iter().find_map(|phrase| {
        let (label, value) = phrase.split_once([':', '='])?;
        let label = label.trim().to_lowercase();
        matches!(label.as_str(), "area" | "brain area" | "location" | "region" | "brain region")
            .then_some(value)
    });
    // "Area: VISp Depth: 175" has another label in the same phrase.
    let value = labelled.or(phrases.first().copied())?;
    let end = value.split_whitespace().position(|word| word.ends_with([':', '=']));
    let words: Vec<&str> = value.split_whitespace().take(end.unwrap_or(usize::MAX)).collect();
    known(&words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths_are_those_that_a_text_says() {
        let said = [
            ("275 microns", 275.0),
            ("The imaging plane at 187.5 microns depth.", 187.5),
            ("depth 175 um", 175.0),
            ("(512, 512) field of view in VISp at depth 175 um", 175.0),
            ("Imaging depth: 300 \u{3bc}m; 400 um field of view", 300.0),
            ("depth (um): 90", 90.0),
            ("175 microns deep, 2x zoom", 175.0),
            ("0.275 mm below the surface", 275.0),
            ("at a depth of approximately 375um", 375.0),
            ("Plane 2 of 8, 120 um below pia", 120.0),
        ];
        for (text, wanted) in said {
            assert_eq!(depth(text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_no_depth() {
        let other = [
            "",
            "unknown",
            "Plane 3 of 8, 400 um field of view",
            "400x400 microns field of view at 512 pixels",
            "depth unknown; field of view 400 um",
            "depth 175 um and depth 275 um",
            "1,200 um deep",
            "175-250 microns deep",
            "pixels of 0.78 um, 512 pixels in depth",
            "depth 3 of 8",
            "depth -175 um",
            "GCaMP6f, 910 nm",
        ];
        for text in other {
            assert_eq!(depth(text), None, "{text}");
        }
    }

    #[test]
    fn areas() {
        let cases = [
            ("VISp", Some("VISp")),
            ("VISp, layer 2/3, depth 175 um", Some("VISp")),
            ("Depth: 175 um; Area: VISl", Some("VISl")),
            ("Area: VISp Depth: 175", Some("VISp")),
            ("primary visual cortex.", Some("primary visual cortex")),
            ("unknown", None),
            ("N/A", None),
            ("depth 175 um", None),
            ("", None),
        ];
        for (location, wanted) in cases {
            assert_eq!(area(location).as_deref(), wanted, "{location}");
        }
    }
}
