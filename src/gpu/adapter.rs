//! Which adapter works: our own choice, because wgpu's default may take a software adapter beside a real GPU.

use crate::error::{Error, Kind, Result};

/// How the user names an adapter: `--adapter NAME|INDEX|pci:ADDRESS|cpu`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AdapterChoice {
    /// The fastest kind there is: discrete, integrated, virtual, other, CPU.
    #[default]
    Best,
    /// The n-th of the list that `striate doctor` prints, from 0.
    Index(usize),
    /// A software adapter.
    Cpu,
    /// Part of the adapter's name, in any case.
    Name(String),
    /// The address of its slot, `0000:65:00.0`: what tells equal GPUs apart, whatever their order.
    Pci(String),
}

impl AdapterChoice {
    /// Reads what the user wrote; an empty text means [`AdapterChoice::Best`].
    pub fn parse(text: &str) -> Self {
        match text.trim() {
            "" => Self::Best,
            cpu if cpu.eq_ignore_ascii_case("cpu") => Self::Cpu,
            pci if pci.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("pci:")) => {
                Self::Pci(pci[4..].trim().to_lowercase())
            }
            other => other.parse().map_or_else(|_| Self::Name(other.to_lowercase()), Self::Index),
        }
    }
}

/// What one adapter is, for `doctor` and for the record of a run.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct AdapterReport {
    /// Position in the list, for `--adapter INDEX`.
    pub index: usize,
    /// The driver's name for it.
    pub name: String,
    /// Vulkan, Metal or DX12.
    pub backend: String,
    /// Discrete, integrated, virtual, CPU or other.
    pub kind: String,
    /// Driver name and version.
    pub driver: String,
    /// The address of its slot, where the driver says it: `0000:65:00.0`.
    #[serde(default)]
    pub pci: Option<String>,
    /// Bytes of its largest device-local heap, where Vulkan tells them: a discrete GPU's own memory.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Lanes of a subgroup, smallest and largest.
    pub subgroup: [u32; 2],
    /// Largest buffer in bytes.
    pub max_buffer_bytes: u64,
    /// Largest binding in bytes.
    pub max_binding_bytes: u64,
}

pub(super) fn report(index: usize, adapter: &wgpu::Adapter) -> AdapterReport {
    let info = adapter.get_info();
    let limits = adapter.limits();
    AdapterReport {
        index,
        name: info.name,
        backend: format!("{:?}", info.backend),
        kind: format!("{:?}", info.device_type),
        driver: [info.driver, info.driver_info].join(" ").trim().to_string(),
        subgroup: [info.subgroup_min_size, info.subgroup_max_size],
        pci: Some(info.device_pci_bus_id).filter(|address| !address.is_empty()),
        memory_bytes: device_local_bytes(adapter),
        max_buffer_bytes: limits.max_buffer_size,
        max_binding_bytes: limits.max_storage_buffer_binding_size,
    }
}

/// Bytes of the largest device-local heap: wgpu does not say, and Vulkan does.
#[cfg(any(windows, target_os = "linux"))]
fn device_local_bytes(adapter: &wgpu::Adapter) -> Option<u64> {
    /// VK_MEMORY_HEAP_DEVICE_LOCAL_BIT.
    const DEVICE_LOCAL: u32 = 1;
    // SAFETY: wgpu's own handles, which live while the guard does; a property is read, nothing made or freed.
    #[allow(unsafe_code, reason = "the only way to ask Vulkan how much memory a GPU has")]
    let heaps = unsafe {
        let vulkan = adapter.as_hal::<wgpu::hal::api::Vulkan>()?;
        let instance = vulkan.shared_instance().raw_instance();
        instance.get_physical_device_memory_properties(vulkan.raw_physical_device())
    };
    let heaps = heaps.memory_heaps.iter().take(heaps.memory_heap_count as usize);
    heaps.filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0).map(|heap| heap.size).max()
}

#[cfg(not(any(windows, target_os = "linux")))]
fn device_local_bytes(_: &wgpu::Adapter) -> Option<u64> {
    None
}

fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    // wgpu then answers "out of memory" before the driver starts to swap; drivers without the extension
    // ignore it.
    descriptor.memory_budget_thresholds.for_resource_creation = Some(90);
    wgpu::Instance::new(descriptor)
}

fn enumerate() -> Vec<wgpu::Adapter> {
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    pollster::block_on(instance().enumerate_adapters(backends))
}

/// All adapters of this machine, in the order that `--adapter INDEX` counts.
pub fn adapters() -> Vec<AdapterReport> {
    enumerate().iter().enumerate().map(|(i, a)| report(i, a)).collect()
}

/// Kinds as reports name them, from the fastest.
const KINDS: [&str; 5] = ["DiscreteGpu", "IntegratedGpu", "VirtualGpu", "Other", "Cpu"];

/// Domain, bus, device and function; `nvidia-smi` writes more zeros than others, and many leave the domain out.
fn slot(address: &str) -> Option<[u32; 4]> {
    let (place, function) = address.split_once('.')?;
    let mut parts: Vec<&str> = place.split(':').collect();
    if parts.len() == 2 {
        parts.insert(0, "0");
    }
    let [domain, bus, device] = parts[..] else { return None };
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    Some([number(domain)?, number(bus)?, number(device)?, number(function)?])
}

