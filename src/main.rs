//! The command `striate`.

mod cli;

fn main() -> std::process::ExitCode {
    quiet_device_selection();
    cli::main(std::env::args_os().collect())
}

/// Mesa's device selection layer asks a desktop for the GPU it prefers and complains on stderr where there is
/// none. Striate chooses by itself.
fn quiet_device_selection() {
    if cfg!(target_os = "linux") && std::env::var_os("NODEVICE_SELECT").is_none() {
        // SAFETY: nothing else runs yet that could read the environment.
        #[allow(unsafe_code, reason = "the layer is told only through the environment")]
        unsafe {
            std::env::set_var("NODEVICE_SELECT", "1");
        }
    }
}
