//! Experiments with something wrong in them: each one an error that names the file, the path in it, what was
//! found and what was wanted. Files are the examples with a few bytes changed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod builders;
mod command;

use std::path::{Path, PathBuf};

use command::Scratch;
use ndarray::ArrayD;
use striate::experiment::{self, ExperimentRequest};
use striate::io::npy;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/experiments")
}

fn truth(name: &str) -> ArrayD<f64> {
    npy::read_f64(&folder().join("truth.npz"), Some(name)).unwrap()
}

fn said(path: &Path) -> String {
    said_of(&ExperimentRequest { path: path.to_path_buf(), ..ExperimentRequest::default() })
}

/// What is said of an experiment that must not open.
fn said_of(request: &ExperimentRequest) -> String {
    let error = experiment::open(request).unwrap_err();
    let missing = error.to_string().contains("cannot be read");
    assert!(error.parts().iter().take(3).all(|(_, part)| missing || !part.is_empty()), "{error}");
    assert_ne!(error.kind(), striate::Kind::Internal, "{error}");
    error.to_string()
}

/// Where some bytes are in a file that has them `times` times.
fn places(bytes: &[u8], wanted: &[u8], times: usize) -> Vec<usize> {
    let found: Vec<usize> =
        bytes.windows(wanted.len()).enumerate().filter(|(_, w)| *w == wanted).map(|(at, _)| at).collect();
    assert_eq!(found.len(), times, "occurrences of {wanted:?}");
    found
}

/// An example with some bytes changed, and what is then said of it.
fn changed(example: &str, name: &str, change: impl Fn(&mut Vec<u8>)) -> String {
    let here = Scratch::new(&format!("bad-{name}"));
    let mut bytes = std::fs::read(folder().join(example)).unwrap();
    change(&mut bytes);
    let file = here.write(&format!("{name}.nwb"), bytes);
    let error = said(&file);
    assert!(error.contains(&format!("{name}.nwb")), "{error}");
    error
}

/// Gives a member another name of the same length.
fn renamed(bytes: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let (old, new) = ([from.as_bytes(), &[0]].concat(), to.as_bytes());
    let found: Vec<usize> =
        bytes.windows(old.len()).enumerate().filter(|(_, w)| *w == old).map(|(at, _)| at).collect();
    assert!(!found.is_empty(), "no {from}");
    for at in found {
        // Not the end of a longer name.
        if at > 0 && bytes[at - 1] == 0 {
            bytes[at..at + new.len()].copy_from_slice(new);
        }
    }
}

fn lacks(example: &str, name: &str, from: &str, to: &str) -> String {
    changed(example, name, |bytes| renamed(bytes, from, to))
}

#[test]
fn members_that_are_missing_are_named() {
    let old = "pipeline_0.9.nwb";
    let cases = [
        ("dff", "DfOverF", "DfOverX", "brain_observatory_pipeline/DfOverF/imaging_plane_1/data"),
        ("cells", "cell_specimen_ids", "cell_specimen_idz", "ImageSegmentation/cell_specimen_ids"),
        ("durations", "frame_duration", "frame_duratiom", "natural_scenes/frame_duration"),
    ];
    for (name, from, to, path) in cases {
        let error = lacks(old, name, from, to);
        assert!(
            error.contains(path) && error.contains("the file holds nothing of this name"),
            "{name}: {error}"
        );
    }
    let error = lacks(old, "pipeline", "brain_observatory_pipeline", "brain_observatory_pipelinX");
    assert!(error.contains("(NWB-1.0.5) without two-photon traces") && error.contains("--map"), "{error}");
    let error = lacks(old, "stimulus", "natural_scenes", "natural_scenez");
    for words in ["stimulus/presentation", "no stimulus natural_scenes", "natural_scenez", "static_gratings"]
    {
        assert!(error.contains(words), "{error}");
    }
    let error = lacks(old, "template", "natural_scenes_image_stack", "natural_scenes_image_stacX");
    assert!(error.contains("natural_scenes_image_stack/data") && error.contains("has no images"), "{error}");
    let new = "converted_nwb2.nwb";
    let error = lacks(new, "scene", "NaturalScene4", "NaturalSceneX");
    assert!(error.contains("natural_scenes_template") && error.contains("no image 4"), "{error}");
    let error = lacks(new, "index", "natural_scenes_stimulus", "natural_scenes_stimuluX");
    assert!(error.contains("no stimulus natural_scenes"), "{error}");
}

