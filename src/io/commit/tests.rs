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
    assert!(
        Folder::create(&target, &["a", "new", RECORD]).unwrap_err().to_string().contains("not a Striate run")
    );
    assert_eq!((names(&folder), names(&target)), (vec!["run".into()], vec!["thesis.txt".into()]));
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

#[test]
fn what_killed_runs_left_is_cleared_and_what_lives_is_kept() {
    let folder = scratch("commit-sweep");
    // No process has a number this large; process 1 always runs.
    let (dead, alive) = (".run.partial-4294967295", ".run.partial-1");
    for name in [dead, alive, ".run.partial-x", ".other.partial-4294967295", ".run.replaced-4294967295"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    fs::write(folder.join(".run.replaced-4294967295").join(RECORD), "{}").unwrap();
    let run = Folder::create(&folder.join("run"), &[RECORD]).unwrap();
    if cfg!(target_os = "linux") {
        assert!(!folder.join(dead).exists());
        assert!(folder.join("run").join(RECORD).exists(), "the folder moved aside is put back");
    }
    assert!(folder.join(alive).exists() || std::process::id() == 1);
    assert!(folder.join(".run.partial-x").exists() && folder.join(".other.partial-4294967295").exists());
    drop(run);
}
