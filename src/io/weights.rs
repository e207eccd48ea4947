//! Weight files: safetensors and PyTorch's two formats, recognised by content.
//!
//! Opening reads names, shapes and places only; a tensor's bytes are read when it is asked for. PyTorch's
//! files are pickles: a small machine reads tensors out of them and refuses everything that could run.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, IxDyn};

use crate::error::{Error, Result};
use crate::io::file;

mod geometry;
mod pickle;
mod published;
mod safetensors;
mod torch;
mod torch_legacy;
mod torch_zip;
mod wrappers;

use geometry::Geometry;
use published::Fold;
use wrappers::Peeled;

/// Name, shape and element type of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The key in the file; nested dictionaries are joined with dots.
    pub name: String,
    /// Lengths of the axes; convolutions are (output, input / groups, height, width).
    pub shape: Vec<usize>,
    /// The type as stored: "f32", "f16", "bf16", "f64", "i64" and so on.
    pub element: String,
}

/// Element types that can become f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Float {
    F16,
    Bf16,
    F32,
    F64,
}

impl Float {
    fn named(element: &str) -> Option<Self> {
        match element {
            "f16" => Some(Float::F16),
            "bf16" => Some(Float::Bf16),
            "f32" => Some(Float::F32),
            "f64" => Some(Float::F64),
            _ => None,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Float::F16 | Float::Bf16 => 2,
            Float::F32 => 4,
            Float::F64 => 8,
        }
    }

    /// Appends numbers; what exceeds f32 becomes infinite and is refused with the other infinities.
    fn decode(self, bytes: &[u8], big_endian: bool, values: &mut Vec<f32>) {
        macro_rules! each {
            ($number:ty, $convert:expr) => {
                values.extend(bytes.as_chunks::<{ size_of::<$number>() }>().0.iter().map(|&b| {
                    let number =
                        if big_endian { <$number>::from_be_bytes(b) } else { <$number>::from_le_bytes(b) };
                    $convert(number)
                }))
            };
        }
        match self {
            Float::F16 => each!(half::f16, |v: half::f16| v.to_f32()),
            Float::Bf16 => each!(half::bf16, |v: half::bf16| v.to_f32()),
            Float::F32 => each!(f32, |v| v),
            Float::F64 => each!(f64, |v| v as f32),
        }
    }
}

/// A tensor and where its elements lie.
struct Entry {
    info: TensorInfo,
    /// None where the element type cannot become f32.
    float: Option<Float>,
    /// Byte of its first element in the file.
    first: u64,
    /// Elements between neighbours along each axis.
    strides: Vec<usize>,
    big_endian: bool,
}

/// Bytes decoded at a time; a multiple of every element's size.
const PIECE: usize = 1 << 16;

/// A weight file, its headers read.
pub struct WeightFile {
    path: PathBuf,
    format: &'static str,
    length: u64,
    entries: Vec<Entry>,
    tensors: Vec<TensorInfo>,
    fold: Option<Fold>,
    peeled: Option<Peeled>,
}

