//! Reports of run folders: every figure in the page and as files, nothing taken from a folder unescaped,
//! damage refused.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod builders;
mod command;
mod run_folders;

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use command::Scratch;
use ndarray::ArrayD;
use run_folders::{HOSTILE, IMAGES, NEURONS};
use sha2::{Digest, Sha256};
use striate::Kind;
use striate::io::npy;
use striate::report::{self, ReportSummary};

/// Figures of a fit without curves.
const OF_A_FIT: [&str; 19] = [
    "fev",
    "fev_intervals",
    "split_half",
    "pearson_r",
    "normalised_r",
    "r2",
    "explained_variance",
    "feve",
    "ceiling",
    "chosen_penalty",
    "predicted_best",
    "predicted_median",
    "predicted_worst",
    "mask_best",
    "channels_best",
    "mask_median",
    "channels_median",
    "mask_worst",
    "channels_worst",
];

fn names(summary: &ReportSummary) -> Vec<&str> {
    summary.figures.iter().map(|figure| &figure.name[..]).collect()
}

/// The page's text, after looking at every figure of the summary.
fn checked(summary: &ReportSummary) -> String {
    let page = fs::read_to_string(&summary.page).unwrap();
    for figure in &summary.figures {
        assert!(page.contains(&format!("<figure id=\"figure-{}\">", figure.name)), "{}", figure.name);
        let svg = fs::read_to_string(&figure.svg).unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains("<desc>"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("currentColor"), "{svg}");
        assert!(svg.matches("<text").count() == svg.matches("</text>").count());
        let mut numbers = csv::Reader::from_path(&figure.csv).unwrap();
        assert!(numbers.headers().unwrap().len() > 1 && numbers.records().count() > 0, "{}", figure.name);
    }
    for drawing in page.split("<svg ").skip(1) {
        let tag = drawing.split('>').next().unwrap();
        assert!(tag.contains("role=\"img\"") && tag.contains("aria-labelledby="), "{tag}");
        assert!(drawing.contains("<title id=") && drawing.contains("<desc id="));
    }
    assert_eq!(page.matches("<figure ").count(), summary.figures.len());
    // The one script is the page's own, and the one that its policy knows.
    let (_, rest) = page.split_once("<script>").unwrap();
    let (script, rest) = rest.split_once("</script>").unwrap();
    let hash = STANDARD.encode(Sha256::digest(script));
    assert!(page.contains(&format!(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{hash}'\""
    )));
    assert!(!rest.contains("<script") && page.matches("<script").count() == 1);
    assert_eq!(page.matches("src=").count(), page.matches("src=\"data:image/jpeg;base64,").count());
    for outside in ["http-equiv=\"refresh\"", "<link", "@import", "url(", "<i>IT"] {
        assert!(!page.contains(outside), "{outside}");
    }
    page
}

#[test]
fn a_fit_has_every_figure_and_says_what_is_seen() {
    let here = Scratch::new("report-fit");
    let run = here.0.join("run");
    run_folders::fit(&run, false);
    let summary = report::write(&run).unwrap();
    assert_eq!(names(&summary), OF_A_FIT);
    let page = checked(&summary);
    // The median FEV is 0.055: 4 repeats make 0.19 of it.
    assert!(
        page.contains("94\u{a0}% noise on single trials: an R2 of 0.055 is all that any model can reach"),
        "{page}"
    );
    assert!(page.contains("of averages over 4 repeats 19\u{a0}% can be explained"));
    assert!(page.contains("7 of 8 neurons respond to images") && page.contains("predict: n2."));
    assert!(page.contains("24 features for 14 fitted images, 1.71 features an image"));
    assert!(page.contains("1 of 8 are below 0") && page.contains("1 neuron below \u{2212}1"));
    assert!(
        page.contains("viewport")
            && page.contains("prefers-color-scheme: dark")
            && page.contains("@media print")
    );
    assert_eq!(summary.sections[0], "How much can be explained");
    assert_eq!(summary.sections.last().unwrap(), "The record of the run");
    let command =
        "striate fit \\\n    --features feats.npy \\\n    --readout ridge \\\n    --responses &#39;resp";
    assert!(page.contains(command), "{page}");
    // The best of the tuned neurons has a name that looks like a script.
    assert!(page.contains("&lt;script&gt;alert") || page.contains("&#60;script&#62;alert"), "{page}");
    assert!(!page.contains(HOSTILE));
    let svg = fs::read_to_string(run.join("plots/predicted_best.svg")).unwrap();
    assert!(svg.contains("&lt;script&gt;") && !svg.contains("<script"));
    // Only test images are drawn.
    let numbers = fs::read_to_string(run.join("plots/predicted_best.csv")).unwrap();
    assert_eq!(numbers.lines().count(), 1 + IMAGES.div_ceil(3));
}

