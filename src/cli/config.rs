//! `--config FILE.toml`: its entries become arguments, unless the command line or the environment has them.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, FromArgMatches};
use striate::tasks::TABLES;
use striate::{Error, Kind};

use super::training::TRAINED;
use super::{Cli, command, output};

/// No configuration is longer.
const LARGEST: u64 = 1 << 20;

/// Why arguments were not understood.
#[derive(Debug)]
pub enum Refusal {
    /// By the parser; also when help or version was asked for.
    Arguments(clap::Error),
    /// Because of the configuration file.
    Configuration(Error),
}

/// Parses the command line, and with it the configuration file that it names.
pub fn parse(arguments: &[OsString]) -> Result<Cli, Refusal> {
    let matches = command().try_get_matches_from(arguments).map_err(Refusal::Arguments)?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(Refusal::Arguments)?;
    if let Some(file) = &cli.common.config {
        let more = from_file(file, &matches).map_err(Refusal::Configuration)?;
        // What stands after `--` is no option.
        let end = arguments.iter().position(|a| a == "--").unwrap_or(arguments.len());
        let mut all = arguments.to_vec();
        all.splice(end..end, more);
        cli = command()
            .try_get_matches_from(all)
            .and_then(|matches| Cli::from_arg_matches(&matches))
            .map_err(|refused| Refusal::Configuration(wrong_value(file, sweeps(&matches), &refused)))?;
    }
    Ok(cli)
}

fn wrong_value(file: &Path, sweep: bool, refused: &clap::Error) -> Error {
    let advice = match sweep {
        true => "Correct the file, or override it by an option; what varies stands under [grid]",
        false => "Correct the file, or override it by an option",
    };
    let found = shown(&output::first_line(refused));
    Error::new(Kind::Usage, file.display(), found, "", advice)
}

/// The start of a text that may be long or hold anything, on one line.
fn shown(text: &str) -> String {
    const MOST: usize = 200;
    let start: String = text.chars().take(MOST).collect();
    let end = if start.len() < text.len() { "..." } else { "" };
    // Quotes are the message's own.
    start
        .chars()
        .map(|c| if c.is_control() { c.escape_debug().to_string() } else { c.into() })
        .collect::<String>()
        + end
}

/// Whether the subcommand takes a grid from its configuration.
fn sweeps(matches: &ArgMatches) -> bool {
    matches.subcommand_name().is_some_and(|name| ["fit", "sweep"].contains(&name))
}

/// Whether the command line asks for a readout in closed form, for which the file's options of trained ones
/// do not count.
fn is_closed(given: &ArgMatches) -> bool {
    let asked = matches!(given.try_contains_id("readout"), Ok(true))
        && given.value_source("readout") == Some(ValueSource::CommandLine);
    let name = given.try_get_raw("readout").ok().flatten().and_then(|mut values| values.next());
    asked && name.is_some_and(|name| name == "ridge" || name == "smooth-ridge")
}

/// The entries of the file that nothing overrides, as arguments.
fn from_file(file: &Path, matches: &ArgMatches) -> Result<Vec<OsString>, Error> {
    let table = read(file)?;
    let command = command();
    let Some((name, given)) = matches.subcommand() else { return Ok(Vec::new()) };
    let own = command.find_subcommand(name);
    let known: Vec<&clap::Arg> = command
        .get_arguments()
        .chain(own.into_iter().flat_map(clap::Command::get_arguments))
        .filter(|a| a.get_long().is_some_and(|long| !["config", "help", "version"].contains(&long)))
        .collect();
    let mut arguments = Vec::new();
    for (key, value) in &table {
        if sweeps(matches) && TABLES.contains(&key.as_str()) {
            continue;
        }
        let Some(argument) = known.iter().find(|a| a.get_long() == Some(key)) else {
            let mut names: Vec<&str> = known.iter().filter_map(|a| a.get_long()).collect();
            if sweeps(matches) {
                names.extend(TABLES);
            }
            names.sort_unstable();
            return Err(Error::new(
                Kind::Usage,
                file.display(),
                format!("'{}' is no option of striate {name}", shown(key)),
                format!("some of {}", names.join(", ")),
                "Correct or delete that line",
            ));
        };
        let overridden = matches!(
            given.value_source(argument.get_id().as_str()),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        );
        let written = words(file, key, value, argument)?;
        // --refit stands elsewhere in the help, but is for trained readouts too.
        let trained = argument.get_help_heading() == Some(TRAINED) || key == "refit";
        let superseded = is_closed(given) && trained;
        if !overridden && !superseded {
            arguments.extend(written);
        }
    }
    Ok(arguments)
}

