//! HDF5 and npz behind one interface: every type, layout, filter and link against what h5py and NumPy wrote.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use striate::io::store::{self, Attribute, ElementType, Layout, Link, Member, MemberKind, Store, Values};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/store").join(name)
}

fn open(name: &str) -> Box<dyn Store> {
    store::open(&golden(name)).unwrap()
}

/// The type, the shape and the bits of all values: NaN and -0 count.
fn bits(values: &Values) -> (&'static str, Vec<usize>, Vec<u64>) {
    macro_rules! each {
        ($($variant:ident: $bits:expr),*) => {
            match values {
                $(Values::$variant(array) => {
                    (stringify!($variant), array.shape().to_vec(), array.iter().map($bits).collect())
                })*
            }
        };
    }
    each!(
        Bool: |&v| u64::from(v), U8: |&v| v.into(), I8: |&v| v as u64, U16: |&v| v.into(), I16: |&v| v as u64,
        U32: |&v| v.into(), I32: |&v| v as u64, U64: |&v| v, I64: |&v| v as u64, F16: |v| v.to_bits().into(),
        F32: |v| v.to_bits().into(), F64: |v| v.to_bits()
    )
}

fn arrays(store: &dyn Store) -> Vec<(String, store::ArrayMember)> {
    let array = |member: Member| match member.kind {
        MemberKind::Array(array) => Some((member.path, array)),
        _ => None,
    };
    store.members().unwrap().into_iter().filter_map(array).collect()
}

/// Marsaglia's xorshift64.
fn random(state: &mut u64, end: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % end.max(1) as u64) as usize
}

/// The values of a region, taken from all values.
fn cut(whole: &(&'static str, Vec<usize>, Vec<u64>), region: &[Range<usize>]) -> Vec<u64> {
    let array = ndarray::ArrayD::from_shape_vec(whole.1.clone(), whole.2.clone()).unwrap();
    let slice = array.slice_each_axis(|axis| ndarray::Slice::from(region[axis.axis.index()].clone()));
    slice.iter().copied().collect()
}

#[test]
fn every_array_is_read_to_the_last_bit_and_so_is_every_region_of_it() {
    let wanted = open("values.npz");
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let mut compared = BTreeMap::new();
    for name in ["old.h5", "new.h5", "behind_a_block.h5"] {
        let store = open(name);
        for (path, array) in arrays(store.as_ref()) {
            if path.starts_with("/unwritten") || path == "/empty/null" {
                continue;
            }
            let whole = bits(&store.whole(&path).unwrap());
            assert_eq!(whole, bits(&wanted.whole(&path).unwrap()), "{name}:{path}");
            *compared.entry(name).or_insert(0) += 1;
            for _ in 0..20 {
                let range = |&length: &usize| {
                    let start = random(&mut state, length + 1);
                    start..start + random(&mut state, length - start + 1)
                };
                let region: Vec<_> = array.shape.iter().map(range).collect();
                for (of, place) in [(&store, name), (&wanted, "values.npz")] {
                    let (_, shape, values) = bits(&of.read(&path, &region).unwrap());
                    assert!(
                        shape.iter().copied().eq(region.iter().map(ExactSizeIterator::len)),
                        "{place}:{path}"
                    );
                    assert_eq!(values, cut(&whole, &region), "{place}:{path} {region:?}");
                }
            }
        }
    }
    assert_eq!(compared.into_values().collect::<Vec<_>>(), [1, 47, 36]);
}

/// Kinds of chunk index, filters, edges, parts that nobody wrote or that were cut off.
#[test]
fn arrays_that_have_room_to_grow_are_read_as_h5py_reads_them() {
    let mut state = 0x2545_f491_4f6c_dd1d;
    for (name, count) in [("grown_old", 21), ("grown_new", 72)] {
        let (store, wanted) = (open(&format!("{name}.h5")), open(&format!("{name}.npz")));
        let mut compared = 0;
        for (path, array) in arrays(store.as_ref()) {
            if path == "/texts" {
                continue;
            }
            let whole = bits(&wanted.whole(&path).unwrap());
            assert_eq!(bits(&store.whole(&path).unwrap()), whole, "{name}:{path}");
            for _ in 0..20 {
                let range = |&length: &usize| {
                    let start = random(&mut state, length + 1);
                    start..start + random(&mut state, length - start + 1)
                };
                let region: Vec<_> = array.shape.iter().map(range).collect();
                let (_, _, values) = bits(&store.read(&path, &region).unwrap());
                assert_eq!(values, cut(&whole, &region), "{name}:{path} {region:?}");
            }
            compared += 1;
        }
        assert_eq!(compared, count, "{name}");
    }
}

#[test]
fn values_turn_into_floats_and_whole_numbers() {
    let store = open("new.h5");
    assert_eq!(store.floats("/scalars/float", &[]).unwrap().into_iter().collect::<Vec<_>>(), [1.5]);
    assert_eq!(store.doubles("scalars/true", &[]).unwrap().into_iter().collect::<Vec<_>>(), [1.0]);
    assert_eq!(store.integers("scalars/whole", &[]).unwrap()[[]], -(1 << 62));
    assert_eq!(
        store.integers("types/u1_little", &[0..1, 0..2]).unwrap().into_raw_vec_and_offset().0,
        [0, 255]
    );
    let why = store.integers("scalars/float", &[]).unwrap_err().to_string();
    assert!(
        why.contains("new.h5:scalars/float") && why.contains("1.5") && why.contains("whole numbers"),
        "{why}"
    );
    let why = store.integers("types/u8_little", &[0..3, 0..5]).unwrap_err().to_string();
    assert!(why.contains("18446744073709551615"), "{why}");
}

fn read_json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden(name)).unwrap()).unwrap()
}

