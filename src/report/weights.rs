//! Where in the image, and to which features, the readouts of a few neurons look.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use ndarray::{Array1, Array2, Array3, Axis as Dimension};

use super::axis::{Axis, range};
use super::field::Field;
use super::neurons::{Chosen, chosen};
use super::picture::Cells;
use super::plot::{ColourBar, Mark, Plot};
use super::predictions::Tested;
use super::run::Run;
use super::section::{Figure, Section};
use super::svg::Colour;
use super::table::{AGAIN, Sheet, field};
use super::words::{number, percent, short};
use crate::error::{Error, Result};
use crate::io::file;
use crate::io::weights::{TensorInfo, WeightFile};

const MODEL: &str = "model.safetensors";

/// What a neuron's readout is made of.
struct Looks {
    /// (height, width); none where features are no maps.
    mask: Option<Array2<f64>>,
    /// One weight a channel.
    features: Array1<f64>,
    /// Whether these are factors with signs, or root mean squares over the rest of the weights.
    factored: bool,
}

/// The section, where the folder has a linear readout.
pub(super) fn section(run: &Run) -> Result<Option<Section>> {
    let Some(fit) = run.fitted() else { return Ok(None) };
    let path = fit.folder.join(MODEL);
    if !path.exists() {
        return Ok(None);
    }
    let model = WeightFile::open(&path)?;
    let Some(shape) = feature_shape(fit) else { return Ok(None) };
    let neurons = chosen(fit)?;
    let mut section = Section::new("weights", "Where and what the readouts read");
    let field = Field::of(fit, shape);
    section.findings.extend(field.sentence());
    let tested = Tested::read(run, fit)?;
    for one in &neurons {
        let Some(looks) = read(&path, &model, shape, one.neuron)? else { return Ok(None) };
        section.say(sentence(one, &looks, &field));
        if let Some(mask) = &looks.mask {
            section.figures.push(mask_figure(one, mask, looks.factored, &field)?);
            let photo = tested.as_ref().and_then(|tested| field.photo(fit, tested, one.neuron));
            section.figures.extend(photo.map(|photo| field.figure(one, mask, photo)).transpose()?);
        }
        if looks.features.len() > 1 {
            section.figures.push(feature_figure(one, &looks)?);
        }
    }
    Ok((!section.figures.is_empty()).then_some(section))
}

/// Channels, height and width of an image's features.
fn feature_shape(fit: &Run) -> Option<[usize; 3]> {
    let list = fit.record.summary.get("feature_shape")?.as_array()?;
    let sizes: Vec<usize> = list.iter().filter_map(|n| usize::try_from(n.as_u64()?).ok()).collect();
    sizes.try_into().ok().filter(|sizes: &[usize; 3]| !sizes.contains(&0))
}

/// One neuron's readout; none where the model is not linear.
fn read(path: &Path, model: &WeightFile, shape: [usize; 3], neuron: usize) -> Result<Option<Looks>> {
    let [channels, height, width] = shape;
    let has = |name: &str| model.contains(name);
    if has("spatial_masks") && has("feature_weights") {
        let mask = row(path, model, "spatial_masks", &[height, width], neuron)?;
        let features = row(path, model, "feature_weights", &[channels], neuron)?;
        let mask = Array2::from_shape_vec((height, width), mask).ok();
        return Ok(Some(Looks { mask, features: features.into(), factored: true }));
    }
    if !has("weights") {
        return Ok(None);
    }
    let count = channels.checked_mul(height).and_then(|n| n.checked_mul(width)).unwrap_or(usize::MAX);
    let weights = row(path, model, "weights", &[count], neuron)?;
    let Ok(maps) = Array3::from_shape_vec((channels, height, width), weights) else { return Ok(None) };
    let squares = maps.mapv(|v| v * v);
    let over_maps = squares.mean_axis(Dimension(0)).map(|mean| mean.mapv(f64::sqrt));
    let over_channels = squares.outer_iter().map(|map| map.mean().unwrap_or(0.0).sqrt()).collect();
    let mask = over_maps.filter(|_| height * width > 1);
    Ok(Some(Looks { mask, features: over_channels, factored: false }))
}

/// The row of a neuron in a tensor, without reading the others.
fn row(path: &Path, model: &WeightFile, name: &str, wanted: &[usize], neuron: usize) -> Result<Vec<f64>> {
    let found = model.tensors().iter().find(|tensor| tensor.name == name);
    let fits = |tensor: &&TensorInfo| {
        let rows = tensor.shape.split_first();
        rows.is_some_and(|(rows, rest)| neuron < *rows && rest == wanted)
    };
    let (Some(_), Some(at)) = (found.filter(fits), model.plain_f32_at(name)) else {
        let shape = found.map_or(Vec::new(), |tensor| tensor.shape.clone());
        let found = format!("{name} has the shape {shape:?}");
        let wanted = format!("f32 with a row of {wanted:?} for each neuron, as record.json says");
        return Err(Error::input(path, found, wanted, AGAIN));
    };
    let unreadable = |why| Error::unreadable(path, &why);
    let length: usize = wanted.iter().product();
    let mut file = file::open(path)?;
    file.seek(SeekFrom::Start(at + 4 * (neuron * length) as u64)).map_err(unreadable)?;
    // The header was checked against the file's length when it was opened.
    let mut bytes = vec![0; 4 * length];
    file.read_exact(&mut bytes).map_err(unreadable)?;
    let values: Vec<f64> =
        bytes.as_chunks::<4>().0.iter().map(|word| f64::from(f32::from_le_bytes(*word))).collect();
    if values.iter().all(|v| v.is_finite()) {
        return Ok(values);
    }
    let found = format!("{name} of neuron {neuron} holds NaN or infinity");
    Err(Error::input(path, found, "finite numbers", AGAIN))
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.map(f64::abs).fold(f64::MIN_POSITIVE, f64::max)
}

