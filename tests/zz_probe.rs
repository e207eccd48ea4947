#![allow(unsafe_code, warnings)]
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
thread_local!(static IN: Cell<bool> = const { Cell::new(false) });
struct P;
unsafe impl GlobalAlloc for P {
    unsafe fn alloc(&self, l: Layout) -> *mut u8 {
        if l.size() > 1 << 20 && !IN.get() {
            IN.set(true);
            let b = std::backtrace::Backtrace::force_capture().to_string();
            let lines: Vec<&str> =
                b.lines().filter(|l| l.contains("hdf5_reader") || l.contains("striate")).take(9).collect();
            eprintln!("ALLOC {} {:#?}", l.size(), lines);
            IN.set(false);
        }
        unsafe { System.alloc(l) }
    }
    unsafe fn dealloc(&self, p: *mut u8, l: Layout) {
        unsafe { System.dealloc(p, l) }
    }
}
#[global_allocator]
static A: P = P;
#[test]
fn probe() {
    use striate::io::store::{self, *};
    let path = std::path::PathBuf::from(std::env::var("PROBE").unwrap());
    let store = store::open(&path).unwrap();
    for m in store.members().unwrap() {
        let t = std::time::Instant::now();
        if let MemberKind::Array(a) = &m.kind {
            let all = a.all();
            let mid: Vec<_> = all.iter().map(|r| r.end / 3..r.end / 2).collect();
            let r = store.read(&m.path, &mid).map(|_| ());
            let r2 = store.read(&m.path, &all).map(|_| ());
            let r3 = store.texts(&m.path).map(|t| t.len());
            eprintln!(
                "{} {:?} {:?} {r:?} {r2:?} {r3:?} {:?}",
                m.path,
                a.shape,
                a.storage.layout,
                t.elapsed()
            );
        }
    }
}
