//! Short series on a clock: running speed, the pupil. They are held, for an hour of them is small.

use std::ops::Range;

use ndarray::{Axis, Ix2};

use super::place;
use crate::error::{Error, Kind, Result};
use crate::io::store::Store;

/// Values at times that never go back.
pub(super) struct Series {
    times: Vec<f64>,
    /// One list of values for each column.
    columns: Vec<Vec<f64>>,
}

impl Series {
    /// Reads `group`/data, (samples) or (samples, columns), and `group`/timestamps; none where there is no
    /// such data.
    pub(super) fn read(store: &dyn Store, group: &str, columns: usize) -> Result<Option<Series>> {
        let data = format!("{group}/data");
        if !store.has_array(&data)? {
            return Ok(None);
        }
        let shape = store.array(&data)?.shape;
        let fits = matches!(shape[..], [_] if columns == 1) || matches!(shape[..], [_, c] if c == columns);
        if !fits {
            let found = format!("it has the shape {shape:?}");
            let wanted = format!("{columns} numbers a sample");
            return Err(Error::new(Kind::Input, place(store, &data), found, wanted, ""));
        }
        let times = times(store, &format!("{group}/timestamps"))?;
        if times.len() != shape[0] {
            let found = format!("it has {} samples", shape[0]);
            let wanted = format!("{}, as many as {group}/timestamps", times.len());
            return Err(Error::new(Kind::Input, place(store, &data), found, wanted, "Check the recording"));
        }
        let region: Vec<Range<usize>> = shape.iter().map(|&length| 0..length).collect();
        let values = store.doubles(&data, &region)?;
        let values = values.into_shape_with_order((shape[0], columns));
        let values = values.and_then(|v| v.into_dimensionality::<Ix2>());
        let values = values.map_err(|why| Error::internal(place(store, &data), why))?;
        Ok(Some(Series { times, columns: values.axis_iter(Axis(1)).map(|column| column.to_vec()).collect() }))
    }

    /// The mean of a column over the samples of an interval that starts at `from` and ends before `to`;
    /// samples that are missing (NaN) do not count. NaN without any.
    pub(super) fn mean(&self, column: usize, from: f64, to: f64) -> f32 {
        let first = self.times.partition_point(|t| *t < from);
        let last = self.times.partition_point(|t| *t < to);
        let values = &self.columns[column][first..last.max(first)];
        let present = values.iter().filter(|v| v.is_finite());
        let (sum, count) = present.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
        (sum / count) as f32
    }
}

/// Times in seconds: finite, and none before the one before it.
pub(super) fn times(store: &dyn Store, name: &str) -> Result<Vec<f64>> {
    let shape = store.array(name)?.shape;
    let [count] = shape[..] else {
        let found = format!("it has the shape {shape:?}");
        return Err(Error::new(Kind::Input, place(store, name), found, "one axis of times in seconds", ""));
    };
    let times = store.doubles(name, std::slice::from_ref(&(0..count)))?.into_raw_vec_and_offset().0;
    let odd = times.iter().position(|t| !t.is_finite()).map(|at| (at, "is no number"));
    let back =
        || times.windows(2).position(|pair| pair[1] < pair[0]).map(|at| (at + 1, "lies before the last"));
    if let Some((at, what)) = odd.or_else(back) {
        let found = format!("time {at} ({}) {what}", times[at]);
        let advice = "The recording is damaged, or was put together out of order";
        return Err(Error::new(Kind::Input, place(store, name), found, "times that go forward", advice));
    }
    Ok(times)
}

/// Samples a second over all of the times; NaN for fewer than two.
pub(super) fn rate(times: &[f64]) -> f64 {
    match times {
        [first, .., last] if last > first => (times.len() - 1) as f64 / (last - first),
        _ => f64::NAN,
    }
}
