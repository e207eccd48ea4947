//! `striate bench` on small selections: the table, the document, comparisons, and what is refused or left
//! out.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use command::Scratch;
use serde_json::{Value, json};

fn row<'a>(document: &'a Value, section: &str, name: &str, case: &str) -> &'a Value {
    let rows = document["rows"].as_array().unwrap();
    let found = rows.iter().find(|row| {
        row["section"] == section && row["name"].as_str().unwrap().starts_with(name) && row["case"] == case
    });
    found.unwrap_or_else(|| panic!("no {section} {name} {case} in {document}"))
}

#[test]
fn kernels_are_timed_and_compared_with_an_earlier_document() {
    let here = Scratch::new("bench");
    let table = here.works(&["bench", "--quick", "kernels", "relu", "transpose", "--out", "before.json"]);
    for words in ["GFLOP/s in registers", "GB/s of memory", "Kernels", "peak", "error", "relu", "transpose"] {
        assert!(table.out.contains(words), "no {words:?} in {table:?}");
    }
    assert!(!table.out.contains("gemm") && table.out.lines().all(|line| line.len() <= 140), "{table:?}");

    let mut before = here.document("before.json");
    assert_eq!(before["rows"].as_array().unwrap().len(), 2, "{before}");
    for measured in before["rows"].as_array().unwrap().iter().map(|row| &row["measured"]) {
        let number = |name: &str| measured[name].as_f64().unwrap_or_else(|| panic!("no {name} in {before}"));
        assert!(number("median_s") >= number("fastest_s") && number("fastest_s") > 0.0);
        assert!(number("gb_per_s") > 0.0 && number("share") > 0.0 && number("runs") >= 3.0);
        // Both only move words.
        assert_eq!(number("error"), 0.0);
        assert_eq!(measured["bound"], "memory");
    }
    let relu = before["rows"][0]["measured"].clone();
    before["adapter"]["name"] = json!("another adapter");
    before["rows"][0]["measured"]["median_s"] = json!(relu["median_s"].as_f64().unwrap() * 1000.0);
    before["rows"][1]["name"] = json!("gone");
    here.write("other.json", before.to_string());
    let document =
        here.works(&["bench", "--quick", "relu", "gather_rows", "--compare", "other.json", "--json"]).json();
    let comparison = &document["comparison"];
    assert!(comparison["differences"][0].as_str().unwrap().contains("there"), "{comparison}");
    assert!(comparison["differences"][0].as_str().unwrap().contains("another adapter"), "{comparison}");
    assert_eq!(comparison["ratios"].as_array().unwrap().len(), 1, "{comparison}");
    assert!(comparison["ratios"][0]["ratio"].as_f64().unwrap() < 1.0, "{comparison}");
    let named = |side: &str| comparison[side].as_array().unwrap()[0].as_str().unwrap().to_owned();
    assert!(named("only_here").starts_with("gather_rows ") && named("only_there").starts_with("gone "));
}

#[test]
fn layers_are_timed_beside_their_distance_from_f64() {
    let here = Scratch::new("bench-layers");
    let document = here.works(&["bench", "--quick", "layers", "alexnet", "--batch", "1", "--json"]).json();
    let all = &row(&document, "layers", "alexnet 224x224, batch 1", "all layers")["measured"];
    // Its convolutions have 1311.1 MFLOP.
    assert!((all["operations"].as_f64().unwrap() / 1.3111e9 - 1.0).abs() < 1e-4, "{all}");
    let rows = document["rows"].as_array().unwrap();
    let layers: Vec<&Value> = rows.iter().filter(|row| row["case"] != "all layers").collect();
    let sum: f64 = layers.iter().filter_map(|row| row["measured"]["operations"].as_f64()).sum();
    assert!((sum / all["operations"].as_f64().unwrap() - 1.0).abs() < 1e-9, "{document}");
    assert!(layers[0]["case"].as_str().unwrap().starts_with("conv1"), "{document}");
    for layer in &layers {
        let error = layer["measured"]["error"].as_f64().unwrap();
        let convolution = layer["case"].as_str().unwrap().starts_with("conv");
        assert!(error < 1e-5 && (error > 1e-9 || !convolution), "{layer}");
    }
}

