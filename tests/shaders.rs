//! What every kernel must keep to, read from its WGSL by naga: no device is needed.

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{BinaryOperator, Block, Expression, Function, Handle, Literal, Module, Statement};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use striate::gpu::{Access, Family, Interface};
use striate::kernels::ALL;

const LONGEST_LOOP: u64 = 32_768;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels")
}

fn parse(text: &str) -> Result<(Module, ModuleInfo), String> {
    let module = naga::front::wgsl::parse_str(text).map_err(|e| e.emit_to_string(text))?;
    let allowed = Capabilities::default() | Capabilities::IMMEDIATES | Capabilities::SUBGROUP;
    // unpack2x16float, which every version of WGSL has.
    let allowed = allowed | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    // Products by cooperative matrices of f16.
    let allowed = allowed | Capabilities::COOPERATIVE_MATRIX | Capabilities::SHADER_FLOAT16;
    // Pairs of 64 bits: what a processor's family loads words by.
    let allowed = allowed | Capabilities::SHADER_INT64;
    let info = Validator::new(ValidationFlags::all(), allowed).validate(&module);
    info.map(|info| (module, info)).map_err(|e| e.emit_to_string(text))
}

fn file_name(kernel: &str, family: Family) -> String {
    let suffix = match family {
        Family::Tiled => "",
        Family::Broadcast => "_broadcast",
        Family::Cooperative8 => "_cooperative8",
        Family::Cooperative16 => "_cooperative16",
    };
    format!("{kernel}{suffix}.wgsl")
}

