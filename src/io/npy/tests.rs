#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::error::Kind;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A path in the temporary folder, removed at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn with(bytes: &[u8]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("striate-npy-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap();
        Temporary(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn counting(shape: &[usize]) -> ArrayD<f32> {
    let count: usize = shape.iter().product();
    ArrayD::from_shape_vec(IxDyn(shape), (0..count).map(|v| v as f32 - 1.5).collect()).unwrap()
}

fn archive(members: &[(&str, Vec<u8>)], method: zip::CompressionMethod) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        zip.start_file(*name, options).unwrap();
        std::io::Write::write_all(&mut zip, bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn an_independent_reader_reads_what_we_encode() {
    for shape in [&[][..], &[5], &[2, 3], &[1, 2, 3, 4], &[0, 3]] {
        let array = counting(shape);
        let bytes = encode(array.view());
        let referee = npyz::NpyFile::new(&bytes[..]).unwrap();
        assert_eq!(referee.shape(), shape.iter().map(|&n| n as u64).collect::<Vec<_>>());
        assert_eq!(referee.into_vec::<f32>().unwrap(), array.iter().copied().collect::<Vec<_>>());
        assert_eq!((bytes.len() - 4 * array.len()) % 64, 0);
        let file = Temporary::with(&bytes);
        assert_eq!(read(&file.0, None).unwrap(), array);
    }
}

#[test]
fn reads_columns_first_big_endian_by_an_independent_writer() {
    use npyz::WriterBuilder;
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().dtype(npyz::DType::new_scalar(">f8".parse().unwrap()));
    let mut writer =
        options.shape(&[2, 3]).order(npyz::Order::Fortran).writer(&mut bytes).begin_nd().unwrap();
    writer.extend([0.0_f64, 10.0, 1.0, 11.0, 2.0, 12.0]).unwrap();
    writer.finish().unwrap();
    let file = Temporary::with(&bytes);
    let array = read_f64(&file.0, None).unwrap();
    assert!(array.is_standard_layout());
    assert_eq!(array.iter().copied().collect::<Vec<_>>(), [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
    let mut rows = Rows::open(&file.0, None).unwrap();
    assert_eq!(rows.read(1..2).unwrap(), ndarray::arr2(&[[10.0, 11.0, 12.0]]).into_dyn());
}

#[test]
fn rows_of_columns_first_arrays_equal_the_whole_in_any_order() {
    use npyz::WriterBuilder;
    for shape in [&[7, 2, 3][..], &[5, 4], &[6]] {
        let whole = counting(shape);
        let mut bytes = Vec::new();
        let sizes: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
        let options = npyz::WriteOptions::new().default_dtype().shape(&sizes).order(npyz::Order::Fortran);
        let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
        writer.extend(whole.t().iter().copied()).unwrap();
        writer.finish().unwrap();
        let members = [("a.npy", bytes.clone())];
        let deflated = archive(&members, zip::CompressionMethod::Deflated);
        for file in [bytes, deflated].map(|bytes| Temporary::with(&bytes)) {
            // Nothing, two rows and everything at once.
            for block in [0, 2 * 4 * whole.len() / shape[0], 1 << 20] {
                let mut rows = Rows::open(&file.0, None).unwrap().with_block(block);
                for range in [3..5, 0..2, 1..4, 4..4, 0..shape[0]] {
                    let expect = whole.slice_axis(ndarray::Axis(0), ndarray::Slice::from(range.clone()));
                    assert_eq!(rows.read(range).unwrap(), expect);
                }
            }
        }
    }
}

#[test]
fn rows_equal_the_whole_in_any_order() {
    let whole = counting(&[7, 2, 3]);
    let bytes = encode(whole.view());
    let stored = archive(&[("a.npy", bytes.clone()), ("b.npy", vec![])], zip::CompressionMethod::Stored);
    let deflated = archive(&[("a.npy", bytes.clone())], zip::CompressionMethod::Deflated);
    for (bytes, member) in [(bytes, None), (stored, Some("a")), (deflated, None)] {
        let file = Temporary::with(&bytes);
        let mut rows = Rows::open(&file.0, member).unwrap();
        assert_eq!(rows.info().shape, [7, 2, 3]);
        for range in [0..2, 2..7, 6..7, 1..3, 4..4, 0..7] {
            let expect = whole.slice_axis(ndarray::Axis(0), ndarray::Slice::from(range.clone()));
            assert_eq!(rows.read(range).unwrap(), expect);
        }
        assert_eq!(rows.read(5..8).unwrap_err().kind(), Kind::Usage);
    }
}

#[test]
fn members_are_named_and_listed() {
    let members = [("one.npy", encode(counting(&[2]).view())), ("two.npy", encode(counting(&[3]).view()))];
    let file = Temporary::with(&archive(&members, zip::CompressionMethod::Deflated));
    let error = read(&file.0, None).unwrap_err().to_string();
    assert!(error.contains("holds 2 arrays") && error.contains("one, two"), "{error}");
    assert!(read(&file.0, Some("three")).unwrap_err().to_string().contains("no array 'three'"));
    assert_eq!(read(&file.0, Some("two")).unwrap().shape(), [3]);
    let names: Vec<_> = info(&file.0).unwrap().into_iter().map(|i| i.name.unwrap()).collect();
    assert_eq!(names, ["one", "two"]);
    let split = |text: &str| split_member(Path::new(text));
    assert_eq!(split("c:/d/e.npz:two"), (PathBuf::from("c:/d/e.npz"), Some("two".into())));
    assert_eq!(split("a.npy"), (PathBuf::from("a.npy"), None));
    assert_eq!(split("a.npz:"), (PathBuf::from("a.npz"), None));
}

#[test]
fn a_bomb_is_refused() {
    let mut bytes = encode(counting(&[1]).view());
    bytes.truncate(bytes.len() - 4);
    bytes.resize(80 << 20, 0);
    let file = Temporary::with(&archive(&[("a.npy", bytes)], zip::CompressionMethod::Deflated));
    let error = read(&file.0, None).unwrap_err().to_string();
    assert!(error.contains("claims to expand to"), "{error}");
}

#[test]
fn files_of_other_kinds_are_named() {
    let says = |bytes: &[u8], words: &str| {
        let error = read(&Temporary::with(bytes).0, None).unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        assert!(error.to_string().contains(words), "{error}");
    };
    says(b"", "is empty");
    says(b"\x80\x04\x95abc", "pickle");
    says(b"\x89HDF\r\n", "HDF5");
    says(b"1,2,3", "begins like neither");
    says(b"PK\x03\x04garbage", "archive is damaged");
    says(&encode(counting(&[4]).view())[..70], "claims a header");
    says(&encode(counting(&[4]).view())[..140], "12 follow");
    assert!(read(Path::new("absent.npy"), None).unwrap_err().to_string().contains("Check the path"));
}

#[test]
fn writes_whole_files_and_says_where_it_cannot() {
    let file = Temporary::with(b"old");
    write(&file.0, counting(&[2, 2]).view()).unwrap();
    assert_eq!(read(&file.0, None).unwrap(), counting(&[2, 2]));
    let error = write(&file.0.join("inside.npy"), counting(&[1]).view()).unwrap_err();
    assert_eq!(error.kind(), Kind::Output);
}

#[test]
fn a_changed_byte_of_a_member_is_noticed() {
    let mut bytes = archive(&[("a.npy", encode(counting(&[40]).view()))], zip::CompressionMethod::Stored);
    // Inside the numbers: behind the local header (35 bytes) and the array's own (128).
    bytes[35 + 128 + 50] ^= 1;
    let error = read(&Temporary::with(&bytes).0, None).unwrap_err().to_string();
    assert!(error.contains("archive is damaged"), "{error}");
}

#[test]
fn reads_real_arrays() {
    let fallback = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("STRIATE_DATA").map_or(fallback, PathBuf::from);
    if !folder.exists() {
        eprintln!("skipped: {} is absent (STRIATE_DATA)", folder.display());
        return;
    }
    let repeats = folder.join("v4/210325/responses_repeats.npy");
    assert_eq!(info(&repeats).unwrap()[0].element, Element::F64);
    let repeats = read(&repeats, None).unwrap();
    assert_eq!(repeats.shape(), [50, 640, 10]);
    assert!(repeats.iter().any(|v| v.is_nan()) && repeats.iter().any(|v| *v > 0.0));
    let similarity = folder.join("allen/rdms_reliable.npz");
    let members = info(&similarity).unwrap();
    assert_eq!(members.len(), 21);
    assert!(members.iter().all(|m| m.shape == [119, 119] && read(&similarity, m.name.as_deref()).is_ok()));
    let movie = folder.join("movies/mouse_500x64x64_int16.npy");
    let mut rows = Rows::open(&movie, None).unwrap();
    let last = rows.read(490..500).unwrap();
    assert_eq!(last, read(&movie, None).unwrap().slice_axis(ndarray::Axis(0), (490..500).into()));
}

#[test]
fn regions_are_what_the_whole_array_has_there() {
    use npyz::WriterBuilder;
    let shape = [4, 3, 5];
    let array = counting(&shape);
    let write = |order: npyz::Order| {
        let mut bytes = Vec::new();
        let options = npyz::WriteOptions::new().default_dtype().shape(&[4, 3, 5]).order(order);
        let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
        let turned = array.t();
        let values: Vec<f32> = match order {
            npyz::Order::C => array.iter().copied().collect(),
            npyz::Order::Fortran => turned.iter().copied().collect(),
        };
        writer.extend(values).unwrap();
        writer.finish().unwrap();
        bytes
    };
    for order in [npyz::Order::C, npyz::Order::Fortran] {
        let bytes = write(order);
        let members = [("a.npy", bytes.clone())];
        let files = [
            bytes,
            archive(&members, zip::CompressionMethod::Stored),
            archive(&members, zip::CompressionMethod::Deflated),
        ];
        for file in files.map(|bytes| Temporary::with(&bytes)) {
            let mut regions = Regions::open(&file.0, None).unwrap();
            for region in [
                [0..4, 0..3, 0..5],
                [1..3, 0..3, 0..5],
                [3..4, 1..3, 2..4],
                [0..4, 1..2, 4..5],
                [2..2, 0..3, 0..5],
            ] {
                let slice =
                    array.slice_each_axis(|axis| ndarray::Slice::from(region[axis.axis.index()].clone()));
                assert_eq!(regions.read(&region).unwrap(), Values::F32(slice.to_owned()), "{region:?}");
            }
            for region in [vec![0..4, 0..3], vec![0..4, 0..3, 0..6], vec![5..6, 0..3, 0..5]] {
                assert_eq!(regions.read(&region).unwrap_err().kind(), Kind::Usage);
            }
        }
    }
}