#[test]
fn a_report_again_replaces_the_first_and_leaves_no_old_plot() {
    let here = Scratch::new("report-again");
    let run = here.0.join("run");
    run_folders::fit(&run, true);
    let first = report::write(&run).unwrap();
    assert!(names(&first).contains(&"curve_loss") && names(&first).contains(&"curve_explained_variance"));
    let page = checked(&first);
    fs::write(run.join("plots/notes.txt"), "mine").unwrap();
    assert_eq!(
        report::write(&run).map(|_| fs::read_to_string(run.join("report.html")).unwrap()).unwrap(),
        page
    );
    fs::remove_file(run.join("curves.csv")).unwrap();
    let second = report::write(&run).unwrap();
    assert_eq!(names(&second), OF_A_FIT);
    let files = here.names("run/plots");
    assert_eq!(files.len(), 2 * OF_A_FIT.len() + 1, "{files:?}");
}

#[test]
fn a_sweep_has_its_violins_curves_and_best_configuration() {
    let here = Scratch::new("report-sweep");
    let run = here.0.join("run");
    run_folders::sweep(&run);
    let summary = report::write(&run).unwrap();
    let page = checked(&summary);
    let more = [
        "explained_variance_by_penalty",
        "validation_by_l1",
        "validation_by_l2",
        "curve_2_loss",
        "curves_loss",
    ];
    for name in OF_A_FIT.iter().chain(&more) {
        assert!(names(&summary).contains(name), "{name} of {:?}", names(&summary));
    }
    assert!(
        page.contains("4 configurations were fitted (l1 with 2 values, l2 with 2 values); 1 diverged: 3.")
    );
    assert!(page.contains("configuration 2 (l1 1, l2 0)") && page.contains("1 value below \u{2212}1"));
}

#[test]
fn a_profile_has_layers_correlations_and_the_cluster_map() {
    let here = Scratch::new("report-profile");
    let run = here.0.join("run");
    run_folders::profile(&run);
    let summary = report::write(&run).unwrap();
    let page = checked(&summary);
    let wanted = [
        "layers_pearson_r_size_56",
        "layers_pearson_r_size_112",
        "sizes_pearson_r",
        "layers_normalised_r_size_56",
        "correlations_00_v4_v4",
        "correlations_02_v4__i_it",
        "cluster_map",
    ];
    for name in wanted {
        assert!(names(&summary).contains(&name), "{name} of {:?}", names(&summary));
    }
    assert!(page.contains("Shuffled images give at most") && page.contains("data:image/png;base64,"));
    assert!(page.contains("reaches r = 0.40"));
}

#[test]
fn runs_are_compared_on_one_page() {
    let here = Scratch::new("report-compare");
    let runs = ["a", "b", "c"].map(|name| here.0.join(name));
    run_folders::fit(&runs[0], false);
    run_folders::sweep(&runs[1]);
    run_folders::profile(&runs[2]);
    let document = here.works(&["report", "a", "b", "c", "--out", "all.html", "--json"]).json();
    assert_eq!(document["reports"].as_array().unwrap().len(), 3);
    assert_eq!(document["reports"][0]["figures"].as_array().unwrap().len(), OF_A_FIT.len());
    assert_eq!(document["comparison"]["figures"][0]["name"], "comparison_pearson_r");
    let summary = report::compare(&runs, &here.0.join("all.html")).unwrap();
    let page = checked(&summary);
    assert!(
        page.contains("Of 3 runs c has the highest median r (0.40) and the highest mean r (0.40)"),
        "{page}"
    );
    assert!(here.names("all-plots").contains(&"comparison_r2.csv".to_string()));
    here.striate(&["report", "a", "--out", "one.html"]).refused(2, &["--out", "at least two"]);
    assert!(here.works(&["report", "--help"]).out.contains("striate report run-* --out comparison.html"));
}

#[test]
fn without_repeats_the_ceiling_is_unknown() {
    let here = Scratch::new("report-single");
    let run = here.0.join("run");
    run_folders::fit(&run, false);
    let header = "neuron,fev,fev_low,fev_high,split_half,oracle_jackknife,p_value,tuned";
    let row = |n: usize| [vec![format!("n{n}")], vec![String::new(); 7]].concat();
    run_folders::table(&run.join("reliability.csv"), header, (0..NEURONS).map(row));
    let page = checked(&report::write(&run).unwrap());
    assert!(page.contains("Each image was shown once") && !page.contains("noise on single trials"));
    // Without the table, scores.csv says less.
    fs::remove_file(run.join("reliability.csv")).unwrap();
    let summary = report::write(&run).unwrap();
    assert!(names(&summary).starts_with(&["fev", "split_half", "pearson_r"]), "{:?}", names(&summary));
}

