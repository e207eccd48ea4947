//! What a report says against the files that it says it of: numbers against tables, drawings by their
//! coordinates, pictures against the images.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod builders;
mod command;
mod run_folders;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use command::{Scratch, Table};
use run_folders::NEURONS;
use serde_json::json;
use striate::report;

/// A fit of six neurons to twenty images in `e`, its run in `run`; its page.
fn fitted(here: &Scratch) -> String {
    here.experiment("e");
    let files = ["--images", "e/images.npy", "--responses", "e/responses.npy", "--split", "e/split.csv"];
    let network =
        ["--net", "vgg11", "--weights", "random:0", "--layer", "relu1_1", "--pool", "4", "--size", "16"];
    here.works(&[&["fit", "--out", "run", "-q"], &files[..], &network].concat());
    fs::read_to_string(here.0.join("run/report.html")).unwrap()
}

fn report_again(here: &Scratch) -> String {
    here.works(&["report", "run"]);
    fs::read_to_string(here.0.join("run/report.html")).unwrap()
}

/// The sortable table of a page: by neuron the numbers under each heading.
fn neurons(page: &str) -> BTreeMap<String, BTreeMap<String, f64>> {
    let table = page.split("<table class=\"sortable\">").nth(1).unwrap().split("</table>").next().unwrap();
    let between = |text: &str, from: &str, to: &str| {
        text.split_once(from).unwrap().1.split_once(to).unwrap().0.to_string()
    };
    let heads: Vec<String> = table.split("<th ").skip(1).map(|head| between(head, ">", "</th>")).collect();
    let rows = between(table, "<tbody>", "</tbody>");
    let row = |row: &str| {
        let cells: Vec<&str> = row.split("<td").skip(1).collect();
        let value =
            |cell: &&str| cell.starts_with(" data-value").then(|| between(cell, "\"", "\"").parse().unwrap());
        let values = heads.iter().cloned().zip(cells.iter().map(value));
        (between(cells[0], ">", "</td>"), values.filter_map(|(head, value)| Some((head, value?))).collect())
    };
    rows.split("<tr>").skip(1).map(row).collect()
}

/// The numbers of attributes, in the order of the elements.
fn attributes<const N: usize>(svg: &str, element: &str, names: [&str; N]) -> Vec<[f64; N]> {
    let one = |tag: &str| {
        names.map(|name| {
            let (_, rest) = tag.split_once(&format!(" {name}=\"")).unwrap();
            rest.split('"').next().unwrap().parse().unwrap()
        })
    };
    svg.split(&format!("<{element} "))
        .skip(1)
        .map(|tag| one(&format!(" {}", tag.split('>').next().unwrap())))
        .collect()
}

#[test]
fn the_table_of_neurons_and_the_ceilings_are_those_of_the_scores() {
    let here = Scratch::new("numbers-table");
    let page = fitted(&here);
    let (scores, reliability) =
        (Table::read(&here, "run/scores.csv"), Table::read(&here, "run/reliability.csv"));
    let table = neurons(&page);
    let columns = [
        ("r", scores.numbers("pearson_r")),
        ("r, low", scores.numbers("pearson_r_low")),
        ("noise ceiling", scores.numbers("ceiling")),
        ("r / ceiling", scores.numbers("normalised_r")),
        ("FEVE", scores.numbers("feve")),
        ("FEV, test images", scores.numbers("test_fev")),
        ("FEV, all images", reliability.numbers("fev")),
        ("penalty", scores.numbers("penalty")),
    ];
    assert_eq!(table.len(), 6);
    for (n, name) in scores.texts("neuron").into_iter().enumerate() {
        for (head, values) in &columns {
            let found = table[name].get(*head).copied().unwrap_or(f64::NAN);
            assert!(
                found == values[n] || found.is_nan() && values[n].is_nan(),
                "{name} {head}: {found} {}",
                values[n]
            );
        }
        let [r, half, ceiling] =
            ["pearson_r", "test_split_half", "ceiling"].map(|name| scores.numbers(name)[n]);
        if half > 0.0 {
            assert!((ceiling - half.sqrt()).abs() < 1e-5);
            assert!((scores.numbers("normalised_r")[n] - r / ceiling).abs() < 1e-4);
        } else {
            assert!(ceiling.is_nan(), "{half} has no root");
        }
    }
    assert!(page.contains("FEV of all images") && page.contains("FEV of its test images"));
    let chosen = Table::read(&here, "run/plots/chosen_penalty.csv");
    let counts: f64 = chosen.numbers("neurons").iter().sum();
    assert_eq!(counts, 6.0);
    for (penalty, count) in chosen.numbers("penalty").into_iter().zip(chosen.numbers("neurons")) {
        let taken =
            scores.numbers("penalty").into_iter().filter(|taken| (taken / penalty - 1.0).abs() < 1e-3);
        assert_eq!(taken.count() as f64, count, "{penalty}");
    }
}