/// Which of several adapters is meant.
fn find(choice: &AdapterChoice, all: &[AdapterReport]) -> Option<usize> {
    let rank = |report: &AdapterReport| KINDS.iter().position(|kind| *kind == report.kind);
    match choice {
        AdapterChoice::Best => (0..all.len()).min_by_key(|at| (rank(&all[*at]).unwrap_or(KINDS.len()), *at)),
        AdapterChoice::Index(n) => (*n < all.len()).then_some(*n),
        AdapterChoice::Cpu => all.iter().position(|report| report.kind == "Cpu"),
        AdapterChoice::Name(name) => {
            all.iter().position(|report| report.name.to_lowercase().contains(name.as_str()))
        }
        AdapterChoice::Pci(address) => {
            let wanted = slot(address)?;
            all.iter().position(|report| report.pci.as_deref().and_then(slot) == Some(wanted))
        }
    }
}

pub(super) fn choose(choice: &AdapterChoice) -> Result<(AdapterReport, wgpu::Adapter)> {
    let mut all = enumerate();
    let reports: Vec<AdapterReport> = all.iter().enumerate().map(|(i, a)| report(i, a)).collect();
    match find(choice, &reports) {
        Some(at) => Ok((reports[at].clone(), all.swap_remove(at))),
        None => Err(not_found(choice, &reports)),
    }
}

fn not_found(choice: &AdapterChoice, all: &[AdapterReport]) -> Error {
    if all.is_empty() {
        return Error::new(
            Kind::Adapter,
            "adapter",
            "no GPU adapter was found",
            "a Vulkan, Metal or DX12 driver",
            "On Debian or Ubuntu run: sudo apt-get install -y libvulkan1 mesa-vulkan-drivers",
        );
    }
    let named = |report: &AdapterReport| {
        let pci = report.pci.as_ref().map_or(String::new(), |pci| format!(" (pci:{pci})"));
        format!("{}: {}{pci}", report.index, report.name)
    };
    let names: Vec<String> = all.iter().map(named).collect();
    let found = match choice {
        AdapterChoice::Name(name) => format!("no adapter's name contains '{}'", name.escape_debug()),
        AdapterChoice::Index(number) => format!("no adapter has the number {number}"),
        AdapterChoice::Pci(address) => format!("no adapter has the PCI address '{}'", address.escape_debug()),
        AdapterChoice::Cpu | AdapterChoice::Best => "no adapter is the processor".into(),
    };
    let wanted = format!("one of {}", names.join(", "));
    Error::new(Kind::Adapter, "--adapter", found, wanted, "Run `striate doctor` to see them")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// A node with an integrated GPU before two equal discrete ones, and a software adapter.
    #[test]
    fn equal_gpus_are_told_apart_by_their_slots() {
        let of = |index, name: &str, kind: &str, pci: Option<&str>| AdapterReport {
            index,
            name: name.into(),
            backend: "Vulkan".into(),
            kind: kind.into(),
            driver: "a driver".into(),
            pci: pci.map(str::to_owned),
            memory_bytes: None,
            subgroup: [32, 32],
            max_buffer_bytes: 1 << 30,
            max_binding_bytes: 1 << 30,
        };
        let all = [
            of(0, "Graphics", "IntegratedGpu", Some("0000:00:02.0")),
            of(1, "Twin", "DiscreteGpu", Some("0000:65:00.0")),
            of(2, "Twin", "DiscreteGpu", Some("0001:b3:00.0")),
            of(3, "llvmpipe", "Cpu", None),
        ];
        let found = |text: &str| find(&AdapterChoice::parse(text), &all);
        for (text, wanted) in [
            ("", Some(1)),
            ("2", Some(2)),
            ("4", None),
            ("cpu", Some(3)),
            ("twin", Some(1)),
            ("pci:0000:65:00.0", Some(1)),
            ("PCI:65:00.0", Some(1)),
            ("pci:0001:B3:00.0", Some(2)),
            ("pci:00000001:b3:00.0", Some(2)),
            ("pci:b3:00.0", None),
            ("pci:65:00.1", None),
            ("pci:", None),
            ("pci:65", None),
            ("pci:x:y.z", None),
        ] {
            assert_eq!(found(text), wanted, "{text}");
        }
        let why = not_found(&AdapterChoice::parse("pci:66:00.0"), &all).to_string();
        for said in ["'66:00.0'", "1: Twin (pci:0000:65:00.0)", "2: Twin (pci:0001:b3:00.0)", "3: llvmpipe"] {
            assert!(why.contains(said), "{why}");
        }
    }

    /// Every driver of Vulkan has memory of its own to give.
    #[test]
    fn vulkan_says_how_much_memory_there_is() {
        for report in adapters().iter().filter(|report| report.backend == "Vulkan") {
            assert!(report.memory_bytes.is_some_and(|bytes| bytes >= 256 << 20), "{report:?}");
        }
    }
}
