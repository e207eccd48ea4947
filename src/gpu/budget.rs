//! How much memory a device may use by default.

use super::adapter::AdapterReport;
use crate::host::memory_available;

/// The share of what the adapter should have; all of it where none is asked for.
pub(super) fn budget(report: &AdapterReport, share: Option<f64>) -> u64 {
    share_of(default_budget(report, memory_available()), share)
}

/// A software or integrated adapter uses the host's memory: half of what is free. A discrete one has its
/// own, of which a quarter is left to desktops, displays and the driver; where the driver does not report
/// it, it gets 4 GiB, which every card worth using has.
fn default_budget(report: &AdapterReport, host_free: Option<u64>) -> u64 {
    const UNKNOWN: u64 = 4 << 30;
    match (report.kind.as_str(), report.memory_bytes, host_free) {
        ("Cpu" | "IntegratedGpu", _, Some(free)) => free / 2,
        ("DiscreteGpu", Some(own), _) => own / 4 * 3,
        _ => UNKNOWN,
    }
}

fn share_of(budget: u64, share: Option<f64>) -> u64 {
    (budget as f64 * share.unwrap_or(1.0)) as u64
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::gpu::{Gpu, Options};

    #[test]
    fn the_budget_is_a_share_of_what_the_adapter_has() {
        let mut report = Gpu::open(&Options::default()).unwrap().report().clone();
        let mut budget = |kind: &str, own, free| {
            (report.kind, report.memory_bytes) = (kind.into(), own);
            default_budget(&report, free)
        };
        assert_eq!(budget("Cpu", Some(1 << 40), Some(10 << 30)), 5 << 30);
        assert_eq!(budget("IntegratedGpu", None, Some(10 << 30)), 5 << 30);
        assert_eq!(budget("DiscreteGpu", Some(16 << 30), Some(1 << 30)), 12 << 30);
        assert_eq!(budget("DiscreteGpu", None, Some(100 << 30)), 4 << 30);
        assert_eq!((share_of(1000, Some(0.25)), share_of(1000, None)), (250, 1000));
        // Other programs take and give memory meanwhile.
        let all = Gpu::open(&Options::default()).unwrap().ledger().budget() as f64;
        let eighth = Options { memory_share: Some(0.125), ..Options::default() };
        let share = Gpu::open(&eighth).unwrap().ledger().budget() as f64 / all;
        assert!((0.06..0.25).contains(&share), "{share}");
        let asked = Options { max_memory: Some(54321 << 10), ..eighth };
        assert_eq!(Gpu::open(&asked).unwrap().ledger().budget(), 54321 << 10);
    }
}
