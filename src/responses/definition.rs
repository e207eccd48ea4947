//! What a response is: which trace, which frames around the start of a presentation, and what is made of
//! them.

use std::ops::Range;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::Dff;
use crate::error::{Error, Kind, Result};
use crate::experiment::Trace;
use crate::gpu::LONGEST_LOOP;

/// Names that [`Definition::named`] knows.
pub const NAMES: [&str; 4] = ["sdk", "berget-dff", "berget-events", "platform-events"];

/// Frames a second of the recordings that the named definitions were published with.
const PUBLISHED: f64 = 30.0;

/// A stretch of time around the start of a presentation, half open.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Span {
    /// In imaging frames.
    Frames(i64, i64),
    /// In seconds.
    Seconds(f64, f64),
}

/// Frames and seconds beyond which no span reaches: more than a day.
const FARTHEST: f64 = 1e6;

impl FromStr for Span {
    type Err = String;

    /// `0:7` are frames; `0:0.25s` are seconds.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong =
            || "write frames as 0:7 or -28:0, seconds as 0:0.25s; the stop must be larger".to_string();
        let (start, stop) = text.split_once(':').ok_or_else(wrong)?;
        let seconds =
            |text: &str| text.trim_end_matches('s').parse::<f64>().ok().filter(|v| v.abs() < FARTHEST);
        let span = if text.ends_with('s') {
            Span::Seconds(seconds(start).ok_or_else(wrong)?, seconds(stop).ok_or_else(wrong)?)
        } else {
            let frames = |text: &str| text.parse::<i64>().ok().filter(|v| v.unsigned_abs() < FARTHEST as u64);
            Span::Frames(frames(start).ok_or_else(wrong)?, frames(stop).ok_or_else(wrong)?)
        };
        let forward = match span {
            Span::Frames(start, stop) => start < stop,
            Span::Seconds(start, stop) => start < stop,
        };
        if forward { Ok(span) } else { Err(wrong()) }
    }
}

impl Span {
    /// Whole frames of a recording with `rate` frames a second: both ends rounded to the nearest.
    ///
    /// # Errors
    /// Usage, if no frame is left, or the recording does not say its rate.
    pub fn frames(self, rate: f64) -> Result<Range<i64>> {
        let (start, stop) = match self {
            Span::Frames(start, stop) => return Ok(start..stop),
            Span::Seconds(start, stop) => (start, stop),
        };
        let place = "a window in seconds";
        if rate.is_nan() {
            let found = "the recording does not say how many frames a second has";
            return Err(Error::new(
                Kind::Usage,
                place,
                found,
                "",
                "Give the window in frames, for example 0:7",
            ));
        }
        let farthest = start.abs().max(stop.abs()) * rate;
        if farthest.is_nan() || farthest >= FARTHEST {
            let found = format!("{start} to {stop} s at {rate} frames a second");
            let wanted = format!("less than {FARTHEST} frames from the start of a presentation");
            return Err(Error::new(Kind::Usage, place, found, wanted, "Take a shorter window"));
        }
        let frame = |seconds: f64| (seconds * rate).round() as i64;
        if frame(start) >= frame(stop) {
            let found = format!("{start} to {stop} s hold no frame at {rate:.2} frames a second");
            return Err(Error::new(Kind::Usage, place, found, "at least one frame", "Take a longer window"));
        }
        Ok(frame(start)..frame(stop))
    }
}

/// What is made of the frames of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Statistic {
    /// Their mean.
    Mean,
    /// The largest.
    Max,
    /// The mean times the number of frames.
    Sum,
}

impl Statistic {
    /// All of them.
    pub const ALL: [Statistic; 3] = [Statistic::Mean, Statistic::Max, Statistic::Sum];

    /// Its name on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Statistic::Mean => "mean",
            Statistic::Max => "max",
            Statistic::Sum => "sum",
        }
    }
}

/// What a response is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Definition {
    /// Its name, `custom` if it has none.
    pub name: &'static str,
    /// Which trace.
    #[serde(serialize_with = "by_name")]
    pub trace: Trace,
    /// How dF/F is made of that trace first; as it is if `None`.
    pub dff: Option<Dff>,
    /// Frames from the start of a presentation on.
    pub window: Span,
    /// Frames whose mean the window is compared with.
    pub baseline: Option<Span>,
    /// What is made of the window.
    pub statistic: Statistic,
}

fn by_name<S: Serializer>(trace: &Trace, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(trace.name())
}

impl Definition {
    /// One of [`NAMES`].
    ///
    /// `sdk`: percent change of the 14 frames from the start against the 28 before it, of corrected
    /// fluorescence (AllenSDK's mean sweep response). `berget-dff` and `berget-events`: mean of dF/F, and
    /// largest event, of the 7 frames of a presentation. `platform-events`: mean of events from the third to
    /// the twelfth frame.
    pub fn named(name: &str) -> Option<Definition> {
        let name = *NAMES.iter().find(|known| **known == name)?;
        let (trace, window, baseline, statistic) = match name {
            "sdk" => (Trace::Corrected, 0..14, Some(Span::Frames(-28, 0)), Statistic::Mean),
            "berget-dff" => (Trace::Dff, 0..7, None, Statistic::Mean),
            "berget-events" => (Trace::Events, 0..7, None, Statistic::Max),
            _ => (Trace::Events, 2..12, None, Statistic::Mean),
        };
        let window = Span::Frames(window.start, window.end);
        Some(Definition { name, trace, dff: None, window, baseline, statistic })
    }

