//! Who may do what, and how requests reach the hub: the HTTP interface, TLS, reverse
//! proxies, what is stored and what stays secret.

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
