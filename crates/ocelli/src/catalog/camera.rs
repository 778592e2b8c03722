//! The request bodies that add and change a camera.

use super::error::ChangeError;
use super::settings::{Jpeg, Settings};
use ocelli_config::parse_duration;
use ocelli_core::name::{DEFAULT_APP, check_app, check_room};
use ocelli_core::text::is_control;
use ocelli_media::sources::{Address, Credentials};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeSet;
use url::Url;
use utoipa::ToSchema;

/// Maximum length of a name, user or password in characters, and of an address in bytes.
const TEXT_LIMIT: usize = 120;
const ADDRESS_LIMIT: usize = 2000;

/// A new camera.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCamera {
    /// The app it belongs to; `live` by default.
    app: Option<String>,
    /// Its room in the app, in the short or the full form.
    #[schema(pattern = r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,120}$")]
    room: String,
    /// Its display name; the room by default.
    #[schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,120}$")]
    name: Option<String>,
    /// The URL of its stream, starting with `rtsp:`, `rtsps:`, `http:` or `https:`.
    source: String,
    /// The user name for signing in to the camera; replaces one in the URL.
    user: Option<String>,
    /// The password for that user. It is stored encrypted and never returned.
    password: Option<String>,
    /// The URL of a smaller stream for tiles.
    substream: Option<String>,
    jpeg: Option<Jpeg>,
    /// True keeps it connected without viewers.
    keep: Option<bool>,
    /// The interval between single pictures, such as `500ms`, for a source that is not a stream.
    interval: Option<String>,
    /// False accepts any certificate, which cameras with a self-signed one need.
    verify_tls: Option<bool>,
}

fn check_text(field: &str, text: Option<&String>, least: usize) -> Result<(), ChangeError> {
    let fits = |text: &String| {
        (least..=TEXT_LIMIT).contains(&text.chars().count()) && !text.chars().any(is_control)
    };
    if text.is_none_or(fits) {
        return Ok(());
    }
    let message =
        format!("it must have {least} to {TEXT_LIMIT} characters, without control characters");
    Err(ChangeError::invalid(field, message))
}

/// Validates the fields before anything is built from them.
fn check_settings(settings: &Settings) -> Result<(), ChangeError> {
    check_text("name", settings.name.as_ref(), 1)?;
    check_text("user", settings.user.as_ref(), 0)?;
    check_text("password", settings.password.as_ref(), 0)?;
    if settings.user.is_none() && settings.password.is_some() {
        let message = "it needs a user; enter both, or neither";
        return Err(ChangeError::invalid("password", message));
    }
    let interval = settings.interval.as_deref();
    if interval.is_some_and(|interval| parse_duration(interval).is_none()) {
        return Err(ChangeError::invalid(
            "interval",
            "it must be a duration such as \"500ms\"",
        ));
    }
    Ok(())
}

/// Splits a URL into the bare URL and its credentials.
fn read_address(field: &str, written: &str) -> Result<(String, Option<Credentials>), ChangeError> {
    if written.len() > ADDRESS_LIMIT || written.chars().any(is_control) {
        let message =
            format!("it must have at most {ADDRESS_LIMIT} bytes, without control characters");
        return Err(ChangeError::invalid(field, message));
    }
    if written.contains("***") {
        let message = "*** stands for a hidden secret; enter the complete address";
        return Err(ChangeError::invalid(field, message));
    }
    let address = Address::new(written);
    if let Some(escapes) = address.ambiguity() {
        let message = format!(
            "its password can't be told from the rest: in a password, write {escapes}, or enter it \
             in `password`"
        );
        return Err(ChangeError::invalid(field, message));
    }
    let signs_in = |url: &Url| !url.username().is_empty() || url.password().is_some();
    if Url::parse(address.bare()).is_ok_and(|url| signs_in(&url)) {
        let message = "its user and password can't be separated from the rest; enter them in \
             `user` and `password`";
        return Err(ChangeError::invalid(field, message));
    }
    Ok((address.bare().to_owned(), address.credentials))
}

/// Deserializes an optional field and distinguishes absent (keep the value) from null (clear it).
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    field: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

impl NewCamera {
    /// The app it belongs to.
    ///
    /// # Errors
    /// The name is not a valid app name.
    pub fn app(&self) -> Result<&str, ChangeError> {
        let app = self.app.as_deref().unwrap_or(DEFAULT_APP);
        check_app(app).map_err(|error| ChangeError::invalid("app", error))?;
        Ok(app)
    }

