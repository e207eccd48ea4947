//! Tables as people have them: which image, neuron and tier each value is of, or a sentence that says why not.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod builders;
mod command;

use command::{Scratch, distance};
use image::{GrayImage, Luma};
use ndarray::Array2;
use striate::Result;
use striate::experiment::{self, ExperimentRequest, Recorded};
use striate::io::image_names::ImageNames;
use striate::io::images::Images;
use striate::io::labels::Labels;
use striate::io::responses::{Headers, Responses};
use striate::io::split::Split;
use striate::io::trials;

/// Images that a folder lists in this order.
const FILES: [&str; 12] = [
    "cat.png",
    "dog2.png",
    "dog10.png",
    "eel.png",
    "fox.png",
    "gnu.png",
    "hen.png",
    "jay.png",
    "kite.png",
    "lark.png",
    "moth.png",
    "newt.png",
];

/// Where a table has them.
const ORDER: [usize; 12] = [7, 2, 11, 0, 5, 9, 1, 10, 3, 8, 4, 6];

/// Responses in the order of the files: of each neuron and image another, none of them whole.
fn value(neuron: usize, image: usize) -> f32 {
    ((neuron * 31 + image * 17) % 37) as f32 * 0.75 + 0.125
}

fn folder(name: &str) -> Scratch {
    let here = Scratch::new(name);
    std::fs::create_dir(here.0.join("pictures")).unwrap();
    for (at, file) in FILES.iter().enumerate() {
        let pixel = |x, y| Luma([(at as u32 * 53 + x * 19 + y * 7 + x * y * at as u32) as u8]);
        GrayImage::from_fn(8, 8, pixel).save(here.0.join("pictures").join(file)).unwrap();
    }
    here
}

fn names(here: &Scratch) -> ImageNames {
    ImageNames::of(&Images::open(&here.0.join("pictures")).unwrap())
}

/// A row for each neuron, columns in [`ORDER`], called as `name` calls the images.
fn by_neurons(neurons: usize, name: impl Fn(usize) -> String) -> String {
    let mut text = format!("cell,{}\n", ORDER.map(&name).join(","));
    for neuron in 0..neurons {
        let values: Vec<String> = ORDER.iter().map(|image| value(neuron, *image).to_string()).collect();
        text.push_str(&format!("c{neuron},{}\n", values.join(",")));
    }
    text
}

/// A row for each image in [`ORDER`].
fn by_images(neurons: usize, corner: &str, name: impl Fn(usize) -> String) -> String {
    let header: Vec<String> = (0..neurons).map(|neuron| format!("c{neuron}")).collect();
    let mut text = format!("{corner},{}\n", header.join(","));
    for image in ORDER {
        let values: Vec<String> = (0..neurons).map(|neuron| value(neuron, image).to_string()).collect();
        text.push_str(&format!("{},{}\n", name(image), values.join(",")));
    }
    text
}

fn read(here: &Scratch, text: &str, layout: Option<&str>, images: &ImageNames) -> Result<Responses> {
    let path = here.write("table.csv", text);
    Responses::read(&path, layout.map(|text| text.parse().unwrap()), None, Some(images))
}

fn is_right(responses: &Responses, neurons: usize) {
    let wanted = Array2::from_shape_fn((neurons, 12), |(neuron, image)| value(neuron, image));
    assert_eq!(responses.average().mapv(|v| v as f32), wanted);
    let names: Vec<String> = (0..neurons).map(|neuron| format!("c{neuron}")).collect();
    assert_eq!(responses.neuron_names.as_ref(), Some(&names));
}

#[test]
fn names_of_images_are_those_of_files() {
    let here = folder("table-names");
    let images = names(&here);
    let whole = |image: usize| FILES[image].to_string();
    let stem = |image: usize| FILES[image].trim_end_matches(".png").to_string();
    let path = |image: usize| format!("\"D:\\stimuli\\{}\"", FILES[image].to_uppercase());
    for text in [by_neurons(4, whole), by_neurons(4, stem), by_neurons(4, path)] {
        is_right(&read(&here, &text, None, &images).unwrap(), 4);
        let german = text.replace(',', ";").replace('.', ",").replace(",png", ".png").replace(",PNG", ".PNG");
        is_right(&read(&here, &german, None, &images).unwrap(), 4);
    }
    for corner in ["", "filename", "Unnamed: 0", "my pictures"] {
        let text = by_images(5, corner, stem);
        is_right(&read(&here, &text, Some("images,neurons"), &images).unwrap(), 5);
        is_right(&read(&here, &text.replace(',', "\t"), Some("images,neurons"), &images).unwrap(), 5);
    }
    let other = by_neurons(4, whole).replace("eel", "ell");
    let error = read(&here, &other, None, &images).unwrap_err().to_string();
    assert!(
        error.contains("'ell.png', which is the name of no image") && error.contains("cat.png"),
        "{error}"
    );
    // Names of images where the layout has neurons: twelve of each.
    let square = by_images(12, "", whole);
    let error = read(&here, &square, Some("neurons,images"), &images).unwrap_err().to_string();
    assert!(error.contains("calls its neurons by the names of the images"), "{error}");
    // An array has no names that could be compared; numbers at their ends are rows of it.
    let array = ImageNames::counted(12);
    is_right(&read(&here, &by_neurons(3, |image| format!("im{image}")), None, &array).unwrap(), 3);
}