#[test]
fn pictures_are_the_images_while_these_are_the_same() {
    let here = Scratch::new("numbers-pictures");
    let page = fitted(&here);
    let (scores, split) = (Table::read(&here, "run/scores.csv"), Table::read(&here, "run/split.csv"));
    let best = (0..6)
        .max_by(|a, b| scores.numbers("pearson_r")[*a].total_cmp(&scores.numbers("pearson_r")[*b]))
        .unwrap();
    let name = scores.texts("neuron")[best];
    let mut test: Vec<usize> = (0..20).filter(|image| split.texts("tier")[*image] == "test").collect();
    let measured = here.array("run/measured.npy");
    test.sort_by(|a, b| measured[[best, *b]].total_cmp(&measured[[best, *a]]));
    let (_, gallery) = page.split_once(&format!("What drives neuron {name} (best) most</h3>")).unwrap();
    let gallery = gallery.split("</ul>").next().unwrap();
    let shown: Vec<usize> = gallery
        .split("alt=\"image ")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(shown, test[..test.len().min(6)]);
    // The picture itself, against the pixels of the array.
    let data = gallery.split("base64,").nth(1).unwrap().split('"').next().unwrap();
    let jpeg = image::load_from_memory(&STANDARD.decode(data).unwrap()).unwrap().to_luma8();
    assert_eq!(jpeg.dimensions(), (16, 16));
    let images = here.array("e/images.npy");
    let images = images.to_shape((20, 16, 16, images.len() / 20 / 256)).unwrap();
    let worst = jpeg.enumerate_pixels().map(|(x, y, pixel)| {
        let wanted = images.slice(ndarray::s![test[0], y as usize, x as usize, ..]).mean().unwrap();
        (f32::from(pixel[0]) - wanted).abs()
    });
    let mean = worst.sum::<f32>() / 256.0;
    assert!(mean < 8.0, "{mean} grey levels apart");
    // The photograph behind the field covers the whole image, and so does the map of this layer.
    let svg = fs::read_to_string(here.0.join("run/plots/field_best.svg")).unwrap();
    let pictures = attributes(&svg, "image", ["x", "y", "width", "height"]);
    assert!(
        pictures.len() == 2 && pictures[0] == pictures[1] && (pictures[0][2] - pictures[0][3]).abs() < 4.0,
        "{pictures:?}"
    );
    let cells = Table::read(&here, "run/plots/field_best.csv");
    // Four cells over sixteen pixels: their centres are at 2, 6, 10 and 14.
    assert_eq!(&cells.numbers("x_pixels")[..4], [2.0, 6.0, 10.0, 14.0]);

    let bytes = here.bytes("e/images.npy");
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    here.write("e/images.npy", &other);
    let page = report_again(&here);
    assert!(
        page.contains("has changed since the run") && !page.contains("<img") && !page.contains("field_best")
    );
    fs::remove_file(here.0.join("e/images.npy")).unwrap();
    assert!(report_again(&here).contains("is not there any more"));
    #[cfg(unix)]
    {
        // Nothing but a file is read: this one would never end.
        std::os::unix::fs::symlink("/dev/zero", here.0.join("e/images.npy")).unwrap();
        assert!(report_again(&here).contains("is not there any more"));
        fs::remove_file(here.0.join("e/images.npy")).unwrap();
    }
    here.write("e/images.npy", &bytes);
    assert!(report_again(&here).contains("<img"));
}

