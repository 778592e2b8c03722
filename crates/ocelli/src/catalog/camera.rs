//! A camera as people write it: a new one, and a change of one.

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

/// The longest name, user and password in characters, and the longest address.
const TEXT_LIMIT: usize = 120;
const ADDRESS_LIMIT: usize = 2000;

/// A new camera.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCamera {
    /// The app it belongs to, `live` by default.
    app: Option<String>,
    /// Its place in the app, in the short or the full form.
    #[schema(pattern = r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,120}$")]
    room: String,
    /// Its name for people; the room by default.
    #[schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,120}$")]
    name: Option<String>,
    /// The address of its stream, which begins with `rtsp:`, `http:` or `https:`.
    source: String,
    /// The user to sign in as, in place of one in the address.
    user: Option<String>,
    /// The user's password. It is kept sealed and shown to nobody.
    password: Option<String>,
    /// The address of a smaller stream for tiles.
    substream: Option<String>,
    jpeg: Option<Jpeg>,
    /// True keeps it connected without viewers.
    keep: Option<bool>,
    /// How often a single picture is fetched where there is no stream, like `500ms`.
    interval: Option<String>,
    /// False accepts any certificate, as a camera's own needs it.
    verify_tls: Option<bool>,
}

fn check_text(field: &str, text: Option<&String>, least: usize) -> Result<(), ChangeError> {
    let fits = |text: &String| {
        (least..=TEXT_LIMIT).contains(&text.chars().count()) && !text.chars().any(is_control)
    };
    if text.is_none_or(fits) {
        return Ok(());
    }
    let message = format!("it takes {least} to {TEXT_LIMIT} characters, none of them control ones");
    Err(ChangeError::invalid(field, message))
}

/// Checks what people wrote into settings, before anything is made of them.
fn check_settings(settings: &Settings) -> Result<(), ChangeError> {
    check_text("name", settings.name.as_ref(), 1)?;
    check_text("user", settings.user.as_ref(), 0)?;
    check_text("password", settings.password.as_ref(), 0)?;
    if settings.user.is_none() && settings.password.is_some() {
        return Err(ChangeError::invalid(
            "password",
            "there is no user that it belongs to",
        ));
    }
    let interval = settings.interval.as_deref();
    if interval.is_some_and(|interval| parse_duration(interval).is_none()) {
        return Err(ChangeError::invalid(
            "interval",
            "it takes a duration such as \"500ms\"",
        ));
    }
    Ok(())
}

/// An address as a person wrote it: bare, and what it signs in with.
fn read_address(field: &str, written: &str) -> Result<(String, Option<Credentials>), ChangeError> {
    if written.len() > ADDRESS_LIMIT || written.chars().any(is_control) {
        let message = format!("it takes up to {ADDRESS_LIMIT} bytes, none of them control ones");
        return Err(ChangeError::invalid(field, message));
    }
    if written.contains("***") {
        let message = "*** stands for what is not shown; write the address in whole";
        return Err(ChangeError::invalid(field, message));
    }
    let address = Address::new(written);
    let signs_in = |url: &Url| !url.username().is_empty() || url.password().is_some();
    if Url::parse(address.bare()).is_ok_and(|url| signs_in(&url)) {
        let message = "its user and password can't be told from the rest; write them in \
             `user` and `password`";
        return Err(ChangeError::invalid(field, message));
    }
    Ok((address.bare().to_owned(), address.credentials))
}

/// A field that may be left out, which leaves it as it is, or null, which clears it.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    field: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

impl NewCamera {
    /// The app it belongs to.
    ///
    /// # Errors
    /// What is written is no app's name.
    pub fn app(&self) -> Result<&str, ChangeError> {
        let app = self.app.as_deref().unwrap_or(DEFAULT_APP);
        check_app(app).map_err(|error| ChangeError::invalid("app", error))?;
        Ok(app)
    }

    /// Its place in the app.
    ///
    /// # Errors
    /// What is written is no room's name.
    pub fn room(&self) -> Result<&str, ChangeError> {
        check_room(&self.room).map_err(|error| ChangeError::invalid("room", error))?;
        Ok(&self.room)
    }
}

/// What is to be changed; the rest stays, and null takes back what was said.
///
/// A kept password stays with its host: with another scheme, host or port in an
/// address it is forgotten, unless the same call gives one.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CameraChange {
    /// Its name for people; null for the room. A change of this alone reconnects nothing.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,120}$")]
    pub name: Option<Option<String>>,
    /// The address of its stream. As it was shown, with `***` for secrets, it stays.
    pub source: Option<String>,
    /// The user to sign in as; null takes the password with it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub user: Option<Option<String>>,
    /// The user's password. It is kept sealed and shown to nobody.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub password: Option<Option<String>>,
    /// The address of a smaller stream for tiles.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub substream: Option<Option<String>>,
    /// Its JPEG rendition.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Jpeg>)]
    pub jpeg: Option<Option<Jpeg>>,
    /// True keeps it connected without viewers.
    pub keep: Option<bool>,
    /// How often a single picture is fetched where there is no stream, like `500ms`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub interval: Option<Option<String>>,
    /// False accepts any certificate, as a camera's own needs it.
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

/// An address as it is shown: without its user and password, and with `***` for what
/// seems to be a secret in its query.
pub fn shown(address: &str) -> String {
    Address::new(address).redacted()
}

/// Where a password is sent: the scheme, host and port of each address.
fn peers(settings: &Settings) -> BTreeSet<(String, String, Option<u16>)> {
    let addresses = std::iter::once(&settings.source).chain(&settings.substream);
    let peer = |address: &String| match Url::parse(address) {
        Ok(url) => {
            let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
            (url.scheme().to_owned(), host, url.port_or_known_default())
        }
        // What is no address is only like itself.
        Err(_) => (address.clone(), String::new(), None),
    };
    addresses.map(peer).collect()
}

impl CameraChange {
    /// The settings as they are to be.
    ///
    /// # Errors
    /// Names the field.
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
                // One sign-in serves both streams.
                signed_in = signed_in.or(beside);
            }
            Some(None) => new.substream = None,
            Some(Some(_)) | None => {}
        }
        // Who may write may not thereby read: a kept password goes nowhere else.
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
