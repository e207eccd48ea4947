//! Experiments that people put together: folders of arrays and tables, named arrays of HDF5 files and `.npz`
//! archives; and what `striate info` says of all kinds.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod builders;
mod command;

use std::path::{Path, PathBuf};

use command::Scratch;
use ndarray::{Array, Array2, ArrayD};
use striate::experiment::{self, Experiment, ExperimentRequest, Format, Recorded, Trace, TrialResponses};
use striate::io::images::scale::Scale;
use striate::io::npy;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/experiments")
}

fn open(path: &Path, map: &[(&str, &str)]) -> striate::Result<Experiment> {
    let map = map.iter().map(|(key, name)| (key.to_string(), name.to_string())).collect();
    experiment::open(&ExperimentRequest { path: path.to_path_buf(), map, ..ExperimentRequest::default() })
}

fn counting(shape: &[usize]) -> ArrayD<f32> {
    let count = shape.iter().product::<usize>();
    Array::from_shape_vec(shape, (0..count).map(|v| v as f32).collect()).unwrap()
}

/// An archive of arrays.
fn archive(here: &Scratch, arrays: &[(&str, ArrayD<f32>)]) -> PathBuf {
    let names: Vec<String> = arrays.iter().map(|(name, _)| format!("{name}.npy")).collect();
    let entries: Vec<(&str, Vec<u8>)> = names
        .iter()
        .zip(arrays)
        .map(|(name, (_, array))| (name.as_str(), npy::encode(array.view())))
        .collect();
    here.write("arrays.npz", builders::zip(&entries, true))
}

fn list(values: &[f32]) -> ArrayD<f32> {
    Array::from_vec(values.to_vec()).into_dyn()
}

fn trials_of(experiment: &Experiment) -> &TrialResponses {
    match &experiment.recorded {
        Recorded::Trials(trials) => trials,
        Recorded::Traces(_) => panic!("traces"),
    }
}

/// The same bits, NaN being NaN.
fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

#[test]
fn a_folder_that_striate_simulated() {
    let here = Scratch::new("plain");
    here.works(&[
        "simulate",
        "--images",
        "12",
        "--size",
        "16",
        "--neurons",
        "5",
        "--repeats",
        "3",
        "--out",
        "s",
    ]);
    let path = here.0.join("s");
    let experiment = open(&path, &[]).unwrap();
    assert_eq!(experiment.format, Format::Plain);
    let put = npy::read(&path.join("responses.npy"), None).unwrap();
    let found = trials_of(&experiment).read(0..experiment.trials.len()).unwrap();
    let mut at = 0;
    for repeat in 0..3 {
        for image in 0..12 {
            let wanted: Vec<f32> = (0..5).map(|n| put[[n, image, repeat]]).collect();
            if wanted.iter().all(|v| v.is_nan()) {
                continue;
            }
            assert_eq!(experiment.trials[at].image, Some(image));
            assert!(found.row(at).iter().zip(&wanted).all(|(a, b)| same(*a, *b)));
            at += 1;
        }
    }
    assert_eq!(at, experiment.trials.len());
    assert!(experiment.trials.iter().all(|trial| trial.tier.is_some()));
    assert_eq!(experiment.neurons[0].area, "V1");
    // x and y of a simulation are those of receptive fields, in pixels.
    assert_eq!(experiment.neurons[0].position, None);
    assert_eq!(experiment.stimuli.read(0..12).unwrap(), npy::read(&path.join("images.npy"), None).unwrap());
}