/// Calls `check` with the file's name, expanded text and interface of every kernel, family and tile; gathers
/// what is wrong.
fn for_all(check: impl Fn(&str, &str, &Interface) -> Vec<String>) {
    let mut wrong = Vec::new();
    for kernel in ALL.iter().map(|e| e.kernel) {
        for family in kernel.families() {
            for tile in 0..kernel.tiles(*family).len().max(1) {
                let (text, interface) = kernel.tiled_source(*family, tile).expect("WGSL that naga can read");
                let name = file_name(kernel.name(), *family);
                let complaints = check(&name, text, interface);
                wrong.extend(complaints.into_iter().map(|w| format!("{name}, tile {tile}: {w}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The complaints whose condition holds.
fn complaints<const N: usize>(all: [(bool, String); N]) -> Vec<String> {
    all.into_iter().filter(|(wrong, _)| *wrong).map(|(_, text)| text).collect()
}

#[test]
fn every_kernel_is_valid_and_small_enough() {
    for_all(|_, text, interface| {
        let (module, info) = match parse(text) {
            Ok(both) => both,
            Err(why) => return vec![why],
        };
        let entries: Vec<&str> = module.entry_points.iter().map(|e| e.name.as_str()).collect();
        let mut slots: Vec<(u32, u32)> = module
            .global_variables
            .iter()
            .filter_map(|(_, v)| v.binding)
            .map(|b| (b.group, b.binding))
            .collect();
        slots.sort_unstable();
        let gapless: Vec<(u32, u32)> = (0..slots.len() as u32).map(|n| (0, n)).collect();
        let invocations: u32 = interface.workgroup.iter().product();
        let mut wrong = complaints([
            (entries != ["main"], format!("its entry points are {entries:?}")),
            (slots != gapless, format!("its bindings (group, number) are {slots:?}")),
            (slots.len() > 8, format!("{} storage buffers, WebGPU has 8", slots.len())),
            (invocations > 256, format!("{invocations} invocations, WebGPU has 256")),
            (interface.workgroup_bytes > 16_352, format!("{} bytes shared", interface.workgroup_bytes)),
            (interface.parameter_bytes > 64, format!("{} bytes of immediates", interface.parameter_bytes)),
        ]);
        wrong.extend(unused(&module, &info).into_iter().map(|name| format!("{name} is not used")));
        wrong
    });
}

/// Global variables that main does not reach.
fn unused(module: &Module, info: &ModuleInfo) -> Vec<String> {
    let used = info.get_entry_point(0);
    let globals = module.global_variables.iter().filter(|(handle, _)| used[*handle].is_empty());
    globals.map(|(_, variable)| variable.name.clone().unwrap_or_default()).collect()
}

#[test]
fn every_kernel_has_a_header() {
    for_all(|name, _, _| {
        let text = std::fs::read_to_string(folder().join(name)).expect("the kernel's file");
        let comment = |line: &&str| line.starts_with("//") && !line.starts_with("//!");
        let lines = text.lines().take_while(comment).count();
        complaints([(lines < 3, format!("{lines} lines of comment at its head, at least 3 are wanted"))])
    });
}

#[test]
fn families_have_the_same_interface() {
    for kernel in ALL.iter().map(|e| e.kernel) {
        let (_, tiled) = kernel.source(Family::Tiled).expect("WGSL that naga can read");
        for family in kernel.families() {
            let (_, other) = kernel.source(*family).expect("WGSL that naga can read");
            let name = format!("{} {family}", kernel.name());
            assert_eq!(tiled.bindings, other.bindings, "{name}");
            assert_eq!(tiled.parameters, other.parameters, "{name}");
            // The width of subgroups is put in for all.
            let own = |name: &&String| *name != "LANES";
            assert!(tiled.overrides.iter().eq(other.overrides.iter().filter(own)), "{name}");
        }
    }
}

#[test]
fn what_few_adapters_have_is_used_in_its_family_only() {
    for_all(|name, text, _| {
        let wide = |l: &str| l.contains("subgroup") || l.contains("u64");
        let wide = text.lines().any(|l| !l.trim_start().starts_with("//") && wide(l));
        let matrices = text.lines().any(|l| !l.trim_start().starts_with("//") && l.contains("coop_mat"));
        complaints([
            (wide && !name.ends_with("_broadcast.wgsl"), "it uses subgroups or 64 bits".into()),
            (matrices && !name.contains("_cooperative"), "it uses cooperative matrices".into()),
        ])
    });
}

fn wgsl_stems(folder: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder).expect("the kernels' folder").map(|f| f.expect("its entry").path());
    let shaders = files.filter(|f| f.extension().is_some_and(|e| e == "wgsl"));
    shaders.map(|f| f.file_stem().expect("a file has a name").to_string_lossy().into_owned()).collect()
}

#[test]
fn every_file_belongs_to_a_kernel() {
    let mut stems = BTreeSet::new();
    let mut parts = BTreeSet::new();
    for kernel in ALL.iter().map(|e| e.kernel) {
        for family in kernel.families() {
            let name = file_name(kernel.name(), *family);
            let text = std::fs::read_to_string(folder().join(&name)).expect("the kernel's file");
            stems.insert(name.trim_end_matches(".wgsl").to_owned());
            parts.extend(text.lines().filter_map(|l| l.strip_prefix("//!use ")).map(str::to_owned));
        }
    }
    assert_eq!(stems, wgsl_stems(&folder()), "left: in ALL, right: in kernels/");
    assert_eq!(parts, wgsl_stems(&folder().join("parts")), "left: used, right: in kernels/parts/");
}

/// The blocks inside a statement; a call's is the called function's body.
fn inner<'a>(module: &'a Module, statement: &'a Statement) -> Vec<&'a Block> {
    match statement {
        Statement::Block(block) => vec![block],
        Statement::If { accept, reject, .. } => vec![accept, reject],
        Statement::Switch { cases, .. } => cases.iter().map(|c| &c.body).collect(),
        Statement::Loop { body, continuing, .. } => vec![body, continuing],
        Statement::Call { function, .. } => vec![&module.functions[*function].body],
        _ => vec![],
    }
}

fn has_barrier(module: &Module, statement: &Statement) -> bool {
    matches!(statement, Statement::ControlBarrier(_) | Statement::WorkGroupUniformLoad { .. })
        || inner(module, statement).into_iter().flatten().any(|s| has_barrier(module, s))
}

/// Whether the statement may end the function that it stands in: a called function's return does not.
fn may_return(module: &Module, statement: &Statement) -> bool {
    matches!(statement, Statement::Return { .. })
        || !matches!(statement, Statement::Call { .. })
            && inner(module, statement).into_iter().flatten().any(|s| may_return(module, s))
}

/// Barriers that some invocations may not reach: under a condition, or where one may have returned before.
fn stray_barriers(module: &Module, block: &Block, returned: &mut bool, wrong: &mut Vec<&'static str>) {
    for statement in block {
        let barrier = has_barrier(module, statement);
        match statement {
            Statement::If { .. } | Statement::Switch { .. } if barrier => {
                wrong.push("a barrier under a condition");
            }
            Statement::Call { .. }
            | Statement::ControlBarrier(_)
            | Statement::WorkGroupUniformLoad { .. }
                if barrier && *returned =>
            {
                wrong.push("a barrier after a return");
            }
            Statement::Call { function, .. } => {
                stray_barriers(module, &module.functions[*function].body, &mut false, wrong);
            }
            Statement::Loop { .. } | Statement::Block(_) => {
                // A return late in a loop is before a barrier early in its next round.
                let round = matches!(statement, Statement::Loop { .. }) && may_return(module, statement);
                *returned |= round;
                for block in inner(module, statement) {
                    stray_barriers(module, block, returned, wrong);
                }
            }
            _ => {}
        }
        *returned |= may_return(module, statement);
    }
}

fn barriers_of(module: &Module) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    stray_barriers(module, &module.entry_points[0].function.body, &mut false, &mut wrong);
    wrong
}

#[test]
fn every_invocation_reaches_every_barrier() {
    for_all(|_, text, _| {
        let (module, _) = parse(text).expect("a kernel that is valid");
        barriers_of(&module).into_iter().map(str::to_owned).collect()
    });
}

/// The value of a literal, or of a constant that is one.
fn literal(module: &Module, function: &Function, at: Handle<Expression>) -> Option<u64> {
    let value = match function.expressions[at] {
        Expression::Literal(literal) => literal,
        Expression::Constant(constant) => match module.global_expressions[module.constants[constant].init] {
            Expression::Literal(literal) => literal,
            _ => return None,
        },
        _ => return None,
    };
    match value {
        Literal::U32(v) => Some(v.into()),
        Literal::I32(v) => Some(v.unsigned_abs().into()),
        Literal::F32(v) => Some(v.abs() as u64),
        _ => None,
    }
}

/// Literals that a condition compares with.
fn compared(module: &Module, function: &Function, condition: Handle<Expression>) -> Vec<u64> {
    use BinaryOperator::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
    match function.expressions[condition] {
        Expression::Binary {
            op: Less | LessEqual | Greater | GreaterEqual | Equal | NotEqual,
            left,
            right,
        } => [left, right].into_iter().filter_map(|side| literal(module, function, side)).collect(),
        Expression::Binary { left, right, .. } => {
            [left, right].into_iter().flat_map(|side| compared(module, function, side)).collect()
        }
        Expression::Unary { expr, .. } => compared(module, function, expr),
        _ => vec![],
    }
}

/// Literals that anything inside a loop compares with: `&&` of a loop's condition becomes a branch that
/// stores, so the comparisons that stop a loop cannot be told from others.
fn loop_bounds(module: &Module, function: &Function, block: &Block, in_loop: bool, bounds: &mut Vec<u64>) {
    for statement in block {
        let condition = match statement {
            Statement::If { condition, .. } if in_loop => Some(*condition),
            Statement::Store { value, .. } if in_loop => Some(*value),
            Statement::Loop { break_if, .. } => *break_if,
            _ => None,
        };
        bounds.extend(condition.into_iter().flat_map(|c| compared(module, function, c)));
        if !matches!(statement, Statement::Call { .. }) {
            let in_loop = in_loop || matches!(statement, Statement::Loop { .. });
            for block in inner(module, statement) {
                loop_bounds(module, function, block, in_loop, bounds);
            }
        }
    }
}

fn bounds_of(module: &Module) -> Vec<u64> {
    let entries = module.entry_points.iter().map(|e| &e.function);
    let mut bounds = Vec::new();
    for function in entries.chain(module.functions.iter().map(|(_, f)| f)) {
        loop_bounds(module, function, &function.body, false, &mut bounds);
    }
    bounds
}

#[test]
fn no_loop_is_written_longer_than_every_driver_runs_it() {
    for_all(|_, text, _| {
        let (module, _) = parse(text).expect("a kernel that is valid");
        let long = bounds_of(&module).into_iter().filter(|b| *b > LONGEST_LOOP);
        long.map(|b| format!("a loop to {b}, beyond {LONGEST_LOOP}")).collect()
    });
}

/// The rows of the resource table, one for each kernel and family: workgroup and shared bytes of each tile.
fn table() -> String {
    let mut text = String::from("# file: bindings; parameters; [tile] workgroup; shared bytes\n");
    for kernel in ALL.iter().map(|e| e.kernel) {
        for family in kernel.families() {
            let (_, i) = kernel.source(*family).expect("WGSL that naga can read");
            let access = |a: Access| if a == Access::Read { "read" } else { "write" };
            let bindings: Vec<String> =
                i.bindings.iter().map(|b| format!("{} {}", access(b.access), b.name)).collect();
            let kind = |float: bool| if float { "f32" } else { "u32" };
            let parameters: Vec<String> =
                i.parameters.iter().map(|p| format!("{} {}", kind(p.is_float), p.name)).collect();
            let name = file_name(kernel.name(), *family);
            text += &format!("{name}: {}; {}", bindings.join(", "), parameters.join(", "));
            let tiles = kernel.tiles(*family).len();
            for tile in 0..tiles.max(1) {
                let (_, i) = kernel.tiled_source(*family, tile).expect("WGSL that naga can read");
                let side = |name: &str| i.constants.get(name).copied().unwrap_or(1);
                let size = format!("{} x {} ", side("TILE_ROWS"), side("TILE_COLUMNS"));
                let size = if tiles > 0 { size } else { String::new() };
                text += &format!("; {size}{:?}; {}", i.workgroup, i.workgroup_bytes);
            }
            text.push('\n');
        }
    }
    text
}

#[test]
fn the_resource_table_is_as_recorded() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/kernels.txt");
    let table = table();
    if std::env::var("STRIATE_BLESS").is_ok_and(|v| v == "1") {
        std::fs::write(&path, &table).expect("a folder that can be written");
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    let added: Vec<&str> = table.lines().filter(|l| !recorded.lines().any(|r| r == *l)).collect();
    let gone: Vec<&str> = recorded.lines().filter(|l| !table.lines().any(|t| t == *l)).collect();
    assert!(
        table == recorded,
        "kernels changed; if that is meant, run this test with STRIATE_BLESS=1\nnow:\n{}\nrecorded:\n{}",
        added.join("\n"),
        gone.join("\n")
    );
}

/// A kernel with one shared word, a parameter n, an output and a body.
fn sample(functions: &str, body: &str) -> Module {
    let text = format!(
        "struct Params {{ n: u32 }} var<immediate> p: Params;
         @group(0) @binding(0) var<storage, read_write> out: array<u32>;
         var<workgroup> shared_word: u32;
         {functions}
         @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) thread: u32) {{ {body} }}"
    );
    naga::front::wgsl::parse_str(&text).unwrap_or_else(|e| panic!("{}", e.emit_to_string(&text)))
}

#[test]
fn the_barrier_lint_sees_barriers() {
    let early = "if thread > p.n { return; }";
    let turn = "for (var i = 0u; i < p.n; i++)";
    let wait = "fn wait() { workgroupBarrier(); }";
    let after = ["a barrier after a return"];
    let under = ["a barrier under a condition"];
    let found = |functions: &str, body: String| barriers_of(&sample(functions, &body));
    assert!(found("", format!("{turn} {{ workgroupBarrier(); }} {early} out[0] = 1u;")).is_empty());
    assert!(found(wait, format!("{turn} {{ wait(); }} {early}")).is_empty());
    assert_eq!(found("", format!("{early} workgroupBarrier();")), after);
    assert_eq!(found("", "if thread > p.n { workgroupBarrier(); }".into()), under);
    assert_eq!(found("", format!("{early} {turn} {{ workgroupBarrier(); }}")), after);
    assert_eq!(found("", format!("{turn} {{ workgroupBarrier(); {early} }}")), after);
    assert_eq!(found(wait, format!("{early} wait();")), after);
    assert_eq!(found(wait, "if thread > p.n { wait(); }".into()), under);
    assert_eq!(found("", "switch p.n { case 1u: { workgroupBarrier(); } default: {} }".into()), under);
    assert_eq!(found("", format!("{early} out[0] = workgroupUniformLoad(&shared_word);")), after);
    let returns = "fn f(a: u32) -> u32 { if a > 2u { return 1u; } return 2u; }";
    assert!(found(returns, "out[0] = f(thread); workgroupBarrier();".into()).is_empty());
}

#[test]
fn the_loop_lint_sees_bounds() {
    let bounds = |functions: &str, body: &str| bounds_of(&sample(functions, body));
    assert_eq!(bounds("", "for (var i = 0u; i < 40000u; i++) { out[0] = i; }"), [40_000]);
    assert_eq!(bounds("const N: u32 = 40000;", "for (var i = 0u; i < N; i++) { out[0] = i; }"), [40_000]);
    assert_eq!(bounds("", "var i = 0u; while i != 50000u && p.n > i { i++; } out[0] = i;"), [50_000]);
    assert_eq!(bounds("", "var i = 0u; loop { i++; continuing { break if i >= 60000u; } }"), [60_000]);
    assert_eq!(bounds("fn f() { for (var i = 70000u; i > 5u; i--) { out[0] = i; } }", "f();"), [5]);
    assert!(bounds("", "if p.n < 90000u { out[0] = 1u; }").is_empty());
}

#[test]
fn the_use_lint_sees_what_nothing_reads() {
    let module = sample("", "out[0] = p.n + thread;");
    let allowed =
        Capabilities::default() | Capabilities::IMMEDIATES | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    // Products by cooperative matrices of f16.
    let allowed = allowed | Capabilities::COOPERATIVE_MATRIX | Capabilities::SHADER_FLOAT16;
    // Pairs of 64 bits: what a processor's family loads words by.
    let allowed = allowed | Capabilities::SHADER_INT64;
    let info = Validator::new(ValidationFlags::all(), allowed).validate(&module).expect("a valid sample");
    assert_eq!(unused(&module, &info), ["shared_word"]);
}
