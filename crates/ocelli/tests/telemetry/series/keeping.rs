//! Series storage across a restart, a crash, and a full disk.

use super::{OCELLI, Site, Viewer, api, netcat, netcat_open, points, port, series, site};
use crate::support::device::ADMIN;
use crate::support::http::get;
use crate::support::tempdir::Dir;
use crate::support::{TIMEOUT, eventually};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[tokio::test]
async fn series_survive_a_restart_and_a_crash() {
    let dir = Dir::new("telemetry");
    let (mut before, mut last_id) = (BTreeMap::new(), None);
    for (round, signal) in [rustix::process::Signal::TERM, rustix::process::Signal::KILL]
        .into_iter()
        .enumerate()
    {
        let mut site = site(dir.0.as_path(), "", "");
        let (_, history) = Viewer::open(site.ws, "/").await;
        assert_eq!(points(&history), before, "round {round}");
        let mut text = String::from("kept\n");
        let first = before.get("kept").map_or(0, Vec::len);
        for i in first..first + 1500 {
            text.push_str(&format!("{} {}.25\n", 1_700_000_000_000_u64 + i as u64, i));
        }
        netcat(site.tcp, text.as_bytes());
        let total = first + 1500;
        let status = series(&site, "kept", |one| one["points"] == total).await;
        let line = format!("PATCH /api/v1/series/{}", status["id"]);
        let unit = json!({ "unit": "V" }).to_string();
        assert_eq!(api(&site, &line, &unit).await.status(), 200);
        // An id is never reused.
        netcat(site.tcp, b"short-lived\n1 1\n");
        let id = series(&site, "short-lived", |one| one["points"] == 1).await["id"].as_u64();
        assert!(id > last_id, "{id:?} after {last_id:?}");
        last_id = id;
        let line = format!("DELETE /api/v1/series/{}", id.unwrap());
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(api(&site, &line, "").await.status(), 200);
        let (_, history) = Viewer::open(site.ws, "/").await;
        before = points(&history);
        assert_eq!(before["kept"].len(), total);
        if signal == rustix::process::Signal::KILL {
            // A crash loses at most the last second.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        site.hub.signal(signal);
        site.hub.wait(TIMEOUT).expect("the hub exits");
    }
    let site = site(dir.0.as_path(), "", "");
    let (_, history) = Viewer::open(site.ws, "/").await;
    assert_eq!(points(&history), before);
    let status = series(&site, "kept", |_| true).await;
    assert_eq!(
        (&status["points"], &status["unit"]),
        (&json!(3000), &json!("V"))
    );
}

#[tokio::test]
async fn after_a_clean_stop_the_file_is_complete() {
    let dir = Dir::new("telemetry");
    let mut running = site(dir.0.as_path(), "", "");
    netcat(running.tcp, b"kept\n1700000000000 1\n1700000000001 2\n");
    series(&running, "kept", |one| one["points"] == 2).await;
    running.hub.signal(rustix::process::Signal::TERM);
    running.hub.wait(TIMEOUT).expect("it ends");
    let data = dir.0.as_path().join("data");
    let beside = data.join("series.db-wal");
    let left = std::fs::metadata(&beside).map_or(0, |file| file.len());
    assert_eq!(left, 0, "bytes are left in {}", beside.display());
    // The file alone, as in a backup.
    let copy = Dir::new("telemetry");
    std::fs::create_dir_all(copy.0.as_path().join("data")).unwrap();
    let file = copy.0.as_path().join("data/series.db");
    std::fs::copy(data.join("series.db"), file).unwrap();
    let copied = site(copy.0.as_path(), "", "");
    let (_, history) = Viewer::open(copied.ws, "/").await;
    assert_eq!(points(&history)["kept"].len(), 2);
}

#[tokio::test]
async fn a_crash_while_writing_loses_at_most_the_last_second() {
    let dir = Dir::new("telemetry");
    let mut hub = site(dir.0.as_path(), "", "");
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        since.as_millis() as u64
    };
    let (mut child, mut input) = netcat_open(hub.tcp);
    writeln!(input, "running").unwrap();
    let (started, mut written) = (Instant::now(), Vec::new());
    while started.elapsed() < Duration::from_secs(3) {
        let time = now();
        writeln!(input, "{time} {}", written.len()).unwrap();
        written.push(time);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    hub.hub.signal(rustix::process::Signal::KILL);
    let killed = now();
    hub.hub.wait(TIMEOUT).expect("the hub exits");
    drop(input);
    child.wait().unwrap();
    let again = site(dir.0.as_path(), "", "");
    let (_, history) = Viewer::open(again.ws, "/").await;
    let kept = &points(&history)["running"];
    // All points from the first on are kept without a gap. The last is at most one second old, or
    // two on a busy machine.
    for (i, (point, time)) in kept.iter().zip(&written).enumerate() {
        assert_eq!(*point, (*time as f64, i as f64));
    }
    let last = kept.last().expect("a point").0;
    assert!(killed as f64 - last < 2000.0, "{} ms", killed as f64 - last);
}

/// Starts a hub whose files must not become longer than this limit of the shell. Exceeding it is an
/// error, as on a full disk, and not a signal.
fn limited_site(dir: &Path, limit: &str) -> Site {
    let config = dir.join("ocelli.toml");
    std::fs::write(&config, "listen = \"127.0.0.1:0\"\n").unwrap();
    let script = format!(
        "trap '' XFSZ; ulimit -S -f {limit}; exec {OCELLI} serve --config {} --data {}",
        config.display(),
        dir.join("data").display()
    );
    let hub = ocelli_testkit::HubBuilder::new("/bin/bash")
        .env("OCELLI_ADMIN_TOKEN", ADMIN)
        .args(["-c", &script])
        .start();
    let (tcp, ws) = (
        port(&hub, "samples over TCP on"),
        port(&hub, "viewers of samples on"),
    );
    Site { hub, tcp, ws }
}

#[tokio::test]
async fn a_damaged_file_is_told_and_kept_and_series_continue_in_memory() {
    let dir = Dir::new("telemetry");
    let mut before = site(dir.0.as_path(), "", "");
    let mut text = String::from("kept\n");
    for i in 0..20_000_u64 {
        // Numbers that compress poorly.
        let y = (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64;
        text.push_str(&format!("{} {y}\n", 1_700_000_000_000 + i));
    }
    netcat(before.tcp, text.as_bytes());
    series(&before, "kept", |one| one["points"] == 20_000).await;
    before.hub.signal(rustix::process::Signal::TERM);
    before.hub.wait(TIMEOUT).expect("it ends");
    let file = dir.0.as_path().join("data/series.db");
    let whole = std::fs::read(&file).unwrap();
    assert!(whole.len() > 100_000, "{} bytes", whole.len());
    let half = whole.len() / 2 / 4096 * 4096;
    let overwritten = [&[0; 8192], &whole[8192..]].concat();
    for (what, damaged) in [
        ("half of it", &whole[..half]),
        ("half of it, and part of a page", &whole[..half + 1000]),
        ("its first page", &whole[..4096]),
        ("its beginning is overwritten", &overwritten),
    ] {
        std::fs::write(&file, damaged).unwrap();
        let mut hub = site(dir.0.as_path(), "", "");
        let warned = hub.hub.wait_stderr("series.db can't be used", TIMEOUT);
        let warned = warned.unwrap_or_else(|| panic!("{what}: no warning"));
        for words in [
            "kept in memory and are lost when the hub stops",
            "The file is damaged",
            "move it away",
        ] {
            assert!(warned.contains(words), "{what}: {warned}");
        }
        let status = api(&hub, "GET /api/v1/series/status", "").await.json();
        let fault = status["data"]["fileFault"].as_str().unwrap_or_default();
        assert!(fault.contains("series.db can't be used"), "{what}: {fault}");
        netcat(hub.tcp, b"new\n1 1\n");
        series(&hub, "new", |one| one["points"] == 1).await;
        hub.hub.signal(rustix::process::Signal::TERM);
        hub.hub.wait(TIMEOUT).expect("it ends");
        // It may still be repaired.
        assert!(std::fs::read(&file).unwrap() == damaged, "{what}");
    }
}

#[tokio::test]
async fn a_file_that_can_not_be_completed_at_the_stop_is_told() {
    let dir = Dir::new("telemetry");
    let mut running = limited_site(dir.0.as_path(), "unlimited");
    let log = dir.0.as_path().join("data/series.db-wal");
    netcat(running.tcp, b"kept\n1700000000000 1\n1700000000001 2\n");
    // A series and its first samples are written in one transaction.
    let is_written = || std::fs::read(&log).is_ok_and(|log| log.windows(4).any(|at| at == b"kept"));
    eventually("the samples are written", is_written).await;
    // The file itself can no longer be written.
    let limit = Rlimit {
        current: Some(4096),
        maximum: None,
    };
    let pid = Pid::from_raw(running.hub.pid() as i32);
    prlimit(pid, Resource::Fsize, limit).unwrap();
    running.hub.signal(rustix::process::Signal::TERM);
    let told = running.hub.wait_stderr("series.db is incomplete", TIMEOUT);
    let told = told.expect("a warning");
    assert!(
        told.contains("series.db-wal; keep both files together"),
        "{told}"
    );
    running.hub.wait(TIMEOUT).expect("it ends");
    let again = site(dir.0.as_path(), "", "");
    let (_, history) = Viewer::open(again.ws, "/").await;
    assert_eq!(points(&history)["kept"].len(), 2);
}

#[tokio::test]
async fn a_full_disk_causes_one_warning_and_series_continue_in_memory() {
    let dir = Dir::new("telemetry");
    // 200 blocks of 1024 bytes.
    let site = limited_site(dir.0.as_path(), "200");
    // Numbers that compress poorly.
    let (mut y, mut count) = (0.5_f64, 0_u64);
    let mut send = |site: &Site| {
        let mut text = String::from("much\n");
        for _ in 0..60_000 {
            y = (y * 3.999_9) * (1.0 - y);
            count += 1;
            text.push_str(&format!("{} {y}\n", 1_700_000_000_000 + count));
        }
        netcat(site.tcp, text.as_bytes());
        count
    };
    let total = send(&site);
    let warned = site
        .hub
        .wait_stderr("can't be written", TIMEOUT)
        .expect("a warning");
    assert!(
        warned.contains("series.db") && warned.contains("memory"),
        "{warned}"
    );
    let status = series(&site, "much", |one| one["points"] == total).await;
    assert_eq!(status["kept"], total, "nothing in memory is lost");
    let health = api(&site, "GET /api/v1/series/status", "").await.json();
    let fault = health["data"]["fileFault"].as_str().unwrap();
    let ready = get(site.hub.addr(), "/ready").await.json();
    let problem = ready["problems"][0].as_str().unwrap_or_default();
    assert!(problem.contains("series.db"), "{ready}");
    assert!(fault.contains("series.db can't be written"), "{fault}");
    netcat(site.tcp, b"more\n1 1\n");
    series(&site, "more", |one| one["points"] == 1).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let warnings = site
        .hub
        .stderr()
        .iter()
        .filter(|line| line.contains("can't be written"))
        .count();
    assert_eq!(warnings, 1);
}
