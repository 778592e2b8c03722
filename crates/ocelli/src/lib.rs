//! Ocelli: every camera, one socket.
//!
//! The program around `ocelli_core`: it fetches pictures from cameras of every
//! kind, and shows them to any number of viewers over HTTP and WebSocket.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | the configuration file and the command line's sources |
//! | [`added`] | cameras that were added over HTTP |
//! | [`sources`] | the kinds of source, one file each |
//! | [`renditions`] | what is derived from a camera's own stream |
//! | [`ingest`] | cameras that push |
//! | [`sinks`] | the kinds of sink, one file each |
//! | [`supervise`], [`ffmpeg`] | child processes; the one that decodes |
//! | [`annexb`], [`parameter_set`], [`jpeg`], [`mpeg1`] | looking at pictures without decoding them |
//! | [`server`], [`site`] | the one port: accepting, routing, stopping; what every route has at hand |
//! | [`conversation`] | what is settled for each request before it reaches a route |
//! | [`connection`], [`websocket`] | one connection; one WebSocket |
//! | [`metered`], `frames` | reading within a peer's budget; counting a WebSocket's frames |
//! | [`outgoing`] | answers that clients have not taken yet |
//! | [`bell`] | what wakes a task for something rare |
//! | [`gate`], [`limits`] | the Host and Origin rules; how much clients may take |
//! | [`proxy`] | what reverse proxies in front say of their clients |
//! | [`tls`] | encryption on the way in, and who vouches for the hub |
//! | [`counts`], [`metrics`], [`log`] | what is counted, how it is told, what is logged |
//! | [`auth`] | tokens, passwords and roles, and what they grant |
//! | [`visitor`] | who asks, and whether they may stay |
//! | [`store`] | what outlives the hub |
//! | [`telemetry`] | series of samples: who writes them, who looks, what is kept |
//! | [`api`], [`answer`], [`ui`] | the HTTP interface, its answers, the pages |
//! | [`urls`] | the URLs that the hub gives out |
//! | [`number`] | numbers as JSON has them |
//! | [`reference`] | the reference page, made from the lists in the code |
//! | [`simulate`] | a fleet of devices that push |
//! | [`doctor`] | what is wrong with a server, a camera or this machine |
//! | [`launch`] | from a configuration to a running hub |
//! | `heap`, `system` | freed memory goes back to the system; the calls that need `unsafe` |
//!
//! Everything on the frame path runs on one current-thread runtime; what takes
//! long (encoding a test picture, resolving a name) goes to blocking threads.

pub mod added;
pub mod annexb;
pub mod answer;
pub mod api;
pub mod auth;
pub mod bell;
pub mod config;
pub mod connection;
mod conversation;
pub mod counts;
pub mod doctor;
pub mod ffmpeg;
mod frames;
pub mod gate;
mod heap;
pub mod ingest;
pub mod jpeg;
pub mod launch;
pub mod limits;
pub mod log;
pub mod metered;
pub mod metrics;
pub mod mpeg1;
pub mod number;
pub mod outgoing;
pub mod parameter_set;
mod pipe;
pub mod proxy;
pub mod reference;
pub mod renditions;
pub mod server;
pub mod simulate;
pub mod sinks;
pub mod site;
pub mod sources;
pub mod store;
pub mod supervise;
mod system;
pub mod telemetry;
pub mod tls;
pub mod ui;
pub mod urls;
pub mod visitor;
pub mod websocket;