#[test]
fn a_folder_with_a_table_of_trials() {
    let here = Scratch::new("trials");
    let values = Array2::from_shape_fn((2, 6), |(n, t)| (10 * n + t) as f32);
    let responses = values.into_shape_with_order((2, 3, 2)).unwrap();
    npy::write(&here.0.join("responses.npy"), responses.view().into_dyn()).unwrap();
    npy::write(&here.0.join("images.npy"), ndarray::Array3::<f32>::zeros((3, 4, 5)).view().into_dyn())
        .unwrap();
    let table = "trial,image,repeat,start,running_speed,pupil\na,2,0,0.5,1.25,\nb,0,1,1.5,,3\nc,0,0,2,,\nd,1,1,3,,\n\
                 e,1,0,4,,\nf,2,1,5,,\n";
    here.write("trials.csv", table);
    here.write("neurons.csv", "neuron,id,area,layer,depth,x,y,z\n1,77,LM,L4,200,1,2,3\n0,78,V1,,,,,\n");
    let experiment = open(&here.0, &[]).unwrap();
    let shown: Vec<_> = experiment.trials.iter().map(|t| (t.id.as_str(), t.image.unwrap())).collect();
    assert_eq!(shown, [("a", 2), ("b", 0), ("c", 0), ("d", 1), ("e", 1), ("f", 2)]);
    assert_eq!(experiment.trials[0].running_speed, 1.25);
    assert_eq!((experiment.trials[1].seconds, experiment.trials[1].pupil), (1.5, 3.0));
    assert!(experiment.trials[0].pupil.is_nan());
    let found = trials_of(&experiment).read(0..3).unwrap();
    assert_eq!(found, ndarray::array![[4.0, 14.0], [1.0, 11.0], [0.0, 10.0]]);
    let one = &experiment.neurons[1];
    assert_eq!((one.id.as_str(), one.area.as_str(), one.layer.as_str()), ("77", "LM", "L4"));
    assert_eq!((one.depth, one.position), (Some(200.0), Some([1.0, 2.0, 3.0])));
    assert_eq!((experiment.neurons[0].depth, experiment.neurons[0].position), (None, None));
    let said = |table: &str| {
        here.write("trials.csv", table);
        open(&here.0, &[]).unwrap_err().to_string()
    };
    let back = said(&table.replace("2,,", "1,,"));
    assert!(back.contains("trials.csv") && back.contains("trial 2 begins at 1 s"), "{back}");
    assert!(said(&table.replace("a,2,0", "a,2,2")).contains("line 2: '2' is no repeat"));
    assert!(said(&table.replace("a,2,0", "a,2,1")).contains("line 7 is repeat 1 of image 2 again"));
    assert!(said(&table.replace("f,2,1,5,,\n", "")).contains("no line is of repeat 1 of image 2"));
    assert!(said(&table.replace("image", "picture")).contains("has no column 'image'"));
    assert!(said(&table.replace("1.25", "fast")).contains("line 2: 'fast' is no number"));
}

#[test]
fn responses_to_images_with_repeats() {
    let here = Scratch::new("map-repeats");
    let mut responses = counting(&[2, 3, 2]);
    responses.slice_mut(ndarray::s![.., 1, 1]).fill(f32::NAN);
    responses[[0, 2, 1]] = f32::NAN;
    let images = counting(&[3, 3, 4, 5]);
    let path =
        archive(&here, &[("r", responses), ("pictures", images.clone()), ("deep", list(&[100.0, 200.0]))]);
    let map = [("responses", "r"), ("images", "pictures"), ("depth", "deep")];
    let experiment = open(&path, &map).unwrap();
    assert_eq!(experiment.format, Format::Mapped);
    let shown: Vec<usize> = experiment.trials.iter().map(|trial| trial.image.unwrap()).collect();
    assert_eq!(shown, [0, 1, 2, 0, 2]);
    let trials = trials_of(&experiment);
    let found = trials.read(3..5).unwrap();
    assert_eq!(found.row(0).to_vec(), [1.0, 7.0]);
    assert!(found[[1, 0]].is_nan() && found[[1, 1]] == 11.0);
    // Channels first in the file.
    let stimuli = &experiment.stimuli;
    assert_eq!((stimuli.height, stimuli.width, stimuli.channels), (4, 5, 3));
    let wanted = images.permuted_axes(vec![0, 2, 3, 1]);
    assert_eq!(stimuli.read(0..3).unwrap(), wanted);
    assert_eq!(stimuli.scale().unwrap(), Scale::BYTES);
    assert_eq!(experiment.neurons[1].depth, Some(200.0));
    let summary = experiment.summary().unwrap();
    assert_eq!((summary.repeats, summary.missing.responses), ((1, 2), Some(1)));
}

