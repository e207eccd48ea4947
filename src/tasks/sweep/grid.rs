//! A grid of configurations, as a file describes it: which options vary, and over which values.

use super::range;
use crate::error::{Error, Kind, Result};
use crate::training::TrainingOptions;
use serde::Serialize;

/// More configurations than this are a mistake.
pub const MOST: usize = 100_000;

/// Options that vary besides those of the readout.
pub const INPUT_OPTIONS: [&str; 6] = ["weights", "layer", "size", "pool", "subsample", "subsample-seed"];

/// The three tables of a file that describe a grid, of which it has one.
pub const TABLES: [&str; 3] = ["grid", "configurations", "stages"];

/// What one configuration changes: names of options and their values.
pub type Point = Vec<(String, toml::Value)>;

/// Options that vary, each with its values; the last option changes fastest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Axes(Vec<(String, Vec<toml::Value>)>);

/// Stages of a sweep, one after the other. Each is a list of products; every stage after the first starts
/// from the best configuration of the one before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Grid {
    stages: Vec<Vec<Axes>>,
}

fn wrong(place: &str, found: impl std::fmt::Display, wanted: impl std::fmt::Display, advice: &str) -> Error {
    Error::new(Kind::Usage, place, found, wanted, advice)
}

impl Grid {
    /// Reads `[grid]`, `[[configurations]]` or `[[stages]]` out of a file's table. `place` names the file in
    /// errors.
    ///
    /// # Errors
    /// Usage, naming the file and the key: if there is not exactly one of the three, a key is no option that
    /// can vary, a list or a range is empty, or there are more than 100,000 configurations.
    pub fn parse(table: &toml::Table, place: &str) -> Result<Self> {
        let present: Vec<&str> = TABLES.into_iter().filter(|name| table.contains_key(*name)).collect();
        let [name] = present.as_slice() else {
            let found = match present.len() {
                0 => "has no grid".to_string(),
                _ => format!("has {}", present.join(" and ")),
            };
            let wanted = "one of [grid], [[configurations]] and [[stages]]";
            return Err(wrong(place, found, wanted, "Put what varies under [grid]: l1 = [0, 1, 10]"));
        };
        let value = &table[*name];
        let list = |header: &str| {
            let rows = value.as_array().filter(|rows| !rows.is_empty());
            let rows = rows.ok_or_else(|| wrong(place, format!("{name} is no list"), header, ""))?;
            let axes = |(number, row): (usize, &toml::Value)| {
                Axes::parse(row, &format!("{place}: {name} {}", number + 1))
            };
            rows.iter().enumerate().map(axes).collect::<Result<Vec<_>>>()
        };
        let stages = match *name {
            "grid" => vec![vec![Axes::parse(value, &format!("{place}: grid"))?]],
            "configurations" => vec![list("tables that each begin with [[configurations]]")?],
            _ => list("tables that each begin with [[stages]]")?.into_iter().map(|axes| vec![axes]).collect(),
        };
        let grid = Grid { stages };
        if grid.total().is_none_or(|count| count > MOST) {
            let count = grid.total().map_or("more than can be counted".into(), |count| count.to_string());
            let found = format!("makes {count} configurations");
            return Err(wrong(
                place,
                found,
                format!("at most {MOST}"),
                "Vary fewer options, or use [[stages]]",
            ));
        }
        Ok(grid)
    }

    /// Number of configurations; `None` beyond any number.
    fn total(&self) -> Option<usize> {
        self.stages.iter().flatten().try_fold(0usize, |sum, axes| sum.checked_add(axes.total()?))
    }

    /// Number of configurations of all stages.
    pub fn count(&self) -> usize {
        self.total().unwrap_or(usize::MAX)
    }

    /// Number of stages.
    pub fn stages(&self) -> usize {
        self.stages.len()
    }

    /// What the configurations of a stage change, in order.
    pub fn points(&self, stage: usize) -> Vec<Point> {
        self.stages.get(stage).into_iter().flatten().flat_map(Axes::points).collect()
    }
}

impl Axes {
    fn parse(value: &toml::Value, place: &str) -> Result<Self> {
        let Some(table) = value.as_table() else {
            return Err(wrong(place, "is no table", "lines such as l1 = [0, 1, 10]", ""));
        };
        let axis = |(key, value): (&String, &toml::Value)| {
            if !INPUT_OPTIONS.contains(&key.as_str()) && !TrainingOptions::NAMES.contains(&key.as_str()) {
                let shown: String = key.chars().take(80).collect();
                let allowed = [&TrainingOptions::NAMES[..], &INPUT_OPTIONS].concat().join(", ");
                let advice =
                    "Correct the name; what is the same for all configurations stands above the first table";
                return Err(wrong(
                    place,
                    format!("'{shown}' cannot vary"),
                    format!("some of {allowed}"),
                    advice,
                ));
            }
            Ok((key.clone(), values(value, key, place)?))
        };
        Ok(Axes(table.iter().map(axis).collect::<Result<_>>()?))
    }

