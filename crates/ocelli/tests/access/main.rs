//! Access: the HTTP API and its permissions, TLS, reverse proxies, stored data and secrets.

mod api;
mod api_cameras;
mod front;
mod pages;
mod proxy;
mod secrets;
mod store;
#[path = "../support/mod.rs"]
mod support;
mod tls;
