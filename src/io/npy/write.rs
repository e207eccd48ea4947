//! Writing `.npz` archives piece by piece.

use std::io::{self, Write};

use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};

use super::header_bytes;

/// An `.npz` that is written front to back, its arrays uncompressed: [`begin`](ArchiveWriter::begin) an
/// array, write its values in C order, begin the next, [`finish`](ArchiveWriter::finish).
pub struct ArchiveWriter<'a> {
    zip: ZipWriter<StreamWriter<&'a mut dyn Write>>,
}

impl<'a> ArchiveWriter<'a> {
    /// Into a file or whatever takes bytes.
    pub fn new(to: &'a mut dyn Write) -> Self {
        ArchiveWriter { zip: ZipWriter::new_stream(to) }
    }

    /// Begins an array of little-endian values such as `<f4`; they are to be written next.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&mut self, name: &str, element: &str, shape: &[usize]) -> io::Result<()> {
        // Arrays beyond 4 GiB have to be announced. A fixed date: the same input gives the same file.
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .large_file(true);
        self.zip.start_file(format!("{name}.npy"), options)?;
        self.zip.write_all(&header_bytes(element, shape))
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> io::Result<()> {
        self.zip.finish()?;
        Ok(())
    }
}

impl Write for ArchiveWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.zip.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.zip.flush()
    }
}
