//! The record of a run: how it came about, and how to repeat it.

use serde_json::Value;

use super::run::{Command, Run};
use super::section::{Grid, Section};
use super::words::number;

/// A text of the record that is longer is cut.
const LONGEST_TEXT: usize = 160;
/// A list with more entries is counted.
const LONGEST_LIST: usize = 24;

/// The section.
pub(super) fn section(run: &Run) -> Section {
    let record = &run.record;
    let mut section = Section::new("record", "The record of the run");
    let total = record.seconds.get("total").copied();
    let total = total.unwrap_or_else(|| record.seconds.values().sum());
    section.say(format!(
        "Written by striate {} of version {} in {} seconds on {}.",
        name(record.command),
        record.striate,
        number(total),
        adapter(run)
    ));
    section.command = command(run);
    section.links = super::links::of_run(run);
    if section.command.is_some() {
        section.say("The same again, where the files are still where they were:");
    }
    let mut inputs = Grid::new("Files that went in", &["role", "path", "SHA-256"]);
    for input in &record.inputs {
        inputs.row([input.role.clone(), input.path.display().to_string(), input.sha256.clone()]);
    }
    let mut seconds = Grid::new("Seconds", &["step", "seconds"]);
    for (step, value) in &record.seconds {
        seconds.row([step.clone(), number(*value)]);
    }
    let values = [
        ("Features from", &record.input),
        ("Options", &record.options),
        ("Adapter", &record.adapter),
        ("Summary", &record.summary),
    ];
    section.grids.push(inputs);
    for (caption, value) in values {
        let mut grid = Grid::new(caption, &["name", "value"]);
        flatten("", value, &mut grid);
        section.grids.push(grid);
    }
    section.grids.push(seconds);
    section.grids.retain(|grid| !grid.rows.is_empty());
    section
}

fn name(command: Command) -> &'static str {
    match command {
        Command::Fit => "fit",
        Command::Sweep => "sweep",
        Command::Profile => "profile",
    }
}

fn adapter(run: &Run) -> String {
    let of_summary = run.record.summary.get("adapter").and_then(Value::as_str);
    let of_adapter = run.record.adapter.get("name").and_then(Value::as_str);
    of_summary.or(of_adapter).unwrap_or("an adapter that the record does not name").to_string()
}

/// Values by the names that lead to them.
fn flatten(prefix: &str, value: &Value, grid: &mut Grid) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (key, inner) in fields {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&path, inner, grid);
            }
        }
        Value::Array(list)
            if list.len() > LONGEST_LIST || list.iter().any(|v| v.is_array() || v.is_object()) =>
        {
            grid.row([prefix.to_string(), format!("{} values", list.len())]);
        }
        Value::Array(list) => {
            grid.row([prefix.to_string(), list.iter().map(scalar).collect::<Vec<_>>().join(", ")]);
        }
        other => grid.row([prefix.to_string(), scalar(other)]),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => super::words::short(text, LONGEST_TEXT),
        Value::Number(n) => match n.as_f64() {
            Some(v) if v.fract() != 0.0 => number(v),
            _ => n.to_string(),
        },
        other => other.to_string(),
    }
}

/// Options that a command line of either ridge can give, and what the record says of their results.
const KNOWN: [&str; 23] = [
    "factorisation",
    "factorisation_taken",
    "ratios",
    "readout",
    "responses",
    "responses_layout",
    "responses_header",
    "split",
    "folds",
    "shuffled_folds",
    "penalties",
    "penalties_absolute",
    "penalty_unit",
    "intercept",
    "seed",
    "trials",
    "plan",
    "labels",
    "sizes",
    "controls",
    "bootstrap",
    "shared",
    "settings",
];

/// The command line of a fit or a profile of either ridge. None for others, and where the record has options
/// that are not known here: a command that does something else is worse than none.
fn command(run: &Run) -> Option<String> {
    let record = &run.record;
    let options = record.options.as_object()?;
    let readout = record.summary.get("readout")?;
    if record.command == Command::Sweep || !["ridge", "smooth-ridge"].iter().any(|known| readout == known) {
        return None;
    }
    if options.keys().any(|key| !KNOWN.contains(&&key[..])) {
        return None;
    }
    let mut line = Line(vec![format!("striate {}", name(record.command))]);
    let list = |name: &str| options.get(name).and_then(Value::as_array).filter(|list| !list.is_empty());
    let sizes = list("sizes").map(|sizes| sizes.iter().map(size).collect::<Option<Vec<String>>>());
    features(&mut line, &record.input, sizes.is_none())?;
    if let Some(sizes) = sizes {
        line.word("--sizes", &sizes?.join(","));
    }
    line.option("--labels", options.get("labels").unwrap_or(&Value::Null));
    if let Some(controls) = list("controls") {
        let names: Option<Vec<&str>> = controls.iter().map(Value::as_str).collect();
        line.word("--controls", &names?.join(","));
    }
    line.option("--bootstrap", options.get("bootstrap").unwrap_or(&Value::Null));
    line.option("--readout", readout);
    line.option("--responses", options.get("responses")?);
    line.option("--responses-layout", options.get("responses_layout").unwrap_or(&Value::Null));
    line.option("--responses-header", options.get("responses_header").unwrap_or(&Value::Null));
    match options.get("split")?.as_object()?.iter().next()? {
        (kind, value) if kind == "file" => line.option("--split", value),
        (_, random) => line.option("--test-fraction", random.get("test_fraction")?),
    }
    if let Some(asked) = options.get("trials").and_then(Value::as_object) {
        trials(&mut line, asked)?;
    }
    let (unit, values) = options.get("penalties")?.as_object()?.iter().next()?;
    let values: Vec<String> = values.as_array()?.iter().map(Value::to_string).collect();
    let prefix = if unit == "absolute" { "absolute:" } else { "" };
    line.option("--lambdas", &Value::String(format!("{prefix}{}", values.join(","))));
    if let Some(ratios) = options.get("ratios").and_then(Value::as_array) {
        let ratios: Vec<String> = ratios.iter().map(Value::to_string).collect();
        line.option("--ratios", &Value::String(ratios.join(",")));
    }
    line.option("--folds", options.get("folds")?);
    if options.get("shuffled_folds")? == &Value::Bool(false) {
        line.0.push("--fold-order contiguous".into());
    }
    if options.get("intercept")? == &Value::Bool(false) {
        line.0.push("--no-intercept".into());
    }
    line.option("--seed", options.get("seed")?);
    line.option("--factorisation", options.get("factorisation").unwrap_or(&Value::Null));
    line.option("--out", record.summary.get("out")?);
    Some(line.0.join(" \\\n    "))
}

