//! Events by their number (Jewell & Witten 2018): minimise `1/2 sum (y - c)^2 + penalty x number of events`
//! over calcium that decays between events and is nowhere negative; exact, by functional pruning, in f64 on
//! the host. How many pieces a trace needs differs from frame to frame, which suits cores and not lanes:
//! neurons are shared between the host's cores.
//!
//! The published programs hold calcium above 1e-4; here it is held above zero.

/// One choice of the last event: frames from `start` on decay from a calcium x, and cost `base + (yy - 2 a x
/// + w x^2) / 2`.
#[derive(Debug, Clone, Copy)]
struct Segment {
    start: usize,
    /// Cost of all before, and of the event.
    base: f64,
    yy: f64,
    /// Sum of `g^k y`.
    a: f64,
    /// Sum of `g^2k`.
    w: f64,
    /// Calcium now for one of calcium at the start.
    d: f64,
}

impl Segment {
    /// The smallest cost with calcium now between two values, and the calcium at the start that has it.
    fn smallest(&self, low: f64, high: f64) -> f64 {
        if self.w == 0.0 {
            return self.base + self.yy / 2.0;
        }
        let x = (self.a / self.w).clamp(low / self.d, high / self.d);
        self.base + (self.yy - 2.0 * self.a * x + self.w * x * x) / 2.0
    }

    /// Values of calcium now at which the cost is no larger than `most`; none where it always is.
    fn below(&self, most: f64) -> Option<[f64; 2]> {
        let rest = self.yy + 2.0 * (self.base - most);
        if self.w == 0.0 {
            return (rest <= 0.0).then_some([0.0, f64::INFINITY]);
        }
        let square = self.a * self.a - self.w * rest;
        (square >= 0.0).then(|| {
            let root = square.sqrt();
            [(self.a - root) / self.w * self.d, (self.a + root) / self.w * self.d]
        })
    }
}

/// A range of calcium now, from here to the next piece, and the segment that is best in it.
#[derive(Debug, Clone, Copy)]
struct Piece {
    low: f64,
    segment: usize,
}

/// Calcium below which a piece is as good as none: what comes after no longer tells its values apart.
const VANISHED: f64 = 1e-100;

/// How nearly a penalty is found, as a share of itself.
const PRECISION: f64 = 1e-4;

/// Best last event for every calcium of the present frame.
struct Frontier {
    segments: Vec<Segment>,
    pieces: Vec<Piece>,
    /// Made anew at every frame; kept for their memory.
    next_pieces: Vec<Piece>,
    next_segments: Vec<Segment>,
}

impl Frontier {
    fn high(&self, piece: usize) -> f64 {
        self.pieces.get(piece + 1).map_or(f64::INFINITY, |next| next.low)
    }

    /// The smallest cost, and the start of the segment that has it.
    fn best(&self) -> (f64, usize) {
        let mut best = (f64::INFINITY, 0);
        for (k, piece) in self.pieces.iter().enumerate() {
            let segment = &self.segments[piece.segment];
            let cost = segment.smallest(piece.low, self.high(k));
            if cost < best.0 {
                best = (cost, segment.start);
            }
        }
        best
    }

    /// Lets calcium decay for a frame, and pieces too small to tell apart become one: the cheapest of them.
    fn decay(&mut self, g: f64) {
        for segment in &mut self.segments {
            segment.d *= g;
        }
        for piece in self.pieces.iter_mut().skip(1) {
            // Not to zero: the piece before it would be lost.
            piece.low = (piece.low * g).max(VANISHED * VANISHED);
        }
        let small = self.pieces.iter().skip(1).take_while(|piece| piece.low < VANISHED).count();
        if small == 0 || (small == 1 && self.segments[self.pieces[0].segment].w == 0.0) {
            return;
        }
        let cost =
            |k: usize| self.segments[self.pieces[k].segment].smallest(self.pieces[k].low, self.high(k));
        let cheapest = (0..small).map(|k| (cost(k), k)).min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((cost, k)) = cheapest {
            let segment = self.segments[self.pieces[k].segment];
            let base = cost - segment.yy / 2.0;
            self.segments.push(Segment { base, a: 0.0, w: 0.0, d: 0.0, ..segment });
            self.pieces.drain(..small);
            let low = 0.0;
            self.pieces.insert(0, Piece { low, segment: self.segments.len() - 1 });
        }
    }

