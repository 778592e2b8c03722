// What a device that pushes JPEG to Ocelli does and when, in plain C++17: no
// Arduino, no socket, no clock of its own. The sketch and the test on a computer
// both drive it: they tell it what happened and the time, and ask what to do.
//
// What does not belong here: the camera, the network, and how a message is framed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ocelli {

// How a device is set up. All times are in ms.
struct Settings {
  // Frames a second that the device would like to send; the hub may allow fewer.
  uint32_t fps = 8;
  // How often it tells of itself.
  uint32_t stats_interval = 30000;
  // How long it waits for `ready` once it is connected.
  uint32_t ready_timeout = 10000;
};

enum class State {
  Disconnected,  // not connected; see Device::may_connect
  Waiting,       // connected, not yet told that it may send
  Ready,         // it may send
};

// Why the hub sent the device away, as its error message has it.
enum class Reason {
  None,           // the connection broke off without a word
  InvalidKey,     // 4401
  NotEnabled,     // 4403
  QuotaExceeded,  // 4403
  Idle,           // 4408
  Replaced,       // 4409
  FrameTooLarge,  // 4413
  RateLimited,    // 4429
  NotJpeg,        // 1003
  Other,
};

class Device {
 public:
  // `seed` differs from board to board, so that a fleet does not come back in step.
  Device(const Settings& settings, uint32_t seed);

  // What happened.
  void connected(uint32_t now);
  void text(const char* message, std::size_t length, uint32_t now);
  void disconnected(uint32_t now);
  // A frame was sent whole.
  void sent(uint32_t now);

  // What to do.
  // Whether it may connect now; only asked while disconnected.
  bool may_connect(uint32_t now) const;
  // Whether to hang up: the hub is connected but does not say `ready`.
  bool give_up(uint32_t now) const;
  // Whether the next frame is due.
  bool frame_due(uint32_t now) const;
  // Whether a frame of this size may be sent. One that is too large asks for a
  // stronger compression; see `compression`.
  bool fits(std::size_t bytes);
  // Writes the next stats message when it is due; its length, else 0.
  std::size_t stats(char* buffer, std::size_t capacity, int rssi, uint32_t heap_free,
                    uint32_t now);

  State state() const { return state_; }
  Reason reason() const { return reason_; }
  uint32_t max_fps() const { return max_fps_; }
  uint32_t max_frame_bytes() const { return max_frame_bytes_; }
  // How long it waits before it may connect again.
  uint32_t wait() const { return wait_; }
  // By how much pictures should be compressed more than they were at the start.
  uint32_t compression() const { return compression_; }

 private:
  uint32_t jittered(uint32_t wait);
  uint32_t frame_interval() const;

  Settings settings_;
  uint32_t random_;
  State state_ = State::Disconnected;
  Reason reason_ = Reason::None;
  uint32_t max_fps_ = 0;
  uint32_t max_frame_bytes_ = 0;
  uint32_t since_ = 0;       // when the state was entered
  uint32_t wait_ = 0;        // before the next connection
  uint32_t step_ = 0;        // of the backoff
  uint32_t next_frame_ = 0;  // when it is due
  uint32_t last_stats_ = 0;
  uint32_t sent_ = 0;  // since the last stats
  uint32_t compression_ = 0;
};

// The name of a reason, as the hub has it.
const char* name(Reason reason);

}  // namespace ocelli
