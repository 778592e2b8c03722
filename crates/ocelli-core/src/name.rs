//! Names of apps and rooms, and the camera id used on the wall socket.
//!
//! A room has a short and a full form (`cam1` and `live-cam1`) for the same camera;
//! [`CameraId`] is the canonical form of both. A room that begins with the prefix is
//! already a full form, so `live-live-cam1` is a separate camera. Its remainder,
//! `live-cam1`, is the full form of another camera and therefore not a short form of it.

use std::fmt;

/// The app that exists from the first start.
pub const DEFAULT_APP: &str = "live";

/// Maximum length of a camera id in bytes: its length is sent in one byte.
pub const MAX_ID_BYTES: usize = 255;

/// An invalid name, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError(String);

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NameError {}

/// Checks an app's name: `^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$`.
///
/// # Errors
/// Returns an error that describes a valid app name.
pub fn check_app(name: &str) -> Result<(), NameError> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    let fits = (3..=32).contains(&bytes.len())
        && inner(bytes[0])
        && inner(bytes[bytes.len() - 1])
        && bytes.iter().all(|&b| inner(b) || b == b'-');
    fits.then_some(()).ok_or_else(|| {
        NameError(format!(
            "{name:?} is not an app's name: use 3 to 32 of a-z, 0-9 and '-', not '-' at either end"
        ))
    })
}

/// Checks a room: `[A-Za-z0-9._-]{1,120}`, neither `.` nor `..`.
///
/// # Errors
/// Returns an error that describes a valid room.
pub fn check_room(room: &str) -> Result<(), NameError> {
    let bytes = room.as_bytes();
    let fits = (1..=120).contains(&bytes.len())
        && room != "."
        && room != ".."
        && bytes
            .iter()
            .all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    fits.then_some(()).ok_or_else(|| {
        NameError(format!(
            "{room:?} is not a camera's id: use 1 to 120 of A-Z, a-z, 0-9, '.', '_' and '-'"
        ))
    })
}

/// Location of a camera: app and room in canonical form, and the id built from them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CameraId {
    app: String,
    room: String,
    full_room: String,
    id: String,
}

impl CameraId {
    /// Resolves a short or full room name in an app whose rooms start with `prefix`.
    ///
    /// # Errors
    /// Returns an error if the app or the room is not a valid name.
    pub fn new(app: &str, prefix: &str, room: &str) -> Result<Self, NameError> {
        check_app(app)?;
        let start = format!("{prefix}-");
        // The rest is the short form, unless it is not a valid room or is itself a full
        // form.
        let rest = room.strip_prefix(&start);
        let rest = rest.filter(|rest| check_room(rest).is_ok() && !rest.starts_with(&start));
        let short = match rest {
            Some(rest) => rest,
            None => {
                check_room(room)?;
                room
            }
        };
        let full_room = if short.starts_with(&start) {
            short.to_owned()
        } else {
            format!("{start}{short}")
        };
        let id = if app == DEFAULT_APP {
            short.to_owned()
        } else {
            format!("{app}/{short}")
        };
        Ok(Self {
            app: app.to_owned(),
            room: short.to_owned(),
            full_room,
            id,
        })
    }

    /// Returns the app.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// Returns the room in its short form.
    pub fn room(&self) -> &str {
        &self.room
    }

    /// Returns the room with the app's prefix.
    pub fn full_room(&self) -> &str {
        &self.full_room
    }

    /// Returns the id on the wall socket: `room` in app `live`, `app/room` elsewhere.
    pub fn as_str(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// Splits an id from a client into app and room: `app/room`, or a room of `live`.
pub fn split_id(id: &str) -> (&str, &str) {
    id.split_once('/').unwrap_or((DEFAULT_APP, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_full_room_are_one_camera() {
        let short = CameraId::new("live", "live", "cam1").expect("a name");
        let full = CameraId::new("live", "live", "live-cam1").expect("a name");
        assert_eq!(short, full);
        assert_eq!(short.as_str(), "cam1");
        assert_eq!(short.full_room(), "live-cam1");
    }

    #[test]
    fn the_id_of_a_camera_in_another_app_contains_the_app() {
        let id = CameraId::new("barn", "farm", "10.0.0.7").expect("a name");
        assert_eq!(id.as_str(), "barn/10.0.0.7");
        assert_eq!(id.full_room(), "farm-10.0.0.7");
        assert_eq!(split_id(id.as_str()), ("barn", "10.0.0.7"));
    }

    #[test]
    fn a_room_that_is_only_the_prefix_is_unchanged() {
        let id = CameraId::new("live", "live", "live-").expect("a name");
        assert_eq!((id.room(), id.full_room()), ("live-", "live-"));
    }

    #[test]
    fn no_two_cameras_share_a_name() {
        let id = |room: &str| CameraId::new("live", "live", room).expect("a name");
        let rooms = ["cam1", "live-cam1", "live-live-cam1", "live-live-live-cam1"];
        let rooms =
            rooms
                .iter()
                .chain(&["live", "live-live", "live-live-", "live--", "-", "live-."]);
        let ids: Vec<_> = rooms.map(|room| id(room)).collect();
        for one in &ids {
            // Each form of a camera's name resolves to that camera and to no other.
            for name in [one.room(), one.full_room(), one.as_str()] {
                assert_eq!(id(name), *one, "{name}");
            }
            for other in ids.iter().filter(|other| *other != one) {
                for name in [other.room(), other.full_room()] {
                    assert!(![one.room(), one.full_room()].contains(&name), "{name}");
                }
            }
        }
        assert_eq!(id("cam1"), id("live-cam1"));
        let long = id("live-live-cam1");
        assert_eq!(
            (long.room(), long.full_room()),
            ("live-live-cam1", "live-live-cam1")
        );
    }

    #[test]
    fn the_full_form_of_a_long_room_is_valid() {
        let room = "a".repeat(120);
        let short = CameraId::new("barn", "farm", &room).expect("a name");
        let full = CameraId::new("barn", "farm", short.full_room()).expect("a name");
        assert_eq!(full, short);
        assert!(CameraId::new("barn", "farm", &format!("farm-{room}a")).is_err());
    }

    #[test]
    fn names_are_checked() {
        for bad in ["", "ab", "-ab", "ab-", "Abc", "a_c", &"a".repeat(33)] {
            assert!(check_app(bad).is_err(), "{bad}");
        }
        for good in ["abc", "a-c", "0-0", &"a".repeat(32)] {
            assert!(check_app(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", &"a".repeat(121)] {
            assert!(check_room(bad).is_err(), "{bad}");
        }
        for good in ["a", "...", "A.b_c-9", "10.0.0.7", &"a".repeat(120)] {
            assert!(check_room(good).is_ok(), "{good}");
        }
    }
}
