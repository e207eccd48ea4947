#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let folder = scratch("commit-file");
    let path = folder.join("scores.csv");
    write(&path, b"old").unwrap();
    let error = write_with(&path, |to| {
        to.write_all(b"half")?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    });
    let error = error.unwrap_err();
    assert_eq!(error.kind(), Kind::Output);
    assert!(error.to_string().contains("scores.csv") && error.to_string().contains("Free some space"));
    assert_eq!((fs::read(&path).unwrap(), names(&folder).len()), (b"old".to_vec(), 1));
    write(&path, b"new").unwrap();
    assert_eq!((fs::read(&path).unwrap(), names(&folder).len()), (b"new".to_vec(), 1));
}

#[test]
fn several_files_are_written_each_of_them_whole() {
    let folder = scratch("commit-several");
    fs::create_dir(folder.join("plots")).unwrap();
    let each: Vec<String> = (0..40).map(|number| format!("plots/{number:02}.csv")).collect();
    let bytes: Vec<Vec<u8>> = (0..40).map(|number| vec![number; 1000 * usize::from(number)]).collect();
    let mut files: Vec<(PathBuf, &[u8])> =
        each.iter().zip(&bytes).map(|(name, bytes)| (folder.join(name), bytes.as_slice())).collect();
    files.push((folder.join("page.html"), b"page"));
    write_all(&files).unwrap();
    assert!(files.iter().all(|(path, bytes)| fs::read(path).unwrap() == *bytes));
    assert_eq!((names(&folder.join("plots")).len(), names(&folder).len()), (40, 2));
    files.push((folder.join("absent/file"), b""));
    files[0].1 = b"new";
    assert!(write_all(&files).unwrap_err().to_string().contains("absent"));
    let left = (names(&folder.join("plots")).len(), names(&folder).len());
    assert_eq!(left, (40, 2), "nothing half-written is left");
    write_all(&[]).unwrap();
}

#[test]
fn a_file_without_a_folder_says_what_to_do() {
    let folder = scratch("commit-nowhere");
    let error = write(&folder.join("absent/file"), b"").unwrap_err().to_string();
    assert!(error.contains("absent") && error.contains("Make the folder first"), "{error}");
    assert!(write(&folder, b"").unwrap_err().to_string().contains("is a folder"));
}

#[cfg(unix)]
#[test]
fn devices_and_links_stay_what_they_are() {
    write(Path::new("/dev/null"), b"nothing").unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    let folder = scratch("commit-link");
    fs::write(folder.join("real"), "old").unwrap();
    std::os::unix::fs::symlink(folder.join("real"), folder.join("link")).unwrap();
    write(&folder.join("link"), b"new").unwrap();
    assert!(fs::symlink_metadata(folder.join("link")).unwrap().is_symlink());
    assert_eq!(fs::read(folder.join("real")).unwrap(), b"new");
}

#[test]
fn a_folder_appears_only_when_committed() {
    let folder = scratch("commit-folder");
    let target = folder.join("deep/run");
    let run = Folder::create(&target, &["a", "new", RECORD]).unwrap();
    fs::write(run.file("a"), "1").unwrap();
    assert!(!target.exists());
    drop(run);
    assert_eq!(names(&folder.join("deep")), Vec::<String>::new());
    let run = Folder::create(&target, &["a", "new", RECORD]).unwrap();
    fs::write(run.file(RECORD), "{}").unwrap();
    run.commit().unwrap();
    assert_eq!((names(&folder.join("deep")), names(&target)), (vec!["run".into()], vec![RECORD.into()]));
}

#[test]
fn only_empty_folders_and_earlier_runs_are_replaced() {
    let folder = scratch("commit-replace");
    let target = folder.join("run");
    fs::create_dir(&target).unwrap();
    let run = Folder::create(&target, &["a", "new", RECORD]).unwrap();
    fs::write(target.join("thesis.txt"), "dear").unwrap();
    assert!(run.commit().unwrap_err().to_string().contains("not a Striate run"));
    // What a killed report left is not foreign.
    fs::write(target.join(".report.html.partial-7-0"), "half").unwrap();
    assert!(
        Folder::create(&target, &["a", "new", RECORD]).unwrap_err().to_string().contains("not a Striate run")
    );
    let left = vec![".report.html.partial-7-0".into(), "thesis.txt".into()];
    assert_eq!((names(&folder), names(&target)), (vec!["run".into()], left));
    fs::write(target.join(RECORD), "{}").unwrap();
    let error = Folder::create(&target, &["a", "new", RECORD]).unwrap_err().to_string();
    assert!(error.contains("holds thesis.txt, which would be lost"), "{error}");
    fs::remove_file(target.join("thesis.txt")).unwrap();
    let run = Folder::create(&target, &["a", "new", RECORD]).unwrap();
    fs::write(run.file("new"), "").unwrap();
    run.commit().unwrap();
    assert_eq!((names(&folder), names(&target)), (vec!["run".into()], vec!["new".into()]));
    assert!(Folder::create(&target.join("new"), &[]).unwrap_err().to_string().contains("is a file"));
}

