//! The only folder that says `wgpu`: adapter, memory, shader reflection, launches, and the loop that runs
//! them.
//!
//! Work flows one way: a kernel's struct makes a [`Launch`] (plain data, no device needed), launches are
//! gathered in a [`Recording`], and [`Gpu::run`] plays it. Nothing here knows what any kernel computes.

mod adapter;
mod bindings;
mod budget;
mod cooperative;
mod device;
mod family;
mod faults;
mod flights;
mod kernel;
mod memory;
mod pipeline;
mod recording;
mod run;
mod shader;
mod speeds;
mod staging;
mod tensor;
mod timing;
mod tuning;

pub use adapter::{AdapterChoice, AdapterReport, adapters};
pub(crate) use device::LONGEST_LOOP;
pub use device::{Gpu, Options};
pub use family::{Family, FamilyChoice};
pub use kernel::{Grid, Kernel, Launch, Tile};
pub use memory::{Buffer, Ledger};
pub(crate) use memory::{beyond_binding, too_large};
pub use recording::Recording;
pub use shader::{Access, Interface, Parts};
pub(crate) use tensor::padded_rows;
pub use tensor::{Maps, Matrix};
pub use timing::Clock;
pub use tuning::{Choice, Tuning, TuningReport};