#[test]
fn images_at_a_quarter_of_their_size() {
    let here = Scratch::new("map-quarter");
    let map =
        || ["responses=r", "images=i"].map(|e| e.split_once('=').map(|(k, v)| (k.into(), v.into())).unwrap());
    let quarter = |path: &Path| {
        let request =
            ExperimentRequest { path: path.into(), map: map().into(), rescale: true, ..Default::default() };
        experiment::open(&request)
    };
    let waves = counting(&[2, 8, 12]).mapv(|v| (v * 7.3).sin() * 100.0);
    // Bytes are from 0 to 1 afterwards, other numbers as they were.
    for (images, unit) in [(waves.clone(), 1.0), (waves.mapv(|v| (v + 100.0).floor()), 255.0)] {
        let path = archive(&here, &[("r", counting(&[1, 2])), ("i", images.clone())]);
        let stimuli = quarter(&path).unwrap().stimuli;
        assert_eq!(
            (stimuli.height, stimuli.width, stimuli.scale().unwrap()),
            (2, 3, if unit == 255.0 { Scale::UNIT } else { Scale::OWN })
        );
        let grey = (unit == 255.0).then_some(127.0 / 255.0);
        assert_eq!(stimuli.grey().unwrap(), grey);
        let small = stimuli.read(0..2).unwrap();
        assert_eq!(small.shape(), [2, 2, 3]);
        for (at, value) in small.indexed_iter() {
            // Bilinear interpolation at (4i + 1.5, 4j + 1.5), in f64.
            let (row, column) = (4 * at[1] + 1, 4 * at[2] + 1);
            let of = |y: usize, x: usize| 0.25 * f64::from(images[[at[0], y, x]]);
            let wanted =
                of(row, column) + of(row, column + 1) + of(row + 1, column) + of(row + 1, column + 1);
            let error = (f64::from(*value) - wanted / unit).abs();
            assert!(error < 1e-5 * 100.0 / unit, "{at:?}: {value}, wanted {}", wanted / unit);
        }
    }
    let odd = archive(&here, &[("r", counting(&[1, 2])), ("i", counting(&[2, 8, 10]))]);
    assert!(quarter(&odd).unwrap_err().to_string().contains("multiples of 4"));
}

#[test]
fn single_trials_with_their_images() {
    let here = Scratch::new("map-single");
    let arrays = [
        ("r", counting(&[2, 4])),
        ("i", counting(&[3, 4, 5])),
        ("s", list(&[2.0, -1.0, 0.0, 2.0])),
        ("v", list(&[0.5, 1.5, f32::NAN, 2.5])),
    ];
    let path = archive(&here, &arrays);
    let map = [("responses", "r"), ("images", "i"), ("stimulus", "s"), ("running_speed", "v")];
    let experiment = open(&path, &map).unwrap();
    let shown: Vec<Option<usize>> = experiment.trials.iter().map(|trial| trial.image).collect();
    assert_eq!(shown, [Some(2), None, Some(0), Some(2)]);
    assert_eq!(experiment.trials[3].running_speed, 2.5);
    let trials = trials_of(&experiment);
    assert_eq!(trials.read(0..4).unwrap(), counting(&[2, 4]).t().into_dimensionality().unwrap());
    let wrong = |values: &[f32]| {
        let mut arrays = arrays.clone();
        arrays[2].1 = list(values);
        open(&archive(&here, &arrays), &map).unwrap_err().to_string()
    };
    assert!(wrong(&[2.0, -1.0, 3.0, 2.0]).contains("arrays.npz:s: presentation 2 shows image 3"));
    assert!(wrong(&[2.0, -1.0, 0.5, 2.0]).contains("0.5"));
    assert!(wrong(&[2.0, -1.0]).contains("[4], an image for each presentation"));
}

