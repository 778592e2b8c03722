//! SMJPEG and AVI output of ffmpeg: the pictures are the same however the input is split, and
//! together they are no longer than the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_core::{Budget, Budgets, PeerKind};
use ocelli_media::ffmpeg::{Avi, Smjpeg};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, ReadBuf};

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = (usize::from(input.0) + 1, input.1);
    let whole = pictures(bytes, usize::MAX);
    assert_eq!(whole, pictures(bytes, cut));
    assert!(whole.iter().flatten().sum::<usize>() <= bytes.len());
});

/// A reader that returns at most the given number of bytes at once.
struct Cut<'a>(&'a [u8], usize);

impl AsyncRead for Cut<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let len = self.0.len().min(self.1).min(buf.remaining());
        let (piece, rest) = self.0.split_at(len);
        buf.put_slice(piece);
        self.0 = rest;
        Poll::Ready(Ok(()))
    }
}

fn budget() -> Budget {
    Budgets::default().budget(PeerKind::Program)
}

/// Returns the lengths of the pictures in both formats.
fn pictures(bytes: &[u8], cut: usize) -> [Vec<usize>; 2] {
    let mut found = [Vec::new(), Vec::new()];
    finish(async {
        let mut smjpeg = Smjpeg::new(Cut(bytes, cut), budget());
        while let Ok(Some((_, picture))) = smjpeg.next().await {
            found[0].push(picture.len());
        }
        let mut avi = Avi::new(Cut(bytes, cut), budget());
        while let Ok(picture) = avi.next().await {
            found[1].push(picture.len());
        }
    });
    found
}

/// Polls `work` until it is ready. The input is always ready; only the budget returns pending, at
/// the end of a turn.
fn finish(work: impl Future<Output = ()>) {
    let mut work = pin!(work);
    let mut cx = Context::from_waker(Waker::noop());
    while work.as_mut().poll(&mut cx).is_pending() {}
}