/// The file as a table.
pub fn read(file: &Path) -> Result<toml::Table, Error> {
    let unreadable = |why| Error::unreadable(file, &why);
    let opened = striate::io::file::open(file)?;
    let mut text = String::new();
    opened.take(LARGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LARGEST {
        let found = format!("is longer than {LARGEST} bytes");
        return Err(Error::new(Kind::Usage, file.display(), found, "a configuration", "Check the path"));
    }
    text.parse().map_err(|why: toml::de::Error| {
        let line = why.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        let found = format!("line {line}: {}", shown(why.message().trim()));
        let advice = "Write lines such as: layer = \"relu3_1\"";
        Error::new(Kind::Usage, file.display(), found, "TOML", advice)
    })
}

/// One entry as arguments: none for `false`, several for a list of an option that may be repeated.
fn words(file: &Path, key: &str, value: &toml::Value, argument: &clap::Arg) -> Result<Vec<OsString>, Error> {
    let wrong = |wanted: &str| {
        let found = format!("{key} = {}", shown(&value.to_string()));
        Err(Error::new(Kind::Usage, file.display(), found, wanted, "Correct that line"))
    };
    if matches!(argument.get_action(), ArgAction::SetTrue) {
        return match value {
            toml::Value::Boolean(true) => Ok(vec![format!("--{key}").into()]),
            toml::Value::Boolean(false) => Ok(Vec::new()),
            _ => wrong("true or false"),
        };
    }
    let repeatable = matches!(argument.get_action(), ArgAction::Append);
    let scalars = match value {
        toml::Value::Array(list) => list.iter().map(scalar).collect::<Option<Vec<String>>>(),
        other => scalar(other).map(|one| vec![one]),
    };
    match scalars {
        None => wrong("a text, a number, true, false, or a list of these"),
        Some(many) if repeatable => Ok(many.iter().map(|one| format!("--{key}={one}").into()).collect()),
        Some(many) => Ok(vec![format!("--{key}={}", many.join(",")).into()]),
    }
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(whether) => Some(whether.to_string()),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};
    use striate::random::Random;

    const GOOD: &str = "images = \"images\"\nresponses = \"responses.npy\"\nnet = \"vgg19\"\n\
        weights = \"random:3\"\nlayer = [\"relu3_1\", \"relu4_1\"]\nlambdas = [0.1, 10, 1]\npool = 4\n\
        test-fraction = 0.25\ndry-run = true\nno-intercept = false\nmax-memory = \"2G\"\nseed = 7 # ours\n";

    /// Pieces that mean something somewhere.
    const PIECES: [&str; 24] = [
        "\"",
        "'",
        "\"\"\"",
        "[",
        "]",
        "[[",
        "{",
        "}",
        "=",
        "==",
        "\n",
        "#",
        ",",
        ".",
        "-",
        "nan",
        "inf",
        "1e999",
        "true",
        "99999999999999999999",
        "--config",
        "\u{0}",
        "1979-05-27T07:32:00Z",
        "\\u{d800}",
    ];

    fn mutated(random: &mut Random) -> Vec<u8> {
        let mut bytes = GOOD.as_bytes().to_vec();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            let end = at + random.below((bytes.len() - at).min(40));
            let piece = bytes[at..end].to_vec();
            match random.below(7) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = random.below(256) as u8,
                2 => drop(bytes.drain(at..end)),
                3 => drop(bytes.splice(at..at, piece)),
                4 => drop(bytes.splice(at..end, PIECES[random.below(PIECES.len())].bytes())),
                5 => drop(bytes.splice(at..at, PIECES[random.below(PIECES.len())].repeat(2000).into_bytes())),
                _ => bytes.truncate(at.max(1)),
            }
            if bytes.is_empty() {
                bytes.push(b'a');
            }
        }
        bytes
    }

    /// Parses `text` as the configuration of a fit: whether it was taken; a refusal must say which file and
    /// why.
    fn taken(file: &Path, text: &[u8]) -> bool {
        std::fs::write(file, text).unwrap();
        let arguments = ["striate", "fit", "--out", "run", "--config"].map(OsString::from);
        let start = Instant::now();
        let parsed = parse(&[&arguments[..], &[file.into()]].concat());
        let shown = String::from_utf8_lossy(&text[..text.len().min(2000)]);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?} for {shown}", start.elapsed());
        match parsed {
            Ok(_) => true,
            Err(Refusal::Arguments(why)) => panic!("the command line was blamed: {why} for {shown}"),
            Err(Refusal::Configuration(why)) => {
                let said = why.to_string();
                assert!(matches!(why.kind(), Kind::Usage | Kind::Input), "{why:?} for {shown}");
                assert!(said.contains("fuzz.toml") && said.len() < 2000, "{said} for {shown}");
                false
            }
        }
    }

    #[test]
    fn no_configuration_makes_it_panic() {
        let folder = std::env::temp_dir().join(format!("striate-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("fuzz.toml");
        assert!(taken(&file, GOOD.as_bytes()));
        for hostile in ["[".repeat(100_000), "a.".repeat(100_000), format!("layer = {}", "[".repeat(100_000))]
        {
            assert!(!taken(&file, hostile.as_bytes()));
        }
        assert!(!taken(&file, &vec![b'#'; LARGEST as usize + 1]));
        let mut random = Random::stream(1, "configurations");
        let good = (0..2000).filter(|_| taken(&file, &mutated(&mut random))).count();
        // Mutations of a value, a comment or a space leave some of them valid.
        assert!((20..1000).contains(&good), "{good} of 2000 were taken");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
