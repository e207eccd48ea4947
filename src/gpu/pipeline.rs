//! Compiled pipelines, one for each kernel, family, tile and set of overrides.

use super::device::Gpu;
use super::family::Family;
use super::kernel::Launch;
use super::shader::{Access, Interface};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

type Key = (&'static str, Family, usize, Vec<(&'static str, u64)>);

pub(super) struct Pipeline {
    /// Whether the driver must have compiled it by now.
    pub dispatched: AtomicBool,
    pub raw: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

pub(super) struct Pipelines {
    checked: bool,
    ready: Mutex<HashMap<Key, Arc<Pipeline>>>,
}

impl Pipelines {
    pub fn new(checked: bool) -> Self {
        Pipelines { checked, ready: Mutex::new(HashMap::new()) }
    }
}

impl Gpu {
    /// The pipeline of a launch with the tile of this number, compiled at its first use.
    pub(super) fn pipeline(&self, launch: &Launch, tile: usize) -> Result<Arc<Pipeline>> {
        let family = launch.kernel.family(self.family());
        let overrides = launch.overrides.iter().map(|(n, v)| (*n, v.to_bits())).collect();
        let key = (launch.kernel.name(), family, tile, overrides);
        let mut ready = self.pipelines.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = ready.get(&key) {
            return Ok(pipeline.clone());
        }
        let pipeline = Arc::new(self.compile(launch, family, tile)?);
        ready.insert(key, pipeline.clone());
        Ok(pipeline)
    }

    fn compile(&self, launch: &Launch, family: Family, tile: usize) -> Result<Pipeline> {
        self.count_object();
        let name = launch.kernel.name();
        let (text, interface) = launch.kernel.tiled_source(family, tile)?;
        let tile = launch.kernel.tiles(family).get(tile).map(|t| t.overrides());
        let mut constants = [tile.as_ref().map_or(&[][..], |t| t), &launch.overrides].concat();
        // The one name that is set here; no launch may mean anything else by it.
        if interface.overrides.iter().any(|name| name == "LANES") {
            constants.push(("LANES", f64::from(self.report().subgroup[0])));
        }
        // What a driver cannot compile is an error of wgpu's own, no validation.
        let scopes = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation]
            .map(|filter| self.device.push_error_scope(filter));
        let module = self.module(name, text);
        let layout = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(name),
            entries: &entries(interface),
        });
        let raw = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(&self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(name),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: interface.parameter_bytes,
            })),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                // No kernel reads workgroup memory before writing it; the polyfill takes lavapipe minutes.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        match scopes.into_iter().rev().filter_map(|scope| pollster::block_on(scope.pop())).last() {
            Some(error) => Err(self.cause(name, Error::internal(format!("kernel {name}"), error))),
            None => Ok(Pipeline { dispatched: AtomicBool::new(false), raw, layout }),
        }
    }

    fn module(&self, name: &str, text: &str) -> wgpu::ShaderModule {
        let source =
            wgpu::ShaderModuleDescriptor { label: Some(name), source: wgpu::ShaderSource::Wgsl(text.into()) };
        if self.pipelines.checked {
            return self.device.create_shader_module(source);
        }
        // SAFETY: the text is one of ours, never a user's. Launches check shapes against buffers, loops are
        // bounded by parameters that the host sets, and no divisor is zero; the oracle tests run with the
        // checks on as well.
        #[allow(unsafe_code, reason = "the only way to build trusted shaders without the driver's checks")]
        unsafe {
            self.device.create_shader_module_trusted(source, wgpu::ShaderRuntimeChecks::unchecked())
        }
    }
}

fn entries(interface: &Interface) -> Vec<wgpu::BindGroupLayoutEntry> {
    let entry = |binding: &super::shader::Binding| wgpu::BindGroupLayoutEntry {
        binding: binding.index,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only: binding.access == Access::Read },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    };
    interface.bindings.iter().map(entry).collect()
}