    fn total(&self) -> Option<usize> {
        self.0.iter().try_fold(1usize, |product, (_, values)| product.checked_mul(values.len()))
    }

    fn points(&self) -> Vec<Point> {
        let mut points = vec![Point::new()];
        for (key, values) in &self.0 {
            let longer = |point: &Point| {
                let one = |value: &toml::Value| [point.clone(), vec![(key.clone(), value.clone())]].concat();
                values.iter().map(one).collect::<Vec<_>>()
            };
            points = points.iter().flat_map(longer).collect();
        }
        points
    }
}

/// The values of one key: a list, a range, or one value. `widths` is itself a list.
fn values(value: &toml::Value, key: &str, place: &str) -> Result<Vec<toml::Value>> {
    let one = |list: &[toml::Value]| key == "widths" && list.iter().all(toml::Value::is_integer);
    match value {
        toml::Value::Array(list) if list.is_empty() => Err(wrong(
            place,
            format!("{key} = [] is empty"),
            "at least one value",
            "Delete the line, or fill it",
        )),
        toml::Value::Array(list) if one(list) => Ok(vec![value.clone()]),
        toml::Value::Array(list) => Ok(list.clone()),
        toml::Value::Table(table) => range::values(table).map_err(|(found, wanted)| {
            let advice = "Write for example { from = 1e-5, to = 1, count = 20 }";
            wrong(place, format!("{key}: {found}"), wanted, advice)
        }),
        other => Ok(vec![other.clone()]),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn grid(text: &str) -> Result<Grid> {
        Grid::parse(&text.parse().unwrap(), "grid.toml")
    }

    fn refused(text: &str, said: &[&str]) {
        let error = grid(text).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        for words in said {
            assert!(error.to_string().contains(words), "{error} does not say {words}");
        }
        assert!(error.to_string().starts_with("grid.toml"), "{error}");
    }

    #[test]
    fn a_product_counts_with_its_last_option_fastest() {
        let grid = grid("epochs = 3\n[grid]\nl2 = [1, 2]\nl1 = [0, 0.5, 1]\nbatch = 8\n").unwrap();
        assert_eq!((grid.count(), grid.stages()), (6, 1));
        let points = grid.points(0);
        let text =
            |point: &Point| point.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ");
        assert_eq!(text(&points[0]), "l2=1 l1=0 batch=8");
        assert_eq!(text(&points[1]), "l2=1 l1=0.5 batch=8");
        assert_eq!(text(&points[5]), "l2=2 l1=1 batch=8");
        assert!(grid.points(1).is_empty());
    }

    #[test]
    fn lists_and_stages() {
        let list =
            "[[configurations]]\nl1 = 1\n[[configurations]]\nl1 = 10\nseed = [1, 2]\nwidths = [8, 4]\n";
        let parsed = grid(list).unwrap();
        assert_eq!((parsed.count(), parsed.stages()), (3, 1));
        assert_eq!(parsed.points(0)[2].len(), 3);
        let stages = "[[stages]]\nlearning-rate = { from = 1e-5, to = 1, count = 20 }\ninitialisation = [\"he\", \
            \"xavier\", \"plain\"]\nactivation = [\"relu\", \"tanh\"]\n[[stages]]\nmomentum = { from = 0, to = 1, \
            count = 10, scale = \"linear\" }\n[[stages]]\nl2 = { from = 1e-5, to = 1, count = 10 }\n";
        let parsed = grid(stages).unwrap();
        assert_eq!((parsed.count(), parsed.stages()), (20 * 6 + 10 + 10, 3));
        assert_eq!([0, 1, 2].map(|stage| parsed.points(stage).len()), [120, 10, 10]);
        let widths = grid("[grid]\nwidths = [[8, 4], [2]]\n").unwrap();
        assert_eq!(widths.count(), 2);
    }

    #[test]
    fn mistakes_name_the_key_and_the_file() {
        refused("l1 = 3\n", &["has no grid", "[[stages]]"]);
        refused("[grid]\nl1 = 1\n[[stages]]\nl1 = 1\n", &["has grid and stages"]);
        refused("[grid]\nlerning-rate = [1]\n", &["'lerning-rate' cannot vary", "learning-rate", "layer"]);
        refused("[grid]\nl1 = []\n", &["grid: l1 = [] is empty"]);
        refused("[[stages]]\nl1 = 1\n[[stages]]\nl2 = { from = 1 }\n", &["stages 2: l2: "]);
        refused("grid = 3\n", &["grid: is no table"]);
        refused("stages = 3\n", &["stages is no list"]);
        refused("configurations = []\n", &["configurations is no list"]);
        let many = "{ from = 1, to = 2, count = 1000 }";
        refused(&format!("[grid]\nl1 = {many}\nl2 = {many}\n"), &["makes 1000000 configurations", "100000"]);
        let axes: String = ["l1", "l2", "laplace", "momentum", "feature-l1", "feature-l2", "drop-factor"]
            .map(|key| format!("{key} = {many}\n"))
            .concat();
        refused(&format!("[grid]\n{axes}"), &["more than can be counted"]);
    }
}