#[test]
fn whole_works_are_timed_and_what_does_not_fit_is_named() {
    let here = Scratch::new("bench-tasks");
    let words = ["bench", "--quick", "layers", "tasks", "alexnet", "ridge", "--batch", "24"];
    let document = here.works(&[&words[..], &["--max-memory", "140M", "--json"]].concat()).json();
    let left_out = row(&document, "layers", "alexnet", "all layers");
    assert!(left_out["measured"].is_null(), "{left_out}");
    assert!(left_out["skipped"].as_str().unwrap().contains("at most"), "{left_out}");
    // Features pass through the network in smaller batches.
    let features = row(&document, "tasks", "features", "alexnet 224x224 to pool5, 24 images");
    assert!(features["measured"]["gop_per_s"].as_f64().unwrap() > 0.0, "{features}");
    let ridge = row(&document, "tasks", "ridge", "118 images, 9216 features, 212 neurons");
    assert!(ridge["measured"]["error"].as_f64().unwrap() < 1e-4, "{ridge}");
    assert!(ridge["measured"]["memory_bytes"].as_f64().unwrap() > 1e6, "{ridge}");
}

#[test]
fn strange_names_and_damaged_documents_are_refused_before_anything_runs() {
    let here = Scratch::new("bench-refused");
    here.striate(&["bench", "gem"]).refused(2, &["nothing called \"gem\"", "gemm", "vgg19", "kernels"]);
    here.striate(&["bench", "layers", "gemm"]).refused(2, &["alexnet"]);
    here.write("damaged.json", "{\"striate\": \"0.1.0\", \"rows\": [{\"sec");
    here.write("other.json", "{\"striate\": \"0.1.0\"}");
    for (file, said) in [("damaged.json", "EOF"), ("other.json", "missing field"), ("none.json", "none.json")]
    {
        here.striate(&["bench", "relu", "--compare", file]).refused(3, &[file, said]);
    }
    // No adapter is opened before that.
    let nowhere =
        ["bench", "--quick", "relu", "--adapter", "none of these", "--out", "no/such/folder/a.json"];
    here.striate(&nowhere).refused(4, &["no/such/folder/a.json"]);
    assert!(here.works(&["bench", "--quick", "relu", "--out", "a.json"]).out.contains("relu"));
    assert!(here.names(".").iter().all(|name| !name.contains("partial")), "{:?}", here.names("."));
}

/// Every adapter has the tiled family; of sixteen by sixteen none here has matrices, and where one has, they
/// run.
#[test]
fn a_family_is_timed_by_its_name_or_its_absence_is_said() {
    let here = Scratch::new("bench-family");
    for family in ["tiled", "cooperative16"] {
        // Its products have a source for every family; how its tiles are chosen is no matter here.
        let words = ["bench", "--quick", "gemm", "--no-tuning", "--family", family, "--out", "a.json"];
        let ran = here.works(&words);
        let document = here.document("a.json");
        let timed = &document["rows"][0];
        assert!(timed["name"] == "gemm" && timed["wrong"].is_null(), "{document}");
        assert!(timed["measured"]["error"].as_f64().unwrap() > 0.0, "{document}");
        let used = document["kernel_family"].as_str().unwrap();
        assert!(ran.out.contains(&format!("the {used} family")), "{ran:?}");
        let said = ran.err.contains(&format!("the {family} kernels are not used"));
        assert_eq!(used != family, said, "{ran:?}");
        assert!(used == family || family != "tiled");
    }
    let ran = here.striate(&["bench", "relu", "--family", "none"]);
    assert!(ran.code == 2 && ran.err.contains("cooperative8"), "{ran:?}");
}
