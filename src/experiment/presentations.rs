//! The table of presentations of a recording with imaging frames, checked, with the behaviour during each.

use super::Trial;
use super::series::{Series, rate};
use crate::error::{Error, Kind, Result};

/// -1 as an unsigned number of 32 bits: what a conversion to NWB 2 made of blank sweeps.
const BLANK_UNSIGNED: i64 = 4_294_967_295;

/// Presentations as a file has them.
pub(super) struct Presentations {
    /// The file and the path in it, for messages.
    pub place: String,
    /// The image of each: its number, or -1 (also as an unsigned number) for a blank sweep.
    pub images: Vec<i64>,
    /// First frame, and the frame after the last.
    pub frames: Vec<(i64, i64)>,
}

/// What was recorded of the animal.
#[derive(Default)]
pub(super) struct Behaviour {
    pub running_speed: Option<Series>,
    pub pupil: Option<Series>,
    pub pupil_centre: Option<Series>,
}

impl Presentations {
    /// The trials. `images` is how many there are, `times` the time of each imaging frame.
    pub(super) fn trials(&self, images: usize, times: &[f64], behaviour: &Behaviour) -> Result<Vec<Trial>> {
        if self.images.is_empty() {
            return Err(self.wrong("it has no presentation".into(), "at least one"));
        }
        let mut trials = Vec::with_capacity(self.images.len());
        let mut earlier = -1;
        for (at, (&image, &(start, end))) in self.images.iter().zip(&self.frames).enumerate() {
            let image = image_of(image, images)
                .map_err(|wanted| self.wrong(format!("presentation {at} shows image {image}"), &wanted))?;
            // Frames of a film may begin in one imaging frame.
            if start < earlier {
                let found =
                    format!("presentation {at} begins at frame {start}, the one before it at {earlier}");
                return Err(self.wrong(found, "presentations in the order of their time"));
            }
            earlier = start;
            let inside =
                0 <= start && start < end && usize::try_from(end).is_ok_and(|end| end <= times.len());
            if !inside {
                let found = format!("presentation {at} lasts from frame {start} to frame {end}");
                let wanted =
                    format!("some of the {} frames of the traces, the last one excluded", times.len());
                return Err(self.wrong(found, &wanted));
            }
            trials.push(trial(image, start as usize, end as usize, times, behaviour));
        }
        Ok(trials)
    }

    fn wrong(&self, found: String, wanted: &str) -> Error {
        let advice = "Check that the stimulus table belongs to these traces";
        Error::new(Kind::Input, &self.place, found, wanted, advice)
    }
}

/// The image of a number, one of so many; none for a blank sweep. The error says what is wanted.
pub(super) fn image_of(number: i64, images: usize) -> std::result::Result<Option<usize>, String> {
    if matches!(number, -1 | BLANK_UNSIGNED) {
        return Ok(None);
    }
    let image = usize::try_from(number).ok().filter(|image| *image < images);
    image.map(Some).ok_or_else(|| format!("one of the {images} images from 0, or -1 for a blank sweep"))
}

fn trial(image: Option<usize>, start: usize, end: usize, times: &[f64], behaviour: &Behaviour) -> Trial {
    // The last frame of the traces lasts as long as frames do.
    let last = || times[times.len() - 1] + 1.0 / rate(times);
    let (from, to) = (times[start], times.get(end).copied().unwrap_or_else(last));
    let mean = |series: &Option<Series>, column| {
        series.as_ref().map_or(f32::NAN, |series| series.mean(column, from, to))
    };
    Trial {
        image,
        start: Some(start),
        end: Some(end),
        seconds: from,
        running_speed: mean(&behaviour.running_speed, 0),
        pupil: mean(&behaviour.pupil, 0),
        pupil_centre: [mean(&behaviour.pupil_centre, 0), mean(&behaviour.pupil_centre, 1)],
        tier: None,
        id: String::new(),
    }
}