impl WeightFile {
    /// Reads what tensors a file holds.
    ///
    /// # Errors
    /// A file that is missing, of another format, damaged, or a pickle of something other than tensors.
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |why| Error::unreadable(path, &why);
        let mut file = file::open(path)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let mut first = Vec::new();
        file.by_ref().take(16).read_to_end(&mut first).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        let (format, entries) = if first.starts_with(b"PK") {
            ("torch zip", torch_zip::entries(path, file, length)?)
        } else if torch_legacy::MAGIC.starts_with(&first) && first.len() == 16 || first == torch_legacy::MAGIC
        {
            ("torch legacy", torch_legacy::entries(path, file, length)?)
        } else if first.get(8) == Some(&b'{') {
            ("safetensors", safetensors::entries(path, file, length)?)
        } else {
            return Err(unknown(path, &first));
        };
        let tensors = entries.iter().map(|e| e.info.clone()).collect();
        Ok(WeightFile { path: path.into(), format, length, entries, tensors, fold: None, peeled: None })
    }

    /// The tensors, in the file's order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// "safetensors", "torch zip" or "torch legacy".
    pub fn format(&self) -> &'static str {
        self.format
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.iter().any(|t| t.name == name)
    }

    /// The byte from which on a tensor's elements lie in C order as little-endian f32, if they do.
    pub fn plain_f32_at(&self, name: &str) -> Option<u64> {
        let entry = self.entries.iter().find(|e| e.info.name == name)?;
        let mut next = 1;
        let mut plain = matches!(entry.float, Some(Float::F32)) && !entry.big_endian && self.fold.is_none();
        for (length, stride) in entry.info.shape.iter().zip(&entry.strides).rev() {
            plain &= *length == 1 || *stride == next;
            next *= length;
        }
        plain.then_some(entry.first)
    }

    /// Reads a tensor as f32 in C order; f16, bf16 and f64 are converted.
    ///
    /// # Errors
    /// No such tensor (the nearest names are listed), a type that is not floating point, NaN or infinity
    /// inside (the first index is named), a file that ends early.
    pub fn read(&self, name: &str) -> Result<ArrayD<f32>> {
        match &self.fold {
            Some(fold) if fold.concerns(name) => fold.read(self, name),
            Some(fold) => match fold.original(name) {
                Some(original) => self.read_entry(self.stored_name(original), name),
                None => Err(self.missing(name)),
            },
            None => self.read_entry(self.stored_name(name), name),
        }
    }

    /// A vector as f64, where it is stored so; else as [`WeightFile::read`].
    ///
    /// # Errors
    /// Those of [`WeightFile::read`].
    pub fn read_f64(&self, name: &str) -> Result<Vec<f64>> {
        let rounded = self.read(name)?;
        let wide = |e: &&Entry| e.info.name == name && matches!(e.float, Some(Float::F64));
        let Some(entry) = self.entries.iter().find(wide).filter(|e| e.info.shape.len() == 1 && !e.big_endian)
        else {
            return Ok(rounded.iter().copied().map(f64::from).collect());
        };
        // That all of it is there was checked by the first reading.
        let unreadable = |why| Error::unreadable(&self.path, &why);
        let mut file = file::open(&self.path)?;
        file.seek(SeekFrom::Start(entry.first)).map_err(unreadable)?;
        let mut bytes = vec![0_u8; 8 * rounded.len()];
        file.read_exact(&mut bytes).map_err(unreadable)?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
    }

    /// The same file under torchvision's names and for torchvision's input (RGB in 0..1, minus mean, over
    /// deviation), where it is a published file that Striate knows: the mean-normalised VGG-19 whose key `0`
    /// is a 1x1 convolution from RGB to BGR, which is folded into `features.0`. What training programs put in
    /// front of names (`state_dict.`, `module.` and their like) is taken off. Any other file comes back as it
    /// is.
    ///
    /// # Errors
    /// A file that wraps several networks.
    pub fn as_torchvision(mut self) -> Result<Self> {
        self.peel()?;
        if let Some(fold) = Fold::recognise(&self.tensors) {
            self.tensors = fold.tensors(&self.tensors);
            self.fold = Some(fold);
        }
        Ok(self)
    }

    /// Reads a tensor by the name it has in the file; `shown` is the name to speak of.
    fn read_entry(&self, name: &str, shown: &str) -> Result<ArrayD<f32>> {
        let Some(entry) = self.entries.iter().find(|e| e.info.name == name) else {
            return Err(self.missing(shown));
        };
        let Some(float) = entry.float else {
            let found = format!("tensor '{shown}' holds {}", entry.info.element);
            return Err(Error::input(&self.path, found, "f32, f16, bf16 or f64", "Name a tensor of weights"));
        };
        let place = self.geometry(entry)?;
        let span = self.span(entry, float, place.span)?;
        let values = place.gather(span);
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            let index = place.index(at);
            let found = format!("tensor '{shown}' holds {} at index {index:?}", values[at]);
            let advice = "The file is damaged, or the training failed: get it again";
            return Err(Error::input(&self.path, found, "finite numbers", advice));
        }
        ArrayD::from_shape_vec(IxDyn(&entry.info.shape), values).map_err(|why| {
            Error::input(&self.path, format!("tensor '{shown}' has an impossible shape ({why})"), "", "")
        })
    }

    fn geometry(&self, entry: &Entry) -> Result<Geometry> {
        // An expanded tensor (stride 0) repeats few bytes; nothing real repeats them more than 16 times in
        // f32.
        let most = usize::try_from(self.length).unwrap_or(usize::MAX).saturating_mul(16);
        Geometry::new(&entry.info.shape, &entry.strides).filter(|g| g.elements <= most).ok_or_else(|| {
            let TensorInfo { name, shape, .. } = &entry.info;
            let found =
                format!("tensor '{name}' claims the shape {shape:?} in a file of {} bytes", self.length);
            Error::input(
                &self.path,
                found,
                "a shape that the file can hold",
                "The file is damaged: get it again",
            )
        })
    }

    /// Reads `count` elements that lie one after the other.
    fn span(&self, entry: &Entry, float: Float, count: usize) -> Result<Vec<f32>> {
        let unreadable = |why| Error::unreadable(&self.path, &why);
        let bytes = (count as u64).saturating_mul(float.bytes() as u64);
        if entry.first.checked_add(bytes).is_none_or(|end| end > self.length) {
            let name = &entry.info.name;
            let found = format!("tensor '{name}' reaches beyond the end of the file");
            return Err(Error::input(&self.path, found, "the whole file", "Copy or download it again"));
        }
        let mut file = file::open(&self.path)?;
        file.seek(SeekFrom::Start(entry.first)).map_err(unreadable)?;
        let mut values = Vec::with_capacity(count);
        let mut piece = vec![0_u8; PIECE.min(count * float.bytes())];
        while values.len() < count {
            let bytes = PIECE.min((count - values.len()) * float.bytes());
            file.read_exact(&mut piece[..bytes]).map_err(unreadable)?;
            float.decode(&piece[..bytes], entry.big_endian, &mut values);
        }
        Ok(values)
    }

    fn missing(&self, name: &str) -> Error {
        let short = |name: &str| name.chars().take(60).collect::<Vec<char>>();
        let wanted = short(name);
        let mut near: Vec<(usize, &str)> = self
            .tensors
            .iter()
            .take(4096)
            .map(|t| (distance(&wanted, &short(&t.name)), &t.name[..]))
            .collect();
        near.sort();
        let names: Vec<String> =
            near.iter().take(5).map(|(_, n)| format!("'{}'", n.escape_debug())).collect();
        let wanted = match names.is_empty() {
            true => "a file with tensors in it".to_string(),
            false => {
                format!("one of its {} tensors, the nearest being {}", self.tensors.len(), names.join(", "))
            }
        };
        Error::input(&self.path, format!("it holds no tensor '{name}'"), wanted, "")
    }
}

/// What is said of a file that no reader knows.
fn unknown(path: &Path, first: &[u8]) -> Error {
    let (found, advice) = match first {
        [] => ("the file is empty", "Download it again"),
        [0x89, b'H', b'D', b'F', ..] => ("it is an HDF5 file (Keras?)", "Convert its weights to safetensors"),
        [0x93, b'N', b'U', b'M', ..] => {
            ("it is a NumPy array", "Put the arrays into a safetensors file by name")
        }
        [0x80, 2..=5, ..] => {
            ("it is a Python pickle that torch.save did not write", "Save the weights as safetensors")
        }
        [b'v', b'e', b'r', b's', b'i', b'o', b'n', ..] => {
            ("it may be a Git LFS pointer in place of the file", "Fetch the file itself (git lfs pull)")
        }
        [b'<', ..] => ("it is a web page", "Download the file itself, not the page about it"),
        _ => {
            ("it begins like none of the formats that Striate reads, or it is cut short", "Download it again")
        }
    };
    Error::input(path, found, "safetensors or a PyTorch file (.pth, .pt)", advice)
}

/// Levenshtein's distance: how many letters to change, add or remove.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[path = "weights/tests.rs"]
mod tests;
