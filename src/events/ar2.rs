//! Non-negative deconvolution of AR(2) traces, exact, in f64 on the host.
//!
//! Pools do not solve this problem exactly, and f32 cannot: the matrix below has a condition number of about
//! `((1 - d)(1 - r))^-2`. With `s = G c`, where G has ones on the diagonal and -g1, -g2 below, the dual of
//! `1/2 |c - x|^2, G c >= 0` is a linear complementarity problem of a banded matrix: find `m >= 0` with
//! `s = G x + G G' m >= 0` and `m s = 0`; then `c = x + G' m`. Block principal pivoting (Júdice & Pires 1994)
//! exchanges all frames whose signs are wrong at once, each time by one solution with three diagonals, and
//! ends at the exact solution.

use super::noise::Decay;

/// Exchanges of all wrong frames that may not lessen their number before one frame at a time is exchanged.
const PATIENCE: usize = 10;

/// Exchanges after which a trace is given up; as many as it has frames, where these are more.
const LONGEST: usize = 5000;

/// Calcium and events that minimise `1/2 |c - y|^2 + penalty sum s`, `s_t = c_t - g1 c_(t-1) - g2 c_(t-2) >=
/// 0`, and the number of exchanges. None should they not end.
pub fn solve(y: &[f64], decay: Decay, penalty: f64) -> Option<(Vec<f64>, Vec<f64>, usize)> {
    let Decay { g1, g2 } = decay;
    let frames = y.len();
    // The penalty as a shift of the trace: the gradient of sum s is G' 1.
    let share =
        |t: usize| 1.0 - if t + 1 < frames { g1 } else { 0.0 } - if t + 2 < frames { g2 } else { 0.0 };
    let x: Vec<f64> = y.iter().enumerate().map(|(t, v)| v - penalty * share(t)).collect();
    let q = spikes(&x, decay);
    let scale = x.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let [slow, fast] = decay.roots();
    let room = [1e-11 * scale, 1e-11 * scale / ((1.0 - slow) * (1.0 - fast)).abs().max(1e-6)];
    let mut silent: Vec<bool> = q.iter().map(|q| *q < 0.0).collect();
    let (mut fewest, mut patience) = (usize::MAX, PATIENCE);
    for exchange in 0..LONGEST.max(frames) {
        let m = multipliers(&q, &silent, decay);
        let c = calcium(&x, &m, decay);
        let s = spikes(&c, decay);
        let wrong: Vec<usize> =
            (0..frames).filter(|t| if silent[*t] { m[*t] < -room[1] } else { s[*t] < -room[0] }).collect();
        if wrong.is_empty() {
            let events = s.iter().zip(&silent).map(|(s, silent)| if *silent { 0.0 } else { s.max(0.0) });
            return Some((c, events.collect(), exchange));
        }
        if wrong.len() < fewest {
            (fewest, patience) = (wrong.len(), PATIENCE);
        }
        patience = patience.saturating_sub(1);
        let exchanged = if patience > 0 { &wrong[..] } else { &wrong[wrong.len() - 1..] };
        for t in exchanged {
            silent[*t] = !silent[*t];
        }
    }
    None
}

/// What [`constrained`] finds.
#[derive(Debug, Clone)]
pub struct Constrained {
    /// Calcium above the baseline.
    pub calcium: Vec<f64>,
    /// Events.
    pub events: Vec<f64>,
    /// The penalty.
    pub penalty: f64,
    /// The baseline.
    pub baseline: f64,
}

/// Solutions while penalty or baseline are looked for, at most.
const SEARCHES: usize = 40;