/// A member as the listing of `tools/reference/hdf5.py` has it.
fn line(member: &Member) -> Value {
    let path = &member.path;
    match &member.kind {
        MemberKind::Group => json!([path, "group"]),
        MemberKind::Link(Link::Hard(target)) => json!([path, "hard", target]),
        MemberKind::Link(Link::Soft(target)) => json!([path, "soft", target]),
        MemberKind::Link(link) => json!([path, "external", link.to_string()]),
        MemberKind::Other { what } if what.contains("named type") => json!([path, "type"]),
        MemberKind::Other { what } => json!([path, what]),
        MemberKind::Array(array) => {
            let storage = &array.storage;
            let shape = (storage.layout != Layout::Null).then_some(&array.shape);
            let chunks = match &storage.layout {
                Layout::Chunked(chunks) => Some(chunks),
                _ => None,
            };
            let filters: Vec<_> = storage.filters.iter().map(|f| json!([f.id, f.settings])).collect();
            json!([path, "array", shape, array.dtype, chunks, filters])
        }
    }
}

fn compare_listing(path: &Path) {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    let listed = read_json(&format!("listing_{stem}.json"));
    let members = store::open(path).unwrap().members().unwrap();
    assert_eq!(members.len(), listed.as_array().unwrap().len(), "{stem}");
    for (member, wanted) in members.iter().zip(listed.as_array().unwrap()) {
        match (&member.path[..], &member.kind) {
            ("/virtual", MemberKind::Other { what }) => assert!(what.contains("virtual"), "{what}"),
            // h5py widens it as it reads, and we do not read it.
            ("/brain_float", MemberKind::Array(array)) => assert_eq!(array.dtype, "float16"),
            _ => assert_eq!(line(member), *wanted, "{stem}"),
        }
    }
}

#[test]
fn members_are_listed_as_h5py_lists_them() {
    for name in [
        "old",
        "new",
        "behind_a_block",
        "links_old",
        "links_new",
        "texts_old",
        "texts_new",
        "odd",
        "grown_old",
        "grown_new",
    ] {
        compare_listing(&golden(&format!("{name}.h5")));
    }
}

#[test]
fn real_files_are_listed_as_h5py_lists_them() {
    let data = std::env::var("STRIATE_DATA").unwrap_or_else(|_| "../shared/data".into());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(data).join("nwb");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("STRIATE_DATA: {} is absent, so this test shows nothing", folder.display());
        return;
    };
    let files = entries.map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "nwb")).collect();
    assert!(!files.is_empty());
    for file in files {
        compare_listing(&file);
    }
}

#[test]
fn every_array_of_the_real_files_is_read() {
    let data = std::env::var("STRIATE_DATA").unwrap_or_else(|_| "../shared/data".into());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(data).join("nwb");
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let store = store::open(&path).unwrap();
        for (name, array) in arrays(store.as_ref()) {
            match array.element {
                ElementType::Number(_) => drop(store.whole(&name).unwrap()),
                ElementType::Text => drop(store.texts(&name).unwrap()),
                ElementType::Other(_) => {}
            }
        }
    }
}

#[test]
fn texts_of_fixed_and_of_any_length() {
    let wanted = read_json("texts.json");
    for (place, texts) in wanted.as_object().unwrap() {
        let (file, path) = place.split_once(':').unwrap();
        assert_eq!(json!(open(file).texts(path).unwrap()), *texts, "{place}");
    }
    let store = open("texts_old.h5");
    assert_eq!(store.text("/fixed/scalar").unwrap(), "scalar text");
    let why = store.text("/fixed/padded").unwrap_err().to_string();
    assert!(why.contains("3 texts") && why.contains("wanted one text"), "{why}");
    let why = store.read("fixed/padded", std::slice::from_ref(&(0..3))).unwrap_err().to_string();
    assert!(why.contains("texts_old.h5:fixed/padded: it holds texts; wanted numbers"), "{why}");
}

