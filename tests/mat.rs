//! MATLAB files of both kinds against what NumPy holds of them, and the places that take `FILE:NAME`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, Axis, Slice};
use striate::io::images::Images;
use striate::io::npy::{self, Rows};
use striate::io::responses::Responses;
use striate::io::store::{self, ElementType, MemberKind, Store, Values};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mat").join(name)
}

fn open(name: &str) -> Box<dyn Store> {
    store::open(&golden(name)).unwrap()
}

fn bits(values: &Values) -> (String, Vec<usize>, Vec<u64>) {
    let name = format!("{values:?}").split('(').next().unwrap().to_string();
    let exact = match values.clone().into_i64() {
        Ok(whole) if name != "F64" && name != "F32" => whole.iter().map(|v| *v as u64).collect(),
        _ => values.clone().into_f64().iter().map(|v| v.to_bits()).collect(),
    };
    (name, values.shape().to_vec(), exact)
}

#[test]
fn arrays_have_the_shape_and_values_that_matlab_shows() {
    let wanted = open_npz();
    for (name, count) in [("plain.mat", 23), ("compressed.mat", 23), ("new.mat", 16)] {
        let store = open(name);
        let mut compared = 0;
        for member in wanted.members().unwrap() {
            let MemberKind::Array(array) = &member.kind else { panic!("{member:?}") };
            if !store.has_array(&member.path).unwrap() {
                continue;
            }
            let whole = bits(&store.whole(&member.path).unwrap());
            let right = bits(&wanted.whole(&member.path).unwrap());
            assert_eq!(whole, right, "{name}:{}", member.path);
            let middle: Vec<Range<usize>> = array.shape.iter().map(|&n| n / 3..n.div_ceil(2)).collect();
            let part = store.doubles(&member.path, &middle).unwrap();
            let right = wanted.doubles(&member.path, &array.all()).unwrap();
            let right = right.slice_each_axis(|axis| Slice::from(middle[axis.axis.index()].clone()));
            assert!(
                part.iter().zip(right).all(|(a, b)| a.to_bits() == b.to_bits()),
                "{name}:{}",
                member.path
            );
            assert!(part.is_standard_layout());
            compared += 1;
        }
        assert_eq!(compared, count, "{name}");
    }
}

fn open_npz() -> Box<dyn Store> {
    open("values.npz")
}

#[test]
fn texts_are_read_and_what_is_neither_is_named() {
    for name in ["plain.mat", "compressed.mat"] {
        let store = open(name);
        assert_eq!(store.texts("areas").unwrap(), ["V1", "größer", ""]);
        assert_eq!(store.array("areas").unwrap().element, ElementType::Text);
        assert_eq!(store.text("word").unwrap(), "a word");
        assert_eq!(store.text("s/name").unwrap(), "layer 4");
        assert_eq!(store.text("points/2/label").unwrap(), "second");
        assert_eq!(store.text("cells/4").unwrap(), "text");
        assert_eq!(store.texts("lines").unwrap(), ["one", "three"]);
        for (path, words) in [
            ("complex", "complex"),
            ("sparse", "sparse"),
            ("s", "a group"),
            ("nothing", "nothing of this name"),
        ] {
            let why = store.whole(path).unwrap_err().to_string();
            assert!(why.contains(words) && why.contains(name), "{path}: {why}");
        }
        assert!(store.whole("word").unwrap_err().to_string().contains("holds texts"));
        assert!(store.texts("row").unwrap_err().to_string().contains("holds numbers"));
    }
    assert!(open("new.mat").whole("nothing").unwrap_err().to_string().contains("it is empty"));
}

/// Doubles that MATLAB stores as the bytes that hold them, in a file written here byte by byte.
#[test]
fn doubles_stored_as_smaller_numbers_are_doubles() {
    let element = |kind: u32, data: &[u8]| {
        let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let flags = element(6, &[6, 0, 0, 0, 0, 0, 0, 0]);
    let shape = element(5, &[2_i32.to_le_bytes(), 3_i32.to_le_bytes()].concat());
    // A name of up to four letters stands in its tag.
    let name = [&[1, 0, 1, 0][..], b"x\0\0\0"].concat();
    let values = element(2, &[1, 2, 3, 4, 5, 255]);
    let array = element(14, &[flags, shape, name, values].concat());
    let head = [&[b' '; 124][..], &[0, 1], b"IM"].concat();
    let path = std::env::temp_dir().join(format!("striate-mat-{}.mat", std::process::id()));
    std::fs::write(&path, [head, array].concat()).unwrap();
    let read = store::open(&path).unwrap().whole("x").unwrap();
    let _ = std::fs::remove_file(&path);
    assert_eq!(read, Values::F64(ndarray::arr2(&[[1.0, 3.0, 5.0], [2.0, 4.0, 255.0]]).into_dyn()));
}

#[test]
fn arrays_in_files_are_named_alike_wherever_arrays_are_taken() {
    let wanted = npy::read_f64(&golden("values.npz:matrix"), None).unwrap();
    let deep = "s/deeper/x";
    for name in ["plain.mat:matrix", "compressed.mat:matrix", "new.mat:/matrix", &format!("plain.mat:{deep}")]
    {
        let path = golden(name);
        assert_eq!(npy::read_f64(&path, None).unwrap(), wanted, "{name}");
        let responses = Responses::read(&path, None, None, None).unwrap();
        assert_eq!(responses.repeats.dim(), (5, 7, 1), "{name}");
        let mut rows = Rows::open(&path, None).unwrap();
        for range in [2..4, 0..5, 4..5, 1..1] {
            let right: ArrayD<f32> =
                wanted.slice_axis(Axis(0), range.clone().into()).mapv(|v| v as f32).to_owned();
            assert_eq!(rows.read(range).unwrap(), right, "{name}");
        }
    }
    assert_eq!(Images::open(&golden("plain.mat:uint8")).unwrap().len(), 2);
    assert_eq!(Images::open(&golden("values.npz:uint8")).unwrap().len(), 2);
    let why = npy::read(&golden("new.mat"), None).unwrap_err().to_string();
    assert!(
        why.contains("holds 15 arrays") && why.contains("Write for example") && why.contains("new.mat:"),
        "{why}"
    );
    let why = npy::read(&golden("plain.mat:areas"), None).unwrap_err().to_string();
    assert!(why.contains("plain.mat:areas") && why.contains("array of numbers"), "{why}");
    let why = npy::read(&golden("absent.h5:x"), None).unwrap_err().to_string();
    assert!(why.contains("absent.h5: cannot be read"), "{why}");
}