#[test]
fn neurons_that_never_change_have_no_scores_and_a_report() {
    let here = Scratch::new("report-constant");
    let run = here.0.join("run");
    run_folders::fit(&run, false);
    let row = |n: usize| [vec![n.to_string(), "true".into()], vec![String::new(); 6]].concat();
    let header = "neuron,constant,pearson_r,r2,explained_variance,test_fev,feve,test_split_half";
    run_folders::table(&run.join("scores.csv"), header, (0..NEURONS).map(row));
    let page = checked(&report::write(&run).unwrap());
    assert!(page.contains("no neuron has a score"), "{page}");
}

#[test]
fn the_command_in_a_page_repeats_the_fit() {
    let here = Scratch::new("report-repeat");
    here.experiment("it's e");
    let files = ["--images", "it's e/images.npy", "--responses", "it's e/responses.npy", "--seed", "4", "-q"];
    let vgg = ["--net", "vgg11", "--weights", "random:0", "--layer", "relu1_1", "--pool", "4"];
    let smooth =
        ["--readout", "smooth-ridge", "--ratios", "0,0.5", "--lambdas", "absolute:1,1e-7,30", "--out", "run"];
    let ridge = [
        "--normalise",
        "data",
        "--fold-order",
        "contiguous",
        "--no-intercept",
        "--size",
        "12x14",
        "--out",
        "run",
    ];
    for more in [&smooth[..], &ridge] {
        here.works(&[&["fit"], &files[..], &vgg, more].concat());
        let page = fs::read_to_string(here.0.join("run/report.html")).unwrap();
        let command = page.split("<pre><code>").nth(1).and_then(|rest| rest.split("</code>").next()).unwrap();
        let command = command.replace("&#39;", "'").replace("--out run", "--out again");
        let words = command.strip_prefix("striate ").unwrap().replace("\\\n", " ");
        // The only quotes are those that a shell would take off around the folder.
        let words = words.replace("'it'\\''s e/", "it's\u{a0}e/").replace(".npy'", ".npy");
        let words: Vec<String> = words.split([' ']).map(|word| word.replace('\u{a0}', " ")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
        here.works(&words);
        for file in ["scores.csv", "predictions.npy", "split.csv"] {
            assert_eq!(here.bytes(&format!("run/{file}")), here.bytes(&format!("again/{file}")), "{file}");
        }
    }
}

/// Breaks a whole folder and expects that the report says these words and leaves the earlier page alone.
fn refuses(kind: fn(&Path), words: &[&str], damage: impl FnOnce(&Path)) {
    let here = Scratch::new(&format!("report-bad-{}", words.concat().replace(['/', ' ', '\''], "")));
    let run = here.0.join("run");
    kind(&run);
    fs::write(run.join("report.html"), "earlier").unwrap();
    damage(&run);
    let before = here.names("run");
    here.striate(&["report", "run"]).refused(Kind::Input.exit_code().into(), words);
    assert_eq!(fs::read_to_string(run.join("report.html")).unwrap(), "earlier");
    assert_eq!(here.names("run"), before, "nothing is half-written");
}

/// A table with one text replaced.
fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn damaged_fits_are_refused_in_a_sentence() {
    let fit: fn(&Path) = |path| run_folders::fit(path, true);
    refuses(fit, &["record.json", "holds no"], |run| fs::remove_file(run.join("record.json")).unwrap());
    refuses(fit, &["record.json", "no JSON"], |run| {
        fs::write(run.join("record.json"), "{\"striate\"").unwrap()
    });
    refuses(fit, &["record.json", "another program"], |run| {
        fs::write(run.join("record.json"), "{}").unwrap()
    });
    refuses(fit, &["simulate", "results to report"], |run| edit(&run.join("record.json"), "fit", "simulate"));
    refuses(fit, &["record.json", "damaged", "seconds"], |run| {
        edit(&run.join("record.json"), "seconds", "hours")
    });
    refuses(fit, &["scores.csv", "cannot be read"], |run| fs::remove_file(run.join("scores.csv")).unwrap());
    refuses(fit, &["scores.csv", "line 9 has", "fields"], |run| cut(&run.join("scores.csv"), 20));
    refuses(fit, &["curves.csv", "line 3", "'x'", "epoch"], |run| {
        edit(&run.join("curves.csv"), "0,0,train,loss", "0,x,train,loss")
    });
    refuses(fit, &["reliability.csv", "7 rows", "8"], |run| {
        let text = fs::read_to_string(run.join("reliability.csv")).unwrap();
        let lines: Vec<&str> = text.lines().take(NEURONS).collect();
        fs::write(run.join("reliability.csv"), lines.join("\n")).unwrap();
    });
    refuses(fit, &["reliability.csv", "no column 'tuned'"], |run| {
        edit(&run.join("reliability.csv"), "tuned", "t")
    });
    refuses(fit, &["scores.csv", "no score of any neuron"], |run| {
        let row = |n: usize| [vec![n.to_string(), "false".into()], vec!["NaN".to_string(); 7]].concat();
        let header =
            "neuron,constant,pearson_r,r2,explained_variance,test_fev,feve,test_split_half,pearson_r_low";
        run_folders::table(&run.join("scores.csv"), header, (0..NEURONS).map(row));
    });
    let array = |shape: &[usize], value: f32| ArrayD::from_elem(shape.to_vec(), value);
    let put = move |name: &'static str, shape: &'static [usize], value: f32| {
        move |run: &Path| npy::write(&run.join(name), array(shape, value).view()).unwrap()
    };
    refuses(fit, &["predictions.npy", "[3, 20]", "8 rows"], put("predictions.npy", &[3, IMAGES], 1.0));
    refuses(fit, &["measured.npy", "7 images", "20"], put("measured.npy", &[NEURONS, 7], 1.0));
    refuses(
        fit,
        &["predictions.npy", "nothing but NaN"],
        put("predictions.npy", &[NEURONS, IMAGES], f32::NAN),
    );
    refuses(fit, &["model.safetensors", "header promises"], |run| cut(&run.join("model.safetensors"), 9));
    refuses(fit, &["spatial_masks", "[8, 3, 4]", "[5, 4]"], |run| {
        edit(&run.join("record.json"), "[2,3,4]", "[2,5,4]")
    });
}

#[test]
fn damaged_sweeps_and_profiles_are_refused_in_a_sentence() {
    refuses(run_folders::sweep, &["sweep.csv", "cannot be read"], |run| {
        fs::remove_file(run.join("sweep.csv")).unwrap()
    });
    refuses(run_folders::sweep, &["sweep.csv", "has no rows"], |run| edit_to_header(&run.join("sweep.csv")));
    refuses(run_folders::sweep, &["best", "record.json"], |run| {
        fs::remove_file(run.join("best/record.json")).unwrap()
    });
    let profile = run_folders::profile;
    refuses(profile, &["layers.csv", "has no rows"], |run| edit_to_header(&run.join("layers.csv")));
    refuses(profile, &["cluster_order.csv", "twice"], |run| edit(&run.join("cluster_order.csv"), "n1", "n0"));
    refuses(profile, &["cluster_order.csv", "line 3", "no neuron"], |run| {
        edit(&run.join("cluster_order.csv"), "n1", "?")
    });
    let array = |shape: &[usize]| ArrayD::from_elem(shape.to_vec(), 0.5f32);
    refuses(profile, &["correlation_matrix.npy", "5 columns"], |run| {
        npy::write(&run.join("correlation_matrix.npy"), array(&[NEURONS, 5]).view()).unwrap();
    });
    refuses(profile, &["linkage.npy", "3 columns"], |run| {
        npy::write(&run.join("linkage.npy"), array(&[NEURONS - 1, 3]).view()).unwrap();
    });
    refuses(profile, &["linkage.npy", "row 0", "not there yet"], |run| {
        let far = array(&[NEURONS - 1, 4]).mapv(|v| 200.0 * v);
        npy::write(&run.join("linkage.npy"), far.view()).unwrap();
    });
}

#[test]
fn a_folder_that_cannot_be_written_keeps_its_page() {
    let here = Scratch::new("report-unwritable");
    let run = here.0.join("run");
    run_folders::fit(&run, false);
    fs::write(run.join("plots"), "a file in the way").unwrap();
    here.striate(&["report", "run"])
        .refused(Kind::Output.exit_code().into(), &["plots", "cannot be written"]);
    assert!(!run.join("report.html").exists());
    here.striate(&["report", "nowhere"]).refused(3, &["nowhere"]);
    here.striate(&["report", "run/scores.csv"]).refused(3, &["is a file"]);
}

/// Takes bytes off the end of a file.
fn cut(path: &Path, bytes: usize) {
    let mut content = fs::read(path).unwrap();
    content.truncate(content.len() - bytes);
    fs::write(path, content).unwrap();
}

fn edit_to_header(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, format!("{}\n", text.lines().next().unwrap())).unwrap();
}
