//! How much of the hub's time one viewer's commands may take.
//!
//! One thread serves everybody, and a command costs a viewer next to nothing to
//! send. So after commands that took a while the next is read only a multiple of
//! that while later; frames go on meanwhile, and what is not read waits in the
//! viewer's own socket.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// The pause after commands, in times of what they took: a tenth for commands.
const PAUSE: u32 = 9;

/// Pauses shorter than this are saved up: a timer can't tell them from nothing.
const SHORTEST: Duration = Duration::from_millis(1);

/// One viewer's share.
#[derive(Default)]
pub struct Share {
    owed: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Share {
    /// Notes how long a command took.
    pub fn spent(&mut self, took: Duration) {
        self.owed += took * PAUSE;
        if self.owed >= SHORTEST {
            self.pause = Some(Box::pin(sleep(std::mem::take(&mut self.owed))));
        }
    }

    /// Ready when the next command may be read.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn commands_take_a_tenth_of_the_time_at_most() {
        let mut share = Share::default();
        let start = Instant::now();
        let mut busy = Duration::ZERO;
        // Cheap ones by the thousand, and dear ones.
        for took in [Duration::from_micros(2), Duration::from_millis(3)] {
            for _ in 0..1000 {
                poll_fn(|cx| share.poll(cx)).await;
                tokio::time::advance(took).await;
                busy += took;
                share.spent(took);
            }
        }
        poll_fn(|cx| share.poll(cx)).await;
        let passed = start.elapsed() + SHORTEST;
        assert!(passed >= busy * (PAUSE + 1), "{busy:?} of {passed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_now_and_then_waits_for_nothing() {
        let mut share = Share::default();
        for _ in 0..50 {
            share.spent(Duration::from_micros(2));
        }
        let ready = poll_fn(|cx| Poll::Ready(share.poll(cx).is_ready())).await;
        assert!(ready);
    }
}