#[test]
fn traces_with_their_table() {
    let here = Scratch::new("map-traces");
    let arrays = [
        ("f", counting(&[2, 40])),
        ("i", counting(&[3, 4, 5])),
        ("s", list(&[2.0, -1.0, 0.0])),
        ("a", list(&[5.0, 12.0, 20.0])),
        ("t", Array::linspace(1.0, 5.0, 40).into_dyn().mapv(|t: f64| t as f32)),
    ];
    let path = archive(&here, &arrays);
    let base = [("dff", "f"), ("images", "i"), ("stimulus", "s"), ("start", "a")];
    let experiment = open(&path, &[&base[..], &[("rate", "10")]].concat()).unwrap();
    let Recorded::Traces(traces) = &experiment.recorded else { panic!("responses") };
    assert!((traces.rate - 10.0).abs() < 1e-12);
    assert_eq!(traces.block(Trace::Dff, 1..2, 3..5).unwrap(), ndarray::array![[43.0, 44.0]]);
    let frames: Vec<_> = experiment.trials.iter().map(|t| (t.start.unwrap(), t.end.unwrap())).collect();
    assert_eq!(frames, [(5, 12), (12, 20), (20, 28)]);
    assert_eq!(experiment.trials[1].seconds, 1.2);
    let timed = open(&path, &[&base[..], &[("timestamps", "t")]].concat()).unwrap();
    assert!((timed.trials[0].seconds - (1.0 + 5.0 * 4.0 / 39.0)).abs() < 1e-6);
    let untimed = open(&path, &base).unwrap();
    assert!(untimed.trials[0].seconds.is_nan());
    let said = |more: &[(&str, &str)]| open(&path, &[&base[..], more].concat()).unwrap_err().to_string();
    assert!(said(&[("rate", "0")]).contains("--map rate"));
    assert!(said(&[("timestamps", "a")]).contains("[40], a time for each frame"));
    assert!(said(&[("raw", "i")]).contains("[2, 40] (neurons, frames)"));
    assert!(said(&[("colour", "i")]).contains("no key 'colour'"));
    assert!(said(&[("dff", "i")]).contains("given twice"));
    assert!(said(&[("end", "absent")]).contains("arrays.npz:absent"));
    let few = open(&path, &base[..3]).unwrap_err().to_string();
    assert!(few.contains("the key start is missing"), "{few}");
    let none = open(&path, &base[1..2]).unwrap_err().to_string();
    assert!(none.contains("the key responses is missing"), "{none}");
}

#[test]
fn a_recording_of_nwb_by_names() {
    let path = folder().join("pipeline_2.0.nwb");
    let pipeline = "/processing/brain_observatory_pipeline";
    let (dff, ids) = (
        format!("{pipeline}/DfOverF/imaging_plane_1/data"),
        format!("{pipeline}/ImageSegmentation/cell_specimen_ids"),
    );
    let map = [
        ("dff", dff.as_str()),
        ("ids", ids.as_str()),
        ("images", "stimulus/templates/natural_scenes_image_stack/data"),
        ("stimulus", "stimulus/presentation/natural_scenes_stimulus/data"),
        ("start", "stimulus/presentation/natural_scenes_stimulus/data"),
    ];
    // Starts that are image numbers: out of order, and said so.
    let error = open(&path, &map).unwrap_err().to_string();
    assert!(error.contains("natural_scenes_stimulus/data: presentation"), "{error}");
    let recognised = open(&path, &[]).unwrap();
    assert_eq!(recognised.neurons[0].id, "517400000");
}

