//! Recorded responses: how strongly each neuron responded to each image, in each repeat.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;

use ndarray::{Array, Array2, Array3, ArrayD, ArrayView, ArrayView2, Axis, Ix3, RemoveAxis};

use super::image_names::ImageNames;
pub use super::response_table::Headers;
use super::{npy, response_table};
use crate::error::{Error, Kind, Result};

const ADVICE_LAYOUT: &str = "Say the order of the axes with --responses-layout";

/// Repeats of an image at most: more are another axis, and each is shuffled a thousand times over.
const MOST_REPEATS: usize = 10_000;

/// Recorded responses of all neurons to all images.
#[derive(Debug, Clone, PartialEq)]
pub struct Responses {
    /// (neurons, images, repeats), less the neuron's offset; NaN where a repeat is missing. Every neuron has at
    /// least one repeat per image.
    pub repeats: Array3<f32>,
    /// What was taken off all responses of a neuron in f64, before they became f32: 0 or its mean.
    pub offsets: Vec<f64>,
    /// One name per neuron, when the file has them.
    pub neuron_names: Option<Vec<String>>,
}

/// What an axis of a responses array counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Neurons,
    Images,
    Repeats,
}

/// The order of the axes of a responses array, read from text such as `neurons,images` or
/// `repeats,images,neurons`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(Vec<Counts>);

impl FromStr for Layout {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |found: String| {
            let wanted = "neurons and images, and repeats if there are any, each once, separated by commas";
            let advice = "Write for example images,neurons or neurons,images,repeats";
            Error::new(Kind::Usage, "--responses-layout", found, wanted, advice)
        };
        let mut axes = Vec::new();
        for word in text.split(',') {
            let axis = match word.trim() {
                "neurons" => Counts::Neurons,
                "images" => Counts::Images,
                "repeats" => Counts::Repeats,
                other => return Err(wrong(format!("'{}' is no axis", shorten(other)))),
            };
            if axes.contains(&axis) {
                return Err(wrong(format!("{} is named twice", word.trim())));
            }
            axes.push(axis);
        }
        if !(axes.contains(&Counts::Neurons) && axes.contains(&Counts::Images)) {
            return Err(wrong(format!("'{}' lacks an axis", shorten(text))));
        }
        Ok(Layout(axes))
    }
}

impl Layout {
    /// The array with its axes in the order neurons, images, repeats (one repeat where the layout has none).
    fn arrange<T: Clone>(&self, path: &Path, mut array: ArrayD<T>) -> Result<Array3<T>> {
        if self.0.len() != array.ndim() {
            let found = format!("has {} axes ({})", array.ndim(), product(array.shape()));
            let wanted = format!("the {} axes of --responses-layout", self.0.len());
            return Err(Error::input(path, found, wanted, "Name as many axes as the array has"));
        }
        let mut axes = self.0.clone();
        if !axes.contains(&Counts::Repeats) {
            let last = Axis(array.ndim());
            array = array.insert_axis(last);
            axes.push(Counts::Repeats);
        }
        let order: Vec<usize> = [Counts::Neurons, Counts::Images, Counts::Repeats]
            .iter()
            .filter_map(|wanted| axes.iter().position(|axis| axis == wanted))
            .collect();
        let arranged = array.permuted_axes(order).into_dimensionality::<Ix3>();
        let arranged = arranged.map_err(|why| Error::internal(path.display(), why))?;
        Ok(arranged.as_standard_layout().into_owned())
    }

    /// Whether the rows of a table are images and its columns neurons.
    fn rows_are_images(&self) -> bool {
        self.0.iter().find(|&&axis| axis != Counts::Repeats) == Some(&Counts::Images)
    }
}

