//! The file of choices: one for each adapter, driver and version of this crate. It is a cache: whatever is
//! wrong with it, or with its folder, costs time and nothing else.

use super::TuningReport;
use crate::gpu::adapter::AdapterReport;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The tile of one class of shapes, and what it was chosen by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Kernel, largest rows x columns x depth, batch, overrides, and the fingerprint of its WGSL.
    pub class: String,
    /// Rows x columns of the tile.
    pub tile: String,
    /// Measured microseconds of each tile that was tried, of the same piece of work.
    pub microseconds: BTreeMap<String, f64>,
}

/// What a file's choices hold for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    striate: String,
    adapter: String,
    backend: String,
    driver: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "for")]
    identity: Identity,
    choices: Vec<Choice>,
}

/// The choices of one adapter, in memory and on disk.
pub struct Store {
    identity: Identity,
    file: Option<PathBuf>,
    /// By class; `None` before the file was read.
    choices: Option<BTreeMap<String, Choice>>,
    problem: Option<String>,
}

impl Store {
    /// Nothing is read yet. `cache` is the folder of all caches of this crate.
    pub fn new(cache: Option<PathBuf>, report: &AdapterReport) -> Self {
        let identity = Identity {
            striate: env!("CARGO_PKG_VERSION").into(),
            adapter: report.name.clone(),
            backend: report.backend.clone(),
            driver: report.driver.clone(),
        };
        let file = cache.map(|folder| folder.join("tuning").join(file_name(&identity)));
        Store { identity, file, choices: None, problem: None }
    }

    /// The tile of a class, if one was chosen.
    pub fn tile(&mut self, class: &str) -> Option<String> {
        self.choices().get(class).map(|choice| choice.tile.clone())
    }

    /// Adds a choice and writes the file, with what another process has written there meanwhile.
    pub fn add(&mut self, choice: Choice) {
        let _lock = self.file.as_deref().map(lock);
        let there = self.read();
        let choices = self.choices();
        choices.extend(there);
        choices.insert(choice.class.clone(), choice);
        let document =
            Document { choices: choices.values().cloned().collect(), identity: self.identity.clone() };
        let Some(file) = &self.file else { return };
        let written = serde_json::to_vec_pretty(&document).map_err(std::io::Error::other);
        self.problem = written.and_then(|bytes| replace(file, &bytes)).err().map(|why| why.to_string());
    }

    pub fn report(&mut self, measured: bool) -> TuningReport {
        let choices = self.choices().values().cloned().collect();
        TuningReport { measured, file: self.file.clone(), problem: self.problem.clone(), choices }
    }

    fn choices(&mut self) -> &mut BTreeMap<String, Choice> {
        if self.choices.is_none() {
            self.choices = Some(self.read());
        }
        self.choices.get_or_insert_default()
    }

    /// What the file says; nothing, if it is not there, damaged, or about something else.
    fn read(&self) -> BTreeMap<String, Choice> {
        let bytes = self.file.as_ref().and_then(|file| std::fs::read(file).ok()).unwrap_or_default();
        match serde_json::from_slice::<Document>(&bytes) {
            Ok(document) if document.identity == self.identity => {
                document.choices.into_iter().map(|choice| (choice.class.clone(), choice)).collect()
            }
            _ => BTreeMap::new(),
        }
    }
}

/// A name that people recognise, and a hash that no two identities share.
fn file_name(identity: &Identity) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = identity.adapter.chars().map(plain).take(40).collect();
    let words = [&identity.striate, &identity.adapter, &identity.backend, &identity.driver];
    let hash = Sha256::digest(words.map(String::as_str).join("\n"));
    let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{hash}.json", name.trim_matches('-'))
}

