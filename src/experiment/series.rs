//! Series of NWB, of either version: their numbers in the unit of the series, on their clock. Short ones
//! (running speed, the pupil) are held, for an hour of them is small.

use std::ops::Range;

use ndarray::{Axis, Ix2};

use super::place;
use crate::error::{Error, Kind, Result};
use crate::io::store::{Attribute, Store};

/// A clock and its data may differ by this share of the samples, or by `FEW`: what one of them has more is
/// left out, as AllenSDK does.
const SLACK: f64 = 0.001;
const FEW: usize = 10;

/// From numbers as stored to numbers in the unit of a series: x factor + offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub factor: f64,
    pub offset: f64,
}

impl Scale {
    /// Numbers that are in the unit as they are stored.
    pub const ONE: Scale = Scale { factor: 1.0, offset: 0.0 };

    /// What the attributes `conversion` and `offset` of an array say; 1 and 0 where they are absent.
    pub fn read(store: &dyn Store, data: &str, warnings: &mut Vec<String>) -> Result<Scale> {
        let mut number = |name: &str, usual: f64| {
            let found = match store.attribute(data, name)? {
                None => return Ok(usual),
                Some(value) => value.number(),
            };
            match found {
                // Some writers put it where nothing was stated.
                Some(number) if number.is_nan() => {
                    let place = place(store, data);
                    warnings.push(format!("{place}: its {name} is NaN: it counts as not stated"));
                    Ok(usual)
                }
                Some(number) if number.is_finite() && (name != "conversion" || number != 0.0) => Ok(number),
                other => {
                    let found = match other {
                        Some(number) => format!("its {name} is {number}"),
                        None => format!("its {name} is not one number"),
                    };
                    let wanted = "one finite number, and no conversion by 0";
                    Err(Error::new(Kind::Input, place(store, data), found, wanted, "Correct the attribute"))
                }
            }
        };
        Ok(Scale { factor: number("conversion", 1.0)?, offset: number("offset", 0.0)? })
    }

    /// The same in a unit of which the series' own has `times`.
    pub fn in_units(self, times: f64) -> Scale {
        Scale { factor: self.factor * times, offset: self.offset * times }
    }

    pub fn apply(self, value: f64) -> f64 {
        value * self.factor + self.offset
    }
}

/// The text of an attribute; empty where it is absent or no text.
pub(super) fn text_attribute(store: &dyn Store, name: &str, attribute: &str) -> Result<String> {
    let value = store.attribute(name, attribute)?;
    Ok(value.as_ref().and_then(Attribute::text).unwrap_or_default().trim().to_string())
}

/// Refuses a series whose columns have factors of their own, which `Scale` does not know.
pub(super) fn refuse_channel_conversion(store: &dyn Store, group: &str) -> Result<()> {
    let name = format!("{group}/channel_conversion");
    if store.member(&name)?.is_none()
        && store.attribute(&format!("{group}/data"), "channel_conversion")?.is_none()
    {
        return Ok(());
    }
    let found = "each column has a conversion of its own";
    let advice = "Multiply the data by it, and save them with one conversion";
    Err(Error::new(Kind::Input, place(store, &name), found, "one conversion for the series", advice))
}

/// Values at times that never go back.
pub(super) struct Series {
    times: Vec<f64>,
    /// One list of values for each column.
    columns: Vec<Vec<f64>>,
}