impl Responses {
    /// Reads responses from `.npy`, `.npz` (2-D or 3-D) or a table: `.csv`, `.tsv` or `.txt`, with a row for
    /// each neuron, or for each image where `layout` says so.
    ///
    /// Without `layout` the axes are (neurons, images) or (neurons, images, repeats). A table may have a header of
    /// names or numbers and a first column of them, which are told from values unless `headers` says so. Names and
    /// numbers of images are matched to `images`, where these are known, and responses come in the order of
    /// `images`, whatever the order in the table.
    ///
    /// # Errors
    /// When the file cannot be read; its axes do not fit `layout` or `images`, or fit in two ways; names are of no
    /// image, or headers cannot be told from values; two neurons have one name; a value is infinite; or a neuron
    /// has no response at all to some image.
    pub fn read(
        path: &Path,
        layout: Option<Layout>,
        headers: Option<Headers>,
        images: Option<&ImageNames>,
    ) -> Result<Responses> {
        Self::load(path, layout, headers, images, false)
    }

    /// The same less each neuron's mean, which is taken off in f64: a mean that is large beside what varies
    /// leaves f32 no digits for that.
    ///
    /// # Errors
    /// As [`Responses::read`].
    pub fn read_centred(
        path: &Path,
        layout: Option<Layout>,
        headers: Option<Headers>,
        images: Option<&ImageNames>,
    ) -> Result<Responses> {
        Self::load(path, layout, headers, images, true)
    }

    fn load(
        path: &Path,
        layout: Option<Layout>,
        headers: Option<Headers>,
        images: Option<&ImageNames>,
        centred: bool,
    ) -> Result<Responses> {
        let n_images = images.map(ImageNames::count);
        let layout_of = |shape: &[usize]| match layout.clone() {
            Some(layout) => Ok(layout),
            None => default_layout(path, shape, n_images),
        };
        let (repeats, offsets, neuron_names) = if is_table(path) {
            let (values, names) = Self::from_table(path, layout, headers, images)?;
            let (repeats, offsets) = less_means(values, centred);
            (repeats, offsets, names)
        } else if npy::element(path, None)?.is_wide() {
            let array = npy::read_f64(path, None)?;
            let (repeats, offsets) = less_means(layout_of(array.shape())?.arrange(path, array)?, centred);
            (repeats, offsets, None)
        } else {
            let array = npy::read(path, None)?;
            let (repeats, offsets) = less_means(layout_of(array.shape())?.arrange(path, array)?, centred);
            (repeats, offsets, None)
        };
        let responses = Responses { repeats, offsets, neuron_names };
        responses.check(path, n_images)?;
        Ok(responses)
    }

    fn from_table(
        path: &Path,
        layout: Option<Layout>,
        headers: Option<Headers>,
        images: Option<&ImageNames>,
    ) -> Result<(Array3<f64>, Option<Vec<String>>)> {
        if layout.as_ref().is_some_and(|layout| layout.0.contains(&Counts::Repeats)) {
            let advice = "Give the repeats as a 3-D .npy array, or the averages as a table";
            return Err(Error::input(path, "is a table, which has no repeats", "two axes", advice));
        }
        let n_images = images.map(ImageNames::count);
        let wanted = match layout.as_ref().is_some_and(Layout::rows_are_images) {
            true => [n_images, None],
            false => [None, n_images],
        };
        let table = response_table::read(path, headers, wanted)?;
        let layout = match layout {
            Some(layout) => layout,
            None => default_layout(path, table.values.shape(), n_images)?,
        };
        let rows = ("the first column", table.row_names);
        let columns = ("the first line", table.column_names);
        let ((what, image_names), (_, neuron_names)) = match layout.rows_are_images() {
            true => (rows, columns),
            false => (columns, rows),
        };
        if let (Some(images), Some(names)) = (images, &neuron_names)
            && images.are_names(names)
        {
            let found = "calls its neurons by the names of the images";
            return Err(Error::input(path, found, "the images on the other axis", ADVICE_LAYOUT));
        }
        let mut repeats = layout.arrange(path, table.values.into_dyn())?;
        if let (Some(images), Some(names)) = (images.filter(|i| i.count() == repeats.dim().1), &image_names) {
            let of_times = table.of_times && layout.rows_are_images();
            let rows = images.all(path, what, names, of_times)?;
            let mut order = vec![0; rows.len()];
            rows.iter().enumerate().for_each(|(place, row)| order[*row] = place);
            if !order.is_sorted() {
                repeats = repeats.select(Axis(1), &order);
            }
        }
        Ok((repeats, neuron_names))
    }

