// Protocol logic of a device that pushes JPEG to Ocelli, in plain C++17 without
// Arduino, sockets or a clock. The sketch and the test on a computer both drive
// it: they pass it timestamped events and query the next action.
//
// The camera, the network and the framing of messages do not belong here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ocelli {

// Settings of a device. All times are in ms.
struct Settings {
  // Desired frames per second; the hub may allow fewer.
  uint32_t fps = 8;
  // Interval of stats messages.
  uint32_t stats_interval = 30000;
  // Maximum wait for `ready` after connecting.
  uint32_t ready_timeout = 10000;
};

enum class State {
  Disconnected,  // not connected; see Device::may_connect
  Waiting,       // connected, waiting for `ready`
  Ready,         // may send frames
};

// Reason for a disconnect, from the hub's error message.
enum class Reason {
  None,           // the connection was lost without an error message
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
  // `seed` must differ between boards, so that a fleet does not reconnect all at once.
  Device(const Settings& settings, uint32_t seed);

  // Events.
  void connected(uint32_t now);
  void text(const char* message, std::size_t length, uint32_t now);
  void disconnected(uint32_t now);
  // A frame was sent completely.
  void sent(uint32_t now);

  // Actions.
  // Whether it may connect now; false unless disconnected.
  bool may_connect(uint32_t now) const;
  // Whether to disconnect because `ready` did not arrive in time.
  bool give_up(uint32_t now) const;
  // Whether the next frame is due.
  bool frame_due(uint32_t now) const;
  // Whether a frame of this size may be sent. A frame that is too large increases
  // `compression`.
  bool fits(std::size_t bytes);
  // Writes the next stats message if it is due. Returns its length, otherwise 0.
  std::size_t stats(char* buffer, std::size_t capacity, int rssi, uint32_t heap_free,
                    uint32_t now);

  State state() const { return state_; }
  Reason reason() const { return reason_; }
  uint32_t max_fps() const { return max_fps_; }
  uint32_t max_frame_bytes() const { return max_frame_bytes_; }
  // Delay before it may connect again.
  uint32_t wait() const { return wait_; }
  // Increase of the JPEG quality number (stronger compression) over the initial value.
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
  uint32_t since_ = 0;       // time at which the state was entered
  uint32_t wait_ = 0;        // delay before the next connection
  uint32_t step_ = 0;        // index into the backoff delays
  uint32_t next_frame_ = 0;  // time at which the next frame is due
  uint32_t last_stats_ = 0;
  uint32_t sent_ = 0;  // since the last stats
  uint32_t compression_ = 0;
};

// The name of a reason in the protocol.
const char* name(Reason reason);

}  // namespace ocelli
