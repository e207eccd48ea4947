//! A stub of the array reader, to be replaced on merging.

use std::{fs::File, io::BufReader, ops::Range, path::Path, path::PathBuf};

use crate::error::{Error, Result};
use ndarray::ArrayD;

/// Element of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "a stub")]
pub enum Element {
    U8,
    I64,
    F32,
    F64,
}

/// One array of a file.
#[allow(missing_docs, reason = "a stub")]
pub struct ArrayInfo {
    pub name: String,
    pub shape: Vec<usize>,
    pub element: Element,
}

fn header(path: &Path) -> Result<npyz::NpyFile<BufReader<File>>> {
    let file = File::open(path).map_err(|e| Error::unreadable(path, &e))?;
    npyz::NpyFile::new(BufReader::new(file)).map_err(|e| Error::unreadable(path, &e))
}

/// The arrays of a file.
pub fn info(path: &Path) -> Result<Vec<ArrayInfo>> {
    let npy = header(path)?;
    let element = match npy.dtype().descr().trim_matches('\'') {
        "|u1" => Element::U8,
        "<f4" => Element::F32,
        "<f8" => Element::F64,
        _ => Element::I64,
    };
    let shape = npy.shape().iter().map(|n| *n as usize).collect();
    Ok(vec![ArrayInfo { name: String::new(), shape, element }])
}

/// Reads rows of the first axis.
pub struct Rows {
    path: PathBuf,
}

impl Rows {
    /// Opens.
    pub fn open(path: &Path, _member: Option<&str>) -> Result<Self> {
        Ok(Rows { path: path.to_path_buf() })
    }

    /// Reads.
    pub fn read(&mut self, rows: Range<usize>) -> Result<ArrayD<f32>> {
        let npy = header(&self.path)?;
        let mut shape: Vec<usize> = npy.shape().iter().map(|n| *n as usize).collect();
        let bad = |e: std::io::Error| Error::unreadable(&self.path, &e);
        let all: Vec<f32> = match info(&self.path)?[0].element {
            Element::U8 => npy.into_vec::<u8>().map_err(bad)?.into_iter().map(f32::from).collect(),
            Element::F32 => npy.into_vec::<f32>().map_err(bad)?,
            Element::F64 => npy.into_vec::<f64>().map_err(bad)?.into_iter().map(|x| x as f32).collect(),
            Element::I64 => npy.into_vec::<i64>().map_err(bad)?.into_iter().map(|x| x as f32).collect(),
        };
        let row: usize = shape[1..].iter().product();
        shape[0] = rows.len();
        ArrayD::from_shape_vec(shape, all[rows.start * row..rows.end * row].to_vec())
            .map_err(|e| Error::internal("npy stub", e))
    }
}