    fn check(&self, path: &Path, n_images: Option<usize>) -> Result<()> {
        let (neurons, images, repeats) = self.repeats.dim();
        if self.repeats.is_empty() {
            let found = format!("is empty: {neurons} neurons, {images} images, {repeats} repeats");
            return Err(Error::input(path, found, "at least one of each", "Check how the file was written"));
        }
        if repeats > MOST_REPEATS {
            let found = format!("has {repeats} repeats of {images} images");
            let advice = format!("{ADVICE_LAYOUT}, or average repeats into fewer");
            return Err(Error::input(path, found, format!("at most {MOST_REPEATS} repeats"), advice));
        }
        if let Some(wanted) = n_images.filter(|&wanted| wanted != images) {
            let found = format!("has responses to {images} images");
            let advice = format!("{ADVICE_LAYOUT}, or give the images that belong to these responses");
            return Err(Error::input(path, found, format!("one for each of the {wanted} images"), advice));
        }
        let mut seen = HashMap::new();
        for (neuron, name) in self.neuron_names.iter().flatten().enumerate() {
            if let Some(earlier) = seen.insert(name, neuron) {
                let found = format!("neurons {earlier} and {neuron} are both called '{}'", shorten(name));
                return Err(Error::input(path, found, "a name of its own for each neuron", "Number them"));
            }
        }
        for (neuron, rows) in self.repeats.outer_iter().enumerate() {
            for (image, values) in rows.outer_iter().enumerate() {
                let place = || format!("{} to image {image}", self.name(neuron));
                if values.iter().any(|v| v.is_infinite()) {
                    let found = format!("the response of {} is infinite", place());
                    let advice = "Correct it, or write NaN if that repeat is missing";
                    return Err(Error::input(path, found, "finite numbers below 3.4e38", advice));
                }
                if values.iter().all(|v| v.is_nan()) {
                    let found = format!("the response of {} is missing (NaN)", place());
                    let advice = "Leave out that image or that neuron";
                    return Err(Error::input(path, found, "at least one repeat", advice));
                }
            }
        }
        Ok(())
    }

    fn name(&self, neuron: usize) -> String {
        let name = self.neuron_names.as_ref().and_then(|names| names.get(neuron));
        name.map_or_else(|| format!("neuron {neuron}"), |name| format!("neuron {neuron} ({})", shorten(name)))
    }

    /// The mean over the repeats that are present, less the neuron's offset: (neurons, images), in f64.
    pub fn average(&self) -> Array2<f64> {
        self.repeats.map_axis(Axis(2), |values| {
            let present = values.iter().filter(|v| !v.is_nan());
            let (sum, count) = present.fold((0.0, 0.0), |(sum, count), &v| (sum + f64::from(v), count + 1.0));
            sum / count
        })
    }

    /// Values of neurons, the first axis, with their offsets.
    pub fn with_offsets<T, D>(&self, values: ArrayView<'_, T, D>) -> Array<f64, D>
    where
        T: Copy + Into<f64>,
        D: RemoveAxis,
    {
        let mut all = values.mapv(Into::into);
        for (mut neuron, offset) in all.outer_iter_mut().zip(&self.offsets) {
            neuron += *offset;
        }
        all
    }

    /// How many neurons.
    pub fn n_neurons(&self) -> usize {
        self.repeats.dim().0
    }

    /// How many images.
    pub fn n_images(&self) -> usize {
        self.repeats.dim().1
    }

    /// How many repeats the array has room for; single ones may be missing.
    pub fn n_repeats(&self) -> usize {
        self.repeats.dim().2
    }
}

/// Responses of neurons, the first axis, less their means over all that are there, where that is asked; and
/// these.
fn less_means<T: Copy + Into<f64>>(values: Array3<T>, centred: bool) -> (Array3<f32>, Vec<f64>) {
    let mean = |neuron: ArrayView2<'_, T>| {
        let present = neuron.iter().map(|v| (*v).into()).filter(|v: &f64| !v.is_nan());
        let (sum, count) = present.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
        // What is infinite is refused by its place.
        Some(sum / count).filter(|mean| centred && mean.is_finite()).unwrap_or(0.0)
    };
    let offsets: Vec<f64> = values.outer_iter().map(mean).collect();
    let mut left = Array3::zeros(values.raw_dim());
    for ((mut to, from), offset) in left.outer_iter_mut().zip(values.outer_iter()).zip(&offsets) {
        to.zip_mut_with(&from, |to, from| *to = ((*from).into() - offset) as f32);
    }
    (left, offsets)
}

