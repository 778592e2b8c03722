//! The data directory, readable only by its owner.

use super::error::StoreError;
use crate::auth::Key;
use ocelli_config::private::{Unusable, create_directory, make_private};
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// The store's file in the data directory.
pub const FILE: &str = "ocelli.db";
/// The key for token hashes.
const KEY_FILE: &str = "token.key";
/// Locked while a hub uses the directory.
const HUB_FILE: &str = "hub.lock";

/// The default data directory: `$XDG_DATA_HOME/ocelli` or `~/.local/share/ocelli`. `None` if
/// neither variable is set.
pub fn default_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The XDG specification requires relative paths to be ignored.
    let absolute = |name| {
        let path = variable(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let shared = absolute("XDG_DATA_HOME");
    let shared = shared.or_else(|| Some(absolute("HOME")?.join(".local/share")));
    Some(shared?.join("ocelli"))
}

/// Locks the directory for a hub until the file is dropped; `None` if another hub holds it.
///
/// # Errors
/// The directory can't be used.
pub fn lock_directory(data: &Path) -> Result<Option<File>, StoreError> {
    create_directory(data)?;
    let path = data.join(HUB_FILE);
    let file = make_private(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(Unusable::new(&path, &error).into()),
    }
}

/// Returns true only if it is certain that the directory never contained a store: neither the
/// store's files nor a key. If the directory can't be read, or a disk is missing in its path, it
/// may have contained one.
pub fn is_absent(data: &Path) -> bool {
    let entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(error) => return error.kind() == ErrorKind::NotFound && is_uncreated(data),
    };
    entries.into_iter().all(|entry| {
        entry.is_ok_and(|entry| match entry.file_name().as_encoded_bytes() {
            // A key is stored before anything else. On a full disk its file stays empty.
            name if name == KEY_FILE.as_bytes() => entry
                .metadata()
                .is_ok_and(|key| key.is_file() && key.len() == 0),
            name => !name.starts_with(FILE.as_bytes()),
        })
    })
}

/// Whether a path that was not found does not exist, rather than passing through a symbolic link
/// to something that is missing.
fn is_uncreated(path: &Path) -> bool {
    let missing = |path: &&Path| {
        let found = fs::symlink_metadata(path);
        found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    let existing = path.ancestors().find(|path| !missing(path));
    existing.is_none_or(Path::is_dir)
}

/// The key for token hashes, created at the first start.
pub fn key(data: &Path) -> Result<Key, StoreError> {
    let path = data.join(KEY_FILE);
    let mut file = make_private(&path)?;
    let mut bytes = Vec::new();
    let read = (&file).take(64).read_to_end(&mut bytes);
    read.map_err(|error| Unusable::new(&path, &error))?;
    if bytes.is_empty() {
        let key = Key::random();
        let written = file.write_all(key.bytes()).and_then(|()| file.sync_all());
        written.map_err(|error| Unusable::new(&path, &error))?;
        return Ok(key);
    }
    let Ok(bytes) = <[u8; 32]>::try_from(bytes) else {
        let damaged = io::Error::other("it is not 32 bytes long; no token can be verified");
        return Err(Unusable::new(&path, &damaged).into());
    };
    Ok(Key::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_absent_only_if_that_is_certain() {
        let dir = std::env::temp_dir().join(format!("ocelli-absent-{}", std::process::id()));
        let absent = |name: &str| is_absent(&dir.join(name));
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, bytes).expect("a file");
        };
        write("fresh/hub.lock", b"");
        write("fresh/token.key", b"");
        write("fresh/series.db", b"samples");
        assert!(absent("fresh") && absent("none") && absent("fresh/none/such"));
        write("key/token.key", &[1; 32]);
        write("store/ocelli.db", b"");
        write("log/ocelli.db-wal", b"");
        std::os::unix::fs::symlink("/none/such/disk", dir.join("disk")).expect("a link");
        for stored in [
            "key",
            "store",
            "log",
            "disk",
            "disk/data",
            "store/ocelli.db",
        ] {
            assert!(!absent(stored), "{stored}");
        }
        fs::remove_dir_all(&dir).expect("the directory is removed");
    }

    #[test]
    fn the_default_data_directory_is_in_the_users_home() {
        let home = |pairs: &'static [(&str, &str)]| {
            default_directory(|name| {
                let found = pairs.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| value.into())
            })
        };
        assert_eq!(
            home(&[("HOME", "/home/ann"), ("XDG_DATA_HOME", "/data")]),
            Some("/data/ocelli".into())
        );
        let standard = Some("/home/ann/.local/share/ocelli".into());
        assert_eq!(home(&[("HOME", "/home/ann")]), standard);
        let relative = &[("HOME", "/home/ann"), ("XDG_DATA_HOME", "data")];
        assert_eq!(home(relative), standard);
        assert_eq!(home(&[]), None);
    }
}
