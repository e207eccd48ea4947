#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::io::commit::scratch;

fn table(text: impl AsRef<[u8]>) -> Result<Table> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let path = scratch(&format!("table-{}", COUNT.fetch_add(1, Ordering::Relaxed))).join("t.csv");
    std::fs::write(&path, text).unwrap();
    Table::read(&path)
}

fn cells(text: impl AsRef<[u8]>) -> Vec<Vec<String>> {
    let table = table(text).unwrap();
    let row = |row| (0..table.width()).map(|column| table.text(row, column).to_string()).collect();
    (0..table.rows()).map(row).collect()
}

fn message(text: impl AsRef<[u8]>) -> String {
    table(text).unwrap_err().to_string()
}

#[test]
fn one_table_in_many_ways_of_writing_it() {
    let wanted = [["neuron", "area"], ["a", "V1"], ["b", ""], ["c, d", "LM"]];
    let quoted = "neuron,area\na,V1\nb,\n\"c, d\",LM\n";
    let ways = [
        quoted.to_string(),
        format!("\u{feff}{quoted}"),
        quoted.replace('\n', "\r\n"),
        quoted.replace('\n', "\r"),
        quoted.trim_end().into(),
        format!("# a comment, with commas\n\n#\n{quoted}\n\n,,,\n , \n"),
        quoted.replace("b,\n", "# not this one\n\nb,\n"),
        quoted.replace('\n', ",,\n"),
        format!("# of a spreadsheet,\n{quoted}#,\n"),
        quoted.replace("area", " \"area\" ").replace("V1", " V1\t"),
        "neuron;area\na;V1\nb;\nc, d;LM\n;\n".into(),
        "neuron\tarea\r\na\tV1\r\nb\t\r\nc, d\tLM\r\n\t\r\n".into(),
        "sep=;\r\nneuron;area\r\na;V1\r\nb;\r\nc, d;LM".into(),
        // NumPy puts the names of columns behind a #.
        "# neuron;area\na;V1\nb;\nc, d;LM".into(),
    ];
    for way in &ways[..ways.len() - 1] {
        assert_eq!(cells(way), wanted, "{way:?}");
    }
    // A comment stands for names only above numbers.
    assert_eq!(cells(&ways[ways.len() - 1]), wanted[1..]);
    assert_eq!(cells("# x\n#image,tier\n0,train\n1,test\n")[0], ["image", "tier"]);
}

#[test]
fn names_of_columns_may_lack_the_corner() {
    assert_eq!(cells("im1,im2\nn1,1,2\nn2,3,4\n"), [["", "im1", "im2"], ["n1", "1", "2"], ["n2", "3", "4"]]);
    assert!(message("im1,im2\nn1,1,2\nn2,3\n").contains("line 3 has 2 cells; wanted 3"));
}

#[test]
fn lines_are_counted_as_an_editor_does() {
    let table = table("#\n\n# x\na,b\n\n\"c\nd\",e\nf,g\n").unwrap();
    assert_eq!((0..3).map(|row| table.line(row)).collect::<Vec<_>>(), [4, 6, 8]);
    assert!(message("\n# x\na,b\n\n\nc\n").contains("line 6 has 1 cells"));
}

#[test]
fn what_cannot_be_told_is_named() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "is empty"),
        (b"\n\n# nothing\n", "is empty"),
        (b"\xff\xfea\0,\0b\0\n\0", "is UTF-16"),
        (b"\xfe\xff\0a\0,\0b\0\n", "is UTF-16"),
        (b"a\0,\0b\0\n\0", "line 1 has a zero byte"),
        (b"a,b\n1,\xb5m\n", "line 2 is not UTF-8"),
        (b"a;b\n1,2\n", "has commas in line 2 and semicolons in line 1"),
        (b"a,b\tc\n1,2\t3\nx,y\tz\n", "has commas in line 1 and tabs in line 1"),
        (b"a;b\tc\n1;2\t3\n", "has semicolons in line 1 and tabs in line 1"),
        (b"1.5 2.5 3.5\n4.5 5.5 6.5\n", "separates its cells by blanks"),
        (b"neuron im0 im1\nc0 5.5 6.5\n", "separates its cells by blanks"),
        (b"a|b\n1|2\n", "separates its cells by |"),
        (b"a,b,c\n1,2,3\n#4,5,6\n", "line 3 begins with # and has as many numbers"),
        (b"# 0,1,2\n1.5,2.5,3.5\n", "a number for each column"),
        (b"n,i\nc,1,5,2,5\n", "separate cells by semicolons"),
    ];
    for (text, said) in cases {
        let found = message(text);
        assert!(found.contains(said) && found.contains("t.csv"), "{found}; wanted {said}");
    }
}