/// Reading and writing takes a process milliseconds. Who holds the lock for longer has been stopped
/// meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// Holds up other processes that are about to read and replace a file in the same folder. The system takes
/// the lock back from whoever ends. It is a cache: where no lock is to be had, the file is written without.
fn lock(file: &Path) -> Option<File> {
    let folder = file.parent()?;
    std::fs::create_dir_all(folder).ok()?;
    let lock = File::options().create(true).append(true).open(folder.with_extension("lock")).ok()?;
    let start = Instant::now();
    while let Err(TryLockError::WouldBlock) = lock.try_lock() {
        if start.elapsed() > PATIENCE {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Some(lock)
}

/// Replaces a file whole, so that another process reads the old one or the new one.
fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary = file.with_extension(format!("{}-{number}.partial", std::process::id()));
    let renamed = std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, file));
    renamed.inspect_err(|_| drop(std::fs::remove_file(&temporary)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn report(name: &str, driver: &str) -> AdapterReport {
        AdapterReport {
            index: 0,
            name: name.into(),
            backend: "Vulkan".into(),
            kind: "DiscreteGpu".into(),
            driver: driver.into(),
            pci: None,
            memory_bytes: None,
            subgroup: [32, 32],
            max_buffer_bytes: 1 << 30,
            max_binding_bytes: 1 << 30,
        }
    }

    fn choice(class: &str, tile: &str) -> Choice {
        Choice { class: class.into(), tile: tile.into(), microseconds: BTreeMap::from([(tile.into(), 1.5)]) }
    }

    #[test]
    fn adapters_and_drivers_have_files_of_their_own_and_processes_share_one() {
        let cache = crate::io::commit::scratch("tuning-store");
        let reports = [report("GPU (one)", "1.0"), report("GPU (two)", "1.0"), report("GPU (one)", "1.1")];
        for (i, adapter) in reports.iter().enumerate() {
            let mut store = Store::new(Some(cache.clone()), adapter);
            assert_eq!(store.tile("gemm"), None);
            store.add(choice("gemm", &i.to_string()));
        }
        assert_eq!(std::fs::read_dir(cache.join("tuning")).unwrap().count(), 3);
        let open = || Store::new(Some(cache.clone()), &reports[1]);
        let (mut one, mut other) = (open(), open());
        assert_eq!((one.tile("gemm"), other.tile("conv2d")), (Some("1".into()), None));
        one.add(choice("gemm", "7"));
        other.add(choice("conv2d", "8"));
        let mut third = open();
        assert_eq!((third.tile("gemm"), third.tile("conv2d")), (Some("7".into()), Some("8".into())));
        assert_eq!(Store::new(Some(cache.clone()), &reports[0]).tile("gemm"), Some("0".into()));
        std::fs::remove_dir_all(cache).unwrap();
    }

    /// Each reads what is there, adds one choice and writes all, as a process does that tunes once: without a
    /// lock some of what the other wrote is lost.
    #[test]
    fn two_writers_lose_nothing() {
        let cache = crate::io::commit::scratch("tuning-writers");
        let adapter = report("GPU", "1.0");
        let write = |who: &str| {
            for number in 0..50 {
                let mut store = Store::new(Some(cache.clone()), &adapter);
                store.add(choice(&format!("{who} {number}"), "64x64"));
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| write("one"));
            scope.spawn(|| write("other"));
        });
        let report = Store::new(Some(cache.clone()), &adapter).report(true);
        assert_eq!((report.choices.len(), report.problem), (100, None));
        assert_eq!(std::fs::read_dir(cache.join("tuning")).unwrap().count(), 1, "one file");
        std::fs::remove_dir_all(cache).unwrap();
    }

    /// The lock of a process that stands still, and a folder in which none can be made.
    #[test]
    fn a_lock_that_nobody_gives_back_delays_and_no_more() {
        let cache = crate::io::commit::scratch("tuning-lock");
        let mut store = Store::new(Some(cache.clone()), &report("GPU", "1.0"));
        let held = File::create(cache.join("tuning.lock")).unwrap();
        held.lock().unwrap();
        store.add(choice("gemm", "64x64"));
        assert!(store.file.as_ref().unwrap().exists());
        drop(held);
        std::fs::remove_dir_all(&cache).unwrap();
        std::fs::write(&cache, "a file where a folder should be").unwrap();
        store.add(choice("conv2d", "64x64"));
        assert!(store.report(true).problem.is_some() && store.tile("conv2d").is_some());
        std::fs::remove_file(cache).unwrap();
    }

    #[test]
    fn without_a_folder_choices_last_as_long_as_the_store() {
        let mut store = Store::new(None, &report("GPU", ""));
        store.add(choice("gemm", "64x64"));
        assert_eq!(store.tile("gemm"), Some("64x64".into()));
        let report = store.report(true);
        assert_eq!((report.file, report.problem, report.choices.len()), (None, None, 1));
    }
}
