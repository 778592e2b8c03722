//! Capacity of the pipes between the hub and a program.

use std::os::fd::AsFd;

/// The largest capacity an unprivileged user may set (`/proc/sys/fs/pipe-max-size`).
#[cfg(target_os = "linux")]
const MAX_CAPACITY: usize = 1 << 20;

/// Enlarges a pipe so that it holds one raw picture of `len` bytes, if the system allows it.
///
/// By default a pipe holds 64 KiB. A raw picture would pass through it in a dozen pieces,
/// and the writer and the reader would have to wake for each. Do not use this for encoded
/// pictures: they are so small that seconds of video would queue in the pipe.
pub fn fit_raw_picture(pipe: impl AsFd, len: usize) {
    // A sandbox or the user's pipe quota may refuse this. Then the pipe keeps its capacity.
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, len.min(MAX_CAPACITY));
    #[cfg(not(target_os = "linux"))]
    let _ = (pipe, len);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::pipe::{fcntl_getpipe_size, pipe};

    #[test]
    fn the_pipe_holds_a_whole_raw_picture() {
        let (output, input) = pipe().expect("a pipe");
        let before = fcntl_getpipe_size(&output).expect("a size");
        fit_raw_picture(&input, before * 4 + 1);
        assert!(fcntl_getpipe_size(&output).expect("a size") > before * 4);
        // A picture beyond the limit gets the largest capacity.
        fit_raw_picture(&input, usize::MAX);
        assert_eq!(fcntl_getpipe_size(&output).expect("a size"), MAX_CAPACITY);
    }
}