impl Series {
    /// Reads `group`/data, (samples) or (samples, columns), with its clock, in the unit of the series times
    /// what `unit` says of its name; none where there is no such data.
    pub(super) fn read(
        store: &dyn Store,
        group: &str,
        columns: usize,
        unit: impl Fn(&str) -> Option<f64>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Series>> {
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
        refuse_channel_conversion(store, group)?;
        let mut scale = Scale::read(store, &data, warnings)?;
        let name = text_attribute(store, &data, "unit")?;
        match unit(&name) {
            Some(times) => scale = scale.in_units(times),
            None => warnings.push(format!(
                "{}: its unit is '{}': the numbers are taken as they are",
                place(store, &data),
                name.escape_debug()
            )),
        }
        let times = clock(store, group, shape[0], warnings)?;
        let mut region: Vec<Range<usize>> = shape.iter().map(|&length| 0..length).collect();
        region[0] = 0..times.len();
        let values = store.doubles(&data, &region)?.mapv_into(|v| scale.apply(v));
        let values = values.into_shape_with_order((times.len(), columns));
        let values = values.and_then(|v| v.into_dimensionality::<Ix2>());
        let values = values.map_err(|why| Error::internal(place(store, &data), why))?;
        Ok(Some(Series { times, columns: values.axis_iter(Axis(1)).map(|column| column.to_vec()).collect() }))
    }

    /// The mean of a column over the samples of an interval, its end excluded; samples that are missing (NaN)
    /// do not count. NaN without any.
    pub(super) fn mean(&self, column: usize, seconds: &Range<f64>) -> f32 {
        let first = self.times.partition_point(|t| *t < seconds.start);
        let last = self.times.partition_point(|t| *t < seconds.end);
        let values = &self.columns[column][first..last.max(first)];
        let present = values.iter().filter(|v| v.is_finite());
        let (sum, count) = present.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
        (sum / count) as f32
    }
}

/// Whether times and samples, so many of each, can be of one series: they differ by few.
pub(super) fn clocks_agree(times: usize, samples: usize) -> bool {
    let (least, most) = (times.min(samples), times.max(samples));
    least == most || least > 0 && most - least <= FEW.max((SLACK * most as f64) as usize).min(least / 2)
}

/// What a speed in a unit is multiplied by to be in cm/s; none for an unknown unit. A file that names no unit
/// means cm/s, as those of the Allen Institute do.
pub(super) fn centimetres_a_second(unit: &str) -> Option<f64> {
    let plain = unit.to_ascii_lowercase().replace([' ', '.'], "");
    Some(match plain.as_str() {
        ""
        | "cm/s"
        | "cm/sec"
        | "cm/second"
        | "cms-1"
        | "cms^-1"
        | "centimeters/second"
        | "centimeterspersecond"
        | "centimetres/second"
        | "centimetrespersecond"
        | "centimeters/s"
        | "centimetres/s" => 1.0,
        "m/s" | "m/sec" | "ms-1" | "ms^-1" | "meters/second" | "meterspersecond" | "meters/s"
        | "metres/second" | "metrespersecond" | "metres/s" => 100.0,
        "mm/s" | "mm/sec" | "millimeters/second" | "millimeterspersecond" | "millimetrespersecond" => 0.1,
        _ => return None,
    })
}

/// The pupil is in the recording's own units.
pub(super) fn own_unit(_: &str) -> Option<f64> {
    Some(1.0)
}

/// The time of each of `samples` samples of a series, in seconds: its `timestamps`, or its `starting_time` and
/// rate. Fewer where the data or the times are a few short; that is a warning.
///
/// # Errors
/// A series without either; times that go back, in an unknown unit, or of other data.
pub(super) fn clock(
    store: &dyn Store,
    group: &str,
    samples: usize,
    warnings: &mut Vec<String>,
) -> Result<Vec<f64>> {
    let name = format!("{group}/timestamps");
    let start = format!("{group}/starting_time");
    if store.member(&name)?.is_none() && store.has_array(&start)? {
        return uniform(store, &start, samples);
    }
    let times = times(store, &name)?;
    let count = times.len();
    fitting(times, samples, &place(store, &name), warnings).ok_or_else(|| {
        let found = format!("{count} times for {samples} samples of {group}/data");
        let advice = "Check the recording";
        Error::new(Kind::Input, place(store, &name), found, "a time for each sample", advice)
    })
}

/// The times of `samples` samples: as many as there are of both, with a warning, where these are a few apart;
/// none where they are of other data.
pub(super) fn fitting(
    mut times: Vec<f64>,
    samples: usize,
    place: &str,
    warnings: &mut Vec<String>,
) -> Option<Vec<f64>> {
    let count = times.len();
    if count != samples {
        let kept = count.min(samples);
        warnings.push(format!(
            "{place}: {count} times for {samples} samples: the first {kept} of both are taken"
        ));
        times.truncate(kept);
    }
    clocks_agree(count, samples).then_some(times)
}

/// Samples at a steady rate.
fn uniform(store: &dyn Store, start: &str, samples: usize) -> Result<Vec<f64>> {
    let wrong = |found: String, wanted: &str| {
        Error::new(Kind::Input, place(store, start), found, wanted, "Check how the file was written")
    };
    let seconds = seconds_of(store, start)?;
    let rate = store.attribute(start, "rate")?.as_ref().and_then(Attribute::number);
    let Some(rate) = rate.filter(|rate| rate.is_finite() && *rate > 0.0) else {
        let found = rate.map_or("it has no rate".into(), |rate| format!("its rate is {rate}"));
        return Err(wrong(found, "an attribute rate above 0, in samples a second"));
    };
    let array = store.array(start)?;
    let first = store.doubles(start, &array.all())?.first().copied().filter(|first| first.is_finite());
    let Some(first) = first.filter(|_| array.len() == 1) else {
        return Err(wrong(format!("it has {} values", array.len()), "the time of the first sample"));
    };
    Ok((0..samples).map(|sample| first * seconds + sample as f64 / rate).collect())
}

/// Seconds in the unit of an array of times, which NWB fixes to seconds.
fn seconds_of(store: &dyn Store, name: &str) -> Result<f64> {
    let unit = text_attribute(store, name, "unit")?;
    Ok(match unit.to_ascii_lowercase().as_str() {
        // Some files say that there is no unit, in NWB's words for that.
        "" | "s" | "sec" | "secs" | "second" | "seconds" | "n/a" | "n.a." | "unknown" => 1.0,
        "ms" | "msec" | "millisecond" | "milliseconds" => 1e-3,
        "us" | "microsecond" | "microseconds" => 1e-6,
        _ => {
            let found = format!("its unit is '{}'", unit.escape_debug());
            return Err(Error::new(Kind::Input, place(store, name), found, "times in seconds", ""));
        }
    })
}

/// Times in seconds: finite, and none before the one before it.
pub(super) fn times(store: &dyn Store, name: &str) -> Result<Vec<f64>> {
    let shape = store.array(name)?.shape;
    let [count] = shape[..] else {
        let found = format!("it has the shape {shape:?}");
        return Err(Error::new(Kind::Input, place(store, name), found, "one axis of times in seconds", ""));
    };
    let interval = store.attribute(name, "interval")?.as_ref().and_then(Attribute::number);
    if let Some(interval) = interval.filter(|interval| *interval != 1.0) {
        let found = format!("its interval is {interval}: there is a time for some samples only");
        return Err(Error::new(Kind::Input, place(store, name), found, "a time for each sample", ""));
    }
    let seconds = seconds_of(store, name)?;
    let times = store.doubles(name, std::slice::from_ref(&(0..count)))?;
    let times = times.mapv_into(|t| t * seconds).into_raw_vec_and_offset().0;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_speed() {
        for (unit, factor) in [("cm/s", 1.0), ("", 1.0), ("m/s", 100.0), ("meters per second", 100.0)] {
            assert_eq!(centimetres_a_second(unit), Some(factor), "{unit}");
        }
        assert_eq!((centimetres_a_second("V"), centimetres_a_second("rpm")), (None, None));
        let scale = Scale { factor: 0.5, offset: 2.0 }.in_units(100.0);
        assert_eq!(scale.apply(3.0), 350.0);
    }
}