/// The stimulus table of the older file: pairs of big-endian whole numbers of eight bytes.
fn table(bytes: &[u8]) -> usize {
    let (start, end) = (truth("start"), truth("end"));
    let row = |at: usize| [(start[at] as i64).to_be_bytes(), (end[at] as i64).to_be_bytes()].concat();
    places(bytes, &[row(0), row(1)].concat(), 1)[0]
}

#[test]
fn stimulus_tables_that_do_not_fit_the_traces() {
    let old = "pipeline_0.9.nwb";
    let set = |bytes: &mut [u8], at: usize, number: i64| {
        bytes[at..at + 8].copy_from_slice(&number.to_be_bytes());
    };
    let error = changed(old, "unsorted", |bytes| {
        let at = table(bytes);
        let (first, second) = bytes[at..at + 32].split_at_mut(16);
        first.swap_with_slice(second);
    });
    assert!(error.contains("presentation 1 begins at frame 50, the one before it at 5"), "{error}");
    let error = changed(old, "empty", |bytes| {
        let at = table(bytes) + 16 * 2;
        let start = truth("start")[2] as i64;
        set(bytes, at + 8, start);
    });
    assert!(error.contains("presentation 2 lasts from frame"), "{error}");
    let order: Vec<u8> = truth("order").iter().flat_map(|i| (*i as i32).to_be_bytes()).collect();
    let error = changed(old, "image", |bytes| {
        let at = places(bytes, &order, 1)[0];
        bytes[at + 4..at + 8].copy_from_slice(&10_i32.to_be_bytes());
    });
    assert!(error.contains("presentation 1 shows image 10") && error.contains("10 images from 0"), "{error}");
    let order: Vec<u8> = truth("order").iter().flat_map(|i| (*i as i64 as u32).to_le_bytes()).collect();
    let error = changed("converted_nwb2.nwb", "image2", |bytes| {
        let at = places(bytes, &order, 1)[0];
        bytes[at..at + 4].copy_from_slice(&4_294_967_294_u32.to_le_bytes());
    });
    assert!(error.contains("presentation 0 shows image 4294967294"), "{error}");
}

#[test]
fn times_that_cannot_be() {
    let first: Vec<u8> = truth("timestamps").iter().take(3).flat_map(|t| t.to_be_bytes()).collect();
    let with = |name: &str, time: f64| {
        changed("pipeline_0.9.nwb", name, |bytes| {
            let at = places(bytes, &first, 1)[0] + 8;
            bytes[at..at + 8].copy_from_slice(&time.to_be_bytes());
        })
    };
    assert!(with("nan", f64::NAN).contains("timestamps: time 1 (NaN) is no number"));
    assert!(with("back", 1.0).contains("time 1 (1) lies before the last"));
    let starts = truth("start");
    let shown: Vec<u8> = starts.iter().flat_map(|s| truth("timestamps")[*s as usize].to_le_bytes()).collect();
    let error = changed("converted_nwb2.nwb", "late", |bytes| {
        let at = places(bytes, &shown, 1)[0];
        for (n, time) in bytes[at..at + shown.len()].chunks_exact_mut(8).enumerate() {
            time.copy_from_slice(&(1e6 + n as f64).to_le_bytes());
        }
    });
    assert!(error.contains("none of its 31 presentations begins during the traces"), "{error}");
    assert!(
        error.contains("natural_scenes_stimulus") && error.contains("belongs to these traces"),
        "{error}"
    );
}

/// A simple dataspace of this shape, as it lies in the header of an array: lengths, then the most that they
/// may be.
fn dataspace(shape: &[u64]) -> Vec<u8> {
    [shape, shape].concat().iter().flat_map(|n| n.to_le_bytes()).collect()
}

#[test]
fn shapes_that_do_not_fit() {
    let count = truth("start").len() as u64;
    let error = changed("pipeline_0.9.nwb", "durations-shape", |bytes| {
        let at = places(bytes, &dataspace(&[count, 2]), 1)[0];
        bytes[at..at + 8].copy_from_slice(&(count - 1).to_le_bytes());
    });
    assert!(error.contains("frame_duration") && error.contains(&format!("wanted [{count}, 2]")), "{error}");
    let error = changed("converted_nwb2.nwb", "sizes", |bytes| {
        let at = places(bytes, &dataspace(&[16, 18]), 10)[6];
        bytes[at..at + 8].copy_from_slice(&15_u64.to_le_bytes());
    });
    assert!(error.contains("[15, 18]") && error.contains("images of one size"), "{error}");
    assert!(error.contains("natural_scenes_template/NaturalScene"), "{error}");
}

