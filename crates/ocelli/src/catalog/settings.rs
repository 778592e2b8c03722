//! The stored settings of a camera that was added over HTTP.

use crate::config::{CameraConfig, RawCamera};
use crate::store::cameras::{StoredCamera, encryption_context};
use crate::store::{Cipher, StoreError};
use ocelli_config::number::whole;
use ocelli_config::{ConfigError, Section};
use ocelli_media::options::{JpegOptions, JpegRate};
use ocelli_media::sources::{Address, Credentials, SsrfGuard};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;
use toml::de::DeValue;
use utoipa::ToSchema;

/// The picture rate of a native stream's JPEG rendition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Rate {
    /// Pictures per second, 0.1 to 60.
    Fps(f64),
    /// `key`: one for each key frame.
    Keyword(String),
}

/// The JPEG rendition of a native stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Jpeg {
    /// Maximum pictures per second, 0.1 to 60, 5 by default; `key` for one per key frame.
    pub fps: Option<Rate>,
    /// Maximum width in pixels, 960 by default; the picture is never enlarged.
    #[schema(minimum = 64, maximum = 8192)]
    #[serde(default, deserialize_with = "whole")]
    pub width: Option<u32>,
    /// JPEG quality, 90 by default.
    #[schema(minimum = 1, maximum = 100)]
    #[serde(default, deserialize_with = "whole")]
    pub quality: Option<u32>,
}

impl Jpeg {
    fn options(&self) -> Result<JpegOptions, ConfigError> {
        let mut options = JpegOptions::default();
        if let Some(rate) = &self.fps {
            let read = match rate {
                Rate::Fps(fps) => JpegRate::read(Some(*fps), None),
                Rate::Keyword(word) => JpegRate::read(None, Some(word)),
            };
            let wanted = || ConfigError::new(format!("jpeg.fps must be {}", JpegRate::EXPECTED));
            options.rate = read.ok_or_else(wanted)?;
        }
        if let Some(width) = self.width {
            options.width = within("jpeg.width", width, &JpegOptions::WIDTHS)?;
        }
        if let Some(quality) = self.quality {
            options.quality = within("jpeg.quality", quality, &JpegOptions::QUALITIES)?;
        }
        Ok(options)
    }
}

/// Checks that a number is in a range.
fn within<T: TryFrom<u32>>(
    field: &str,
    number: u32,
    range: &RangeInclusive<u32>,
) -> Result<T, ConfigError> {
    let fits = range.contains(&number).then_some(number);
    fits.and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            ConfigError::new(format!("{field} must be a number from {least} to {most}"))
        })
}

impl From<JpegOptions> for Jpeg {
    fn from(options: JpegOptions) -> Self {
        let fps = match options.rate {
            JpegRate::Fps(fps) => Rate::Fps(fps),
            JpegRate::KeyFrames => Rate::Keyword("key".to_owned()),
        };
        Self {
            fps: Some(fps),
            width: Some(options.width.into()),
            quality: Some(options.quality.into()),
        }
    }
}

/// The stored settings of a camera, apart from app and room. The addresses contain no
/// credentials, and the `Debug` form reveals nothing.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Its display name; the room if there is none.
    pub name: Option<String>,
    /// The address of its main stream.
    pub source: String,
    /// The address of its substream.
    pub substream: Option<String>,
    /// The user name for signing in to the camera.
    pub user: Option<String>,
    /// The password for that user.
    pub password: Option<String>,
    /// Its JPEG rendition.
    pub jpeg: Jpeg,
    /// Whether it stays connected without viewers.
    pub keep: bool,
    /// The interval between single pictures, such as "1s".
    pub interval: Option<String>,
    /// False accepts any certificate.
    pub verify_tls: Option<bool>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settings")
    }
}

impl Settings {
    /// Builds the camera's sources, by the same code as for configured cameras.
    ///
    /// # Errors
    /// A setting is invalid.
    pub fn build_config(
        &self,
        app: &str,
        room: &str,
        ssrf_guard: SsrfGuard,
    ) -> Result<CameraConfig, ConfigError> {
        let address = |bare: &str| {
            let mut address = Address::new(bare);
            address.credentials = self.user.as_ref().map(|user| Credentials {
                user: user.clone(),
                password: self.password.clone().unwrap_or_default(),
            });
            address.ssrf_guard = Some(ssrf_guard);
            address
        };
        let written = RawCamera {
            app: app.to_owned(),
            room: room.to_owned(),
            name: self.name.clone(),
            source: address(&self.source),
            substream: self.substream.as_deref().map(address),
            jpeg: self.jpeg.options()?,
            keep: self.keep,
        };
        let mut options = Vec::new();
        if let Some(interval) = &self.interval {
            options.push(("interval", DeValue::String(interval.clone().into())));
        }
        if let Some(verify) = self.verify_tls {
            options.push(("verify_tls", DeValue::Boolean(verify)));
        }
        let options = Section::table(options);
        written.open(&mut Section::new(&options, "the body"))
    }

    /// Encrypts the settings for the camera in this room.
    ///
    /// # Errors
    /// The system provides no randomness.
    pub fn encrypt(
        &self,
        cipher: &Cipher,
        app: &str,
        room: &str,
    ) -> Result<StoredCamera, StoreError> {
        let text = serde_json::to_vec(self);
        let text = text.map_err(|_| StoreError::Unusable("can't serialize the settings".into()))?;
        Ok(StoredCamera {
            sealed: cipher.encrypt(&encryption_context(app, room), &text)?,
            app: app.to_owned(),
            room: room.to_owned(),
        })
    }

    /// Decrypts stored settings; returns `None` if the key or the camera differs.
    pub fn decrypt(cipher: &Cipher, stored: &StoredCamera) -> Option<Self> {
        let text = cipher.decrypt(
            &encryption_context(&stored.app, &stored.room),
            &stored.sealed,
        )?;
        serde_json::from_slice(&text).ok()
    }
}