/// (neurons, images[, repeats]), unless the sizes say otherwise.
fn default_layout(path: &Path, shape: &[usize], n_images: Option<usize>) -> Result<Layout> {
    let axes = [Counts::Neurons, Counts::Images, Counts::Repeats];
    if !(2..=3).contains(&shape.len()) {
        let found = format!("has {} axes ({})", shape.len(), product(shape));
        let wanted = "2 axes (neurons, images) or 3 (neurons, images, repeats)";
        return Err(Error::input(path, found, wanted, "Reshape the array"));
    }
    let layout = Layout(axes[..shape.len()].to_vec());
    let Some(n_images) = n_images else { return Ok(layout) };
    let fits: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] == n_images).collect();
    let found = format!("is {}", product(shape));
    let wanted = format!("an axis of {n_images}, one for each image");
    match fits[..] {
        [1] => Ok(layout),
        [] => Err(Error::input(path, found, wanted, "Give the images that belong to these responses")),
        [axis] => {
            let order = match (axis, shape.len()) {
                (0, 2) => "images,neurons",
                (0, _) => "images,neurons,repeats",
                _ => "neurons,repeats,images or --responses-layout repeats,neurons,images",
            };
            let wanted = "the neurons first and the images second";
            Err(Error::input(path, found, wanted, format!("Say the order with --responses-layout {order}")))
        }
        _ => {
            let found = format!("{found}, where more than one axis could be the {n_images} images");
            Err(Error::input(path, found, "to know which", format!("{ADVICE_LAYOUT}, as neurons,images")))
        }
    }
}

/// Whether a file is a table of text, by its ending.
fn is_table(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ["csv", "tsv", "txt"].iter().any(|known| ending.eq_ignore_ascii_case(known))
}