#[test]
fn events_that_do_not_fit() {
    let here = Scratch::new("bad-events");
    let frames = truth("timestamps").len();
    let events = |shape: &str, count: usize| {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let array = builders::npy_of(&header, &vec![0; 4 * count]);
        let file = here.write("wrong_events.npz", builders::zip(&[("ev.npy", array)], true));
        let path = folder().join("pipeline_2.0.nwb");
        said_of(&ExperimentRequest { path, events: Some(file), ..ExperimentRequest::default() })
    };
    for (shape, count) in [
        (format!("(4, {})", frames - 1), 4 * (frames - 1)),
        (format!("({frames}, 4)"), 4 * frames),
        (format!("(5, {frames})"), 5 * frames),
    ] {
        let error = events(&shape, count);
        assert!(error.contains("wrong_events.npz:ev"), "{error}");
        assert!(error.contains(&format!("[4, {frames}] (neurons, frames)")), "{error}");
    }
}

#[test]
fn recordings_of_other_kinds_say_what_is_missing() {
    let fallback = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let data = std::env::var_os("STRIATE_DATA").map_or(fallback, PathBuf::from).join("nwb");
    if !data.exists() {
        eprintln!("skipped: {} is absent (STRIATE_DATA)", data.display());
        return;
    }
    let mut seen = 0;
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        let error = said(&path);
        assert!(error.contains(&*path.file_name().unwrap().to_string_lossy()), "{error}");
        assert!(error.contains("processing/"), "{error}");
        seen += 1;
    }
    assert!(seen >= 6);
}

/// A `.npy` of texts of bytes.
fn texts(list: &[&str]) -> Vec<u8> {
    let width = list.iter().map(|text| text.len()).max().unwrap();
    let header = format!("{{'descr': '|S{width}', 'fortran_order': False, 'shape': ({},), }}", list.len());
    let data: Vec<u8> =
        list.iter().flat_map(|text| [text.as_bytes(), &vec![0; width - text.len()]].concat()).collect();
    builders::npy_of(&header, &data)
}

fn floats(shape: &[usize]) -> Vec<u8> {
    npy::encode(ArrayD::zeros(shape).view())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { std::fs::copy(&path, &target).map(drop).unwrap() }
    }
}

#[test]
fn folders_of_sensorium_with_something_wrong() {
    let whole = experiment::several(&folder().join("sensorium")).unwrap().remove(0);
    let count = npy::read_labels(&whole.join("meta/trials/tiers.npy")).unwrap().len();
    let mut strange = vec!["train"; count];
    strange[3] = "tarin";
    let short = vec!["train"; count - 1];
    // A file, what takes its place (nothing: it is removed), and what is said.
    let cases: [(&str, Option<Vec<u8>>, &str); 14] = [
        ("meta/trials/tiers.npy", None, "there is no such file"),
        ("meta/trials/tiers.npy", Some(texts(&strange)), "trial 3 is of the tier 'tarin'"),
        ("meta/trials/tiers.npy", Some(texts(&short)), "entries; wanted one for each"),
        ("meta/trials/frame_image_id.npy", None, "none of frame_image_id.npy, image_id.npy"),
        ("meta/trials/trial_idx.npy", Some(texts(&short)), "entries; wanted one for each"),
        ("meta/neurons/layer.npy", Some(texts(&["L4"; 3])), "3 entries; wanted one for each of 4 neurons"),
        ("meta/neurons/cell_motor_coordinates.npy", Some(floats(&[4, 2])), "[4, 2]; wanted [4, 3]"),
        ("meta/statistics/responses/all/std.npy", Some(floats(&[5])), "wanted 4 numbers"),
        ("data/images/2.npy", None, "there is no such file"),
        ("data/images/2.npy", Some(floats(&[1, 16, 17])), "[1, 16, 17]"),
        ("data/behavior/2.npy", Some(floats(&[2])), "wanted 3 numbers"),
        ("data/responses/0.npy", Some(floats(&[4, 2])), "wanted (neurons)"),
        ("data/responses/0.npy", None, "there is no such file"),
        ("data/pupil_center/2.npy", None, "there is no such file"),
    ];
    for (at, (file, replacement, words)) in cases.into_iter().enumerate() {
        let here = Scratch::new(&format!("bad-mouse-{at}"));
        copy(&whole, &here.0);
        match replacement {
            Some(bytes) => std::fs::write(here.0.join(file), bytes).unwrap(),
            None => std::fs::remove_file(here.0.join(file)).unwrap(),
        }
        let error = said(&here.0);
        // Two files that should show the same: either may be the one that is named.
        let file = if words.starts_with("[1, 16") { "data/images" } else { file };
        let named =
            if words.starts_with("entries") || words.starts_with("none of") { "trials" } else { file };
        assert!(error.contains(words) && error.contains(named), "{file}: {error}");
    }
}

