//! What is found out about a set of images before it is used: what its numbers mean, and how many of its
//! images are decoded at once.

use std::path::PathBuf;

use rayon::prelude::*;

use super::picture::{Header, Values, header, stored};
use super::scale::{self, Scale, Seen};
use super::stack::Stack;
use super::{AT_ONCE, Images, Source};
use crate::error::{Error, Kind, Result};

impl Images {
    /// The bits of whole numbers wider than a byte, if the images hold any, and what a person should know of
    /// how numbers were read. Looks at all images whose type does not say what their numbers mean.
    ///
    /// # Errors
    /// [`Kind::Input`] for an image that cannot be read, or holds numbers that no image has.
    pub fn reading(&self) -> Result<(Option<u32>, Vec<String>)> {
        let (seen, scale) = self.scale()?;
        let place = self.path.display();
        let notes = seen.notes(scale, self.bits.is_some());
        Ok((seen.bits(scale), notes.into_iter().map(|note| format!("{place}: {note}")).collect()))
    }

    /// The scale of the numbers that [`super::Normalise::None`] gives: one of the constants of [`Scale`].
    ///
    /// # Errors
    /// As [`Images::reading`].
    pub fn scale_read(&self) -> Result<Scale> {
        let (seen, scale) = self.scale()?;
        Ok(seen.read(scale))
    }

    /// What the numbers mean.
    pub(super) fn scale(&self) -> Result<&(Seen, Scale)> {
        if let Some(known) = self.scale.get() {
            return Ok(known);
        }
        let found = match &self.source {
            Source::Files(files) => self.look(files)?,
            Source::Stack(stack) => match stack.known_scale() {
                Some(known) => return Ok(self.scale.get_or_init(|| (Seen::default(), known))),
                None => stack.look(self.at_once(stack)?)?,
            },
        };
        let scale = found.scale(self.bits, &self.path)?;
        Ok(self.scale.get_or_init(|| (found, scale)))
    }

    /// Looks at the files whose type does not say what their numbers mean.
    fn look(&self, files: &[PathBuf]) -> Result<Seen> {
        let headers: Vec<Header> = files.par_iter().map(|file| header(file)).collect::<Result<_>>()?;
        let float = headers.iter().position(|header| scale::is_float(header.element));
        let whole = headers.iter().position(|header| !scale::is_float(header.element));
        if let (Some(float), Some(whole)) = (float, whole) {
            let found = format!("{} holds floats and {} whole numbers", self.place(float), self.place(whole));
            return Err(Error::input(&self.path, found, "images of one kind", "Save them all the same way"));
        }
        let open: Vec<usize> = (0..files.len()).filter(|row| scale::is_open(headers[*row].element)).collect();
        let mut seen = Seen::default();
        let mut rest = &open[..];
        while let Some(first) = rest.first() {
            if open.iter().all(|row| seen.is_settled(headers[*row].element)) {
                break;
            }
            let bytes = rest.iter().take(AT_ONCE).map(|row| headers[*row].bytes);
            let group = self.together(bytes, *first)?;
            let each = |row: &usize| {
                let (mut seen, stored) = (Seen::default(), stored(&files[*row])?);
                seen.hear(stored.said);
                if let Values::Numbers(values) = &stored.values {
                    seen.look(stored.element, values, &files[*row])?;
                }
                Ok(seen)
            };
            let found: Vec<Result<Seen>> = rest[..group].par_iter().map(each).collect();
            for one in found {
                seen = seen.join(&one?);
            }
            rest = &rest[group..];
        }
        Ok(seen)
    }

    /// Images of an array that are read at once.
    pub(super) fn at_once(&self, stack: &Stack) -> Result<usize> {
        self.allow(stack.bytes_each(), 0)?;
        Ok((self.memory / stack.bytes_each().max(1)).min(AT_ONCE as u64) as usize)
    }

    /// Refuses an image whose decoding does not fit.
    fn allow(&self, bytes: u64, row: usize) -> Result<()> {
        if bytes <= self.memory {
            return Ok(());
        }
        let mebibytes = |bytes: u64| format!("{} MiB", bytes.div_ceil(1 << 20));
        let found = format!("decoding the image takes {} of memory", mebibytes(bytes));
        let wanted = format!("at most {}", mebibytes(self.memory));
        let advice = "Save the images in the size in which they are used, or allow more memory";
        Err(Error::new(Kind::Memory, self.place(row), found, wanted, advice))
    }

    /// How many of the files `rows` may be decoded at once, at least one.
    pub(super) fn fitting(&self, files: &[PathBuf], rows: &[usize]) -> Result<usize> {
        if self.memory == u64::MAX {
            return Ok(rows.len());
        }
        // What cannot be read is said by the decoder, in the order of images.
        let bytes = |row: &usize| header(&files[*row]).map_or(0, |header| header.bytes);
        self.together(rows.iter().map(bytes), rows[0])
    }

    /// How many images, from `first` on, which take so many bytes each, may be decoded at once.
    fn together(&self, bytes: impl Iterator<Item = u64>, first: usize) -> Result<usize> {
        let (mut room, mut count) = (self.memory, 0);
        for bytes in bytes {
            if count == 0 {
                self.allow(bytes, first)?;
            }
            match room.checked_sub(bytes) {
                Some(left) => room = left,
                None => break,
            }
            count += 1;
        }
        Ok(count)
    }
}