fn product(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

/// Text from a file as it may stand in an error: short, and on one line.
pub(super) fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short.escape_debug().to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::io::commit::scratch;
    use ndarray::{Dimension, IxDyn};

    fn stored(name: &str, shape: &[usize], change: impl Fn(&mut ArrayD<f32>)) -> std::path::PathBuf {
        let path = scratch(&format!("responses-{name}")).join("responses.npy");
        let mut array = ArrayD::from_shape_fn(IxDyn(shape), |at| {
            at.slice().iter().fold(0.0, |sum, &i| sum * 10.0 + i as f32)
        });
        change(&mut array);
        npy::write(&path, array.view()).unwrap();
        path
    }

    fn read(path: &Path, layout: Option<&str>, n_images: Option<usize>) -> Result<Responses> {
        let images = n_images.map(ImageNames::counted);
        Responses::read(path, layout.map(|l| l.parse().unwrap()), None, images.as_ref())
    }

    fn message(path: &Path, layout: Option<&str>, n_images: Option<usize>) -> String {
        read(path, layout, n_images).unwrap_err().to_string()
    }

    #[test]
    fn layouts_arrange_the_axes() {
        let path = stored("layouts", &[2, 3, 4], |_| {});
        let plain = read(&path, None, Some(3)).unwrap();
        assert_eq!((plain.n_neurons(), plain.n_images(), plain.n_repeats()), (2, 3, 4));
        assert_eq!(plain.repeats[[1, 2, 3]], 123.0);
        let turned = read(&path, Some("repeats,images,neurons"), Some(3)).unwrap();
        assert_eq!((turned.n_neurons(), turned.n_images(), turned.n_repeats()), (4, 3, 2));
        assert_eq!(turned.repeats[[3, 2, 1]], 123.0);
        let flat = stored("flat", &[2, 3], |_| {});
        let flat = read(&flat, Some("images, neurons"), None).unwrap();
        assert_eq!((flat.repeats.dim(), flat.repeats[[2, 1, 0]]), ((3, 2, 1), 12.0));
    }

    #[test]
    fn wrong_layouts_are_explained() {
        for text in ["", "neurons", "neurons,neurons", "neurons,pictures", "neurons,images,repeats,images"] {
            let error = text.parse::<Layout>().unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text}");
        }
        let path = stored("axes", &[50, 64], |_| {});
        assert!(message(&path, None, Some(7)).contains("is 50 x 64; wanted an axis of 7"));
        assert!(message(&path, None, Some(50)).contains("--responses-layout images,neurons"));
        assert!(message(&path, Some("neurons,images,repeats"), None).contains("has 2 axes (50 x 64)"));
        assert!(message(&path, Some("neurons,images"), Some(50)).contains("responses to 64 images"));
        let cube = stored("cube", &[4, 5, 6], |_| {});
        assert!(message(&cube, None, Some(6)).contains("repeats,neurons,images"));
        let square = stored("square", &[8, 8], |_| {});
        let error = message(&square, None, Some(8));
        assert!(error.contains("more than one axis") && error.contains("--responses-layout"), "{error}");
        read(&square, Some("images,neurons"), Some(8)).unwrap();
        assert!(message(&stored("long", &[1, 1, 10_001], |_| {}), None, None).contains("10001 repeats of 1"));
        assert!(message(&stored("one", &[9], |_| {}), None, None).contains("has 1 axes (9)"));
        assert!(message(&stored("none", &[0, 9], |_| {}), None, Some(9)).contains("is empty"));
    }

    #[test]
    fn missing_repeats_are_averaged_over_and_missing_images_refused() {
        let path = stored("ragged", &[2, 3, 4], |a| a[[1, 2, 3]] = f32::NAN);
        let responses = read(&path, None, None).unwrap();
        let average = responses.average();
        assert_eq!((average[[1, 2]], average[[0, 1]]), (121.0, 11.5));
        let path = stored("gone", &[2, 3], |a| a[[1, 2]] = f32::NAN);
        assert!(message(&path, None, None).contains("response of neuron 1 to image 2 is missing (NaN)"));
        let path = stored("infinite", &[2, 3, 4], |a| a[[0, 1, 3]] = f32::NEG_INFINITY);
        assert!(message(&path, None, None).contains("response of neuron 0 to image 1 is infinite"));
    }

    #[test]
    fn tables_give_names() {
        let path = scratch("responses-table").join("responses.CSV");
        std::fs::write(&path, "neuron,a.png,b.png,c.png\nn1,1,2,3\nn2,4,5,6\n").unwrap();
        let responses = read(&path, None, Some(3)).unwrap();
        assert_eq!(responses.neuron_names, Some(vec!["n1".to_string(), "n2".to_string()]));
        assert_eq!((responses.repeats.dim(), responses.repeats[[1, 2, 0]]), ((2, 3, 1), 6.0));
        let turned = read(&path, Some("images,neurons"), Some(2)).unwrap();
        assert_eq!(turned.neuron_names.as_ref().map(|names| names[2].as_str()), Some("c.png"));
        assert_eq!(turned.repeats[[2, 1, 0]], 6.0);
        std::fs::write(&path, "n1,1,1,3\nn2,4,,6\n").unwrap();
        assert!(message(&path, None, Some(3)).contains("neuron 1 (n2) to image 1 is missing"));
        assert!(
            message(&path, None, Some(2)).contains("is 2 x 3")
                && message(&path, None, Some(9)).contains("of 9")
        );
    }
}
