//! Many devices that reconnect at the same time.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use super::ALONE;
use crate::support::TIMEOUT;
use crate::support::device::{Device, Key, picture};
use crate::support::http::get;
use crate::support::hub::{keeping, keeping_on};
use crate::support::tempdir::Dir;
use ocelli::store::keys::StreamKey;
use ocelli::store::{self, keys};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinSet;

/// Creates many keys at once, directly in the store.
fn create_keys(data: &Path, count: usize) -> Vec<Key> {
    let (mut connection, hashes) = store::open(data).unwrap();
    let transaction = connection.transaction().unwrap();
    let made = (0..count).map(|number| {
        let secret = ocelli::auth::new_stream_key();
        let key = StreamKey {
            id: format!("wsi_{number:04}"),
            app: "live".into(),
            room: format!("cam{number}"),
            identity: "storm".into(),
            created: number as i64,
        };
        keys::insert(&transaction, &key, &hashes.hash(&secret)).unwrap();
        Key {
            id: key.id,
            secret,
            path: format!("/ingest/ws?app=live&room=cam{number}"),
        }
    });
    let made = made.collect();
    transaction.commit().unwrap();
    made
}

/// Connects all devices at once, and sends a picture from each.
async fn storm(hub: SocketAddr, keys: &[Key]) -> Vec<Device> {
    let mut coming = JoinSet::new();
    for (number, key) in keys.iter().cloned().enumerate() {
        coming.spawn(async move {
            let (mut device, _) = Device::ready(hub, &key).await;
            device.show(picture(number as u64)).await;
            device
        });
    }
    tokio::time::timeout(Duration::from_secs(60), coming.join_all())
        .await
        .expect("all devices connect in time")
}

/// Waits until this many cameras are live.
async fn live(hub: SocketAddr, wanted: usize) {
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    loop {
        let cameras = get(hub, "/api/v1/cameras").await.json();
        let cameras = cameras["data"].as_array().unwrap();
        let live = cameras
            .iter()
            .filter(|camera| camera["state"] == "live")
            .count();
        if live == wanted {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{live} are live");
    }
}

#[tokio::test]
async fn six_hundred_devices_reconnect_at_once_twice() {
    let _alone = ALONE.lock().await;
    const COUNT: usize = 600;
    let dir = Dir::new("storm");
    let data = dir.0.join("kept");
    let keys = create_keys(&data, COUNT);
    let first = keeping(&data);
    let address = first.addr();
    let devices = storm(address, &keys).await;
    live(address, COUNT).await;
    first.signal(rustix::process::Signal::KILL);
    drop((first, devices));
    // The hub restarts, and all devices reconnect.
    let second = keeping_on(&data, &address.to_string());
    let mut devices = storm(address, &keys).await;
    live(address, COUNT).await;
    // Each connects again while its old connection is still open.
    let again = storm(address, &keys).await;
    live(address, COUNT).await;
    for device in &mut devices {
        assert_eq!(device.refused(TIMEOUT).await, ("replaced".to_owned(), 4409));
    }
    let (connection, _) = store::open(&data).unwrap();
    let rows = "SELECT count(*), count(ended) FROM stream";
    let rows: (usize, usize) = connection
        .query_row(rows, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(
        rows,
        (2 * COUNT, COUNT),
        "the streams from before the crash have ended, the others continue"
    );
    drop(again);
    assert!(second.descriptors() > 0);
}
