//! `/api/v1/devices`: capture devices of this machine, offered when a camera is added.

use crate::answer::Answer;
use ocelli_core::text::shown;
use serde::Serialize;
use std::fs;
use std::path::Path;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

/// The kernel's list of capture devices.
const LIST: &str = "/sys/class/video4linux";

/// A capture device of this machine.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CaptureDevice)]
pub struct CaptureDeviceView {
    /// The source URL for this device.
    #[schema(example = "v4l2:/dev/video0")]
    source: String,
    /// The manufacturer's name for it.
    #[schema(example = "HD Webcam C920")]
    name: String,
}

/// Lists the cameras that are plugged into this machine.
#[utoipa::path(get, path = "/api/v1/devices", tag = "cameras", operation_id = "listDevices",
    security(("token" = ["camera:create", "global"])),
    responses((status = 200, description = "The devices", body = Answer<Vec<CaptureDeviceView>>)))]
pub async fn list() -> Answer<Vec<CaptureDeviceView>> {
    let found = spawn_blocking(|| devices(Path::new(LIST))).await;
    Answer::new(found.unwrap_or_default())
}

/// The devices in the kernel's list, by number. A camera has several; only the first one delivers
/// video.
fn devices(list: &Path) -> Vec<CaptureDeviceView> {
    let entries = fs::read_dir(list).into_iter().flatten().flatten();
    let mut found: Vec<(u32, CaptureDeviceView)> = entries
        .filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            let number = file.strip_prefix("video")?.parse().ok()?;
            let read = |name| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
            if !matches!(read("index").trim(), "0" | "") {
                return None;
            }
            let view = CaptureDeviceView {
                source: format!("v4l2:/dev/{file}"),
                // The name comes from the device, so it is sanitized.
                name: shown(read("name").trim()),
            };
            Some((number, view))
        })
        .collect();
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, view)| view).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_device_of_each_camera_is_listed() {
        let list = std::env::temp_dir().join(format!("ocelli-devices-{}", std::process::id()));
        for (device, index, name) in [
            ("video10", "0", "Second"),
            ("video2", "0", "First"),
            ("video3", "1", "First"),
            ("v4l-subdev0", "0", "A sensor"),
        ] {
            let directory = list.join(device);
            fs::create_dir_all(&directory).expect("a directory");
            fs::write(directory.join("index"), format!("{index}\n")).expect("written");
            fs::write(directory.join("name"), format!("{name}\n")).expect("written");
        }
        let found = devices(&list);
        fs::remove_dir_all(&list).expect("removed");
        let found: Vec<_> = found
            .iter()
            .map(|view| (view.source.as_str(), view.name.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("v4l2:/dev/video2", "First"),
                ("v4l2:/dev/video10", "Second")
            ]
        );
        assert_eq!(devices(Path::new("/nonexistent")), []);
    }
}
