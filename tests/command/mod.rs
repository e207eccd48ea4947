//! The real binary, run in a folder of its own, and what it answers.

#![allow(clippy::unwrap_used, dead_code, reason = "a test may panic, and not every test uses everything")]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use ndarray::ArrayD;
use serde_json::Value;

/// A folder for one test, removed with it.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("striate-cli-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Scratch(folder)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_striate"));
        command.args(arguments).current_dir(&self.0).env_remove("STRIATE_ADAPTER").stdin(Stdio::null());
        // Without it Mesa's drivers write to stderr.
        command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
        command
    }

    pub fn striate(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Runs a command that must succeed.
    pub fn works(&self, arguments: &[&str]) -> Ran {
        let ran = self.striate(arguments);
        assert!(ran.code == 0, "{arguments:?} {ran:?}");
        ran
    }

    /// Names of all files and folders, hidden ones too.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A whole file.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap()
    }

    /// A `.npy` file as an array.
    pub fn array(&self, name: &str) -> ArrayD<f32> {
        striate::io::npy::read(&self.0.join(name), None).unwrap()
    }

    /// A JSON file.
    pub fn document(&self, name: &str) -> Value {
        serde_json::from_slice(&self.bytes(name)).unwrap()
    }

    /// A small simulated experiment in the folder `name`.
    pub fn experiment(&self, name: &str) {
        let size = ["--images", "20", "--size", "16", "--neurons", "6", "--repeats", "4"];
        let ran = self.striate(&[&["simulate", "--out", name], &size[..]].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Stdout as the one JSON document that it must be.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    /// Fails with this code and one line on stderr that says all of these.
    pub fn refused(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        assert!(self.err.starts_with("error: ") && self.err.trim_end().lines().count() == 1, "{self:?}");
        for words in said {
            assert!(self.err.contains(words), "no {words:?} in {self:?}");
        }
    }
}

/// Largest distance between two arrays, in standard deviations of the second.
pub fn distance(got: &ArrayD<f32>, want: &ArrayD<f32>) -> f32 {
    assert_eq!(got.shape(), want.shape());
    let worst =
        (got - want).iter().fold(0f32, |most, v| if v.is_nan() { f32::NAN } else { most.max(v.abs()) });
    worst / want.std(0.0)
}

/// Columns of a CSV by name.
pub struct Table(Vec<Vec<String>>);

impl Table {
    pub fn read(here: &Scratch, name: &str) -> Table {
        let bytes = here.bytes(name);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
        Table(reader.records().map(|row| row.unwrap().iter().map(String::from).collect()).collect())
    }

    pub fn texts(&self, name: &str) -> Vec<&str> {
        let column = self.0[0].iter().position(|n| n == name).unwrap();
        self.0[1..].iter().map(|row| &row[column][..]).collect()
    }

    /// Empty fields are NaN.
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        self.texts(name).into_iter().map(|text| text.parse().unwrap_or(f64::NAN)).collect()
    }
}
