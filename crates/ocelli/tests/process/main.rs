//! The program: command line, configuration, documents, doctor, shutdown.

mod command_line;
mod config;
mod doctor;
mod doctor_cameras;
mod doctor_tls;
mod documents;
mod shutdown;
#[path = "../support/mod.rs"]
mod support;
