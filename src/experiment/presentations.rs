//! The table of presentations of a recording with imaging frames, checked, with the behaviour during each.

use super::clock::{Clock, Moment};
use super::series::Series;
use super::{Outside, Trial};
use crate::error::{Error, Kind, Result};

/// -1 as an unsigned number of 32 bits: what a conversion to NWB 2 made of blank sweeps.
const BLANK_UNSIGNED: i64 = 4_294_967_295;

/// When an image was shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shown {
    /// From this frame on until before that one; either may lie outside the recording.
    Frames(i64, i64),
    /// At this time in seconds, when no frame was taken.
    Without(Outside, f64),
}

/// Presentations as a file has them.
pub(super) struct Presentations {
    /// The file and the path in it, for messages.
    pub place: String,
    /// The image of each: its number, or -1 (also as an unsigned number) for a blank sweep.
    pub images: Vec<i64>,
    pub shown: Vec<Shown>,
}

/// What was recorded of the animal.
#[derive(Default)]
pub(super) struct Behaviour {
    pub running_speed: Option<Series>,
    pub pupil: Option<Series>,
    pub pupil_centre: Option<Series>,
}

impl Presentations {
    /// The trials. `images` is how many there are, `clock` that of the imaging frames. Presentations without
    /// frames are among them, so that they can be counted.
    ///
    /// # Errors
    /// Images that there are not; presentations out of order, or of no duration; none with frames.
    pub(super) fn trials(&self, images: usize, clock: &Clock, behaviour: &Behaviour) -> Result<Vec<Trial>> {
        if self.images.is_empty() {
            return Err(self.wrong("it has no presentation".into(), "at least one"));
        }
        let mut trials = Vec::with_capacity(self.images.len());
        let mut earlier = i64::MIN;
        for (at, (&image, &shown)) in self.images.iter().zip(&self.shown).enumerate() {
            let image = image_of(image, images)
                .map_err(|wanted| self.wrong(format!("presentation {at} shows image {image}"), &wanted))?;
            let (start, end) = match shown {
                Shown::Frames(start, end) => (start, end),
                Shown::Without(outside, seconds) => {
                    trials.push(Trial { image, outside: Some(outside), seconds, ..Trial::default() });
                    continue;
                }
            };
            // Frames of a film may begin in one imaging frame.
            if start < earlier {
                let found =
                    format!("presentation {at} begins at frame {start}, the one before it at {earlier}");
                return Err(self.wrong(found, "presentations in the order of their time"));
            }
            earlier = start;
            if start >= end {
                let found = format!("presentation {at} lasts from frame {start} to frame {end}");
                return Err(self.wrong(found, "at least one frame, the last one excluded"));
            }
            trials.push(trial(image, start, end, clock, behaviour));
        }
        if trials.iter().all(|trial| trial.start.is_none()) {
            let found = format!("none of its {} presentations begins during the traces", trials.len());
            let times = clock.times();
            let (first, last) = (times.first().unwrap_or(&f64::NAN), times.last().unwrap_or(&f64::NAN));
            let wanted = format!("some within the {} frames from {first} to {last} s", times.len());
            return Err(self.wrong(found, &wanted));
        }
        Ok(trials)
    }

    fn wrong(&self, found: String, wanted: &str) -> Error {
        let advice = "Check that the stimulus table belongs to these traces";
        Error::new(Kind::Input, &self.place, found, wanted, advice)
    }
}

/// First frames and the frames after the last, of presentations whose ends are not known: until the next one
/// where it follows at once, else as long as the median distance. `begins` says which frame each begins in,
/// and the time where no frame was taken.
pub(super) fn with_ends(begins: &[(Moment, f64)]) -> Vec<Shown> {
    let frame = |moment: Moment| match moment {
        Moment::Frame(frame) => Some(frame),
        _ => None,
    };
    let next = |at: usize| begins.get(at + 1).and_then(|(moment, _)| frame(*moment));
    let follows =
        |(at, (moment, _)): (usize, &(Moment, f64))| Some(next(at)?.saturating_sub(frame(*moment)?));
    let mut distances: Vec<usize> =
        begins.iter().enumerate().filter_map(follows).filter(|distance| *distance > 0).collect();
    distances.sort_unstable();
    let usual = distances.get(distances.len() / 2).copied().unwrap_or(7);
    let shown = |(at, &(moment, seconds)): (usize, &(Moment, f64))| match moment {
        Moment::Frame(start) => {
            let until = next(at).filter(|next| *next > start && next - start <= usual + 1);
            Shown::Frames(start as i64, until.unwrap_or(start + usual) as i64)
        }
        Moment::Before => Shown::Without(Outside::Before, seconds),
        Moment::Pause => Shown::Without(Outside::Pause, seconds),
        Moment::After => Shown::Without(Outside::After, seconds),
    };
    begins.iter().enumerate().map(shown).collect()
}

