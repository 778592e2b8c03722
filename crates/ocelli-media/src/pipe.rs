//! How much a pipe between the hub and a program holds.

use std::os::fd::AsFd;

/// What any user may give a pipe (`/proc/sys/fs/pipe-max-size`).
#[cfg(target_os = "linux")]
const MOST: usize = 1 << 20;

/// Has a pipe hold one raw picture of `len` bytes, where the system allows it.
///
/// Usually a pipe holds 64 KiB, and a raw picture would go through it in a dozen
/// pieces, each with a turn of the writer and of the reader. It is no place for
/// encoded pictures: they are so short that seconds of them would wait there.
pub fn hold_one(pipe: impl AsFd, len: usize) {
    // Refused by a sandbox, or to a user who has many: then it goes on as it was.
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, len.min(MOST));
    #[cfg(not(target_os = "linux"))]
    let _ = (pipe, len);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::pipe::{fcntl_getpipe_size, pipe};

    #[test]
    fn a_raw_picture_goes_through_in_one_piece() {
        let (output, input) = pipe().expect("a pipe");
        let before = fcntl_getpipe_size(&output).expect("a size");
        hold_one(&input, before * 4 + 1);
        assert!(fcntl_getpipe_size(&output).expect("a size") > before * 4);
        // One that no pipe may hold is not refused for it.
        hold_one(&input, usize::MAX);
        assert_eq!(fcntl_getpipe_size(&output).expect("a size"), MOST);
    }
}
