//! `striate doctor`: adapters, limits, self-tests, measured peaks, and what is missing.

use serde_json::{Value, json};
use striate::doctor::{FamilyReport, Peaks, SelfTest, families, peaks, self_test};
use striate::gpu::{AdapterReport, Gpu, adapters};
use striate::host;
use striate::kernels::ALL;
use striate::{Error, Kind, Result};

use super::common::{Common, loop_warning};
use super::output::{Outcome, lines, mebibytes};

/// Looks at the machine. Without an adapter that works, the findings are printed and the exit code is 5.
pub fn run(common: &Common) -> Result<Outcome> {
    let found = adapters();
    let mut document = json!({
        "striate": env!("CARGO_PKG_VERSION"), "host": host::name(), "adapters": found, "host_memory_free_bytes": host::memory_available(),
    });
    let mut text = host::name().map_or(String::new(), |name| format!("Host: {name}\n"));
    text.push_str(&listed(&found));
    match examine(common) {
        Ok(examined) => {
            merge(&mut document, examined.document());
            text.push_str(&examined.text());
            let advice = missing(&found, &examined);
            text.push_str(&advised(&advice));
            merge(&mut document, json!({"missing": advice}));
            let outcome = Outcome::new(document, text);
            Ok(match examined.wrong() {
                Some(why) => outcome.failed(why),
                None => outcome,
            })
        }
        Err(why) => {
            let advice = if found.is_empty() { no_adapter() } else { Vec::new() };
            text.push_str(&advised(&advice));
            merge(&mut document, json!({"missing": advice}));
            Ok(Outcome::new(document, text).failed(why))
        }
    }
}

/// What was found out of the chosen adapter.
struct Examined {
    gpu: Gpu,
    families: Vec<FamilyReport>,
    test: SelfTest,
    peaks: Peaks,
}

fn examine(common: &Common) -> Result<Examined> {
    let options = common.options();
    let gpu = Gpu::open(&options)?;
    common.say(format_args!("testing and measuring {}", gpu.describe()));
    let progress = common.progress("kernels", ALL.len());
    let test = self_test(&gpu, |done| progress.at(done))?;
    drop(progress);
    let peaks = peaks(&gpu)?;
    let families = families(&gpu, &options);
    Ok(Examined { gpu, families, test, peaks })
}

impl Examined {
    fn document(&self) -> Value {
        let (ran, right) = self.test.counts();
        let kernels: Vec<Value> = self
            .test
            .kernels
            .iter()
            .map(|(name, cases, right)| json!({"name": name, "cases": cases, "right": right}))
            .collect();
        json!({
            "chosen": self.gpu.report(),
            "software": self.gpu.is_cpu(),
            "kernel_family": self.gpu.family(),
            "kernel_family_choice": self.gpu.family_choice(),
            "families": self.families,
            "memory_budget_bytes": self.gpu.ledger().budget(),
            "largest_binding_bytes": self.gpu.max_binding_bytes(),
            "loop_rounds_of_100000": self.gpu.loop_rounds(),
            "tuning": self.gpu.tuning(),
            "self_test": {"cases": ran, "right": right, "kernels": kernels, "failures": self.test.failures},
            "peaks": self.peaks,
        })
    }

    fn text(&self) -> String {
        let (ran, right) = self.test.counts();
        let gpu = &self.gpu;
        let p = &self.peaks;
        let loops = loop_warning(gpu).unwrap_or_else(|| "run as long as they should".into());
        let mut text = format!("\nChosen: {}\n", gpu.describe());
        text.push_str(&lines(&[
            ("  kernels", format!("the {} family: {}", gpu.family(), gpu.family_choice().why)),
            ("  tiles", tiles(gpu)),
            (
                "  memory budget",
                format!("{} (--max-memory or --memory-share changes it)", mebibytes(gpu.ledger().budget())),
            ),
            ("  largest array", mebibytes(gpu.max_binding_bytes())),
            ("  loops", loops),
            ("  sentinel", "checked after every submission".into()),
            ("  self-test", format!("{right} of {ran} cases of {} kernels right", self.test.kernels.len())),
            ("  arithmetic", format!("{:.0} GFLOP/s in registers, the peak", p.arithmetic_gflops)),
            (
                "  matrix product",
                format!("{:.0} GFLOP/s (side {}), {}", p.matrix_gflops, p.matrix_side, share_of_peak(p)),
            ),
            ("  memory", format!("{:.1} GB/s, read and written", p.memory_gb_per_s)),
            ("  upload", format!("{:.1} GB/s", p.upload_gb_per_s)),
            ("  download", format!("{:.1} GB/s", p.download_gb_per_s)),
        ]));
        for family in &self.families {
            text.push_str(&format!("  {:<14}  {}\n", family.family, found(family)));
        }
        for choice in gpu.tuning().choices {
            text.push_str(&format!("  tile {:<9} {}\n", choice.tile, choice.class));
        }
        for failure in &self.test.failures {
            text.push_str(&format!("  WRONG  {failure}\n"));
        }
        text
    }

