//! What goes to stdout and stderr, and with which exit code. A closed pipe is no error.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};
use striate::{Error, Kind, Result};

use super::config::Refusal;

/// What a subcommand found out: the same as a document and as text.
#[derive(Debug)]
pub struct Outcome {
    document: Value,
    text: String,
    failure: Option<Error>,
}

impl Outcome {
    /// A result: the document for `--json` (an object), and the text for people.
    pub fn new(document: Value, text: String) -> Self {
        Outcome { document, text, failure: None }
    }

    /// Several results: a list of their documents under a name, and their texts below each other.
    pub fn several(name: &str, all: Vec<Outcome>) -> Self {
        let (documents, texts): (Vec<Value>, Vec<String>) =
            all.into_iter().map(|one| (one.document, one.text)).unzip();
        Outcome::new(json!({ name: documents }), texts.join("\n"))
    }

    /// The same result, which is printed and then ends with this error.
    pub fn failed(mut self, why: Error) -> Self {
        self.failure = Some(why);
        self
    }
}

/// Prints a result or an error and gives the exit code.
pub fn finish(result: Result<Outcome>, as_json: bool) -> ExitCode {
    let Outcome { mut document, text, failure } = match result {
        Ok(outcome) => outcome,
        Err(why) => Outcome::new(json!({}), String::new()).failed(why),
    };
    if let (Some(why), Value::Object(fields)) = (&failure, &mut document) {
        fields.insert("error".into(), described(why));
    }
    let printed = if as_json { to_stdout(&pretty(&document)) } else { to_stdout(&text) };
    if let Some(why) = &failure {
        say(format_args!("error: {}", on_one_line(&why.to_string())));
        return ExitCode::from(why.kind().exit_code());
    }
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(why) => {
            say(format_args!("error: stdout: cannot be written: {why}. Check the disk, or where it leads"));
            ExitCode::from(Kind::Output.exit_code())
        }
    }
}

/// Prints why the arguments were refused; or the help or version that was asked for.
pub fn refuse(refusal: Refusal, as_json: bool) -> ExitCode {
    let refused = match refusal {
        Refusal::Configuration(why) => return finish(Err(why), as_json),
        Refusal::Arguments(refused) => refused,
    };
    if !refused.use_stderr() {
        let _ = refused.print();
        return ExitCode::SUCCESS;
    }
    if as_json {
        let error = Error::new(Kind::Usage, "command line", first_line(&refused), "", "See striate --help");
        let _ = to_stdout(&pretty(&json!({"error": described(&error)})));
    }
    let _ = refused.print();
    ExitCode::from(Kind::Usage.exit_code())
}

/// Decoders and drivers put line ends into their messages.
fn on_one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ").replace(" ; wanted", "; wanted")
}

/// What clap says is wrong, without its usage and tips.
pub fn first_line(refused: &clap::Error) -> String {
    let text = refused.render().to_string();
    let paragraph = text.trim().split("\n\n").next().unwrap_or("");
    let joined = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.trim_start_matches("error: ").to_string()
}

/// One line on stderr. Nobody may be listening.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Lines of a key and a value, the values below each other.
pub fn lines<K: AsRef<str>, V: AsRef<str>>(pairs: &[(K, V)]) -> String {
    let width = pairs.iter().map(|(key, _)| key.as_ref().chars().count()).max().unwrap_or(0);
    pairs.iter().map(|(key, value)| format!("{:width$}  {}\n", key.as_ref(), value.as_ref())).collect()
}

/// Bytes as people read them: whole MiB from 100 on.
pub fn mebibytes(bytes: u64) -> String {
    let number = bytes as f64 / 1_048_576.0;
    if number < 100.0 { format!("{number:.1} MiB") } else { format!("{number:.0} MiB") }
}

/// One object with the fields of both; `more` first.
pub fn merged(mut more: Value, document: &impl serde::Serialize) -> Value {
    if let (Value::Object(all), Ok(Value::Object(fields))) = (&mut more, serde_json::to_value(document)) {
        all.extend(fields);
    }
    more
}

fn described(why: &Error) -> Value {
    let mut fields = serde_json::Map::new();
    fields.insert("kind".into(), format!("{:?}", why.kind()).to_lowercase().into());
    fields.extend(why.parts().map(|(name, text)| (name.to_string(), text.into())));
    fields.insert("exit_code".into(), why.kind().exit_code().into());
    Value::Object(fields)
}

fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}

fn to_stdout(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
