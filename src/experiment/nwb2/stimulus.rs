//! The stimulus of an NWB 2 file: its images in the order that indices count in, and when each was shown.

use super::file::{File, absolute, last};
use crate::error::{Error, Kind, Result};
use crate::experiment::clock::{Clock, Moment};
use crate::experiment::presentations::{Presentations, with_ends};
use crate::experiment::series::{Scale, clock};
use crate::experiment::{Stimuli, nwb, place};
use crate::io::store::ArrayMember;

const PRESENTATIONS: &str = "stimulus/presentation";

/// The series of a stimulus: `NAME_stimulus`, or NAME itself.
fn series(file: &File<'_>, stimulus: &str) -> Result<String> {
    for name in [format!("{PRESENTATIONS}/{stimulus}_stimulus"), format!("{PRESENTATIONS}/{stimulus}")] {
        if file.store.has_array(&format!("{name}/data"))? {
            return Ok(name);
        }
    }
    Err(nwb::no_stimulus(file.store, stimulus, PRESENTATIONS)?)
}

/// The table of a stimulus: image numbers, and the times at which they appeared, turned into imaging frames.
pub(super) fn presentations(
    file: &File<'_>,
    stimulus: &str,
    frames: &Clock,
    warnings: &mut Vec<String>,
) -> Result<Presentations> {
    let group = series(file, stimulus)?;
    let data = format!("{group}/data");
    let ArrayMember { shape, .. } = file.store.array(&data)?;
    let [count] = shape[..] else {
        let found = format!("it has the shape {shape:?}");
        let wanted = "one axis: an image number for each presentation";
        let advice = "Choose a stimulus of images, such as natural_scenes";
        return Err(Error::new(Kind::Input, place(file.store, &data), found, wanted, advice));
    };
    let times = clock(file.store, &group, count, warnings)?;
    let images = file.store.integers(&data, std::slice::from_ref(&(0..times.len())))?;
    let images = images.into_raw_vec_and_offset().0;
    let begins: Vec<(Moment, f64)> = times.iter().map(|time| (frames.at(*time), *time)).collect();
    Ok(Presentations { place: place(file.store, &group), images, shown: with_ends(&begins) })
}

/// The images of a stimulus: those that its series links to, else those of its template.
pub(super) fn images(file: &File<'_>, stimulus: &str) -> Result<Stimuli> {
    let series = series(file, stimulus)?;
    let film = file.target(&format!("{series}/indexed_timeseries"));
    let linked = film.or_else(|| file.target(&format!("{series}/indexed_images")));
    let group = linked.unwrap_or_else(|| absolute(&format!("stimulus/templates/{stimulus}_template")));
    let film = format!("{group}/data");
    if file.store.has_array(&film)? {
        if Scale::read(file.store, &film, &mut Vec::new())? != Scale::ONE {
            let found = "its pixels have a conversion or an offset";
            let advice = "Save the pixels as they were shown, from 0 to 255";
            return Err(Error::new(
                Kind::Input,
                place(file.store, &film),
                found,
                "pixels as they are",
                advice,
            ));
        }
        return Stimuli::stack(file.shared, &film);
    }
    let order = format!("{group}/order_of_images");
    if file.store.member(&order)?.is_some() {
        return Stimuli::each(file.shared, ordered(file, &group, &order)?);
    }
    Stimuli::each(file.shared, numbered(file, &group)?)
}

/// Images in the order of references to them.
fn ordered(file: &File<'_>, group: &str, order: &str) -> Result<Vec<String>> {
    let images = file.store.references(order)?;
    let wrong = |found: String| {
        let wanted = format!("a reference to each image of {group} once");
        Error::new(Kind::Input, place(file.store, order), found, wanted, "Check how the file was written")
    };
    if images.is_empty() {
        return Err(wrong("it is empty".into()));
    }
    let mut sorted = images.clone();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(wrong(format!("it refers to {} twice", last(&pair[0]).escape_debug())));
    }
    Ok(images)
}

/// Images in the order of the numbers at the end of their names, where nothing else says it.
fn numbered(file: &File<'_>, group: &str) -> Result<Vec<String>> {
    let mut numbered = Vec::new();
    for name in file.children(group) {
        let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        if let Ok(number) = name[name.len() - digits..].parse::<usize>() {
            numbered.push((number, format!("{group}/{name}")));
        }
    }
    numbered.sort();
    let gap = numbered.iter().enumerate().position(|(at, (number, _))| at != *number);
    let found = match (gap, numbered.is_empty()) {
        (_, true) => "it holds no image whose name ends with its number".to_string(),
        (Some(at), _) => format!("there is no image {at} before {}", numbered[at].1),
        (None, false) => return Ok(numbered.into_iter().map(|(_, name)| name).collect()),
    };
    let wanted = "images numbered from 0, such as NaturalScene0, or order_of_images";
    Err(Error::new(
        Kind::Input,
        place(file.store, group),
        found,
        wanted,
        "Images in other files are not read",
    ))
}