#[test]
fn numbers_of_images_are_their_rows() {
    let here = folder("table-numbers");
    for images in [names(&here), ImageNames::counted(12)] {
        for base in [0, 1] {
            for point in ["", ".0"] {
                let text = by_neurons(4, |image| format!("{}{point}", image + base));
                is_right(&read(&here, &text, None, &images).unwrap(), 4);
                for corner in ["image_id", "", "index", "stim", "what it was"] {
                    let text = by_images(4, corner, |image| format!("{}{point}", image + base));
                    is_right(&read(&here, &text, Some("images,neurons"), &images).unwrap(), 4);
                }
            }
        }
        let trials = by_images(4, "trial", |image| image.to_string());
        let error = read(&here, &trials, Some("images,neurons"), &images).unwrap_err().to_string();
        assert!(error.contains("not in order"), "{error}");
        let gaps = by_neurons(4, |image| (image * 2).to_string());
        assert!(read(&here, &gaps, None, &images).unwrap_err().to_string().contains("tells no image"));
        let twice = by_images(4, "image", |image| (image / 2).to_string());
        let error = read(&here, &twice, Some("images,neurons"), &images).unwrap_err().to_string();
        assert!(error.contains("twice"), "{error}");
    }
}

#[test]
fn spike_counts_are_told_by_words_or_by_what_is_said() {
    let here = Scratch::new("table-counts");
    let images = ImageNames::counted(12);
    let count = |neuron: usize, image: usize| (neuron * 5 + image * image) % 7;
    let rows = |index: bool| -> String {
        let row = |image: usize| {
            let counts: Vec<String> = (0..4).map(|neuron| count(neuron, image).to_string()).collect();
            let index = if index { format!("{image},") } else { String::new() };
            format!("{index}{}\n", counts.join(","))
        };
        ORDER.map(row).concat()
    };
    let read = |text: &str, headers: Option<Headers>| {
        let path = here.write("counts.csv", text);
        let layout = Some("images,neurons".parse().unwrap());
        Responses::read(&path, layout, headers, Some(&images)).map(|r| r.repeats.map(|v| *v as usize))
    };
    let wanted = ndarray::Array3::from_shape_fn((4, 12, 1), |(neuron, image, _)| count(neuron, image));
    assert_eq!(read(&format!(",a,b,c,d\n{}", rows(true)), None).unwrap(), wanted);
    let error = read(&rows(true), None).unwrap_err().to_string();
    assert!(error.contains("the first column") && error.contains("--responses-header"), "{error}");
    assert_eq!(read(&rows(true), Some(Headers::Column)).unwrap(), wanted);
    assert_eq!(read(&rows(true), Some(Headers::None)).unwrap().dim(), (5, 12, 1));
    // In the order of the file where nothing says otherwise.
    let plain = read(&rows(false), None).unwrap();
    assert_eq!(plain.dim(), (4, 12, 1));
    assert_eq!(plain[[2, 0, 0]], count(2, ORDER[0]));
}

#[test]
fn tables_of_thousands_of_columns() {
    let here = Scratch::new("table-wide");
    let (neurons, images) = (5, 6000);
    let mut text = String::from("neuron");
    (0..images).for_each(|image| text.push_str(&format!(";{}", (image * 7) % images)));
    for neuron in 0..neurons {
        text.push_str(&format!("\nn{neuron}"));
        (0..images).for_each(|image| text.push_str(&format!(";{neuron},{:04}", (image * 7) % images)));
    }
    let responses = read(&here, &text, None, &ImageNames::counted(images)).unwrap();
    let wanted = |(n, i, _): (usize, usize, usize)| (n as f64 + i as f64 / 1e4) as f32;
    assert_eq!(responses.repeats, ndarray::Array3::from_shape_fn((neurons, images, 1), wanted));
}

