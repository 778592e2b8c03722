//! Addresses of the interface that more than their own handler goes by.

/// One camera; and the one call beside it, which a camera's room may be named like.
pub const CAMERA: &str = "/api/v1/cameras/{camera}";
/// See [`CAMERA`].
pub const CAMERA_TEST: &str = "/api/v1/cameras/test";
/// The room that [`CAMERA_TEST`] would hide.
pub const TEST_ROOM: &str = "test";

/// Every address of the interface that is no other's.
pub const UNKNOWN: &str = "/api/{*rest}";
