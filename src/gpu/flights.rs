//! Submissions under way: a few at once, so that the device need not wait for the host; each with a sentinel
//! that the host reads when it has ended.

use super::device::{CALLBACK, Gpu};
use super::kernel::Launch;
use super::memory::{Buffer, next_allocation};
use super::speeds::Estimate;
use crate::error::{Error, Kind, Result};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{MutexGuard, PoisonError};
use std::time::Instant;

/// Submissions under way at most. Two keep the device busy while the host prepares a third.
const MOST: usize = 3;

/// What the last dispatch of every submission writes, one after the other.
#[derive(Clone)]
pub(super) struct Sentinel {
    pub number: u64,
    pub written: wgpu::Buffer,
}

struct Flight {
    name: &'static str,
    expected: [u8; 8],
    estimate: Estimate,
    submitted: Instant,
    /// Whether the device had nothing else to do.
    alone: bool,
    index: wgpu::SubmissionIndex,
    /// Where the host reads its sentinel.
    read: wgpu::Buffer,
    /// What it works on: counted as used until it has ended, as it is by the driver.
    _buffers: Vec<Buffer>,
    mapped: Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
}

/// When the last submission ended, and whether the host was there to see it.
struct Ended {
    at: Instant,
    seen: bool,
}

/// The submissions of a device that nobody has waited for, in order.
#[derive(Default)]
pub(super) struct Flights {
    flying: VecDeque<Flight>,
    sentinel: Option<Sentinel>,
    free: Vec<wgpu::Buffer>,
    ended: Option<Ended>,
    submissions: u32,
}

/// A submission that is about to be made.
pub(super) struct Departure {
    pub number: u32,
    pub sentinel: Sentinel,
    pub read: wgpu::Buffer,
    pub name: &'static str,
    pub launches: u32,
    estimate: Estimate,
}

impl Departure {
    /// What the sentinel must hold in the end.
    pub fn expected(&self) -> [u8; 8] {
        let mut words = [0; 8];
        words[..4].copy_from_slice(&self.number.to_le_bytes());
        words[4..].copy_from_slice(&self.launches.to_le_bytes());
        words
    }
}

impl Gpu {
    pub(super) fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for all work that was started.
    ///
    /// # Errors
    /// Device, if the device failed, is lost, or stopped before the end of a submission.
    pub fn finish(&self) -> Result<()> {
        let mut flights = self.flights();
        while !flights.flying.is_empty() {
            self.land(&mut flights)?;
        }
        // Another thread may have waited for what this one started.
        self.check("device")
    }

    /// A number and a sentinel for the next submission, once fewer than the most are under way.
    pub(super) fn depart(
        &self,
        flights: &mut Flights,
        launches: &[Launch],
        estimate: Estimate,
    ) -> Result<Departure> {
        while flights.flying.len() >= MOST {
            self.land(flights)?;
        }
        flights.submissions = flights.submissions.wrapping_add(1);
        let sentinel = match &flights.sentinel {
            Some(sentinel) => sentinel.clone(),
            None => flights.sentinel.insert(self.sentinel()?).clone(),
        };
        let read = match flights.free.pop() {
            Some(read) => read,
            None => {
                self.raw_buffer("sentinel", 16, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)?
            }
        };
        let name = launches.first().map_or("nothing", Launch::name);
        let launches = launches.len() as u32;
        Ok(Departure { number: flights.submissions, sentinel, read, name, launches, estimate })
    }

    /// Keeps a submission in mind until it has ended.
    pub(super) fn departed(
        &self,
        flights: &mut Flights,
        made: Departure,
        launches: &[Launch],
        index: wgpu::SubmissionIndex,
    ) {
        let (sender, mapped) = channel();
        made.read.map_async(wgpu::MapMode::Read, .., move |result| drop(sender.send(result)));
        flights.flying.push_back(Flight {
            name: made.name,
            expected: made.expected(),
            submitted: Instant::now(),
            alone: flights.flying.is_empty(),
            estimate: made.estimate,
            index,
            read: made.read,
            _buffers: launches.iter().flat_map(|l| l.buffers.iter().map(|(_, b, _)| b.clone())).collect(),
            mapped,
        });
    }

    /// Waits for the oldest submission, checks its sentinel and learns from the time that it took.
    pub(super) fn land(&self, flights: &mut Flights) -> Result<()> {
        let Some(flight) = flights.flying.pop_front() else { return Ok(()) };
        let broken = |why: String, wanted: &str, advice: &str| {
            // Whoever else counts on this submission has to hear of it, too.
            self.fail(format!("{why} (in the submission that began with {})", flight.name));
            Error::new(Kind::Device, flight.name, why, wanted, advice)
        };
        let again = "Try again, or choose another --adapter";
        // What has ended while the host was elsewhere was not seen to end.
        let _ = self.device.poll(wgpu::PollType::Poll);
        let (result, seen) = match flight.mapped.try_recv() {
            Ok(result) => (result, false),
            Err(_) => {
                self.wait_until(flight.index.clone(), flight.name)?;
                let late = |_| broken("the device did not finish in time".into(), "", again);
                (flight.mapped.recv_timeout(CALLBACK).map_err(late)?, true)
            }
        };
        let ended = Ended { at: Instant::now(), seen };
        // First, so that a lost device is named, and not what follows from it.
        self.check(flight.name)?;
        result.map_err(|why| broken(format!("the result could not be read back: {why}"), "", again))?;
        let view = flight.read.get_mapped_range(..).map_err(|why| broken(why.to_string(), "", again))?;
        let whole = view.get(..8) == Some(flight.expected.as_slice());
        drop(view);
        flight.read.unmap();
        if !whole {
            return Err(broken(
                "the device stopped before the end of a submission without saying so".into(),
                "the submission's sentinel",
                "A watchdog may have stopped it: close other GPU programs, or choose another --adapter",
            ));
        }
        self.learn(&flight, flights.ended.as_ref(), &ended);
        flights.ended = Some(ended);
        flights.free.push(flight.read);
        Ok(())
    }

    /// The time of a submission is known where the host saw both ends; otherwise it is known to be less than
    /// what lies between submission and notice, which says something only if that is less than was thought.
    fn learn(&self, flight: &Flight, before: Option<&Ended>, ended: &Ended) {
        let start = match before {
            _ if flight.alone => Some(flight.submitted),
            Some(before) if before.seen => Some(before.at.max(flight.submitted)),
            _ => None,
        };
        let most = ended.at.duration_since(start.unwrap_or(flight.submitted)).as_secs_f64();
        if (start.is_some() && ended.seen) || most < flight.estimate.seconds {
            self.speeds.learn(&flight.estimate, most);
        }
    }

    fn sentinel(&self) -> Result<Sentinel> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        Ok(Sentinel { number: next_allocation(), written: self.raw_buffer("sentinel", 16, usage)? })
    }
}