#[test]
fn attributes_of_groups_and_arrays() {
    let texts = |list: &[&str]| Attribute::Texts(list.iter().map(|&text| text.into()).collect());
    let wanted = [
        ("text", Attribute::Text("a text, größer".into())),
        ("fixed", Attribute::Text("fixed text".into())),
        ("texts", texts(&["one", "", "three"])),
        ("fixed_texts", texts(&["a", "bcd"])),
        ("whole", Attribute::Integer(-5)),
        ("unsigned", Attribute::Number(9_223_372_036_854_775_808.0)),
        ("big_endian", Attribute::Integer(258)),
        ("float", Attribute::Number(f64::from(0.1_f32))),
        ("double", Attribute::Number(1e300)),
        ("half", Attribute::Number(1.5)),
        ("list", Attribute::Numbers(vec![1.0, 2.0, 3.0])),
        ("true", Attribute::Integer(1)),
        ("nothing", Attribute::Other("an empty attribute".into())),
    ];
    for file in ["texts_old.h5", "texts_new.h5"] {
        let store = open(file);
        for owner in ["/fixed", "vlen/array"] {
            let itself = Attribute::Reference(format!("/{}", owner.trim_start_matches('/')));
            assert_eq!(store.attribute(owner, "reference").unwrap(), Some(itself));
            for (name, value) in &wanted {
                assert_eq!(
                    store.attribute(owner, name).unwrap().as_ref(),
                    Some(value),
                    "{file}:{owner}@{name}"
                );
            }
        }
        assert_eq!(store.attribute("/fixed", "no such").unwrap(), None);
        assert_eq!(store.attribute("/no such", "text").unwrap(), None);
        assert_eq!(store.attribute("/", "text").unwrap(), None);
    }
}

#[test]
fn links_are_followed_within_the_file_and_cycles_end() {
    for file in ["links_old.h5", "links_new.h5"] {
        let store = open(file);
        let direct = bits(&store.whole("/data/values").unwrap());
        for path in ["data/again", "soft/absolute", "soft/chain", "soft/deeper/values", "soft/relative"] {
            let found = store.member(path).unwrap().unwrap();
            assert!(matches!(found.kind, MemberKind::Array(_)), "{file}: {path} {found:?}");
            assert_eq!(bits(&store.whole(path).unwrap()), direct, "{file}: {path}");
        }
        let round = format!("cycle/{}itself", "below/up/".repeat(20));
        assert_eq!(store.member(&round).unwrap().unwrap().kind, MemberKind::Group);
        let soft = |target: &str| MemberKind::Link(Link::Soft(target.into()));
        assert_eq!(store.member("soft/dangling").unwrap().unwrap().kind, soft("/nowhere/at/all"));
        assert_eq!(store.member("soft/loop").unwrap().unwrap().kind, soft("/soft/pool"));
        assert_eq!(store.member("nothing").unwrap(), None);
        assert_eq!(store.member("data/values/below").unwrap(), None);
        let why = |path: &str| store.whole(path).unwrap_err().to_string();
        assert!(why("soft/dangling").contains("leads nowhere"), "{}", why("soft/dangling"));
        let external = why("/external");
        assert!(external.contains(&format!("{file}:/external")), "{external}");
        assert!(external.contains("'/data/values' in the file 'other.h5'"), "{external}");
        assert!(why("data").contains("it is a group"), "{}", why("data"));
        assert!(why("nothing").contains("nothing of this name"));
        assert!(why("named_type").contains("named type"));
        assert!(why("references/objects").contains("references to objects; wanted numbers"));
        assert_eq!(store.references("references/objects").unwrap(), ["/data/again", "/many"]);
        assert!(store.references("data/values").unwrap_err().to_string().contains("wanted references"));
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let store = open("odd.h5");
    for (path, words) in [
        ("compound", "a compound of x, n, name, two"),
        ("enumeration", "an enumeration of 3 names over int16"),
        ("opaque", "opaque bytes"),
        ("lists", "lists of variable length of int32"),
        ("arrays", "arrays"),
        ("long_double", "float128"),
        ("bits", "bit fields"),
        ("brain_float", "unusual bit layout"),
        ("twelve_bits", "unusual bit layout"),
        ("lzf", "the filter 32000 (lzf)"),
        ("virtual", "virtual array"),
        ("raw_elsewhere", "in other files"),
        ("complex", "a compound of r, i"),
    ] {
        let why = store.whole(path).unwrap_err().to_string();
        assert!(why.contains(&format!("odd.h5:{path}: ")) && why.contains(words), "{path}: {why}");
    }
    let store = open("new.h5");
    for (path, words) in [
        ("unwritten/contiguous", "no data was ever written"),
        ("unwritten/chunked", "no data was ever written"),
        ("empty/null", "has a type and no data"),
    ] {
        let why = store.whole(path).unwrap_err().to_string();
        assert!(why.contains(&format!("new.h5:{path}: ")) && why.contains(words), "{path}: {why}");
    }
    let backwards = Range { start: 2, end: 1 };
    for region in [vec![], vec![0..3, 0..6], vec![backwards, 0..5], vec![3..4, 0..5]] {
        let why = store.read("types/f4_little", &region).unwrap_err();
        assert_eq!(why.kind(), striate::Kind::Usage);
        assert!(why.to_string().contains("[3, 5]"), "{why}");
    }
}
