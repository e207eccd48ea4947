//! Kernels that a GPU runs must translate to every driver's language, although most machines have only one of
//! them.

use naga::back::{hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use striate::gpu::{Family, Kernel};
use striate::kernels::ALL;

#[test]
fn every_kernel_translates_to_spirv_msl_and_hlsl() {
    for kernel in ALL.iter().map(|e| e.kernel) {
        for tile in 0..kernel.tiles(Family::Tiled).len().max(1) {
            translate(kernel, tile);
        }
    }
}

fn translate(kernel: &Kernel, tile: usize) {
    let name = format!("{} with tile {tile}", kernel.name());
    let (text, _) = kernel.source(Family::Tiled).expect("WGSL that naga can read");
    let values = kernel.tiles(Family::Tiled).get(tile).map(|tile| tile.overrides());
    let values = values.iter().flatten().map(|(name, value)| ((*name).to_string(), *value)).collect();
    let module = naga::front::wgsl::parse_str(text).expect("WGSL that naga can read");
    // Without subgroups: what every GPU has.
    let mut validator = Validator::new(
        ValidationFlags::all(),
        Capabilities::default() | Capabilities::IMMEDIATES | Capabilities::SHADER_FLOAT16_IN_FLOAT32,
    );
    let info = validator.validate(&module).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    let (module, info) =
        process_overrides(&module, &info, None, &values).unwrap_or_else(|e| panic!("{name}: {e:?}"));

    let words = spv::write_vec(&module, &info, &spv::Options::default(), None);
    assert!(words.unwrap_or_else(|e| panic!("{name} to SPIR-V: {e}")).len() > 100, "{name}");

    let options = msl::Options { fake_missing_bindings: true, lang_version: (2, 0), ..Default::default() };
    let (metal, _) = msl::write_string(&module, &info, &options, &msl::PipelineOptions::default())
        .unwrap_or_else(|e| panic!("{name} to MSL: {e}"));
    assert!(metal.contains("kernel void"), "{name}");

    let options = hlsl::Options {
        fake_missing_bindings: true,
        immediates_target: Some(hlsl::BindTarget { register: 0, ..Default::default() }),
        ..Default::default()
    };
    let mut directx = String::new();
    hlsl::Writer::new(&mut directx, &options, &hlsl::PipelineOptions::default())
        .write(&module, &info, None)
        .unwrap_or_else(|e| panic!("{name} to HLSL: {e}"));
    assert!(directx.contains("numthreads"), "{name}");
}

#[test]
fn cooperative_matrices_translate_to_spirv_and_msl() {
    for kernel in ALL.iter().map(|e| e.kernel) {
        for family in [Family::Cooperative8, Family::Cooperative16] {
            if !kernel.families().contains(&family) {
                continue;
            }
            let name = format!("{} {family:?}", kernel.name());
            let (text, _) = kernel.source(family).expect("WGSL that naga can read");
            let module = naga::front::wgsl::parse_str(text).expect("WGSL that naga can read");
            let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
            let info = validator.validate(&module).unwrap_or_else(|e| panic!("{name}: {e:?}"));
            let (module, info) = process_overrides(&module, &info, None, &Default::default())
                .unwrap_or_else(|e| panic!("{name}: {e:?}"));
            let words = spv::write_vec(&module, &info, &spv::Options::default(), None);
            assert!(words.unwrap_or_else(|e| panic!("{name} to SPIR-V: {e}")).len() > 100, "{name}");
            if family == Family::Cooperative8 {
                let options =
                    msl::Options { fake_missing_bindings: true, lang_version: (2, 3), ..Default::default() };
                let (metal, _) =
                    msl::write_string(&module, &info, &options, &msl::PipelineOptions::default())
                        .unwrap_or_else(|e| panic!("{name} to MSL: {e}"));
                assert!(metal.contains("simdgroup"), "{name}");
            }
        }
    }
}