#[test]
fn predicted_against_measured_has_equal_axes() {
    let here = Scratch::new("numbers-axes");
    let run = here.0.join("run");
    run_folders::fit(&run, false);
    report::write(&run).unwrap();
    let svg = fs::read_to_string(run.join("plots/predicted_best.svg")).unwrap();
    let numbers = Table::read(&here, "run/plots/predicted_best.csv");
    let pairs: Vec<(f64, f64)> =
        numbers.numbers("predicted").into_iter().zip(numbers.numbers("measured")).collect();
    let dots = attributes(&svg, "circle", ["cx", "cy"]);
    assert_eq!(dots.len(), pairs.len());
    // Units of the drawing to a unit of the response, by the two dots that lie farthest apart each way.
    let spread = |values: Vec<f64>, places: Vec<f64>| {
        let order = |a: &usize, b: &usize| values[*a].total_cmp(&values[*b]);
        let (low, high) =
            ((0..values.len()).min_by(order).unwrap(), (0..values.len()).max_by(order).unwrap());
        (places[high] - places[low]) / (values[high] - values[low])
    };
    let (p, m): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    let across = spread(p, dots.iter().map(|dot| dot[0]).collect());
    let up = spread(m, dots.iter().map(|dot| -dot[1]).collect());
    assert!(across > 0.0 && (across / up - 1.0).abs() < 0.01, "{across} {up}");
}

#[test]
fn the_line_of_no_explainable_variance_stands_at_0() {
    let here = Scratch::new("numbers-fev");
    let run = here.0.join("run");
    run_folders::fit(&run, false);
    // All intervals lie far above 0.
    let header = "neuron,fev,fev_low,fev_high,split_half,oracle_jackknife,p_value,tuned";
    let row = |n: usize| {
        let fev = 0.5 + 0.02 * n as f64;
        let numbers = [fev, fev - 0.05, fev + 0.05, 0.7, 0.4, 0.001].map(|v| format!("{v:.6}"));
        [vec![format!("n{n}")], numbers.to_vec(), vec!["true".to_string()]].concat()
    };
    run_folders::table(&run.join("reliability.csv"), header, (0..NEURONS).map(row));
    report::write(&run).unwrap();
    let svg = fs::read_to_string(run.join("plots/fev_intervals.svg")).unwrap();
    let dots = attributes(&svg, "circle", ["cy"]);
    let values = Table::read(&here, "run/plots/fev_intervals.csv").numbers("fev");
    // Where 0 is, by the first and the last dot.
    let (first, last) = (dots[0][0], dots[NEURONS - 1][0]);
    let zero = first - values[0] * (last - first) / (values[NEURONS - 1] - values[0]);
    let dash = svg.split("<polyline ").filter(|line| line.contains("stroke-width=\"6\"")).last().unwrap();
    let points = dash.split("points=\"").nth(1).unwrap().split('"').next().unwrap().trim();
    let heights: Vec<f64> =
        points.split(' ').map(|point| point.split(',').nth(1).unwrap().parse().unwrap()).collect();
    assert!(heights.iter().all(|height| (height - zero).abs() < 3.0), "{heights:?} {zero}");
}

#[test]
fn the_worst_is_the_worst_of_all() {
    let here = Scratch::new("numbers-worst");
    let run = here.0.join("run");
    run_folders::fit(&run, false);
    let text = fs::read_to_string(run.join("reliability.csv")).unwrap();
    fs::write(run.join("reliability.csv"), text.replacen("true", "false", 1)).unwrap();
    let summary = report::write(&run).unwrap();
    // n0 has the smallest r, and is not known to respond.
    let worst = summary.figures.iter().find(|figure| figure.name == "predicted_worst").unwrap();
    assert_eq!(worst.title, "Worst neuron: n0, r = \u{2212}0.10");
    let page = fs::read_to_string(&summary.page).unwrap();
    assert!(
        page.contains("Best, median and worst are of the 8 neurons with an r on test images, tuned or not.")
    );
}

#[test]
fn a_recording_that_never_changes_is_said_to() {
    let here = Scratch::new("numbers-constant");
    let run = here.0.join("run");
    run_folders::fit(&run, false);
    run_folders::record(
        &run,
        "fit",
        json!({"readout": "ridge", "n_neurons": NEURONS, "reliability": {"with_repeats": NEURONS}}),
    );
    let header = "neuron,fev,fev_low,fev_high,split_half,oracle_jackknife,p_value,tuned";
    let row = |n: usize| {
        [vec![format!("n{n}")], vec![String::new(); 5], vec!["1.000000".into(), "false".into()]].concat()
    };
    run_folders::table(&run.join("reliability.csv"), header, (0..NEURONS).map(row));
    report::write(&run).unwrap();
    let page = fs::read_to_string(run.join("report.html")).unwrap().replace("isNaN", "");
    assert!(page.contains("responds the same in every trial") && !page.contains("shown once"), "{page}");
    assert!(!page.contains("NaN"), "{page}");
}