/// The centre of mass of a mask's squares, and how much of them the strongest tenth of the positions holds.
fn sentence(one: &Chosen, looks: &Looks, field: &Field) -> String {
    let subject = format!("The readout of neuron {} ({})", one.name, one.rank);
    let energy = |values: &mut dyn Iterator<Item = f64>| {
        let mut squares: Vec<f64> = values.map(|v| v * v).collect();
        squares.sort_by(|a, b| b.total_cmp(a));
        let most = squares.len().div_ceil(10);
        squares[..most].iter().sum::<f64>() / squares.iter().sum::<f64>()
    };
    let of_features = energy(&mut looks.features.iter().copied());
    if !of_features.is_finite() {
        return format!("{subject} reads nothing: all its weights are 0.");
    }
    let channels =
        format!("the strongest tenth of the channels hold {} of the squared weights", percent(of_features));
    let Some(mask) = &looks.mask else { return format!("{subject}: {channels}.") };
    let total: f64 = mask.iter().map(|v| v * v).sum();
    let centre = |axis: fn((usize, usize)) -> usize| {
        mask.indexed_iter().map(|(at, v)| axis(at) as f64 * v * v).sum::<f64>() / total
    };
    let of_places = energy(&mut mask.iter().copied());
    format!(
        "{subject} looks around {}, with {} of the squared weights in the strongest tenth of the positions; \
         {channels}.",
        field.place(centre(|at| at.0), centre(|at| at.1)),
        percent(of_places)
    )
}

fn mask_figure(one: &Chosen, mask: &Array2<f64>, factored: bool, field: &Field) -> Result<Figure> {
    let most = largest(mask.iter().copied());
    let signed = factored && mask.iter().any(|v| *v < 0.0);
    let cells = if signed { Cells::signed(mask.view(), most) } else { Cells::growing(mask.view(), most) };
    let marks = vec![Mark::Cells { corners: field.corners(), cells }];
    let plot = field.plot(marks).with_bar(ColourBar { signed, most });
    let what = if factored { "Spatial mask" } else { "Root mean square of the weights over channels" };
    let description = format!("{what}; {}.", field.axes());
    let title = format!("Where neuron {} ({}) looks", short(&one.name, 24), one.rank);
    Figure::new(format!("mask_{}", one.rank), title, description, plot, field.sheet(mask))
}

fn feature_figure(one: &Chosen, looks: &Looks) -> Result<Figure> {
    let mut sheet = Sheet::new(&["channel", "weight"]);
    for (channel, value) in looks.features.iter().enumerate() {
        sheet.row([channel.to_string(), field(*value)]);
    }
    let mut order: Vec<f64> = looks.features.to_vec();
    order.sort_by(|a, b| b.total_cmp(a));
    // More bars than pixels cannot be told apart.
    let each = order.len().div_ceil(400);
    let bars: Vec<f64> = order.chunks(each).map(super::statistics::mean).collect();
    let bar = |(at, value): (usize, &f64)| {
        let (left, right) = ((at * each) as f64, ((at + 1) * each) as f64);
        Mark::Bar { corners: [(left, *value), (right, 0.0)], colour: Colour::Blue, opacity: 0.9 }
    };
    let marks: Vec<Mark> = bars.iter().enumerate().map(bar).collect();
    let (low, high) = range(bars.iter().copied().chain([0.0]));
    let room = 0.04 * (high - low);
    let y = Axis::linear("weight", if low < 0.0 { low - room } else { 0.0 }, high + room);
    let x = Axis::linear("channels in the order of their weights", 0.0, order.len() as f64);
    let by_size = |(_, a): &(usize, &f64), (_, b): &(usize, &f64)| b.abs().total_cmp(&a.abs());
    let mut named: Vec<(usize, &f64)> = looks.features.iter().enumerate().collect();
    named.sort_by(by_size);
    let strongest: Vec<String> =
        named.iter().take(5).map(|(channel, v)| format!("{channel} ({})", number(**v))).collect();
    let what =
        if looks.factored { "Feature weights" } else { "Root mean square of the weights over positions" };
    let description = format!("{what}. Strongest channels: {}.", strongest.join(", "));
    let title = format!("What neuron {} ({}) reads", short(&one.name, 24), one.rank);
    Figure::new(format!("channels_{}", one.rank), title, description, Plot::new(x, y, marks).high(240), sheet)
}
