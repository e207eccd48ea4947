#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::io::commit::scratch;

fn table(text: &str, headers: Option<Headers>, wanted: [Option<usize>; 2]) -> Result<ResponseTable> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let path = scratch(&format!("numbers-{}", COUNT.fetch_add(1, Ordering::Relaxed))).join("table.csv");
    std::fs::write(&path, text).unwrap();
    read(&path, headers, wanted)
}

/// What is found: shape of values, whether there are names of rows and of columns.
fn found(text: &str, wanted: [Option<usize>; 2]) -> ((usize, usize), bool, bool) {
    let found = table(text, None, wanted).unwrap();
    (found.values.dim(), found.row_names.is_some(), found.column_names.is_some())
}

fn lines(rows: usize, cell: impl Fn(usize) -> String) -> String {
    (0..rows).map(|row| cell(row) + "\n").collect()
}

#[test]
fn words_are_headers() {
    assert_eq!(found("1.5,2\n3,4.5\n", [None; 2]), ((2, 2), false, false));
    assert_eq!(found("a,1,2\nb,3,4\n", [None; 2]), ((2, 2), true, false));
    assert_eq!(found("x.png,y.png\n1,2\n", [None; 2]), ((1, 2), false, true));
    assert_eq!(found("c,x,y\na,1,2\nb,3,4\n", [None; 2]), ((2, 2), true, true));
    assert_eq!(found("a,1,2\n", [None; 2]), ((1, 2), true, false));
    // The corner is the name of a column of values.
    assert_eq!(found("c0,c1\n1,1\n1,2\n", [None; 2]), ((2, 2), false, true));
    let names = table("neuron,0,1\n7,1,2\n'-8,3,4\n", None, [None; 2]).unwrap();
    assert_eq!(names.row_names.unwrap(), ["7", "-8"]);
    assert_eq!(names.column_names.unwrap(), ["0", "1"]);
}

#[test]
fn corners_name_indices() {
    for corner in ["", "picture", "image id", "Image-Number", "Unnamed: 0.1", "STIM", "roi"] {
        // Spike counts, of which an index could be one more neuron.
        let text = format!("{corner},n0,n1\n{}", lines(4, |row| format!("{},3,{row}", 9 - row)));
        assert_eq!(found(&text, [Some(4), None]), ((4, 2), true, true), "{corner}");
        assert_eq!(found(&text, [None; 2]), ((4, 2), true, true), "{corner}");
    }
    let times = table("trial,n0\n0,1\n1,2\n", None, [Some(2), None]).unwrap();
    assert!(times.of_times);
}

#[test]
fn distinct_whole_numbers_beside_others_are_headers() {
    let index = lines(9, |row| format!("{},{row}.5,0.25", (row * 4) % 9 + 20));
    assert_eq!(found(&index, [None; 2]), ((9, 2), true, false));
    assert_eq!(found(&format!("x,a,b\n{index}"), [Some(9), None]), ((9, 2), true, true));
    let header = format!("5,9,7\n{}", lines(3, |row| format!("{row}.5,1,2")));
    assert_eq!(found(&header, [None, Some(3)]), ((3, 3), false, true));
    let floats = format!("0.0,1.0,2.0\n{}", lines(3, |row| format!("{row}.5,1,2")));
    assert_eq!(found(&floats, [None, Some(3)]), ((3, 3), false, true));
    // A number that stands twice is a value, and so is one that is not whole or below 0.
    for first in ["5,5,7", "5,6.5,7", "5,-6,7", "5,,7"] {
        let text = format!("{first}\n1.5,2,3\n");
        assert_eq!(found(&text, [None, Some(3)]), ((2, 3), false, false), "{first}");
    }
}

#[test]
fn whole_numbers_beside_whole_numbers_are_told_by_counts_or_refused() {
    let counts = "4,2,5\n0,3,3\n1,1,1\n2,0,3\n";
    // As many columns as images are values; one more is a column of names.
    assert_eq!(found(&format!("1,1,0\n{counts}"), [None, Some(3)]), ((5, 3), false, false));
    assert_eq!(found(&format!("9,1,1\n{counts}"), [None, Some(2)]), ((5, 2), true, false));
    assert_eq!(found("8,1,1\n9,0,2\n", [None, Some(2)]), ((2, 2), true, false));
    let counting = format!("1,2,3,4,5,6,7,8\n{}", lines(2, |_| "0,1,0,2,0,3,0,4".into()));
    assert_eq!(found(&counting, [None, Some(8)]), ((2, 8), false, true));
    for (text, wanted, edge) in [
        (counts, [None, None], "the first column"),
        (counts, [None, Some(3)], "the first line"),
        ("3,1,2\n0,0,1\n", [None, Some(3)], "the first line"),
        (&counting.replace("7,8", "8,7"), [None, Some(8)], "the first line"),
        // An index and one image fewer, or values of as many images.
        (&lines(9, |row| format!("{},0.5", 9 - row)), [None, Some(2)], "the first column"),
        (&lines(9, |row| format!("{row},0")), [None, Some(2)], "the first column"),
    ] {
        let error = table(text, None, wanted).unwrap_err().to_string();
        assert!(error.contains(edge) && error.contains("--responses-header"), "{text}: {error}");
    }
    for (headers, dim) in
        [(Headers::None, (4, 3)), (Headers::Row, (3, 3)), (Headers::Column, (4, 2)), (Headers::Both, (3, 2))]
    {
        assert_eq!(table(counts, Some(headers), [None; 2]).unwrap().values.dim(), dim);
    }
    assert!(table("a,1\nb,2\n", Some(Headers::None), [None; 2]).unwrap_err().to_string().contains("'a'"));
}

#[test]
fn damaged_tables_name_the_line() {
    let message = |text: &str| table(text, None, [None; 2]).unwrap_err().to_string();
    assert!(message("1.5,2\n3,4\n5\n").contains("line 3 has 1 cells; wanted 2"));
    assert!(message("1.5,2\n3,x\n").contains("line 2, column 2: 'x'; wanted a number"));
    assert!(message("a.png,b.png\n").contains("has 0 rows"));
    assert!(message("neuron\nc0\nc1\n").contains("columns"));
}
