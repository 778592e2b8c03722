//! Paths of the API that several modules use.

/// One camera. The path of a camera in room `test` coincides with [`CAMERA_TEST`].
pub const CAMERA: &str = "/api/v1/cameras/{camera}";
/// The call that tests a camera before it is saved.
pub const CAMERA_TEST: &str = "/api/v1/cameras/test";
/// The room whose camera shares its path with [`CAMERA_TEST`].
pub const TEST_ROOM: &str = "test";

/// All other paths under `/api`.
pub const UNKNOWN: &str = "/api/{*rest}";
