//! Weight files that are right, and named ways of being wrong.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use builders::{TENSORS, Tensor, checkpoint, safetensors, safetensors_of, torch_legacy, torch_zip};
use striate::io::weights::WeightFile;

mod builders;

struct Temporary(PathBuf);

impl Temporary {
    fn with(bytes: &[u8]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name =
            format!("striate-weights-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
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

/// The refusal of a file, at opening or at reading any of its tensors.
fn refusal(bytes: &[u8]) -> String {
    let file = Temporary::with(bytes);
    let open = match WeightFile::open(&file.0) {
        Ok(open) => open,
        Err(error) => return error.to_string(),
    };
    let mut errors = open.tensors().iter().filter_map(|t| open.read(&t.name).err());
    errors.next().expect("the file was accepted").to_string()
}

fn says(bytes: &[u8], words: &str) {
    let error = refusal(bytes);
    assert!(error.contains(words), "'{error}' does not say '{words}'");
}

#[test]
fn both_torch_formats_give_views_and_transposes() {
    for (bytes, format) in [
        (torch_zip(checkpoint(&TENSORS, false)), "torch zip"),
        (torch_legacy(&checkpoint(&TENSORS, true)), "torch legacy"),
    ] {
        let file = Temporary::with(&bytes);
        let open = WeightFile::open(&file.0).unwrap();
        assert_eq!(open.format(), format);
        let names: Vec<_> = open.tensors().iter().map(|t| (t.name.as_str(), t.element.as_str())).collect();
        assert_eq!(names, [("state_dict.a", "f32"), ("state_dict.t", "f32"), ("state_dict.h", "f16")]);
        let values = |name: &str| open.read(name).unwrap().into_iter().collect::<Vec<_>>();
        assert_eq!(values("state_dict.a"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(values("state_dict.t"), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(values("state_dict.h"), [2.0, 3.0]);
        assert_eq!(open.read("state_dict.t").unwrap().shape(), [3, 2]);
        let missing = open.read("state_dict.b").unwrap_err().to_string();
        assert!(missing.contains("'state_dict.a'"), "{missing}");
    }
}

#[test]
fn safetensors_of_every_float() {
    let header = concat!(
        r#"{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[1],"#,
        r#""data_offsets":[8,10]},"c":{"dtype":"BF16","shape":[],"data_offsets":[10,12]}}"#
    );
    let data = [&1.5_f64.to_le_bytes()[..], &0x3e00_u16.to_le_bytes(), &0x3fc0_u16.to_le_bytes()].concat();
    let file = Temporary::with(&safetensors_of(header, &data));
    let open = WeightFile::open(&file.0).unwrap();
    assert_eq!(open.format(), "safetensors");
    for name in ["a", "b", "c"] {
        assert_eq!(open.read(name).unwrap().into_iter().collect::<Vec<_>>(), [1.5]);
    }
    assert!(open.contains("a") && !open.contains("d") && open.path() == file.0);
}

#[test]
fn not_finite_is_named_with_its_index() {
    let header = r#"{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#;
    let data: Vec<u8> = [1.0, 2.0, f32::NAN, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    says(&safetensors_of(header, &data), "tensor 'a' holds NaN at index [1, 0]");
    let header = r#"{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}"#;
    says(&safetensors_of(header, &1e300_f64.to_le_bytes()), "holds inf at index [0]");
    let header = r#"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
    says(&safetensors_of(header, &[0; 8]), "holds i64");
}

#[test]
fn files_that_are_no_weights() {
    says(b"", "is empty");
    says(b"\x80\x02}.", "pickle that torch.save did not write");
    says(b"\x89HDF\r\n\x1a\n", "HDF5");
    says(b"version https://git-lfs", "Git LFS");
    says(b"<!DOCTYPE html>", "web page");
    says(b"\0\0\0\0\0\0\0\0\0\0", "none of the formats");
    says(&builders::zip(&[("a.npy", builders::npy("<f4", 4))], true), "without data.pkl");
    let absent = WeightFile::open(std::path::Path::new("absent.pth")).map(|_| ()).unwrap_err().to_string();
    assert!(absent.contains("Check the path"), "{absent}");
}

#[test]
fn safetensors_that_lie() {
    let whole = safetensors();
    says(&whole[..whole.len() - 1], "promises 32 bytes of tensors and 31");
    says(&whole[..40], "claims a header");
    let mut long = whole.clone();
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    says(&long, "claims a header of 18446744073709551615");
    let of = |shape: &str, end: &str| {
        let header = format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
        safetensors_of(&header, &[0; 16])
    };
    says(&of("[1099511627776]", "4398046511104"), "promises 4398046511104 bytes");
    says(&of("[4294967296,4294967296,4]", "16"), "header is damaged");
    says(&of("[5]", "16"), "header is damaged");
}

#[test]
fn torch_files_that_lie() {
    let with = |change: fn(&mut Tensor)| {
        let mut tensors = TENSORS;
        change(&mut tensors[0]);
        (torch_zip(checkpoint(&tensors, false)), torch_legacy(&checkpoint(&tensors, true)))
    };
    let both = |change: fn(&mut Tensor), words: &str| {
        let (new, old) = with(change);
        says(&new, words);
        says(&old, words);
    };
    both(|t| t.first = 1, "'state_dict.a' reaches beyond its storage");
    both(|t| t.first = -1, "that no tensor has");
    both(|t| t.shape = &[i32::MAX, i32::MAX], "reaches beyond its storage");
    both(|t| t.strides = &[3], "reaches beyond its storage");
    both(|t| (t.shape, t.count) = (&[7, 1], i32::MAX), "reaches beyond its storage");
    // 2^30 elements from one: an expanded tensor.
    both(|t| (t.shape, t.strides) = (&[1 << 15, 1 << 15], &[0, 0]), "claims the shape [32768, 32768]");
    both(|t| t.key = "9", "storage '9' is missing");
    both(|t| t.class = "load", "torch.load is not a tensor");
}

#[test]
fn legacy_counts_that_lie() {
    let mut bytes = torch_legacy(&checkpoint(&TENSORS, true));
    let at = bytes.len() - 16 - 24 - 8;
    assert_eq!(bytes[at], 6);
    bytes[at..at + 8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    says(&bytes, "claims 1099511627776 elements");
    let whole = torch_legacy(&checkpoint(&TENSORS, true));
    says(&whole[..whole.len() - 3], "beyond the end of the file");
    says(&[&whole[..], b"more"].concat(), "4 bytes follow");
    says(&whole[..60], "ends early");
}

#[test]
fn programs_are_refused_by_name() {
    let attack = b"\x80\x02cposix\nsystem\n(X\x04\x00\x00\x00eviltR.";
    says(&torch_zip(attack.to_vec()), "posix.system is not a tensor");
    says(&torch_legacy(attack), "posix.system is not a tensor");
}
