//! What goes to stdout and stderr, and with which exit code. A closed pipe is no error.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue};
use serde_json::{Value, json};
use striate::networks::nearest;
use striate::{Error, Kind, Result};

use super::config::Refusal;

/// Letters of a key and of a value that are printed; documents have them whole.
const LONGEST_KEY: usize = 60;
const LONGEST_VALUE: usize = 2000;

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
    let tip = suggestion(&refused);
    let plain = refused.render().to_string();
    if as_json {
        let error = Error::new(Kind::Usage, "command line", first_line(&refused), "", "See striate --help");
        let _ = to_stdout(&pretty(&json!({"error": described(&error)})));
    }
    match printable(&plain) {
        Cow::Borrowed(_) => drop(refused.print()),
        // Colours are left out where an argument holds what could be taken for one.
        Cow::Owned(escaped) => say(escaped.trim_end()),
    }
    tip.into_iter().for_each(say);
    ExitCode::from(Kind::Usage.exit_code())
}

/// Most letters that a mistyped name has wrong.
const MISTYPED: usize = 2;

/// The subcommand that was meant, where the parser does not suggest one itself.
fn suggestion(refused: &clap::Error) -> Option<String> {
    let wrong = match refused.get(ContextKind::InvalidSubcommand)? {
        ContextValue::String(wrong) if refused.get(ContextKind::SuggestedSubcommand).is_none() => wrong,
        _ => return None,
    };
    let command = super::Cli::command();
    let names = command.get_subcommands().map(clap::Command::get_name);
    let best = nearest::sorted(&wrong.to_lowercase(), names).into_iter().next()?;
    (nearest::distance(wrong, best) <= MISTYPED).then(|| format!("  tip: did you mean striate {best}?"))
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

/// Text on stderr, of one line mostly. Nobody may be listening.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{}", printable(&line.to_string()));
}

/// Whether a terminal takes a character for a command, or turns what follows around.
fn commands(c: char) -> bool {
    let turns = ['\u{61c}', '\u{200e}', '\u{200f}'].contains(&c)
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c);
    turns || (c.is_control() && c != '\n' && c != '\t')
}

/// Text as a terminal may have it: names come from files, which may hold anything.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(commands) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match commands(c) {
            true => safe.extend(c.escape_default()),
            false => safe.push(c),
        }
    }
    safe.into()
}

/// The start of a text on one line, at most `most` letters of it.
pub fn cut(text: &str, most: usize) -> String {
    let start: String = text.chars().take(most).collect();
    let end = if start.len() < text.len() { "..." } else { "" };
    let line = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    start.chars().map(line).collect::<String>() + end
}

/// Lines of a key and a value, the values below each other.
pub fn lines<K: AsRef<str>, V: AsRef<str>>(pairs: &[(K, V)]) -> String {
    let keys: Vec<String> = pairs.iter().map(|(key, _)| cut(key.as_ref(), LONGEST_KEY)).collect();
    let width = keys.iter().map(|key| key.chars().count()).max().unwrap_or(0);
    let values = pairs.iter().map(|(_, value)| cut(value.as_ref(), LONGEST_VALUE));
    keys.iter().zip(values).map(|(key, value)| format!("{key:width$}  {value}\n")).collect()
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
    let text = format!("{document:#}\n");
    if !text.contains(commands) {
        return text;
    }
    // Those below U+0020 are escaped already; the others stand in strings and below U+FFFF.
    let safe = |c: char| if commands(c) { format!("\\u{:04x}", c as u32) } else { c.into() };
    text.chars().map(safe).collect()
}

fn to_stdout(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(printable(text).as_bytes())?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_printed_moves_a_cursor() {
        assert_eq!(printable("a\tb\n"), "a\tb\n");
        assert_eq!(printable("\u{1b}[31mr\u{9b}1m\r\u{202e}x"), "\\u{1b}[31mr\\u{9b}1m\\r\\u{202e}x");
        let name = "\u{1b}[2J\u{9b}1m\u{202e}\u{7f}\n";
        let text = pretty(&json!({ name: name }));
        assert!(!text.contains(commands));
        assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(json!({ name: name })));
    }

    #[test]
    fn long_names_are_cut() {
        let long = "x".repeat(70_000);
        let text = lines(&[(long.as_str(), "1"), ("a\nb", long.as_str())]);
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("...  1\n") && text.contains("\na\\nb") && text.len() < 3000, "{text}");
    }
}
