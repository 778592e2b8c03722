//! Series of the hub and of devices, renaming and deleting over HTTP, and ports in use.

use super::{Viewer, api, netcat, netcat_open, plain_site, points, series, site};
use crate::support::TIMEOUT;
use crate::support::device::{ADMIN, Device, Key, picture};
use crate::support::http::call;
use crate::support::hub::configured;
use crate::support::tempdir::Dir;
use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn series_are_renamed_and_deleted_over_http() {
    let (site, _dir) = plain_site();
    let (mut child, mut input) = netcat_open(site.tcp);
    input.write_all(b"old\n1 1\n").unwrap();
    let id = series(&site, "old", |one| one["points"] == 1).await["id"].to_string();
    netcat(site.tcp, b"taken\n1 1\n");
    let (mut viewer, _) = Viewer::open(site.ws, "/").await;
    let change = |body: Value| {
        let (line, site) = (format!("PATCH /api/v1/series/{id}"), &site);
        async move { api(site, &line, &body.to_string()).await }
    };
    change(json!({ "name": "taken" }))
        .await
        .is_problem(409, "taken");
    change(json!({ "name": "" })).await.is_problem(400, "empty");
    change(json!({ "unit": "x".repeat(33) }))
        .await
        .is_problem(400, "32");
    change(json!({ "nmae": "x" })).await.is_problem(400, "nmae");
    let changed = change(json!({ "name": "new", "unit": "bar" })).await;
    assert_eq!(changed.json()["data"]["name"], "new", "{changed:?}");
    let batch = viewer.batch().await;
    let new_series = &batch["series"][0];
    assert_eq!(
        (
            &new_series["name"],
            &new_series["unit"],
            &new_series["points"]
        ),
        (&json!("new"), &json!("bar"), &json!([]))
    );
    // A connected source keeps writing to the renamed series.
    input.write_all(b"2 2\n").unwrap();
    series(&site, "new", |one| one["points"] == 2).await;
    let line = format!("DELETE /api/v1/series/{id}");
    assert_eq!(api(&site, &line, "").await.status(), 200);
    api(&site, &line, "").await.is_problem(404, &id);
    // Earlier changes may arrive first.
    let mut batch = viewer.batch().await;
    while batch["series"][0].get("gone").is_none() {
        batch = viewer.batch().await;
    }
    assert_eq!(batch["series"][0]["id"].to_string(), id);
    // A source that is still connected starts a new series under its own name.
    input.write_all(b"3 3\n").unwrap();
    let again = series(&site, "old", |one| one["points"] == 1).await;
    assert_ne!(again["id"].to_string(), id);
    drop(input);
    child.wait().unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_a_warning_and_everything_else_runs() {
    let dir = Dir::new("telemetry");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = format!("listen = \"127.0.0.1:0\"\n[telemetry]\ntcp = \"{address}\"\nws = \"\"\n");
    let builder = configured(&dir, &text).env("OCELLI_ADMIN_TOKEN", ADMIN);
    let hub = builder.start();
    let warned = hub.wait_stderr(&address.to_string(), TIMEOUT).unwrap();
    assert!(
        warned.contains("WARN") && warned.contains("[telemetry]"),
        "{warned}"
    );
    // The status reports it too, for users who do not read logs.
    let status = call(hub.addr(), "GET /api/v1/series/status", ADMIN, "").await;
    let ports = &status.json()["data"]["ports"];
    assert_eq!(ports.as_array().unwrap().len(), 1, "{ports}");
    assert_eq!(
        (&ports[0]["key"], &ports[0]["address"]),
        (&json!("tcp"), &json!(address.to_string()))
    );
    let fault = ports[0]["fault"].as_str().unwrap();
    assert!(fault.contains("in use"), "{fault}");
    let posted = call(hub.addr(), "POST /api/v1/series", ADMIN, "still\n1 1\n").await;
    assert_eq!(posted.status(), 200, "{posted:?}");
    let (_, history) = Viewer::open(hub.addr(), "/ws/series").await;
    assert_eq!(points(&history)["still"], [(1.0, 1.0)]);
    assert!(
        !hub.stderr()
            .iter()
            .any(|line| line.contains("viewers of samples on"))
    );
}

#[tokio::test]
async fn the_hubs_own_metrics_are_series_while_a_viewer_is_connected() {
    let dir = Dir::new("telemetry");
    let cameras = "[app.yard]\npublic_playback = false\n\
                   [[camera]]\nid = \"cam1\"\nsource = \"pattern:?size=64x48&fps=20\"\nkeep = true\n\
                   [[camera]]\nid = \"shed\"\napp = \"yard\"\nsource = \"pattern:?size=64x48&fps=20\"\nkeep = true\n";
    let site = site(dir.0.as_path(), "", cameras);
    let (mut viewer, _) = Viewer::open(site.hub.addr(), "/ws/series?series=cam1%20fps").await;
    let mut batch = viewer.batch().await;
    while points(&batch)["cam1 fps"].is_empty() {
        batch = viewer.batch().await;
    }
    assert_eq!(batch["series"][0]["unit"], "fps");
    for (what, unit, least, most) in [
        ("fps", "fps", 5.0, 40.0),
        ("bitrate", "kbit/s", 1.0, 100_000.0),
        ("age", "ms", 0.0, 5_000.0),
        ("drops", "frames/s", 0.0, 0.0),
    ] {
        let settled = |one: &Value| one["newest"][1].as_f64().is_some_and(|y| y >= least);
        let status = series(&site, &format!("cam1 {what}"), settled).await;
        assert_eq!(status["unit"], unit);
        assert!(status["newest"][1].as_f64() <= Some(most), "{status}");
    }
    let list = api(&site, "GET /api/v1/series", "").await.json();
    let names: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].clone())
        .collect();
    // Series of a private app's cameras are neither public nor on the TCP port.
    assert!(
        !names
            .iter()
            .any(|name| name.as_str().unwrap().contains("shed")),
        "{names:?}"
    );
    let (_, history) = Viewer::open(site.ws, "/").await;
    assert_eq!(history, json!({ "series": [] }));
}

