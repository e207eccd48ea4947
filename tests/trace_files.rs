//! Traces without a recording: tables, CASCADE's ground truth, suite2p's folders, arrays in files of several.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use std::path::{Path, PathBuf};

use command::Scratch;
use ndarray::{Array2, Axis};
use striate::experiment::{Trace, TraceFile};
use striate::io::npy;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn same(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
}

#[test]
fn tables_have_a_column_for_each_cell() {
    let here = Scratch::new("trace-tables");
    let nan = f32::NAN;
    let ended = [1.5, -2.0, 3.0, nan];
    let other = [4.0, nan, 6.25, 7.0];
    let cases = [
        // Spikefinder's: numbers from 0, and empty ends.
        ("spikefinder.csv", "0,1\n1.5,4\n-2.0,\n3,6.25\n,7\n", ["0", "1"], None),
        (
            "names.csv",
            "\u{feff}soma 1;soma 2\r\n1.5;4\r\n-2;NaN\r\n3;6.25\r\n;7\r\n",
            ["soma 1", "soma 2"],
            None,
        ),
        ("plain.tsv", "1.5\t4\n-2\t\n3\t6.25\n\t7\n", ["0", "1"], None),
        ("pandas.csv", ",a,b\n0,1.5,4\n1,-2,\n2,3,6.25\n3,,7\n", ["a", "b"], None),
        ("clock.csv", "time,a,b\n0,1.5,4\n0.04,-2,\n0.08,3,6.25\n0.12,,7\n", ["a", "b"], Some(25.0)),
        ("pandas numbers.csv", ",0,1\n0,1.5,4\n1,-2,\n2,3,6.25\n3,,7\n", ["0", "1"], None),
        ("any order.csv", "7,3\n1.5,4\n-2,\n3,6.25\n,7\n", ["7", "3"], None),
        ("index alone.csv", "1,1.5,4\n2,-2,\n3,3,6.25\n4,,7\n", ["1", "2"], None),
        ("seconds.csv", "Time (s),a,b\n0,1.5,4\n0.04,-2,\n0.08,3,6.25\n0.12,,7\n", ["a", "b"], Some(25.0)),
        ("ms.csv", "time_ms;a;b\n0;1,5;4\n40;-2;\n80;3;6,25\n120;;7\n", ["a", "b"], Some(25.0)),
    ];
    for (name, text, ids, rate) in cases {
        let mut file = TraceFile::open(&here.write(name, text)).unwrap();
        assert_eq!((file.neurons, file.frames), (2, 4), "{name}");
        assert_eq!(file.ids.clone().unwrap(), ids, "{name}");
        match (file.rate, rate) {
            (Some(found), Some(rate)) => assert!((found - rate).abs() < 1e-9, "{name}: {found}"),
            (found, wanted) => assert_eq!(found, wanted, "{name}"),
        }
        let values = file.read(0..2).unwrap();
        assert!(same(&values.row(0).to_vec(), &ended) && same(&values.row(1).to_vec(), &other), "{name}");
        assert!(same(&file.read(1..2).unwrap().row(0).to_vec(), &other));
    }
    for (text, words) in [("1,2\n3\n", "line 2"), ("a,b\n1,x\n", "line 2 has 'x'"), ("", "is empty")] {
        let why = TraceFile::open(&here.write("bad.csv", text)).map(|_| ()).unwrap_err().to_string();
        assert!(why.contains("bad.csv") && why.contains(words), "{why}");
    }
    let times: String =
        (0..12).map(|frame| format!("{},{}.5\n", f64::from(frame) / 30.0, frame % 5)).collect();
    for header in ["", "secs,a\n"] {
        let why =
            TraceFile::open(&here.write("times.csv", format!("{header}{times}"))).map(|_| ()).unwrap_err();
        assert!(why.to_string().contains("first column"), "{why}");
    }
}

