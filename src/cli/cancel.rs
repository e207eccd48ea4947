//! Ctrl-C: a kill that tidies up. Whatever is being written is whole or temporary at any moment, so that the
//! process may end wherever it is: in a driver, in a factorisation, waiting for a disk.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use striate::io::commit;
use striate::{Error, Kind};

use super::output;

/// How often to check whether a signal came.
const LOOK: Duration = Duration::from_millis(30);

/// On Ctrl-C or SIGTERM, removes unfinished files and ends the process with a sentence; a second signal ends
/// it at once.
pub fn watch(as_json: bool) {
    // Where files may not grow (ulimit -f) a write then fails, as on a full disk, and does not end the process.
    #[cfg(unix)]
    let _ = flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)));
    let came = Arc::new(AtomicBool::new(false));
    let seen = came.clone();
    let wait = move || {
        while !seen.load(Ordering::SeqCst) {
            std::thread::sleep(LOOK);
        }
        end(as_json);
    };
    // Without a thread that looks, signals do what they always do.
    if std::thread::Builder::new().name("cancel".into()).spawn(wait).is_err() {
        return;
    }
    let code = i32::from(Kind::Cancelled.exit_code());
    for signal in [SIGINT, SIGTERM] {
        // In this order the first does not end the process, and the second does.
        let _ = flag::register_conditional_shutdown(signal, code, came.clone());
        let _ = flag::register(signal, came.clone());
    }
}

fn end(as_json: bool) {
    commit::abandon();
    if std::io::stderr().is_terminal() {
        // The progress bar's line.
        eprint!("\r\x1b[2K");
    }
    let found = "stopped before its end; nothing half-written is left";
    let advice = "What a sweep or a study had finished is kept: a sweep goes on with --resume, a study with the same \
                  command";
    let why = Error::new(Kind::Cancelled, "cancelled", found, "", advice);
    let _ = output::finish(Err(why), as_json);
    // Not by way of the exit handlers of drivers whose threads are at work.
    low_level::exit(i32::from(Kind::Cancelled.exit_code()));
}
