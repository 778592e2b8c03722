//! The calls of the HTTP interface that a fleet needs.

use crate::auth::new_id;
use futures_util::{StreamExt, stream};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// The most calls at the same time.
const MAX_CONCURRENT_CALLS: usize = 16;
/// Time limit for a call.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The page size when keys are listed.
const PAGE_SIZE: usize = 500;

/// A device's key.
#[derive(Clone)]
pub struct Key {
    id: String,
    /// The key itself.
    pub secret: String,
    /// The URL for its device.
    pub url: String,
}

impl Key {
    /// An existing key of this room.
    ///
    /// # Errors
    /// Returns an error if the address is not a hub's address, or if a name is not
    /// valid.
    pub fn from_secret(hub: &str, app: &str, room: &str, secret: String) -> Result<Self, String> {
        let mut url = address(hub, app)?;
        ocelli_core::name::check_room(room).map_err(|error| error.to_string())?;
        url.set_path("/ingest/ws");
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_query(Some(&format!("app={app}&room={room}")));
        let url = url.as_str().replacen(url.scheme(), scheme, 1);
        Ok(Self {
            id: String::new(),
            secret,
            url,
        })
    }
}

/// The base URL for calls to one app of a hub.
fn address(hub: &str, app: &str) -> Result<Url, String> {
    ocelli_core::name::check_app(app).map_err(|error| error.to_string())?;
    let address = Url::parse(hub)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    address.ok_or_else(|| "--url must be a hub's address, like http://127.0.0.1:8080".to_owned())
}

/// The hub's counts for the fleet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Published frames.
    pub frames: u64,
    /// Frames above the app's rate.
    pub above_rate: u64,
    /// Messages that were not JPEGs.
    pub not_jpeg: u64,
}

/// A client for the calls to one app of a hub.
pub struct Calls {
    client: Client,
    keys: Url,
    token: String,
    /// The prefix of this fleet's rooms.
    rooms: String,
}

impl Calls {
    /// Creates a client for this app.
    ///
    /// # Errors
    /// Returns an error if the address is not a hub's address.
    pub fn new(hub: &str, app: &str, token: String) -> Result<Self, String> {
        let keys = address(hub, app)?
            .join(&format!("/api/v1/apps/{app}/ws-ingest"))
            .map_err(|error| error.to_string())?;
        let client = Client::builder().timeout(TIMEOUT).build();
        Ok(Self {
            client: client.map_err(|error| error.to_string())?,
            keys,
            token,
            rooms: new_id("sim").replace('_', "-"),
        })
    }

    async fn call(&self, method: Method, url: Url, body: Option<Value>) -> Result<Value, String> {
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let response = request.send().await;
        let response = response.map_err(|error| {
            let error = error.without_url();
            format!("can't reach the hub at {}: {error}", self.keys)
        })?;
        let status = response.status();
        let bytes = response.bytes().await.unwrap_or_default();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        match status.is_success() {
            true => Ok(body),
            false => {
                let message = body["message"].as_str().unwrap_or("no reason given");
                Err(format!(
                    "the hub answers with status {}: {message}",
                    status.as_u16()
                ))
            }
        }
    }

    /// Creates `count` keys, and appends them to `keys_created`.
    ///
    /// # Errors
    /// The first error of a call.
    pub async fn create(&self, count: u32, keys_created: &mut Vec<Key>) -> Result<(), String> {
        let calls = (0..count).map(|number| {
            let body = json!({ "room": format!("{}-{number:04}", self.rooms) });
            self.call(Method::POST, self.keys.clone(), Some(body))
        });
        let mut calls = stream::iter(calls).buffer_unordered(MAX_CONCURRENT_CALLS);
        while let Some(body) = calls.next().await {
            let body = body?;
            let text = |field: &str| body["data"][field].as_str().map(str::to_owned);
            match (text("id"), text("streamKey"), text("wsUrl")) {
                (Some(id), Some(secret), Some(url)) => keys_created.push(Key { id, secret, url }),
                _ => return Err("the hub created a key but did not return it".to_owned()),
            }
        }
        Ok(())
    }

    /// Deletes these keys. Returns how many could not be deleted.
    pub async fn revoke(&self, keys_created: Vec<Key>) -> usize {
        let calls = keys_created.into_iter().map(|key| async move {
            let url = Url::parse(&format!("{}/{}", self.keys, key.id));
            match url {
                Ok(url) => self.call(Method::DELETE, url, None).await.is_err(),
                Err(_) => true,
            }
        });
        let failed = stream::iter(calls).buffer_unordered(MAX_CONCURRENT_CALLS);
        failed
            .filter(|failed| std::future::ready(*failed))
            .count()
            .await
    }

    /// Deletes the series that the hub has recorded of this fleet. The keys must be deleted
    /// first, so that no series is created again.
    ///
    /// # Errors
    /// The first error of a call: the token may lack the permissions for it.
    pub async fn delete_series(&self) -> Result<(), String> {
        let mut url = self.keys.clone();
        url.set_path("/api/v1/series");
        let told = self.call(Method::GET, url.clone(), None).await?;
        let prefix = format!("{}-", self.rooms);
        for series in told["data"].as_array().into_iter().flatten() {
            let own = series["name"].as_str().is_some_and(|name| {
                // Names begin with the camera's id, like `live/live-sim-abc-0001 fps`.
                let camera = name.split(' ').next().unwrap_or_default();
                camera.contains(&prefix)
            });
            if own {
                url.set_path(&format!("/api/v1/series/{}", series["id"]));
                self.call(Method::DELETE, url.clone(), None).await?;
            }
        }
        Ok(())
    }

    /// The hub's counts for the connected devices; `None` if the call fails.
    pub async fn counts(&self) -> Option<Counts> {
        let mut counts = Counts::default();
        for part in 0.. {
            let mut url = self.keys.clone();
            let offset = part * PAGE_SIZE;
            url.set_query(Some(&format!("limit={PAGE_SIZE}&offset={offset}")));
            let body = self.call(Method::GET, url, None).await.ok()?;
            let keys = body["data"].as_array()?;
            for key in keys {
                let own = key["room"]
                    .as_str()
                    .is_some_and(|room| room.contains(&self.rooms));
                let device = own.then_some(&key["device"]);
                let count = |field: &str| {
                    device
                        .and_then(|device| device[field].as_u64())
                        .unwrap_or(0)
                };
                counts.frames += count("frames");
                counts.above_rate += count("aboveRate");
                counts.not_jpeg += count("notJpeg");
            }
            if keys.len() < PAGE_SIZE {
                break;
            }
        }
        Some(counts)
    }
}