#[test]
fn cascade_s_segments_are_traces_at_their_own_rate() {
    let mut file = TraceFile::open(&golden("mat/cascade.mat")).unwrap();
    assert_eq!((file.neurons, file.frames), (2, 60));
    assert!((file.rate.unwrap() - 62.5).abs() < 1e-9);
    assert_eq!(file.ids.clone().unwrap(), ["CAttached/1", "CAttached/2"]);
    let values = file.read(0..2).unwrap();
    for (at, row) in values.rows().into_iter().enumerate() {
        let wanted = npy::read(&golden("mat/cascade.npz"), Some(&format!("segment{at}"))).unwrap();
        let mut wanted: Vec<f32> = wanted.iter().copied().collect();
        wanted.resize(60, f32::NAN);
        assert!(same(&row.to_vec(), &wanted), "{at}");
    }
    // Another array of the same file, by its name: one trace.
    let mut one = TraceFile::open(&golden("mat/cascade.mat:CAttached/2/fluo_mean")).unwrap();
    assert_eq!((one.neurons, one.frames, one.rate), (1, 45, None));
    assert!(same(&one.read(0..1).unwrap().row(0).to_vec(), &values.row(1).to_vec()[..45]));
}

#[test]
fn planes_of_suite2p_are_their_cells_less_the_neuropil() {
    let folder = golden("suite2p/plane0");
    let read = |name: &str| npy::read(&folder.join(name), None).unwrap();
    let (f, around) = (read("F.npy"), read("Fneu.npy"));
    for share in [None, Some(0.7), Some(0.25)] {
        let mut plane = TraceFile::suite2p(&folder, share).unwrap();
        assert_eq!((plane.neurons, plane.frames, plane.rate), (3, 300, Some(29.97)));
        assert_eq!(plane.ids.clone().unwrap(), ["0", "2", "4"]);
        assert_eq!(plane.trace, Some(if share.is_some() { Trace::Corrected } else { Trace::Raw }));
        let found: Array2<f32> = plane.read(0..3).unwrap();
        for (row, roi) in [0, 2, 4].into_iter().enumerate() {
            let (f, around) = (f.index_axis(Axis(0), roi), around.index_axis(Axis(0), roi));
            for ((found, f), n) in found.row(row).iter().zip(f).zip(around) {
                let wanted = f64::from(*f) - share.unwrap_or(0.0) * f64::from(*n);
                assert_eq!(*found, wanted as f32);
            }
        }
    }
}

#[test]
fn events_of_each_kind_of_file() {
    let here = Scratch::new("trace-events");
    let plane = golden("suite2p/plane0");
    let cascade = golden("mat/cascade.mat");
    let (plane, cascade) = (plane.to_str().unwrap(), cascade.to_str().unwrap());
    let events =
        |arguments: &[&str]| here.striate(&[&["events", "-q", "--out", "e.npz"], arguments].concat());
    assert_eq!(events(&["--experiment", plane, "--neuropil", "0.7"]).code, 0);
    let ids = npy::read(&here.0.join("e.npz:ids"), None).unwrap();
    assert_eq!(ids.iter().copied().collect::<Vec<f32>>(), [0.0, 2.0, 4.0]);
    assert_eq!(npy::read(&here.0.join("e.npz:ev"), None).unwrap().shape(), [3, 300]);
    assert_eq!(here.document("e.json")["summary"]["rate"], 29.97);
    assert_eq!(events(&["--traces", cascade]).code, 0);
    assert_eq!(here.document("e.json")["neurons"][1], "CAttached/2");
    let table: String = (0..400).map(|i| format!("{},{}\n", (i as f64 * 0.7).sin(), i % 17)).collect();
    here.write("t.csv", format!("0,1\n{table}"));
    events(&["--traces", "t.csv"]).refused(2, &["--rate", "is missing", "t.csv"]);
    assert_eq!(events(&["--traces", "t.csv", "--rate", "20"]).code, 0);
    events(&["--traces", "t.csv", "--rate", "20", "--neuropil", "0.7"]).refused(2, &["--neuropil"]);
    events(&["--experiment", plane, "--neuropil", "7"]).refused(2, &["--neuropil", "0 to 2"]);
    let suite2p = golden("suite2p");
    events(&["--experiment", suite2p.to_str().unwrap()]).refused(3, &["plane0", "one plane"]);
    // A line for each cell, where it should be a column.
    let line = |from: u32| (0..60).map(|i| format!("{}.5", i * from % 17)).collect::<Vec<_>>().join(",");
    here.write("lines.csv", (1..13).map(|cell| line(cell) + "\n").collect::<String>());
    assert_eq!(events(&["--traces", "lines.csv", "--rate", "20"]).code, 0);
    let warnings = here.document("e.json")["summary"]["warnings"].to_string();
    assert!(warnings.contains("more_neurons_than_frames"), "{warnings}");
    here.striate(&["responses", "-q", "--experiment", plane, "--out", "r"])
        .refused(3, &["suite2p", "events"]);
}