/// The converted recording with other shares of the neuropil, so that what is called corrected is not.
#[test]
fn a_series_that_is_called_corrected_and_is_not() {
    let here = Scratch::new("called-corrected");
    let truth = |name: &str| npy::read_f64(&folder().join("truth.npz"), Some(name)).unwrap();
    let shares: Vec<u8> = truth("r").iter().flat_map(|r| r.to_le_bytes()).collect();
    let mut bytes = std::fs::read(folder().join("converted_nwb2.nwb")).unwrap();
    let at = bytes.windows(shares.len()).position(|w| w == shares).unwrap();
    let halves: Vec<u8> = truth("r").iter().flat_map(|r| (r / 2.0).to_le_bytes()).collect();
    bytes[at..at + halves.len()].copy_from_slice(&halves);
    let path = here.write("other.nwb", bytes);
    let experiment = open(&path, &[]).unwrap();
    let Recorded::Traces(traces) = &experiment.recorded else { panic!("responses") };
    let all = |trace| traces.block(trace, 0..traces.neurons, 0..traces.frames).unwrap();
    let named = truth("corrected_from_demixed").mapv(|v| v as f32);
    assert_eq!(all(Trace::Raw).into_dyn(), named);
    let (demixed, neuropil, shares) = (truth("demixed"), truth("neuropil"), truth("r"));
    for ((neuron, frame), value) in all(Trace::Corrected).indexed_iter() {
        let wanted = demixed[[neuron, frame]] - shares[neuron] / 2.0 * neuropil[[neuron, frame]];
        assert_eq!(*value, wanted as f32);
    }
    assert!(experiment.facts.iter().any(|(name, value)| name == "note" && value.contains("taken as raw")));
}

#[test]
fn info_says_what_an_experiment_is_made_of() {
    let here = Scratch::new("info-experiments");
    let of = |path: &Path| here.works(&["info", path.to_str().unwrap(), "--json"]).json();
    let file = of(&folder().join("pipeline_2.0.nwb"));
    let found = &file["experiment"];
    assert_eq!(file["kind"], "experiment");
    assert_eq!((&found["neurons"], &found["images"]["count"]), (&4.into(), &10.into()));
    let order = npy::read_f64(&folder().join("truth.npz"), Some("order")).unwrap();
    let blanks = order.iter().filter(|image| **image < 0.0).count();
    assert_eq!((&found["presentations"], &found["blank_sweeps"]), (&order.len().into(), &blanks.into()));
    let series: Vec<&str> =
        found["series"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(series, ["dff", "corrected", "raw", "neuropil", "demixed"]);
    assert!(file["members"].as_array().unwrap().len() > 40);
    let text = here.works(&["info", folder().join("converted_nwb2.nwb").to_str().unwrap()]).out;
    for words in ["Visual Coding 2P, NWB 2", "frames x 4 neurons, dF/F", "blank sweeps", "/processing/ophys"]
    {
        assert!(text.contains(words), "{text}");
    }
    let mice = folder().join("sensorium");
    assert_eq!(of(&mice)["experiments"][0]["facts"][0][1], "20457-5-9");
    let mouse = of(&experiment::several(&mice).unwrap()[0]);
    let tiers = mouse["experiment"]["tiers"].as_array().unwrap();
    assert_eq!(tiers.iter().filter(|tier| tier["hidden"] == true).count(), 1);
    // A recording with a fault is still listed.
    let mut bytes = std::fs::read(folder().join("pipeline_0.9.nwb")).unwrap();
    let name = b"cell_specimen_ids";
    let at = bytes.windows(name.len()).position(|w| w == name).unwrap();
    bytes[at + name.len() - 1] = b'z';
    let text = here.works(&["info", here.write("fault.nwb", bytes).to_str().unwrap()]).out;
    assert!(
        text.contains("no experiment") && text.contains("cell_specimen_ids: the file holds nothing"),
        "{text}"
    );
}
