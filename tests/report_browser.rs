//! Reports in headless Chromium: every figure is in the document, nothing is blank, nothing is wider than
//! the screen. Says in a line where there is no Chromium, and passes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod builders;
mod command;
mod run_folders;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use command::Scratch;
use image::{Rgb, RgbImage};
use striate::report::{self, ReportSummary};

/// A browser that does not answer by then never will.
const PATIENCE: Duration = Duration::from_secs(120);
const DARK: &str = "--blink-settings=preferredColorScheme=0";

/// The browser: what `CHROME` names, or what is found on the path.
fn browser() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROME") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let found = std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    let found = found.into_iter().find(|file| file.is_file());
    if found.is_none() {
        eprintln!("no Chromium on the path, and CHROME names none: pages are not looked at");
    }
    found
}

/// Opens a page with these options in a browser of its own, and gives what it says on stdout.
fn open(browser: &Path, here: &Scratch, page: &Path, options: &[String]) -> String {
    let profile = here.0.join("browser");
    let _ = fs::remove_dir_all(&profile);
    let out = here.0.join("stdout");
    let mut child = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--hide-scrollbars",
        ])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(options)
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .stdout(fs::File::create(&out).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the browser did not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{status}");
    fs::read_to_string(out).unwrap()
}

fn screenshot(browser: &Path, here: &Scratch, page: &Path, size: (u32, u32), more: &[&str]) -> RgbImage {
    let file = here.0.join("shot.png");
    let _ = fs::remove_file(&file);
    let mut options = vec![format!("--window-size={},{}", size.0, size.1)];
    options.push(format!("--screenshot={}", file.display()));
    options.extend(more.iter().map(ToString::to_string));
    open(browser, here, page, &options);
    let shot = image::open(&file).unwrap().to_rgb8();
    assert_eq!(shot.dimensions(), size);
    shot
}

/// The colour in the corner, and the share of pixels that differ from it.
fn ground_and_content(shot: &RgbImage) -> (Rgb<u8>, f64) {
    let ground = *shot.get_pixel(0, 0);
    let other = shot.pixels().filter(|pixel| **pixel != ground).count();
    (ground, other as f64 / f64::from(shot.width() * shot.height()))
}

fn looks_right(shot: &RgbImage, dark: bool) {
    let (ground, content) = ground_and_content(shot);
    assert_eq!(ground[0] < 64, dark, "{ground:?}");
    assert!((0.02..0.7).contains(&content), "{content}");
    let colours: HashSet<[u8; 3]> = shot.pixels().map(|pixel| pixel.0).collect();
    assert!(colours.len() > 50, "{} colours", colours.len());
}

/// Whether nothing reaches beyond the window's right edge. A script in a copy of the page says so by the
/// colour of the ground; the page itself forbids scripts.
fn fits(browser: &Path, here: &Scratch, page: &Path, window: u32) -> bool {
    let html = fs::read_to_string(page).unwrap();
    let script = format!(
        "<script>const look = () => {{ \
         const wide = document.documentElement.scrollWidth > {window}; \
         const ground = innerWidth != {window} ? '#00f' : wide ? '#f00' : '#0f0'; \
         document.body.style.background = document.documentElement.style.background = ground; }}; \
         look(); addEventListener('resize', look)</script>"
    );
    let copy = here.0.join("measured.html");
    let allowed = html.replace("http-equiv=\"Content-Security-Policy\"", "name=\"off\"");
    assert_ne!(allowed, html, "the page forbids scripts and the network");
    fs::write(&copy, allowed.replace("</body>", &format!("{script}</body>"))).unwrap();
    let ground = *screenshot(browser, here, &copy, (window, 900), &[]).get_pixel(0, 0);
    assert!(
        [Rgb([0, 255, 0]), Rgb([255, 0, 0])].contains(&ground),
        "the script ran in that window: {ground:?}"
    );
    ground == Rgb([0, 255, 0])
}

fn check(kind: &str, fill: fn(&Path)) {
    let Some(browser) = browser() else { return };
    let here = Scratch::new(&format!("browser-{kind}"));
    let run = here.0.join("run");
    fill(&run);
    let summary: ReportSummary = report::write(&run).unwrap();
    let page = summary.page.canonicalize().unwrap();
    let dom = open(&browser, &here, &page, &["--dump-dom".into()]);
    for figure in &summary.figures {
        let (_, rest) = dom.split_once(&format!("<figure id=\"figure-{}\">", figure.name)).unwrap();
        let (drawing, _) = rest.split_once("</figure>").unwrap();
        // A browser that does not understand a drawing closes it early, or drops what is in it.
        let marks = ["<rect", "<polyline", "<polygon", "<circle", "<image"];
        let count: usize = marks.iter().map(|mark| drawing.matches(mark).count()).sum();
        assert!(drawing.contains("</svg>") && count > 3 && drawing.contains("<text"), "{}", figure.name);
    }
    for (window, more, dark) in
        [((1200, 1600), &[][..], false), ((390, 1600), &[], false), ((1200, 1600), &[DARK], true)]
    {
        looks_right(&screenshot(&browser, &here, &page, window, more), dark);
    }
    // Each drawing by itself has something on it, in the light as in the dark.
    let last = summary.figures.last().unwrap().svg.canonicalize().unwrap();
    assert!(ground_and_content(&screenshot(&browser, &here, &last, (400, 280), &[])).1 > 0.01);
    for window in [390, 1200] {
        assert!(fits(&browser, &here, &page, window), "the page is wider than a window of {window}");
    }
}

/// Headings become buttons under the page's own policy, and a press sorts the rows.
#[test]
fn tables_are_sorted_by_their_headings() {
    let Some(browser) = browser() else { return };
    let here = Scratch::new("browser-sort");
    let run = here.0.join("run");
    run_folders::fit(&run, false);
    let page = report::write(&run).unwrap().page.canonicalize().unwrap();
    let dom = open(&browser, &here, &page, &["--dump-dom".into()]);
    assert!(dom.contains("<th scope=\"col\"><button>r / ceiling</button></th>"));
    let press = "<script>const heads = [...document.querySelectorAll('.sortable th button')]; \
                 const head = heads.find(head => head.textContent === 'r / ceiling'); \
                 head.click(); head.click();</script>";
    let html =
        fs::read_to_string(&page).unwrap().replace("http-equiv=\"Content-Security-Policy\"", "name=\"off\"");
    let copy = here.0.join("pressed.html");
    fs::write(&copy, html.replace("</body>", &format!("{press}</body>"))).unwrap();
    let dom = open(&browser, &here, &copy, &["--dump-dom".into()]);
    let table = dom.split("class=\"sortable\"").nth(1).unwrap().split("</table>").next().unwrap();
    assert!(table.contains("aria-sort=\"ascending\""));
    let names: Vec<&str> =
        table.split("<tr><td>").skip(1).map(|row| row.split('<').next().unwrap()).collect();
    // r grows from n0 to n7, and the ceiling is the same for all.
    assert_eq!(names[..7], ["n0", "n1", "n2", "n3", "n4", "n5", "n6"]);
}

#[test]
fn a_fit_is_readable_in_a_browser() {
    check("fit", |run| run_folders::fit(run, true));
}

#[test]
fn a_sweep_is_readable_in_a_browser() {
    check("sweep", run_folders::sweep);
}

#[test]
fn a_profile_is_readable_in_a_browser() {
    check("profile", run_folders::profile);
}
