//! One error for the whole crate: where it happened, what was found, what was wanted, what to do.

use std::fmt;

/// Result with Striate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of thing went wrong. Each kind has its own exit code on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// An option, a configuration or a combination of them makes no sense. Exit code 2.
    Usage,
    /// A file is missing, damaged, or does not fit the others. Exit code 3.
    Input,
    /// A result could not be written. Exit code 4.
    Output,
    /// No adapter, or none that passes its self-test. Exit code 5.
    Adapter,
    /// The job does not fit into the memory budget. Exit code 6.
    Memory,
    /// The device failed while it worked: lost, out of memory, or it returned a wrong sentinel. Exit code 7.
    Device,
    /// A broken invariant of Striate itself: a bug. Exit code 70.
    Internal,
    /// A person or a scheduler stopped the command. Exit code 130.
    Cancelled,
}

impl Kind {
    /// The exit code of the command line for this kind of error.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Usage => 2,
            Kind::Input => 3,
            Kind::Output => 4,
            Kind::Adapter => 5,
            Kind::Memory => 6,
            Kind::Device => 7,
            Kind::Internal => 70,
            Kind::Cancelled => 130,
        }
    }
}

/// An error that a person can act on.
#[derive(thiserror::Error)]
#[error("{}", .0)]
pub struct Error(Box<Parts>);

struct Parts {
    kind: Kind,
    place: String,
    found: String,
    wanted: String,
    advice: String,
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.found)?;
        if !self.wanted.is_empty() {
            write!(f, "; wanted {}", self.wanted)?;
        }
        if !self.advice.is_empty() {
            write!(f, ". {}", self.advice)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0)
    }
}

impl Error {
    /// Builds an error: `place` is a file, an option or a step; `found` what is wrong there; `wanted` what
    /// would have been right (may be empty); `advice` a whole sentence that says what to do (may be empty).
    pub fn new(
        kind: Kind,
        place: impl fmt::Display,
        found: impl fmt::Display,
        wanted: impl fmt::Display,
        advice: impl fmt::Display,
    ) -> Self {
        Error(Box::new(Parts {
            kind,
            place: place.to_string(),
            found: found.to_string(),
            wanted: wanted.to_string(),
            advice: advice.to_string(),
        }))
    }

    /// A file that cannot be used: [`Kind::Input`].
    pub fn input(
        file: &std::path::Path,
        found: impl fmt::Display,
        wanted: impl fmt::Display,
        advice: impl fmt::Display,
    ) -> Self {
        Self::new(Kind::Input, file.display(), found, wanted, advice)
    }

    /// A file that could not be read at all.
    pub fn unreadable(file: &std::path::Path, why: &std::io::Error) -> Self {
        let advice = match why.kind() {
            std::io::ErrorKind::NotFound => "Check the path",
            std::io::ErrorKind::PermissionDenied => "Check who may read it",
            _ => "",
        };
        Self::new(Kind::Input, file.display(), format!("cannot be read: {why}"), "", advice)
    }

    /// A broken invariant: [`Kind::Internal`].
    pub fn internal(place: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::new(Kind::Internal, place, found, "", "This is a bug in Striate: please report it")
    }

    /// The kind, from which the exit code follows.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The same error, said of another place: for errors that pass through a step that knows the file.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.place = place.to_string();
        self
    }

    /// The same error with other advice, if it is of memory: for errors that pass through a step that knows
    /// what to spare.
    pub fn with_memory_advice(mut self, advice: impl fmt::Display) -> Self {
        if self.kind() == Kind::Memory {
            self.0.advice = advice.to_string();
        }
        self
    }

    /// The parts for `--json`: place, found, wanted, advice.
    pub fn parts(&self) -> [(&'static str, &str); 4] {
        let p = &self.0;
        [("place", &p.place), ("found", &p.found), ("wanted", &p.wanted), ("advice", &p.advice)]
    }
}