#[test]
fn decimals_are_points_or_commas() {
    let decimals = |text: &str| {
        let table = table(text)?;
        table.decimals(&(0..table.width()).collect::<Vec<_>>())
    };
    for text in
        ["a;b\n1,5;2\n", "a;b\n0,567;1,234\n", "a\n\"1,25\"\n", "a\tb\n1\t-,5e3\n", "1,5;2,5\n3,5;4,25\n"]
    {
        assert_eq!(decimals(text).unwrap(), Decimals::Comma, "{text}");
    }
    for text in ["a;b\n1.5;2\n", "a,b\n1,5\n", "a;b\nx, y;1.5\n"] {
        assert_eq!(decimals(text).unwrap(), Decimals::Point, "{text}");
    }
    for (text, said) in [
        ("a;b\n1,5;2.5\n", "'1,5' in line 2, and '2.5' in line 2"),
        ("a;b\n1,234;5,678\n", "may be a thousand or a decimal comma"),
        ("a;b\n1,234,567;5\n", "digits are grouped"),
        ("a;b\n1.234,5;5\n", "digits are grouped"),
        ("a\n\"1,234.5\"\n", "digits are grouped"),
        ("a;b\n1,234;0.5\n", "'1,234' in line 2, and '0.5' in line 2"),
    ] {
        let found = decimals(text).unwrap_err().to_string();
        assert!(found.contains(said), "{text}: {found}");
    }
    let number = |cell: &str| Decimals::Comma.number(cell);
    assert_eq!(
        (number("-1,5e-1"), number("7"), number("1,2,3"), number("x")),
        (Some(-0.15), Some(7.0), None, None)
    );
    for missing in ["", "NA", "NaN", "nan", "#N/A", "null"] {
        assert!(number(missing).unwrap().is_nan());
    }
}

#[test]
fn whole_numbers_are_told_by_their_set() {
    assert_eq!(["7", "7.0", "007", "7,00"].map(whole), [Some(7); 4]);
    assert_eq!(
        ["7.5", "-7", "+7", "", "1e3", "nan", " 7", ".0", "99999999999999999999"].map(whole),
        [None; 9]
    );
    assert_eq!(counted_from(&[2, 0, 1]), Some(0));
    assert_eq!(counted_from(&[2, 3, 1]), Some(1));
    assert_eq!([&[0, 2][..], &[1, 1], &[2, 3]].map(counted_from), [None; 3]);
}

#[test]
fn formulas_are_written_as_text_and_read_back() {
    let risky = ["=1+2", "+x", "-y", "@SUM(A1)", "'=1", "''-y", "-", "=cmd|' /C calc'!A0"];
    let plain = ["-1.5", "+3", "x=1", "'tis", "", "a,\"b\"\nc", "#5"];
    for text in risky {
        assert_eq!(guarded(text), format!("'{text}"));
    }
    for text in plain {
        assert_eq!(guarded(text), text);
    }
    let all: Vec<String> = risky.iter().chain(&plain).map(ToString::to_string).collect();
    let rows = all.iter().map(|text| vec!["x".to_string(), text.clone()]);
    let bytes = write("t.csv", &["kind", "=name"], rows).unwrap();
    let mut wanted = vec![vec!["kind".to_string(), "=name".into()]];
    wanted.extend(all.iter().map(|text| vec!["x".to_string(), text.clone()]));
    assert_eq!(cells(&bytes), wanted);
    for line in String::from_utf8(bytes).unwrap().lines() {
        let cell = line.split(',').nth(1).unwrap_or("");
        assert!(
            !cell.starts_with(['=', '@']) && (cell.parse::<f64>().is_ok() || !cell.starts_with(['+', '-']))
        );
    }
}
