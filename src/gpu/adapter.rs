//! Which adapter works: our own choice, because wgpu's default may take a software adapter beside a real GPU.

use crate::error::{Error, Kind, Result};

/// How the user names an adapter: `--adapter NAME|INDEX|cpu`.
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
}

impl AdapterChoice {
    /// Reads what the user wrote; an empty text means [`AdapterChoice::Best`].
    pub fn parse(text: &str) -> Self {
        match text.trim() {
            "" => Self::Best,
            cpu if cpu.eq_ignore_ascii_case("cpu") => Self::Cpu,
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
        max_buffer_bytes: limits.max_buffer_size,
        max_binding_bytes: limits.max_storage_buffer_binding_size,
    }
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

fn rank(kind: wgpu::DeviceType) -> u8 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

pub(super) fn choose(choice: &AdapterChoice) -> Result<(usize, wgpu::Adapter)> {
    let mut all: Vec<(usize, wgpu::Adapter)> = enumerate().into_iter().enumerate().collect();
    if all.is_empty() {
        return Err(Error::new(
            Kind::Adapter,
            "adapter",
            "no GPU adapter was found",
            "a Vulkan, Metal or DX12 driver",
            "On Debian or Ubuntu run: sudo apt-get install -y libvulkan1 mesa-vulkan-drivers",
        ));
    }
    let found = match choice {
        AdapterChoice::Best => {
            all.sort_by_key(|(i, a)| (rank(a.get_info().device_type), *i));
            Some(0)
        }
        AdapterChoice::Index(n) => all.iter().position(|(i, _)| i == n),
        AdapterChoice::Cpu => all.iter().position(|(_, a)| a.get_info().device_type == wgpu::DeviceType::Cpu),
        AdapterChoice::Name(name) => {
            all.iter().position(|(_, a)| a.get_info().name.to_lowercase().contains(name.as_str()))
        }
    };
    match found {
        Some(i) => Ok(all.swap_remove(i)),
        None => {
            let names: Vec<String> = all.iter().map(|(i, a)| format!("{i}: {}", a.get_info().name)).collect();
            let found = match choice {
                AdapterChoice::Name(name) => format!("no adapter's name contains '{}'", name.escape_debug()),
                AdapterChoice::Index(number) => format!("no adapter has the number {number}"),
                AdapterChoice::Cpu | AdapterChoice::Best => "no adapter is the processor".into(),
            };
            Err(Error::new(
                Kind::Adapter,
                "--adapter",
                found,
                format!("one of {}", names.join(", ")),
                "Run `striate doctor` to see them",
            ))
        }
    }
}
