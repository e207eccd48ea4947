//! When frames or samples were taken, pauses among them included.

use std::ops::Range;

/// A time that is early by this share of a frame still belongs to the frame: conversions round clocks.
const EARLY: f64 = 0.01;

/// An interval longer than this many usual ones is a pause, and does not count towards the rate.
const PAUSE: f64 = 2.5;

/// How far a frame may be from where it is expected, in frames: jitter, or one frame that was dropped.
const APART: f64 = 1.5;

/// By how much the rate may drift, as a share of the distance.
const DRIFT: f64 = 0.02;

/// Times of frames that never go back.
#[derive(Debug, Clone)]
pub struct Clock {
    times: Vec<f64>,
    /// Seconds a frame, without the pauses; NaN for fewer than two frames.
    period: f64,
    /// The usual distance of times that differ: more than a period where several frames share a time.
    usual: f64,
}

/// Where a time falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before the first frame.
    Before,
    /// Within this frame.
    Frame(usize),
    /// After a frame had ended and before the next began.
    Pause,
    /// After the last frame had ended.
    After,
}

impl Clock {
    /// From times in seconds, in ascending order.
    pub(super) fn new(times: Vec<f64>) -> Clock {
        let intervals = || times.windows(2).map(|pair| pair[1] - pair[0]);
        let mut longer: Vec<f64> = intervals().filter(|interval| *interval > 0.0).collect();
        longer.sort_unstable_by(f64::total_cmp);
        let usual = longer.get(longer.len() / 2).copied().unwrap_or(f64::NAN);
        let pauses = || intervals().filter(|interval| *interval > PAUSE * usual);
        let whole = times.last().unwrap_or(&f64::NAN) - times.first().unwrap_or(&f64::NAN);
        let count = times.len().saturating_sub(1 + pauses().count());
        let period = (whole - pauses().sum::<f64>()) / count as f64;
        let period = if period > 0.0 { period } else { f64::NAN };
        Clock { period, usual: usual.max(period), times }
    }

    /// The time of each frame in seconds.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// Frames a second, pauses left out; NaN for fewer than two frames.
    pub fn rate(&self) -> f64 {
        1.0 / self.period
    }

    /// The frame that was taken at a time: the last one that began by then and had not long ended.
    pub(super) fn at(&self, time: f64) -> Moment {
        let begun = self.times.partition_point(|t| *t <= time + EARLY * self.period);
        let Some(frame) = begun.checked_sub(1) else { return Moment::Before };
        let since = time - self.times[frame];
        match self.times.get(begun) {
            None if since < self.period => Moment::Frame(frame),
            None => Moment::After,
            Some(next) if since < APART * self.usual || next - self.times[frame] <= PAUSE * self.usual => {
                Moment::Frame(frame)
            }
            Some(_) => Moment::Pause,
        }
    }

    /// Whether the frames around frame `start` were taken when expected: n frames from it, n periods later,
    /// within 1.5 periods plus 2 % of that time. Frames outside the recording do not count.
    pub fn runs_on(&self, start: usize, frames: &Range<i64>) -> bool {
        let Some(begin) = self.times.get(start).filter(|_| self.period.is_finite()) else { return true };
        frames.clone().all(|k| {
            let at = start as i64 + k;
            let Some(time) = usize::try_from(at).ok().and_then(|at| self.times.get(at)) else { return true };
            let expected = k as f64 * self.period;
            (time - begin - expected).abs() <= APART * self.usual + DRIFT * expected.abs()
        })
    }

    /// The seconds of the frames from `start` to `end`, up to where a pause begins or the recording ends.
    pub(super) fn span(&self, start: usize, end: usize) -> Range<f64> {
        let (times, end) = (&self.times, end.min(self.times.len()));
        let follows =
            |at: usize| times.get(at + 1).is_some_and(|next| next - times[at] <= PAUSE * self.usual);
        let mut last = start;
        while last + 1 < end && follows(last) {
            last += 1;
        }
        // The last frame lasts as long as frames do.
        let to = if last + 1 == end && follows(last) { times[end] } else { times[last] + self.period };
        times[start]..to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_belongs_to_the_frame_that_holds_it() {
        let clock = Clock::new(vec![1.0, 2.0, 3.0, 4.0]);
        let cases = [
            (2.0, Moment::Frame(1)),
            (2.98, Moment::Frame(1)),
            (2.995, Moment::Frame(2)),
            (4.9, Moment::Frame(3)),
            (5.1, Moment::After),
            (0.9, Moment::Before),
            (0.995, Moment::Frame(0)),
        ];
        for (time, moment) in cases {
            assert_eq!(clock.at(time), moment, "{time}");
        }
        assert_eq!(Clock::new(Vec::new()).at(1.0), Moment::Before);
        assert!(Clock::new(vec![3.0]).rate().is_nan());
    }

    #[test]
    fn pauses_hold_no_frame_and_change_no_rate() {
        // 10 Hz, a pause of 5 s after frame 9, and frame 14 dropped.
        let mut times: Vec<f64> = (0..20).map(|k| f64::from(k) * 0.1).collect();
        times.iter_mut().skip(10).for_each(|t| *t += 5.0);
        times.remove(14);
        let clock = Clock::new(times);
        assert!((clock.rate() - 10.0 * 17.0 / 18.0).abs() < 1e-9, "{}", clock.rate());
        assert_eq!((clock.at(0.95), clock.at(3.0)), (Moment::Frame(9), Moment::Pause));
        assert_eq!(clock.at(6.45), Moment::Frame(13));
        assert!(clock.runs_on(2, &(-2..8)) && clock.runs_on(10, &(0..9)));
        assert!(!clock.runs_on(5, &(0..6)) && !clock.runs_on(11, &(-2..3)));
        let behaviour = clock.span(7, 12);
        assert!((behaviour.start - 0.7).abs() < 1e-12);
        assert!((behaviour.end - 0.9 - 1.8 / 17.0).abs() < 1e-9, "{behaviour:?}");
        assert_eq!(clock.span(2, 5), clock.times()[2]..clock.times()[5]);
        assert!((clock.span(16, 19).end - 6.9 - 1.8 / 17.0).abs() < 1e-9);
    }

    #[test]
    fn clocks_that_jitter_or_come_in_batches_run_on() {
        let jitter = |k: usize| 0.4 * ((k * 7919 % 13) as f64 / 12.0 - 0.5);
        let clock = Clock::new((0..300).map(|k| (k as f64 + jitter(k)) / 30.0).collect());
        assert!((0..250).all(|start| clock.runs_on(start, &(0..42))));
        assert!((0..299).all(|k| matches!(clock.at((k as f64 + 0.5) / 30.0), Moment::Frame(_))));
        let batches = Clock::new((0..300).map(|k| f64::from(k / 10) / 3.0).collect());
        assert!((batches.rate() - 30.0).abs() < 1.1, "{}", batches.rate());
        assert!((0..250).all(|start| batches.runs_on(start, &(0..42))));
    }
}