#[tokio::test]
async fn the_series_of_an_app_that_turns_private_are_hidden() {
    let dir = Dir::new("telemetry");
    let cameras =
        "[[camera]]\nid = \"door\"\nsource = \"pattern:?size=64x48&fps=20\"\nkeep = true\n";
    let site = site(dir.0.as_path(), "", cameras);
    let hub = site.hub.addr();
    let made = api(&site, "POST /api/v1/apps", r#"{"name":"tog"}"#).await;
    assert_eq!(made.status(), 201, "{made:?}");
    let key = Key::create(hub, "tog", "cam").await;
    let (mut device, _) = Device::ready(hub, &key).await;
    device.show(picture(1)).await;
    device
        .send(Message::text(r#"{"type":"stats","rssi":-61}"#))
        .await;
    netcat(site.tcp, b"tog/cam temp\n1 1\n");
    let (mut viewer, _) = Viewer::open(hub, "/ws/series").await;
    for name in [
        "tog/cam device rssi",
        "tog/cam fps",
        "tog/cam temp",
        "door fps",
    ] {
        series(&site, name, |one| one["points"].as_u64() > Some(0)).await;
    }
    let private = r#"{"publicPlayback":false}"#;
    let changed = api(&site, "PATCH /api/v1/apps/tog", private).await;
    assert_eq!(changed.status(), 200, "{changed:?}");
    let names = async || {
        let list = api(&site, "GET /api/v1/series", "").await.json();
        let list = list["data"].as_array().unwrap().clone();
        let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
        list.iter().map(name).collect::<Vec<_>>()
    };
    let theirs = |name: &&String| name.starts_with("tog/");
    let started = Instant::now();
    while names().await.iter().filter(theirs).count() > 1 {
        assert!(started.elapsed() < TIMEOUT, "{:?}", names().await);
        viewer.batch().await;
    }
    // Series from a source are not the camera's, whatever their names.
    let left = names().await;
    assert!(left.contains(&"tog/cam temp".to_owned()), "{left:?}");
    assert!(left.contains(&"door fps".to_owned()), "{left:?}");
}

#[tokio::test]
async fn device_reports_become_series_of_its_camera() {
    let dir = Dir::new("telemetry");
    let private = "[app.yard]\npublic_playback = false\n";
    let site = site(dir.0.as_path(), "", private);
    let hub = site.hub.addr();
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut devices = Vec::new();
    for (app, room) in [("yard", "gate"), ("live", "door")] {
        let key = Key::create(hub, app, room).await;
        let (mut device, _) = Device::ready(hub, &key).await;
        device.show(picture(1)).await;
        let stats = r#"{"type":"stats","fps":12,"rssi":-61,"heapFree":41232,"note":"x"}"#;
        device.send(Message::text(stats)).await;
        devices.push(device);
    }
    let rssi = series(&site, "door device rssi", |one| one["points"] == 1).await;
    assert_eq!(rssi["unit"], "dBm");
    let (_, history) = Viewer::open(hub, "/ws/series").await;
    let all = points(&history);
    let device_series: Vec<_> = all.keys().filter(|name| name.contains("device")).collect();
    // Series of a private app's devices are hidden from anonymous viewers.
    assert_eq!(
        device_series,
        [
            "door device fps",
            "door device heapFree",
            "door device rssi"
        ]
    );
    let (x, y) = all["door device heapFree"][0];
    assert_eq!(y, 41_232.0);
    // By the hub's clock, because the device has none.
    assert!(x >= started.as_millis() as f64 && x < started.as_millis() as f64 + 60_000.0);
    // From a device that reports continuously, one report per second is used; the others are
    // counted.
    let door = devices.last_mut().unwrap();
    for rssi in 0..50 {
        let stats = json!({ "type": "stats", "rssi": rssi });
        door.send(Message::text(stats.to_string())).await;
    }
    let until = Instant::now() + TIMEOUT;
    loop {
        let status = api(&site, "GET /api/v1/series/status", "").await.json();
        if status["data"]["dropped"].as_u64() >= Some(40) {
            break;
        }
        assert!(Instant::now() < until, "{status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = series(&site, "door device rssi", |_| true).await;
    assert!(status["points"].as_u64() <= Some(10), "{status}");
}