/// Two runs with the same neurons, the second ahead by 0.1 for all but one.
#[test]
fn pairs_of_runs_are_compared_and_linked() {
    let here = Scratch::new("numbers-paired");
    let runs = ["a", "b c"].map(|name| here.0.join(name));
    runs.iter().for_each(|run| run_folders::fit(run, false));
    let before = Table::read(&here, "a/scores.csv").numbers("pearson_r");
    let after: Vec<f64> =
        before.iter().enumerate().map(|(n, r)| r + if n == 3 { -0.3 } else { 0.1 }).collect();
    let row = |(n, r): (usize, &f64)| {
        [vec![Table::read(&here, "a/scores.csv").texts("neuron")[n].to_string()], vec![format!("{r:.6}"); 3]]
            .concat()
    };
    run_folders::table(
        &runs[1].join("scores.csv"),
        "neuron,pearson_r,r2,explained_variance",
        after.iter().enumerate().map(row),
    );
    here.works(&["report", "a", "b c", "--out", "both.html"]);
    let page = fs::read_to_string(here.0.join("both.html")).unwrap();
    // 7 differences of .1 and one of -.3: their mean is .05, their median .1.
    assert!(
        page.contains(
            "b c against a: r is higher for 7 of 8 neurons; the mean difference is 0.050 (95\u{a0}% interval"
        ),
        "{page}"
    );
    assert!(page.contains("the median difference 0.10 (95\u{a0}% interval 0.10 to 0.10)"), "{page}");
    assert!(
        page.contains("by both mean and median b c is ahead, but the mean difference cannot be told from 0")
    );
    assert!(
        page.contains("<a href=\"a/report.html\">a</a>")
            && page.contains("<a href=\"b%20c/report.html\">b c</a>")
    );
    let pairs = Table::read(&here, "both-plots/paired_0_a.csv");
    for (n, difference) in pairs.numbers("first_minus_second").into_iter().enumerate() {
        assert!((difference - (after[n] - before[n])).abs() < 1e-6);
    }
}

#[test]
fn a_run_of_a_study_leads_back_to_it() {
    let here = Scratch::new("numbers-study");
    let run = here.0.join("study/part");
    run_folders::fit(&run, false);
    report::write(&run).unwrap();
    let leads_back =
        |run: &Path| fs::read_to_string(run.join("report.html")).unwrap().contains("href=\"../report.html\"");
    assert!(!leads_back(&run));
    here.write("study/record.json", json!({"striate": "0.1.0", "command": "study"}).to_string());
    report::write(&run).unwrap();
    assert!(leads_back(&run));
    assert!(fs::read_to_string(run.join("report.html")).unwrap().contains("<a href=\"scores.csv\">"));
}

/// The command of a profile's page, run by a shell, makes the same tables.
#[cfg(unix)]
#[test]
fn the_command_in_the_page_of_a_profile_repeats_it() {
    let here = Scratch::new("numbers-profile");
    here.experiment("e");
    here.write("it's.csv", "neuron,area\n0,V1\n1,V1\n2,V4\n3,V4\n4,V4\n5,V1\n");
    let files =
        ["--images", "e/images.npy", "--responses", "e/responses.npy", "--labels", "it's.csv", "--seed", "3"];
    let network =
        ["--net", "vgg11", "--weights", "random:1", "--layer", "relu1_1,pool1,relu2_1", "--pool", "4"];
    let more = [
        "--sizes",
        "16,20x24",
        "--controls",
        "shuffled,random",
        "--bootstrap",
        "100",
        "--out",
        "profile",
        "-q",
    ];
    here.works(&[&["profile"], &files[..], &network, &more].concat());
    let page = fs::read_to_string(here.0.join("profile/report.html")).unwrap();
    assert!(page.contains("Each profile has only 3 layers"));
    let command = page.split("<pre><code>").nth(1).and_then(|rest| rest.split("</code>").next()).unwrap();
    let command = command.replace("&#39;", "'").replace("--out profile", "--out again -q");
    let striate = Path::new(env!("CARGO_BIN_EXE_striate")).parent().unwrap().display().to_string();
    let path = format!("{striate}:{}", std::env::var("PATH").unwrap());
    let mut shell = std::process::Command::new("sh");
    let ran = shell
        .args(["-c", &command])
        .current_dir(&here.0)
        .env("PATH", path)
        .env("XDG_RUNTIME_DIR", std::env::temp_dir());
    let ran = ran.output().unwrap();
    assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
    for file in ["profile.csv", "layers.csv", "best_layers.csv", "correlations.csv"] {
        assert_eq!(here.bytes(&format!("profile/{file}")), here.bytes(&format!("again/{file}")), "{file}");
    }
}
