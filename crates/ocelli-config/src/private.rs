//! Files and directories that only their owner can access.

use std::error::Error;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Locked while a data directory is being initialized.
const LOCK_FILE: &str = "opening.lock";

/// A file or directory that can't be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(String);

impl Unusable {
    /// Creates an error that names the path and the reason.
    pub fn new(path: &Path, error: &io::Error) -> Self {
        Self(format!("{} can't be used: {error}", path.display()))
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Unusable {}

/// Creates the directory if it does not exist.
pub fn create_directory(data: &Path) -> Result<(), Unusable> {
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(data);
    made.map_err(|error| Unusable::new(data, &error))
}

/// Opens a file that only its owner can read, and creates it if it does not exist.
pub fn make_private(path: &Path) -> Result<File, Unusable> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    options
        .open(path)
        .map_err(|error| Unusable::new(path, &error))
}

/// Locks the data directory against other processes that open a store in it. Waits for the
/// lock, which is held until the file is dropped.
pub fn lock_directory(data: &Path) -> Result<File, Unusable> {
    let path = data.join(LOCK_FILE);
    let file = make_private(&path)?;
    file.lock().map_err(|error| Unusable::new(&path, &error))?;
    Ok(file)
}