/// The solution whose residual has the noise's variance, as nearly as 1e-4, about a baseline that is its
/// mean; with a `penalty` only the baseline is looked for. As for AR(1), calcium depends on both through one
/// number, the shift of the trace, which is found by false position (Illinois). Without any penalty where
/// that leaves more than the noise; None as [`solve`].
pub fn constrained(
    y: &[f64],
    decay: Decay,
    noise: f64,
    penalty: Option<f64>,
    start: f64,
) -> Option<Constrained> {
    let lost = (1.0 - decay.g1 - decay.g2).max(1e-9);
    let frames = y.len() as f64;
    let at = |shift: f64| -> Option<(Constrained, f64)> {
        let x: Vec<f64> = y.iter().map(|v| v - shift).collect();
        let (calcium, events, _) = solve(&x, decay, 0.0)?;
        let left = || y.iter().zip(&calcium).map(|(y, c)| y - c);
        let baseline = left().sum::<f64>() / frames;
        let rest = left().map(|l| (l - baseline).powi(2)).sum::<f64>() / (noise * noise * frames) - 1.0;
        Some((Constrained { calcium, events, penalty: (shift - baseline) / lost, baseline }, rest))
    };
    let mut shift = start + penalty.unwrap_or(0.0) * lost;
    let (mut found, mut rest) = at(shift)?;
    // With a penalty that is known, or as long as the noise is exceeded without one, the baseline alone
    // settles.
    for _ in 0..SEARCHES {
        let known = penalty.or((found.penalty <= 0.0 || rest > 1e-4).then_some(0.0));
        let Some(known) = known else { break };
        let next = found.baseline + known * lost;
        if (next - shift).abs() <= 1e-4 * noise {
            return Some(Constrained { penalty: known, ..found });
        }
        shift = next;
        (found, rest) = at(shift)?;
    }
    if penalty.is_some() || rest >= -1e-4 {
        return Some(Constrained { penalty: found.penalty.max(0.0), ..found });
    }
    let (mut low, mut high) = ((shift, rest), (shift, rest));
    let mut step = noise * 0.25;
    while high.1 < 0.0 && found.events.iter().any(|e| *e > 0.0) {
        low = high;
        (found, rest) = at(low.0 + step)?;
        high = (low.0 + step, rest);
        step *= 2.0;
    }
    for _ in 0..SEARCHES {
        if rest.abs() <= 1e-4 || high.1 < 0.0 {
            break;
        }
        shift = (low.0 * high.1 - high.0 * low.1) / (high.1 - low.1);
        (found, rest) = at(shift)?;
        // The end that stays counts half, so that both move.
        if rest > 0.0 {
            high = (shift, rest);
            low.1 *= 0.5;
        } else {
            low = (shift, rest);
            high.1 *= 0.5;
        }
    }
    Some(Constrained { penalty: found.penalty.max(0.0), ..found })
}

/// `G c`.
fn spikes(c: &[f64], decay: Decay) -> Vec<f64> {
    let before = |t: usize, lag: usize| if t >= lag { c[t - lag] } else { 0.0 };
    (0..c.len()).map(|t| c[t] - decay.g1 * before(t, 1) - decay.g2 * before(t, 2)).collect()
}

/// `x + G' m`.
fn calcium(x: &[f64], m: &[f64], decay: Decay) -> Vec<f64> {
    let after = |t: usize, lag: usize| m.get(t + lag).copied().unwrap_or(0.0);
    (0..x.len()).map(|t| x[t] + m[t] - decay.g1 * after(t, 1) - decay.g2 * after(t, 2)).collect()
}

/// Solves `(G G')_FF m_F = -q_F` over the silent frames F by an LDL' of three diagonals; zero elsewhere.
fn multipliers(q: &[f64], silent: &[bool], decay: Decay) -> Vec<f64> {
    let Decay { g1, g2 } = decay;
    let diagonal = |t: usize| 1.0 + if t >= 1 { g1 * g1 } else { 0.0 } + if t >= 2 { g2 * g2 } else { 0.0 };
    // Between frame t and the frame `lag` before it.
    let beside = |t: usize, lag: usize| match lag {
        1 if t >= 2 => -g1 + g1 * g2,
        1 => -g1,
        2 => -g2,
        _ => 0.0,
    };
    let frames: Vec<usize> = (0..q.len()).filter(|t| silent[*t]).collect();
    let n = frames.len();
    let (mut d, mut one, mut two) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let mut z = vec![0.0; n];
    for (i, t) in frames.iter().copied().enumerate() {
        d[i] = diagonal(t);
        z[i] = -q[t];
        if i >= 2 {
            two[i] = beside(t, t - frames[i - 2]) / d[i - 2];
            d[i] -= two[i] * two[i] * d[i - 2];
            z[i] -= two[i] * z[i - 2];
        }
        if i >= 1 {
            let carried = if i >= 2 { two[i] * d[i - 2] * one[i - 1] } else { 0.0 };
            one[i] = (beside(t, t - frames[i - 1]) - carried) / d[i - 1];
            d[i] -= one[i] * one[i] * d[i - 1];
            z[i] -= one[i] * z[i - 1];
        }
    }
    let mut m = vec![0.0; q.len()];
    for i in (0..n).rev() {
        z[i] /= d[i];
        if i + 1 < n {
            z[i] -= one[i + 1] * z[i + 1];
        }
        if i + 2 < n {
            z[i] -= two[i + 2] * z[i + 2];
        }
        m[frames[i]] = z[i];
    }
    m
}