/// Parts of a command, a line each.
struct Line(Vec<String>);

impl Line {
    /// Adds an option, unless its value is null.
    fn option(&mut self, name: &str, value: &Value) {
        match value {
            Value::Null => {}
            Value::String(text) => self.word(name, text),
            other => self.word(name, &other.to_string()),
        }
    }

    /// Adds an option and its value; records come from anywhere, so every value is quoted.
    fn word(&mut self, name: &str, value: &str) {
        // What begins with a dash would be an option of its own.
        let between = if value.starts_with('-') { '=' } else { ' ' };
        self.0.push(format!("{name}{between}{}", quoted(value)));
    }
}

/// The options that say what a row is, and what is known of it.
fn trials(line: &mut Line, asked: &serde_json::Map<String, Value>) -> Option<()> {
    if asked.get("single")? == &Value::Bool(true) {
        line.0.push("--trials single".into());
    }
    line.option("--trial-table", asked.get("table")?);
    let covariates = asked.get("covariates")?.as_array()?;
    let names: Option<Vec<&str>> = covariates.iter().map(|one| one.get("covariate")?.as_str()).collect();
    if let Some(names) = names.filter(|names| !names.is_empty()) {
        line.option("--covariates", &Value::String(names.join(",")));
    }
    Some(())
}

/// A size as `--size` takes it.
fn size(size: &Value) -> Option<String> {
    Some(format!("{}x{}", size.get("height")?.as_u64()?, size.get("width")?.as_u64()?))
}

/// The options that say where features come from; the size of images, unless several are named elsewhere.
fn features(line: &mut Line, input: &Value, sized: bool) -> Option<()> {
    let (kind, input) = input.as_object()?.iter().next()?;
    if kind == "features" {
        line.option("--features", input.get("file")?);
    } else {
        line.option("--images", input.get("images")?);
        line.option("--net", input.get("network")?);
        line.option("--weights", input.get("weights")?);
        let layers = input.get("layers")?.as_array()?.iter().filter_map(Value::as_str);
        let layers = layers.collect::<Vec<_>>().join(",");
        if !layers.is_empty() {
            line.option("--layer", &Value::String(layers));
        }
        if let Some(asked) = input.get("size").filter(|size| sized && !size.is_null()) {
            line.word("--size", &size(asked)?);
        }
        line.option("--filter", input.get("filter")?);
        let normalise = match input.get("normalise")?.get("as") {
            Some(Value::String(known)) => known.as_str(),
            // Numbers were measured on the images.
            _ => "data",
        };
        line.option("--normalise", &Value::String(normalise.into()));
        line.option("--pool", input.get("pool")?);
        line.option("--bits", input.get("bits").unwrap_or(&Value::Null));
        if let Some(method) = input.get("convolution") {
            line.option("--convolution", method);
        }
    }
    if let Some([count, seed]) = input.get("subsample").and_then(Value::as_array).map(Vec::as_slice) {
        line.option("--subsample", count);
        line.option("--subsample-seed", seed);
    }
    Some(())
}

/// A text as any POSIX shell takes it: one word, in which nothing is replaced.
fn quoted(text: &str) -> String {
    // `=` at the head of a word is a path to zsh.
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_for_a_shell() {
        assert_eq!((&quoted("a/b-1.npy")[..], &quoted("it's")[..]), ("a/b-1.npy", "'it'\\''s'"));
        assert_eq!(quoted(""), "''");
    }

    /// What a shell makes of a line is what was put in, whatever the record held.
    #[cfg(unix)]
    #[test]
    fn a_shell_takes_every_value_as_one_word() {
        let hostile =
            ["$(echo no)", "`echo no`", "a; echo no", "a\nb", "~", "*", "=ls", "{a,b}", "!!", "\\", "'\"'"];
        for text in hostile {
            let nested = serde_json::json!({"a": [text], text: 1});
            for value in [Value::String(text.into()), nested] {
                let mut line = Line(vec!["printf %s".into()]);
                line.option("--split", &value);
                let script = line.0.join(" \\\n    ").replacen("--split ", "--split=", 1);
                let ran = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
                let wanted = value.as_str().map_or_else(|| value.to_string(), String::from);
                assert_eq!(String::from_utf8(ran.stdout).unwrap(), format!("--split={wanted}"));
            }
        }
        let mut line = Line(Vec::new());
        line.option("--responses", &Value::String("-x".into()));
        assert_eq!(line.0, ["--responses=-x"]);
    }
}