/// Names of processes: of this table, where none has a number so large; of another; and this one.
fn processes() -> [String; 3] {
    let own = Process::own().to_string();
    let (table, _) = own.split_once('-').unwrap();
    [format!("{table}-4294967295-5-1"), "00c0ffee-1-5-1".into(), own]
}

fn aged(path: &Path) {
    let long_ago = std::time::SystemTime::now() - 2 * process::SILENCE;
    // A folder's time can be set through a handle for reading.
    let file = if path.is_dir() { fs::File::open(path) } else { fs::File::options().write(true).open(path) };
    file.unwrap().set_modified(long_ago).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn what_killed_runs_left_is_cleared_and_what_lives_is_kept() {
    let folder = scratch("commit-sweep");
    let [ended, elsewhere, own] = processes();
    let of = |mark: &str, process: &str| folder.join(format!(".run.{mark}-{process}-0"));
    let others = [".run.partial-x", ".run.partial-1", ".other.partial-"].map(|start| folder.join(start));
    // Whoever is elsewhere has no claim any more.
    let gone = [of("partial", &ended), of("partial", &elsewhere), of("replaced", &ended)];
    let kept = of("partial", &own);
    for path in others.iter().chain(&gone).chain([&kept]) {
        fs::create_dir(path).unwrap();
    }
    fs::write(gone[2].join(RECORD), "{}").unwrap();
    drop(Folder::create(&folder.join("run"), &[RECORD]).unwrap());
    assert!(gone.iter().all(|path| !path.exists()) && others.iter().chain([&kept]).all(|path| path.exists()));
    assert!(folder.join("run").join(RECORD).exists(), "the folder moved aside is put back");
    assert_eq!(names(&folder).len(), 5, "{:?}", names(&folder));
}

#[cfg(target_os = "linux")]
#[test]
fn files_of_ended_processes_are_cleared_by_the_next_to_write_there() {
    let folder = scratch("commit-left");
    let [ended, elsewhere, own] = processes();
    let of = |process: &str, number| folder.join(format!(".events.npz.partial-{process}-{number}"));
    let (gone, kept) = ([of(&ended, 0), of(&elsewhere, 1)], [of(&own, 900), of(&elsewhere, 2)]);
    for path in gone.iter().chain(&kept) {
        fs::write(path, "half").unwrap();
    }
    aged(&gone[1]);
    write(&folder.join("events.npz"), b"whole").unwrap();
    assert!(gone.iter().all(|path| !path.exists()) && kept.iter().all(|path| path.exists()));
    assert_eq!(fs::read(folder.join("events.npz")).unwrap(), b"whole");
}

#[test]
fn one_writes_a_folder_at_a_time_and_who_lost_its_claim_hears_of_it() {
    let folder = scratch("commit-two");
    let target = folder.join("run");
    let first = Folder::create(&target, &["a", RECORD]).unwrap();
    let why = Folder::create(&target, &["a", RECORD]).unwrap_err().to_string();
    assert!(why.contains("run: is being written by process"), "{why}");
    // Another process took the claim over, and was done first.
    fs::remove_file(folder.join(".run.claim")).unwrap();
    let second = Folder::create(&target, &["a", RECORD]).unwrap();
    fs::write(second.file(RECORD), "second").unwrap();
    fs::write(first.file(RECORD), "first").unwrap();
    fs::write(first.file("a"), "first").unwrap();
    drop(second.commit().unwrap());
    let why = first.commit().unwrap_err().to_string();
    assert!(why.contains("run: is being written by another process"), "{why}");
    assert_eq!((names(&folder), names(&target)), (vec!["run".into()], vec![RECORD.into()]));
    assert_eq!(fs::read(target.join(RECORD)).unwrap(), b"second");
}

/// What a folder holds while its parts are written is flushed with it, folders in it too.
#[test]
fn names_say_what_is_temporary() {
    let folder = scratch("commit-names");
    let run = Folder::create(&folder.join("run"), &[RECORD]).unwrap();
    assert!(is_being_written(run.here()) && is_being_written(&run.file("plots")));
    assert!(!is_being_written(&folder));
    let plot = run.file("plots").join("fev.svg");
    let why = unwritable(&plot, &io::ErrorKind::StorageFull.into()).to_string();
    let place = folder.join("run/plots/fev.svg");
    assert!(why.starts_with(&format!("{}: cannot be written", place.display())), "{why}");
    // As when another process has cleared it away.
    fs::remove_dir_all(run.here()).unwrap();
    let why = write(&run.file("a"), b"a").unwrap_err().to_string();
    assert!(why.contains("run/a: is being written by another process"), "{why}");
    fs::create_dir(run.here()).unwrap();
    assert!(names(&folder).iter().all(|name| is_temporary(OsStr::new(name))), "{:?}", names(&folder));
    for name in ["run", "run.claim", ".run", "a.partial-1", ".DS_Store", "report.html"] {
        assert!(!is_temporary(OsStr::new(name)), "{name}");
    }
}
