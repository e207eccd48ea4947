//! Small valid files of every format, byte by byte.

#![allow(clippy::unwrap_used, dead_code, reason = "a test may panic, and not every test builds every format")]

use std::io::Write;

/// A `.npy` of shape (3, 4) with the given type string and element size.
pub fn npy(descr: &str, width: usize) -> Vec<u8> {
    npy_of(
        &format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (3, 4), }}"),
        &vec![7; 12 * width],
    )
}

/// A `.npy` of a header and data.
pub fn npy_of(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// A zip archive; entries are deflated or stored.
pub fn zip(entries: &[(&str, Vec<u8>)], deflated: bool) -> Vec<u8> {
    let method = if deflated { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive
            .start_file(*name, zip::write::SimpleFileOptions::default().compression_method(method))
            .unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A safetensors file of a JSON header and data.
pub fn safetensors_of(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// A safetensors file of an f32 and an f16 tensor.
pub fn safetensors() -> Vec<u8> {
    let header = r#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"F16","shape":[4],"data_offsets":[24,32]}}"#;
    safetensors_of(header, &[0x3c; 32])
}

/// `text` as a pickle writes it.
fn text(word: &str) -> Vec<u8> {
    let mut bytes = vec![b'X'];
    bytes.extend((word.len() as u32).to_le_bytes());
    bytes.extend(word.as_bytes());
    bytes
}

fn integer(number: i32) -> Vec<u8> {
    let mut bytes = vec![b'J'];
    bytes.extend(number.to_le_bytes());
    bytes
}

fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(".to_vec(), items.concat(), b"t".to_vec()].concat()
}

/// A tensor as `torch.save` pickles it.
pub struct Tensor<'a> {
    pub name: &'a str,
    pub class: &'a str,
    pub key: &'a str,
    pub count: i32,
    pub first: i32,
    pub shape: &'a [i32],
    pub strides: &'a [i32],
}

/// The pickle of a state dictionary inside a checkpoint.
pub fn checkpoint(tensors: &[Tensor], legacy: bool) -> Vec<u8> {
    let sizes = |axes: &[i32]| tuple(&axes.iter().map(|&n| integer(n)).collect::<Vec<_>>());
    let mut bytes = b"\x80\x02}q\x00(".to_vec();
    bytes.extend(text("epoch"));
    bytes.extend(b"K\x05");
    bytes.extend(text("state_dict"));
    bytes.extend(b"ccollections\nOrderedDict\nq\x01)R(");
    for tensor in tensors {
        bytes.extend(text(tensor.name));
        bytes.extend(b"ctorch._utils\n_rebuild_tensor_v2\n");
        let class = format!("ctorch\n{}\n", tensor.class).into_bytes();
        let mut id = vec![text("storage"), class, text(tensor.key), text("cpu"), integer(tensor.count)];
        if legacy {
            id.push(b"N".to_vec());
        }
        let storage = [tuple(&id), b"Q".to_vec()].concat();
        let hooks = b"h\x01)R".to_vec();
        let (shape, strides) = (sizes(tensor.shape), sizes(tensor.strides));
        bytes.extend(tuple(&[storage, integer(tensor.first), shape, strides, b"\x89".to_vec(), hooks]));
        bytes.push(b'R');
    }
    bytes.extend(b"uu.");
    bytes
}

/// A 2 x 3 tensor, its transpose from the same storage, and an f16 view that begins at its third element.
pub const TENSORS: [Tensor; 3] = [
    Tensor {
        name: "a",
        class: "FloatStorage",
        key: "0",
        count: 6,
        first: 0,
        shape: &[2, 3],
        strides: &[3, 1],
    },
    Tensor {
        name: "t",
        class: "FloatStorage",
        key: "0",
        count: 6,
        first: 0,
        shape: &[3, 2],
        strides: &[1, 3],
    },
    Tensor { name: "h", class: "HalfStorage", key: "1", count: 4, first: 2, shape: &[2], strides: &[1] },
];

/// The storages of [`TENSORS`]: 0 to 5 as f32; 0, 1, 2, 3 as f16.
pub fn storages() -> [Vec<u8>; 2] {
    let floats = (0..6).flat_map(|v| (v as f32).to_le_bytes()).collect();
    [floats, [0, 0x3c00, 0x4000, 0x4200_u16].iter().flat_map(|v| v.to_le_bytes()).collect()]
}

/// PyTorch's zip format around a pickle.
pub fn torch_zip(pickle: Vec<u8>) -> Vec<u8> {
    let [floats, halves] = storages();
    zip(&[("model/data.pkl", pickle), ("model/data/0", floats), ("model/data/1", halves)], false)
}

/// PyTorch's old format around a pickle.
pub fn torch_legacy(pickle: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    bytes.extend(pickle);
    bytes.extend([b"\x80\x02](".to_vec(), text("0"), text("1"), b"e.".to_vec()].concat());
    let [floats, halves] = storages();
    bytes.extend([&6_u64.to_le_bytes()[..], &floats, &4_u64.to_le_bytes(), &halves].concat());
    bytes
}