/// The image of a number, one of so many; none for a blank sweep. The error says what is wanted.
pub(super) fn image_of(number: i64, images: usize) -> std::result::Result<Option<usize>, String> {
    if matches!(number, -1 | BLANK_UNSIGNED) {
        return Ok(None);
    }
    let image = usize::try_from(number).ok().filter(|image| *image < images);
    image.map(Some).ok_or_else(|| format!("one of the {images} images from 0, or -1 for a blank sweep"))
}

fn trial(image: Option<usize>, start: i64, end: i64, clock: &Clock, behaviour: &Behaviour) -> Trial {
    let frames = clock.times().len();
    let Some(first) = usize::try_from(start).ok().filter(|start| *start < frames) else {
        let outside = if start < 0 { Outside::Before } else { Outside::After };
        return Trial { image, outside: Some(outside), ..Trial::default() };
    };
    // One that was cut off lasts as long as the traces.
    let end = usize::try_from(end).unwrap_or(frames).min(frames);
    let seconds = clock.span(first, end);
    let mean = |series: &Option<Series>, column| {
        series.as_ref().map_or(f32::NAN, |series| series.mean(column, &seconds))
    };
    Trial {
        image,
        start: Some(first),
        end: Some(end),
        seconds: seconds.start,
        running_speed: mean(&behaviour.running_speed, 0),
        pupil: mean(&behaviour.pupil, 0),
        pupil_centre: [mean(&behaviour.pupil_centre, 0), mean(&behaviour.pupil_centre, 1)],
        ..Trial::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presentations_end_where_the_next_begins_or_after_the_usual_time() {
        let begins = |starts: &[usize]| -> Vec<(Moment, f64)> {
            starts.iter().map(|start| (Moment::Frame(*start), 0.0)).collect()
        };
        let frames = |found: Vec<Shown>| -> Vec<(i64, i64)> {
            let of = |shown| match shown {
                Shown::Frames(start, end) => (start, end),
                Shown::Without(..) => (-1, -1),
            };
            found.into_iter().map(of).collect()
        };
        let found = frames(with_ends(&begins(&[10, 17, 25, 32, 90, 97])));
        assert_eq!(found, [(10, 17), (17, 25), (25, 32), (32, 39), (90, 97), (97, 104)]);
        assert_eq!(frames(with_ends(&begins(&[5]))), [(5, 12)]);
        let mut paused = begins(&[10, 17, 24, 60, 67]);
        paused.insert(3, (Moment::Pause, 2.5));
        let found = with_ends(&paused);
        assert_eq!(found[3], Shown::Without(Outside::Pause, 2.5));
        assert_eq!(frames(found), [(10, 17), (17, 24), (24, 31), (-1, -1), (60, 67), (67, 74)]);
    }

    #[test]
    fn frames_outside_the_recording_are_no_trial_of_it() {
        let clock = Clock::new((0..50).map(|k| 3.0 + f64::from(k) / 10.0).collect());
        let table = |shown: &[(i64, i64)]| Presentations {
            place: "table".into(),
            images: vec![0; shown.len()],
            shown: shown.iter().map(|(start, end)| Shown::Frames(*start, *end)).collect(),
        };
        let found = table(&[(-3, 4), (0, 7), (45, 52), (50, 57)]);
        let found = found.trials(1, &clock, &Behaviour::default());
        let found = found.map_err(|why| why.to_string());
        let of = |trial: &Trial| (trial.start, trial.end, trial.outside);
        let found: Vec<_> = found.iter().flatten().map(of).collect();
        let inside = |start, end| (Some(start), Some(end), None);
        let outside = |why| (None, None, Some(why));
        assert_eq!(found, [outside(Outside::Before), inside(0, 7), inside(45, 50), outside(Outside::After)]);
        let none = table(&[(60, 67)]).trials(1, &clock, &Behaviour::default());
        assert!(none.is_err_and(|why| why.to_string().contains("none of its 1 presentations")));
    }
}
