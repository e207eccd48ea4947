//! Test images as pictures: those that drive a neuron most, those that are predicted best and worst.

use super::neurons::{Chosen, chosen};
use super::predictions::Tested;
use super::run::Run;
use super::section::{Gallery, Section, Tile};
use super::words::{number, short};
use crate::error::Result;

/// Pictures of a row at most.
const IN_A_ROW: usize = 6;
/// Longer side of a picture in pixels.
const SIDE: usize = 96;

/// A row of pictures before they are read: images, and what is said of each.
struct Row {
    caption: String,
    images: Vec<(usize, Vec<String>)>,
}

/// The section, where a fit has predictions.
pub(super) fn section(run: &Run) -> Result<Option<Section>> {
    let Some(fit) = run.fitted() else { return Ok(None) };
    let Some(tested) = Tested::read(run, fit)? else { return Ok(None) };
    let mut section = Section::new("images", "Images");
    let mut rows: Vec<Row> = chosen(fit)?.iter().map(|one| drivers(one, &tested)).collect();
    rows.extend(by_error(&tested));
    let wanted = rows.iter().flat_map(|row| row.images.iter().map(|(image, _)| *image));
    let pictures = fit.stimuli(tested.images()).and_then(|stimuli| stimuli.pictures(wanted, SIDE));
    let pictures = match pictures {
        Ok(pictures) => pictures,
        Err(obstacle) => {
            section.say(obstacle);
            return Ok(Some(section));
        }
    };
    section.say(
        "All of these are test images, numbered from 0 as split.csv numbers them. An error is the mean over \
         neurons of the squared error, where 1 is the variance of a neuron's responses to test images.",
    );
    for row in rows {
        let tile = |(image, lines): (usize, Vec<String>)| {
            let source = pictures.get(&image).cloned().unwrap_or_default();
            Tile { source, name: format!("image {image}"), lines }
        };
        let tiles = row.images.into_iter().map(tile).collect();
        section.galleries.push(Gallery { caption: row.caption, tiles });
    }
    Ok(Some(section))
}

/// The test images to which a neuron responds most.
fn drivers(one: &Chosen, tested: &Tested) -> Row {
    let said = |image: usize, predicted: f64, measured: f64| {
        (image, vec![format!("measured {}", number(measured)), format!("predicted {}", number(predicted))])
    };
    let most = tested.strongest(one.neuron).into_iter().take(IN_A_ROW);
    Row {
        caption: format!("What drives neuron {} ({}) most", short(&one.name, 24), one.rank),
        images: most.map(|(image, p, m)| said(image, p, m)).collect(),
    }
}

/// The test images with the smallest and the largest error, over neurons.
fn by_error(tested: &Tested) -> Vec<Row> {
    let mut errors = tested.errors();
    errors.sort_by(|a, b| a.1.total_cmp(&b.1));
    let count = IN_A_ROW.min(errors.len() / 2);
    let said = |(image, error): &(usize, f64)| (*image, vec![format!("error {}", number(*error))]);
    let row = |caption: &str, images: Vec<_>| Row { caption: caption.into(), images };
    let best = errors.iter().take(count).map(said).collect();
    let worst = errors.iter().rev().take(count).map(said).collect();
    if count == 0 { Vec::new() } else { vec![row("Predicted best", best), row("Predicted worst", worst)] }
}