#[test]
fn splits_trials_and_labels_go_by_name() {
    let here = folder("table-others");
    let images = names(&here);
    let tier = |image: usize| ["train", "val", "test"][image % 3];
    let rows = |name: &dyn Fn(usize) -> String, between: &str| -> String {
        ORDER.map(|image| format!("{}{between}{}\r\n", name(image), tier(image))).concat()
    };
    let wanted: [Vec<usize>; 3] = [0, 1, 2].map(|kind| (0..12).filter(|image| image % 3 == kind).collect());
    for (text, images) in [
        (format!("\u{feff}image,tier\r\n{},\r\n\r\n", rows(&|image| FILES[image].into(), ",")), &images),
        (
            format!("# of Monday\nimage;tier\n{}", rows(&|image| FILES[image].replace(".png", ""), ";")),
            &images,
        ),
        (format!(",image,tier\n{}", rows(&|image| format!("{},{image}.0", 20 - image), ",")), &images),
        (format!("Image\tTier\n{}", rows(&|image| image.to_string(), "\t")), &ImageNames::counted(12)),
    ] {
        let split = Split::read(&here.write("split.csv", &text), images).unwrap();
        assert_eq!([split.train, split.validation, split.test], wanted, "{text}");
    }
    let unknown = here.write("split.csv", "image,tier\ncat,train\nowl,test\n");
    let error = Split::read(&unknown, &images).unwrap_err().to_string();
    assert!(error.contains("line 3: 'owl' is no image") && error.contains("cat.png"), "{error}");

    let text = "trial;image;repeat;running_speed\n0;eel;0;1,5\n1;cat.png;1.0;-2,25\n";
    let table = trials::read(&here.write("trials.csv", text), &images, 2).unwrap();
    let found: Vec<_> = table.iter().map(|row| (row.image, row.repeat, row.covariates[0])).collect();
    assert_eq!(found, [(3, 0, 1.5), (0, 1, -2.25)]);

    let names = ["n1", "n2", "'=n3"].map(String::from);
    for text in [
        "neuron,area,note\nn2,V1,b\n''=n3,LM,c\nn1,,a\n",
        ",area,note\n1,V1,b\n2,LM,c\n0,,a\n",
        "Unnamed: 0;neuron;area;note\n0;2.0;V1;b\n1;3.0;LM;c\n2;1.0;;a\n",
        "area\tnote\n\ta\nV1\tb\nLM\tc\n",
    ] {
        let labels = Labels::read(&here.write("neurons.csv", text), Some(&names), 3).unwrap();
        assert_eq!(labels.columns, ["area", "note"], "{text}");
        assert_eq!(labels.values, [["", "a"], ["V1", "b"], ["LM", "c"]], "{text}");
    }
}

/// A folder of files that were put together by hand.
#[test]
fn experiments_take_the_same_tables() {
    let here = folder("table-experiment");
    std::fs::rename(here.0.join("pictures"), here.0.join("images")).unwrap();
    here.write("responses.csv", by_neurons(3, |image| FILES[image].into()));
    here.write("split.csv", "image;tier\nlark;test\ncat;train\neel;train\n;\n");
    here.write("neurons.csv", ",neuron,area,depth\n0,c2,V1,\"1,5\"\n1,c0,LM,\n2,c1,,2\n");
    let request = ExperimentRequest { path: here.0.clone(), ..ExperimentRequest::default() };
    let found = experiment::open(&request).unwrap();
    let areas: Vec<(&str, Option<f64>)> = found.neurons.iter().map(|n| (n.area.as_str(), n.depth)).collect();
    assert_eq!(areas, [("LM", None), ("", Some(2.0)), ("V1", Some(1.5))]);
    let Recorded::Trials(recorded) = &found.recorded else { panic!("traces") };
    let values = recorded.read(0..12).unwrap();
    assert_eq!(values, Array2::from_shape_fn((12, 3), |(image, neuron)| value(neuron, image)));
    let tiers: Vec<usize> = (0..12).filter(|image| found.trials[*image].tier.is_some()).collect();
    assert_eq!(tiers, [0, 3, 9]);
}

#[test]
fn names_of_neurons_differ() {
    let here = Scratch::new("table-twins");
    let error =
        read(&here, "a,1.5,2\nb,3,4\na,5,6\n", None, &ImageNames::counted(2)).unwrap_err().to_string();
    assert!(error.contains("neurons 0 and 2 are both called 'a'"), "{error}");
}