    /// A warning where a published definition, which counts frames of recordings at 30 Hz, meets a recording
    /// at another rate.
    pub fn at_another_rate(&self, rate: f64) -> Option<String> {
        let Span::Frames(start, stop) = self.window else { return None };
        if !NAMES.contains(&self.name) || rate.is_nan() || (rate / PUBLISHED - 1.0).abs() < 0.1 {
            return None;
        }
        let seconds = |frames: i64, rate: f64| frames as f64 / rate;
        Some(format!(
            "{} counts frames of recordings at {PUBLISHED} frames a second: at {rate:.2} its window is {:.2} to \
             {:.2} s and not {:.2} to {:.2} s; a window in seconds is --definition custom --window {:.2}:{:.2}s",
            self.name,
            seconds(start, rate),
            seconds(stop, rate),
            seconds(start, PUBLISHED),
            seconds(stop, PUBLISHED),
            seconds(start, PUBLISHED),
            seconds(stop, PUBLISHED),
        ))
    }

    /// Whether responses are percent changes: of fluorescence against a baseline.
    pub fn percent(&self) -> bool {
        self.baseline.is_some() && self.dff.is_none() && !matches!(self.trace, Trace::Dff | Trace::Events)
    }

    /// The unit of responses, for people.
    pub fn unit(&self) -> &'static str {
        match self.trace {
            _ if self.percent() => "% change",
            Trace::Events => "events",
            Trace::Dff => "dF/F",
            _ if self.dff.is_some() => "dF/F",
            _ => "fluorescence",
        }
    }

    /// In frames of a recording of `rate` frames a second.
    ///
    /// # Errors
    /// As [`Span::frames`]; Usage, if a window is longer than a kernel's longest loop.
    pub fn frames(&self, rate: f64) -> Result<Frames> {
        let baseline = self.baseline.map(|span| span.frames(rate)).transpose()?;
        let (statistic, percent) = (self.statistic, self.percent());
        Frames { window: self.window.frames(rate)?, baseline, statistic, percent }.short_enough()
    }
}

/// A definition in frames, whatever the trace: the mean (or the largest, or the sum) of a window, less the
/// mean of a baseline, or in percent of it. The sum is the mean's response times the window's frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Frames {
    /// From the start of a presentation on.
    pub window: Range<i64>,
    /// Alike.
    pub baseline: Option<Range<i64>>,
    /// What is made of the window.
    pub statistic: Statistic,
    /// Whether in percent of the baseline.
    pub percent: bool,
}

impl Frames {
    /// The same, if the kernel can go through its windows.
    pub(super) fn short_enough(self) -> Result<Self> {
        let spans = std::iter::once(&self.window).chain(&self.baseline);
        let longest = spans.map(|span| span.end - span.start).max().unwrap_or(0);
        if longest > i64::from(LONGEST_LOOP) {
            let found = format!("{longest} frames");
            let wanted = format!("at most {LONGEST_LOOP}");
            let place = "a window or a baseline";
            return Err(Error::new(Kind::Usage, place, found, wanted, "Take a shorter one"));
        }
        Ok(self)
    }

    /// The first and the last frame that a trial needs, from its start on.
    pub fn reach(&self) -> Range<i64> {
        let baseline = self.baseline.clone().unwrap_or(self.window.clone());
        self.window.start.min(baseline.start)..self.window.end.max(baseline.end)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_turned_to_frames() {
        let frames = |text: &str, rate| text.parse::<Span>().unwrap().frames(rate).unwrap();
        assert_eq!((frames("0:7", f64::NAN), frames("-28:0", 30.0)), (0..7, -28..0));
        assert_eq!((frames("0:0.25s", 30.0), frames("-1s:0s", 30.1)), (0..8, -30..0));
        for wrong in ["", "7", "7:0", "0:0", "a:b", "0:0.25", "1s:0s", "0:nans", "0:9999999"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
        let why = Span::Seconds(0.0, 0.01).frames(30.0).unwrap_err().to_string();
        assert!(why.contains("hold no frame at 30.00"), "{why}");
        assert!(Span::Seconds(0.0, 1.0).frames(1e30).unwrap_err().to_string().contains("1000000 frames"));
        let long = Definition { window: Span::Frames(0, 32_769), ..Definition::named("sdk").unwrap() };
        assert!(long.frames(30.0).unwrap_err().to_string().contains("at most 32768"));
        assert!(Span::Seconds(0.0, 1.0).frames(f64::NAN).unwrap_err().to_string().contains("does not say"));
    }

    #[test]
    fn names_are_the_published_definitions() {
        let of = |name| {
            let d = Definition::named(name).unwrap();
            (d.trace, d.frames(30.0).unwrap(), d.unit())
        };
        let (trace, frames, unit) = of("sdk");
        assert_eq!(
            (trace, frames.reach(), frames.percent, unit),
            (Trace::Corrected, -28..14, true, "% change")
        );
        assert_eq!(of("platform-events").1.reach(), 2..12);
        assert_eq!(of("berget-events").1.statistic, Statistic::Max);
        let slow = Definition::named("sdk").and_then(|sdk| sdk.at_another_rate(10.0)).unwrap();
        assert!(slow.contains("0.00 to 1.40 s and not 0.00 to 0.47 s"), "{slow}");
        assert_eq!(Definition::named("sdk").and_then(|sdk| sdk.at_another_rate(31.0)), None);
        assert!(!of("berget-dff").1.percent && Definition::named("other").is_none());
    }
}