    fn wrong(&self) -> Option<Error> {
        let first = self.test.failures.first()?;
        let found = format!("{} cases of the self-test are wrong, first {first}", self.test.failures.len());
        let advice = "Update the driver, or choose another with --adapter";
        let place = format!("adapter {}", self.gpu.report().name);
        Some(Error::new(Kind::Adapter, place, found, "right results", advice))
    }
}

/// The share of the peak that a matrix product reaches, unless something else took part of the machine.
pub fn share_of_peak(peaks: &Peaks) -> String {
    if peaks.disturbed {
        return "disturbed: something else used this machine, so the peak may be higher".into();
    }
    format!("{:.0} % of the peak", 100.0 * peaks.matrix_gflops / peaks.arithmetic_gflops)
}

/// Whether what a family needs is there, right, and used.
fn found(family: &FamilyReport) -> String {
    let state = match (&family.lacks, &family.fault, family.used) {
        (Some(what), ..) => format!("not there: {what}"),
        (None, Some(what), _) => format!("there, but DOES NOT WORK, so it is not used: {what}"),
        (None, _, true) => "there, right, used".into(),
        (None, _, false) => "there, right, not used".into(),
    };
    format!("{}: {state}", family.needs)
}

/// How tiles are chosen, and where what was tuned is kept.
fn tiles(gpu: &Gpu) -> String {
    let tuning = gpu.tuning();
    if ALL.iter().all(|entry| entry.kernel.tiles(gpu.family()).len() < 2) {
        return "one size each, nothing to choose".into();
    }
    if !tuning.measured {
        return "by a fixed rule (--no-tuning)".into();
    }
    let kept = match (&tuning.file, &tuning.problem) {
        (_, Some(why)) => format!("not kept: {why}"),
        (Some(file), None) => format!("kept in {}", file.display()),
        (None, None) => "not kept: there is no cache folder".into(),
    };
    format!("tuned for {} classes of shapes, {kept} (--no-tuning takes a fixed rule)", tuning.choices.len())
}

fn listed(found: &[AdapterReport]) -> String {
    if found.is_empty() {
        return "No adapter.\n".into();
    }
    let row = |a: &AdapterReport| {
        let key = format!("  {}", a.index);
        let limits = format!(
            "largest buffer {}, binding {}, subgroups of {} to {}",
            mebibytes(a.max_buffer_bytes),
            mebibytes(a.max_binding_bytes),
            a.subgroup[0],
            a.subgroup[1]
        );
        let own = a
            .memory_bytes
            .filter(|_| a.kind == "DiscreteGpu")
            .map(|bytes| format!("{} of its own", mebibytes(bytes)));
        let place = a.pci.as_ref().map(|pci| format!("--adapter pci:{pci}"));
        let more: Vec<String> = place.into_iter().chain(own).chain([limits]).collect();
        let name = format!("{} ({}, {}, {})", a.name, a.kind, a.backend, a.driver);
        [(key, name), (String::new(), more.join(", "))]
    };
    format!("Adapters:\n{}", lines(&found.iter().flat_map(row).collect::<Vec<_>>()))
}

/// What would make this machine better, and how to get it.
fn missing(found: &[AdapterReport], examined: &Examined) -> Vec<String> {
    let mut advice = Vec::new();
    if found.iter().all(|a| a.kind == "Cpu") {
        advice.push(
            "No GPU driver: everything runs on the processor. If there is a GPU, install its Vulkan driver; on \
             Debian or Ubuntu for AMD and Intel: sudo apt-get install -y mesa-vulkan-drivers; for NVIDIA: the \
             vendor's driver (in a container set NVIDIA_DRIVER_CAPABILITIES=all)"
                .to_string(),
        );
    } else if examined.gpu.is_cpu() {
        advice.push("A GPU is there but not chosen: leave --adapter and STRIATE_ADAPTER out".to_string());
    }
    advice
}

fn no_adapter() -> Vec<String> {
    let named =
        ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].into_iter().filter(|name| std::env::var_os(name).is_some());
    let mut advice: Vec<String> =
        named.map(|name| format!("{name} is set and may name no driver: unset {name}")).collect();
    advice.push(
        "No adapter: on Debian or Ubuntu run: sudo apt-get install -y libvulkan1 mesa-vulkan-drivers"
            .to_string(),
    );
    advice
}

fn advised(advice: &[String]) -> String {
    if advice.is_empty() {
        return "\nNothing is missing.\n".into();
    }
    let items: String = advice.iter().map(|line| format!("  {line}\n")).collect();
    format!("\nMissing:\n{items}")
}

fn merge(document: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (document, more) {
        fields.extend(more);
    }
}