    /// Its room in the app.
    ///
    /// # Errors
    /// The name is not a valid room name.
    pub fn room(&self) -> Result<&str, ChangeError> {
        check_room(&self.room).map_err(|error| ChangeError::invalid("room", error))?;
        Ok(&self.room)
    }
}

/// A change of a camera. Omitted fields keep their values. Null resets a field to its default,
/// except for `source` and `keep`, where it has no effect.
///
/// A stored password is bound to its host: if the scheme, host or port of a URL changes, the
/// password is deleted unless the same request sets one.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CameraChange {
    /// Its display name; null for the room. Changing only the name reconnects nothing.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,120}$")]
    pub name: Option<Option<String>>,
    /// The URL of its stream. If it is sent back as it was returned, with `***` for secrets, it
    /// stays unchanged.
    pub source: Option<String>,
    /// The user name for signing in to the camera; null also deletes the password.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub user: Option<Option<String>>,
    /// The password for that user. It is stored encrypted and never returned.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub password: Option<Option<String>>,
    /// The URL of a smaller stream for tiles.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub substream: Option<Option<String>>,
    /// Its JPEG rendition.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Jpeg>)]
    pub jpeg: Option<Option<Jpeg>>,
    /// True keeps it connected without viewers.
    pub keep: Option<bool>,
    /// The interval between single pictures, such as `500ms`, for a source that is not a stream.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub interval: Option<Option<String>>,
    /// False accepts any certificate, which cameras with a self-signed one need.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<bool>)]
    pub verify_tls: Option<Option<bool>>,
}

impl From<NewCamera> for CameraChange {
    fn from(new: NewCamera) -> Self {
        Self {
            name: Some(new.name),
            source: Some(new.source),
            user: new.user.map(Some),
            password: new.password.map(Some),
            substream: Some(new.substream),
            jpeg: Some(new.jpeg),
            keep: new.keep,
            interval: Some(new.interval),
            verify_tls: Some(new.verify_tls),
        }
    }
}

/// A URL as it is displayed: without credentials, and with `***` for probable secrets in the
/// query.
pub fn shown(address: &str) -> String {
    Address::new(address).redacted()
}

/// Where the password is sent: the scheme, host and port of each URL.
fn peers(settings: &Settings) -> BTreeSet<(String, String, Option<u16>)> {
    let addresses = std::iter::once(&settings.source).chain(&settings.substream);
    let peer = |address: &String| match Url::parse(address) {
        Ok(url) => {
            let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
            (url.scheme().to_owned(), host, url.port_or_known_default())
        }
        // Text that is not a URL equals only itself.
        Err(_) => (address.clone(), String::new(), None),
    };
    addresses.map(peer).collect()
}

impl CameraChange {
    /// Returns the changed settings.
    ///
    /// # Errors
    /// The message names the field.
    pub fn apply(self, old: &Settings) -> Result<Settings, ChangeError> {
        let mut new = old.clone();
        new.name = self.name.unwrap_or(new.name);
        new.jpeg = self.jpeg.map_or(new.jpeg, Option::unwrap_or_default);
        new.keep = self.keep.unwrap_or(new.keep);
        new.interval = self.interval.unwrap_or(new.interval);
        new.verify_tls = self.verify_tls.unwrap_or(new.verify_tls);
        let mut signed_in = None;
        if let Some(written) = self.source
            && written != shown(&old.source)
        {
            (new.source, signed_in) = read_address("source", &written)?;
        }
        match self.substream {
            Some(Some(written))
                if Some(&written) != old.substream.as_deref().map(shown).as_ref() =>
            {
                let (substream, beside) = read_address("substream", &written)?;
                new.substream = Some(substream);
                // Both streams use the same credentials.
                signed_in = signed_in.or(beside);
            }
            Some(None) => new.substream = None,
            Some(Some(_)) | None => {}
        }
        // Write permission must not reveal the password: it is never sent to a new host.
        if !peers(&new).is_subset(&peers(old)) {
            new.password = None;
        }
        match (self.user, signed_in) {
            (Some(user), _) => new.user = user,
            (None, Some(found)) => {
                new.user = Some(found.user);
                if !found.password.is_empty() {
                    new.password = Some(found.password);
                }
            }
            (None, None) => {}
        }
        if new.user.is_none() {
            new.password = None;
        }
        new.password = self.password.unwrap_or(new.password);
        check_settings(&new)?;
        Ok(new)
    }
}