#[test]
fn the_command_fits_what_the_table_means() {
    let here = folder("table-fit");
    let formula = by_neurons(3, |image| FILES[image].into()).replace("c1,", "=cmd|'/C calc'!A1,");
    here.write("table.csv", formula);
    let tier = |image: usize| if image < 9 { "train" } else { "test" };
    let split: String = ORDER.map(|image| format!("{},{}\n", FILES[image], tier(image))).concat();
    here.write("split.csv", format!("image,tier\n{split}"));
    let network = ["fit", "--images", "pictures", "--net", "pixels", "--lambdas", "1,10"];
    let fit = |more: &[&str]| here.striate(&[&network[..], more].concat());
    let ran = fit(&["--responses", "table.csv", "--split", "split.csv", "--out", "run"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("warning: only 3 images test"), "{ran:?}");
    let wanted = Array2::from_shape_fn((3, 12), |(neuron, image)| value(neuron, image));
    assert!(distance(&here.array("run/measured.npy"), &wanted.into_dyn()) < 1e-6);
    let own = Split::read(&here.0.join("run/split.csv"), &ImageNames::counted(12)).unwrap();
    assert_eq!(own.test, [9, 10, 11]);
    let scores = String::from_utf8(here.bytes("run/scores.csv")).unwrap();
    assert!(scores.lines().nth(2).unwrap().starts_with("'=cmd|"), "{scores}");
    let page = String::from_utf8(here.bytes("run/report.html")).unwrap();
    assert!(page.contains("=cmd|") && !page.contains("'=cmd|") && !page.contains("&#39;=cmd|"));

    here.write(
        "counts.csv",
        "9,2\n".to_string() + &(0..12).map(|i| format!("{},{}\n", (i * 5) % 12, i % 4)).collect::<String>(),
    );
    let counts = ["--responses", "counts.csv", "--responses-layout", "images,neurons", "--out", "counts"];
    fit(&counts).refused(3, &["counts.csv", "--responses-header"]);
    let none = [&counts[..], &["--responses-header", "row"]].concat();
    assert_eq!(fit(&none).code, 0);
    assert_eq!(here.array("counts/measured.npy").shape(), [2, 12]);
}

#[cfg(unix)]
#[test]
fn names_of_files_do_not_reach_the_terminal_raw() {
    let here = Scratch::new("table-escapes");
    let name = "r\u{1b}[31m\u{9b}1m\u{202e}\u{7}.csv";
    here.write(name, "a,1\nb,x\n");
    let info = here.striate(&["info", name]);
    let fit = here.striate(&["fit", "--features", name, "--responses", name, "--out", "run"]);
    let wrong = here.striate(&["info", name, name]);
    let json = here.striate(&["info", name, "--json"]);
    for ran in [&info, &fit, &wrong, &json] {
        for text in [&ran.out, &ran.err] {
            assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{7}']), "{ran:?}");
        }
    }
    assert!(info.out.contains("r\\u{1b}[31m"), "{info:?}");
    assert_eq!(json.json()["path"], name);
    assert!(fit.code == 3 && fit.err.contains("\\u{1b}[31m"), "{fit:?}");
    assert_eq!(wrong.code, 2);
}

#[test]
fn long_names_in_files_are_cut() {
    let here = Scratch::new("table-long");
    let long = "n\u{1b}".repeat(40_000);
    here.write("long.csv", format!("{long},b\n1.5,2\n"));
    let tensor =
        format!("{{\"{}\":{{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}}}", "t".repeat(70_000));
    let mut bytes = (tensor.len() as u64).to_le_bytes().to_vec();
    bytes.extend(tensor.bytes().chain([0; 4]));
    here.write("long.safetensors", bytes);
    let member = format!("{}.npy", "\u{1}".repeat(20_000));
    let array = striate::io::npy::encode(ndarray::arr1(&[1.0f32, 2.0]).into_dyn().view());
    here.write("long.npz", builders::zip(&[(member.as_str(), array)], false));
    for file in ["long.csv", "long.safetensors", "long.npz"] {
        let ran = here.striate(&["info", file]);
        assert!([0, 3].contains(&ran.code), "{file}: {}", ran.code);
        let text = ran.out + &ran.err;
        assert!(
            text.lines().all(|line| line.len() < 20_000) && !text.contains(['\u{1b}', '\u{1}']),
            "{file}"
        );
    }
}