    /// Takes a frame: a new segment wherever all others cost more than `fresh`.
    fn take(&mut self, y: f64, fresh: f64, start: usize) {
        self.next_segments.clear();
        self.next_pieces.clear();
        let mut moved = vec![usize::MAX; self.segments.len()];
        let new = usize::MAX - 1;
        for k in 0..self.pieces.len() {
            let (Piece { low, segment }, high) = (self.pieces[k], self.high(k));
            let kept = self.segments[segment].below(fresh).map(|[a, b]| [a.max(low), b.min(high)]);
            let Some([from, to]) = kept.filter(|[from, to]| from < to) else {
                self.add(low, new);
                continue;
            };
            if from > low {
                self.add(low, new);
            }
            if moved[segment] == usize::MAX {
                moved[segment] = self.next_segments.len();
                self.next_segments.push(self.segments[segment]);
            }
            self.add(from, moved[segment]);
            if to < high {
                self.add(to, new);
            }
        }
        let count = self.next_segments.len();
        if self.next_pieces.iter().any(|piece| piece.segment == new) {
            self.next_segments.push(Segment { start, base: fresh, yy: 0.0, a: 0.0, w: 0.0, d: 1.0 });
        }
        for piece in self.next_pieces.iter_mut().filter(|piece| piece.segment == new) {
            piece.segment = count;
        }
        for segment in &mut self.next_segments {
            segment.yy += y * y;
            segment.a += y * segment.d;
            segment.w += segment.d * segment.d;
        }
        std::mem::swap(&mut self.segments, &mut self.next_segments);
        std::mem::swap(&mut self.pieces, &mut self.next_pieces);
    }

    /// Appends a piece, unless the last one is of the same segment.
    fn add(&mut self, low: f64, segment: usize) {
        if self.next_pieces.last().is_none_or(|last| last.segment != segment) {
            self.next_pieces.push(Piece { low, segment });
        }
    }
}

/// What [`solve`] finds.
#[derive(Debug, Clone)]
pub struct Solution {
    /// Calcium at every frame.
    pub calcium: Vec<f64>,
    /// `c_t - g c_(t-1)` at events where it is positive, else zero.
    pub events: Vec<f64>,
    /// First frames of the segments; the first is 0.
    pub starts: Vec<usize>,
    /// The objective.
    pub cost: f64,
}

/// The best calcium of a trace without missing frames, with a decay of `g` a frame.
pub fn solve(y: &[f64], g: f64, penalty: f64) -> Solution {
    let mut frontier =
        Frontier { segments: Vec::new(), pieces: vec![], next_pieces: Vec::new(), next_segments: Vec::new() };
    let mut last_start = vec![0; y.len()];
    let mut best = (0.0, 0);
    for (t, value) in y.iter().enumerate() {
        if t == 0 {
            let first = Segment { start: 0, base: 0.0, yy: value * value, a: *value, w: 1.0, d: 1.0 };
            frontier.segments.push(first);
            frontier.pieces.push(Piece { low: 0.0, segment: 0 });
        } else {
            frontier.decay(g);
            frontier.take(*value, best.0 + penalty, t);
        }
        best = frontier.best();
        last_start[t] = best.1;
    }
    let mut starts = Vec::new();
    let mut end = y.len();
    while end > 0 {
        let start = last_start[end - 1];
        starts.push(start);
        end = start;
    }
    starts.reverse();
    refit(y, g, starts, best.0)
}

/// Least squares between events.
fn refit(y: &[f64], g: f64, starts: Vec<usize>, cost: f64) -> Solution {
    let (mut calcium, mut events) = (vec![0.0; y.len()], vec![0.0; y.len()]);
    for (k, start) in starts.iter().enumerate() {
        let end = starts.get(k + 1).copied().unwrap_or(y.len());
        let (mut a, mut w, mut d) = (0.0, 0.0, 1.0);
        for value in &y[*start..end] {
            a += d * value;
            w += d * d;
            d *= g;
        }
        let mut c = f64::max(a / w, 0.0);
        if *start > 0 {
            events[*start] = f64::max(c - g * calcium[start - 1], 0.0);
        }
        for value in &mut calcium[*start..end] {
            *value = c;
            c *= g;
        }
    }
    Solution { calcium, events, starts, cost }
}

/// Events of a trace at the smallest penalty, to 1e-4 of itself, that leaves no event below `smallest`, which is
/// above 0; and that penalty. Allen's pipeline looks for the same from below, to 1e-4 of dF/F squared.
pub fn without_small_events(y: &[f64], g: f64, smallest: f64) -> (Solution, f64) {
    let has_small = |s: &Solution| s.events.iter().any(|e| *e > 0.0 && *e < smallest);
    let mut found = solve(y, g, 0.0);
    if !has_small(&found) {
        return (found, 0.0);
    }
    // What an event of the smallest size is worth at least.
    let (mut left, mut right) = (0.0, 0.5 * smallest * smallest);
    loop {
        found = solve(y, g, right);
        if !has_small(&found) {
            break;
        }
        (left, right) = (right, 2.0 * right);
    }
    while right - left > PRECISION * right {
        let middle = (left + right) / 2.0;
        let between = solve(y, g, middle);
        if has_small(&between) {
            left = middle;
        } else {
            (right, found) = (middle, between);
        }
    }
    (found, right)
}