#[test]
fn several_mice_lie_in_a_folder() {
    let here = Scratch::new("mice");
    let whole = experiment::several(&folder().join("sensorium")).unwrap().remove(0);
    let names = ["static9-1-1-GrayImageNet-0", "static10-1-1-GrayImageNet-0"].map(|name| here.0.join(name));
    names.iter().for_each(|name| copy(&whole, name));
    here.write("README.txt", "two mice");
    assert_eq!(experiment::several(&here.0).unwrap(), [names[1].clone(), names[0].clone()]);
    assert_eq!(experiment::several(&names[0]).unwrap(), [names[0].clone()]);
    let file = folder().join("pipeline_2.0.nwb");
    assert_eq!(experiment::several(&file).unwrap(), [file]);
    assert!(said(&here.0).contains("it holds 2 mice of Sensorium"));
}

#[test]
fn a_response_of_another_length_is_found_when_it_is_read() {
    let here = Scratch::new("bad-response");
    copy(&experiment::several(&folder().join("sensorium")).unwrap()[0], &here.0);
    let tiers = npy::read_labels(&here.0.join("meta/trials/tiers.npy")).unwrap();
    // Not the first, which says how many neurons there are, nor one whose tier is looked at as a whole.
    let trial = tiers.iter().rposition(|tier| tier == "train").unwrap();
    std::fs::write(here.0.join(format!("data/responses/{trial}.npy")), floats(&[3])).unwrap();
    let request = ExperimentRequest { path: here.0.clone(), ..ExperimentRequest::default() };
    let opened = experiment::open(&request).unwrap();
    let experiment::Recorded::Trials(responses) = &opened.recorded else { panic!("traces") };
    let error = responses.read(0..opened.trials.len()).unwrap_err().to_string();
    let named = format!("responses/{trial}.npy: it has the shape [3]");
    assert!(error.contains(&named) && error.contains("wanted [4]"), "{error}");
}

#[test]
fn other_paths_are_refused_in_a_sentence() {
    let here = Scratch::new("bad-paths");
    let zip = here.write("static1-2-3-GrayImageNet-0.zip", builders::zip(&[("data/x", vec![1])], false));
    assert!(said(&zip).contains("Unpack it"));
    assert!(said(&here.write("notes.txt", "hello")).contains("begins like none of them"));
    assert!(said(&here.0.join("absent.nwb")).contains("Check the path"));
    assert!(said(&folder().join("truth.npz")).contains("nothing says which are responses"));
    std::fs::create_dir(here.0.join("empty")).unwrap();
    assert!(said(&here.0.join("empty")).contains("no experiment that Striate knows"));
    assert!(said(&folder().join("sensorium")).contains("Name the folder of one of them"));
    let path = folder().join("sensorium");
    let path = experiment::several(&path).unwrap().remove(0);
    let events = Some(folder().join("events.npz"));
    let error = said_of(&ExperimentRequest { path, events, ..ExperimentRequest::default() });
    assert!(error.contains("--events is given"), "{error}");
}

/// Everything that a job would read.
fn read_all(path: &Path) -> striate::Result<()> {
    let opened = experiment::open(&ExperimentRequest { path: path.into(), ..ExperimentRequest::default() })?;
    opened.summary()?;
    opened.stimuli.scale()?;
    opened.stimuli.read(0..opened.stimuli.len())?;
    if let experiment::Recorded::Traces(traces) = &opened.recorded {
        for trace in traces.present() {
            traces.block(trace, 0..traces.neurons, 0..traces.frames)?;
        }
    }
    Ok(())
}

#[test]
fn damaged_recordings_end_in_a_sentence_or_are_read() {
    let here = Scratch::new("bad-mutated");
    let mut state = 9_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for example in ["pipeline_0.9.nwb", "pipeline_2.0.nwb", "converted_nwb2.nwb"] {
        let whole = std::fs::read(folder().join(example)).unwrap();
        read_all(&folder().join(example)).unwrap();
        let mut refused = 0;
        for round in 0..200 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random(4) {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            if round % 20 == 0 {
                bytes.truncate(random(whole.len()));
            }
            let file = here.write("mutated.nwb", &bytes);
            let begun = std::time::Instant::now();
            if let Err(error) = read_all(&file) {
                assert!(error.to_string().contains("mutated.nwb"), "{error}");
                assert_ne!(error.kind(), striate::Kind::Internal, "{error}");
                refused += 1;
            }
            assert!(begun.elapsed().as_secs_f32() < 2.0);
        }
        assert!(refused >= 10, "{example}: {refused}");
    }
}
