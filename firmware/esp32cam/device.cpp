#include "device.h"

#include <cstdio>
#include <cstring>

namespace ocelli {
namespace {

constexpr uint32_t kSecond = 1000;
// The reconnect delays after successive lost connections, in seconds.
constexpr uint32_t kBackoff[] = {1, 2, 4, 8, 15, 30, 60};
constexpr uint32_t kBackoffSteps = sizeof kBackoff / sizeof *kBackoff;
// A connection that lasted this long resets the backoff.
constexpr uint32_t kGood = 60 * kSecond;
// Delays after errors that only a change of the key or of the hub's settings fixes.
constexpr uint32_t kWrongKey = 300 * kSecond;
constexpr uint32_t kNotNow = 60 * kSecond;
// Another device connected later with the same key; it keeps the connection.
constexpr uint32_t kYield = 120 * kSecond;
constexpr uint32_t kMostCompression = 30;

struct Word {
  const char* text;
  Reason reason;
};

constexpr Word kWords[] = {
    {"invalid_key", Reason::InvalidKey},       {"not_enabled", Reason::NotEnabled},
    {"quota_exceeded", Reason::QuotaExceeded}, {"idle_timeout", Reason::Idle},
    {"replaced", Reason::Replaced},            {"frame_too_large", Reason::FrameTooLarge},
    {"rate_limited", Reason::RateLimited},     {"not_jpeg", Reason::NotJpeg},
};

// Whether `now` is at or after `then`, on a clock that wraps around.
bool reached(uint32_t now, uint32_t then) { return static_cast<int32_t>(now - then) >= 0; }

// A slice of a message.
struct Piece {
  const char* begin = nullptr;
  std::size_t length = 0;
  bool is(const char* text) const {
    return begin != nullptr && std::strlen(text) == length && std::memcmp(begin, text, length) == 0;
  }
};

// Skips a string. `at` is after its opening quote, the result after its closing quote.
const char* string_end(const char* at, const char* end) {
  for (; at < end; ++at) {
    if (*at == '\\') {
      ++at;
    } else if (*at == '"') {
      return at + 1;
    }
  }
  return end;
}

// The value of a field of the outermost object: a string without its quotes, or a
// number. Values of other types are not needed here.
Piece field(const char* message, std::size_t length, const char* name) {
  const char* at = message;
  const char* const end = message + length;
  int depth = 0;
  while (at < end) {
    const char c = *at++;
    if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == '"') {
      const char* const begin = at;
      at = string_end(at, end);
      const Piece key{begin, static_cast<std::size_t>(at - begin - 1)};
      while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) {
        ++at;
      }
      if (at == end || *at != ':') {
        continue;
      }
      ++at;
      while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) {
        ++at;
      }
      if (at == end) {
        break;
      }
      const bool meant = depth == 1 && key.is(name);
      if (*at == '"') {
        const char* const value = ++at;
        at = string_end(at, end);
        if (meant) {
          return {value, static_cast<std::size_t>(at - value - 1)};
        }
      } else if (meant) {
        const char* const value = at;
        while (at < end && ((*at >= '0' && *at <= '9') || *at == '.' || *at == '-')) {
          ++at;
        }
        return {value, static_cast<std::size_t>(at - value)};
      }
    }
  }
  return {};
}

uint32_t number(const Piece& piece, uint32_t otherwise) {
  uint64_t value = 0;
  std::size_t at = 0;
  for (; at < piece.length && piece.begin[at] >= '0' && piece.begin[at] <= '9'; ++at) {
    value = value * 10 + static_cast<uint64_t>(piece.begin[at] - '0');
    if (value > UINT32_MAX) {
      return otherwise;
    }
  }
  return at == 0 || value == 0 ? otherwise : static_cast<uint32_t>(value);
}

}  // namespace

const char* name(Reason reason) {
  for (const Word& word : kWords) {
    if (word.reason == reason) {
      return word.text;
    }
  }
  return reason == Reason::None ? "none" : "other";
}

Device::Device(const Settings& settings, uint32_t seed)
    : settings_(settings), random_(seed == 0 ? 1 : seed) {}

// A random time between 50 % and 150 % of `wait`.
uint32_t Device::jittered(uint32_t wait) {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 17;
  random_ ^= random_ << 5;
  return wait / 2 + random_ % (wait + 1);
}

uint32_t Device::frame_interval() const {
  uint32_t fps = settings_.fps;
  if (max_fps_ != 0 && max_fps_ < fps) {
    fps = max_fps_;
  }
  return fps == 0 ? kSecond : kSecond / fps;
}

void Device::connected(uint32_t now) {
  state_ = State::Waiting;
  reason_ = Reason::None;
  since_ = now;
}

void Device::text(const char* message, std::size_t length, uint32_t now) {
  const Piece type = field(message, length, "type");
  if (type.is("ready") && state_ != State::Disconnected) {
    max_fps_ = number(field(message, length, "maxFps"), settings_.fps);
    max_frame_bytes_ = number(field(message, length, "maxFrameBytes"), UINT32_MAX);
    // The hub repeats the message until it has received a frame.
    if (state_ == State::Ready) {
      return;
    }
    state_ = State::Ready;
    since_ = now;
    next_frame_ = now;
    last_stats_ = now;
    sent_ = 0;
  } else if (type.is("error")) {
    const Piece code = field(message, length, "code");
    reason_ = Reason::Other;
    for (const Word& word : kWords) {
      if (code.is(word.text)) {
        reason_ = word.reason;
      }
    }
  }
}

void Device::disconnected(uint32_t now) {
  if (state_ == State::Ready && now - since_ >= kGood) {
    step_ = 0;
  }
  state_ = State::Disconnected;
  since_ = now;
  switch (reason_) {
    case Reason::InvalidKey:
      wait_ = jittered(kWrongKey);
      break;
    case Reason::NotEnabled:
    case Reason::QuotaExceeded:
    case Reason::RateLimited:
    case Reason::NotJpeg:
      wait_ = jittered(kNotNow);
      break;
    case Reason::Replaced:
      wait_ = jittered(kYield);
      break;
    case Reason::FrameTooLarge:
      if (compression_ < kMostCompression) {
        compression_ += 4;
      }
      [[fallthrough]];
    case Reason::None:
    case Reason::Idle:
    case Reason::Other:
      wait_ = jittered(kBackoff[step_] * kSecond);
      if (step_ + 1 < kBackoffSteps) {
        ++step_;
      }
      break;
  }
}

bool Device::may_connect(uint32_t now) const {
  return state_ == State::Disconnected && now - since_ >= wait_;
}

bool Device::give_up(uint32_t now) const {
  return state_ == State::Waiting && now - since_ >= settings_.ready_timeout;
}

bool Device::frame_due(uint32_t now) const {
  return state_ == State::Ready && reached(now, next_frame_);
}

bool Device::fits(std::size_t bytes) {
  if (bytes <= max_frame_bytes_) {
    return true;
  }
  if (compression_ < kMostCompression) {
    ++compression_;
  }
  return false;
}

void Device::sent(uint32_t now) {
  ++sent_;
  const uint32_t interval = frame_interval();
  next_frame_ += interval;
  // A delayed device does not catch up: late frames have no value.
  if (reached(now, next_frame_)) {
    next_frame_ = now + interval;
  }
}

std::size_t Device::stats(char* buffer, std::size_t capacity, int rssi, uint32_t heap_free,
                          uint32_t now) {
  const uint32_t passed = now - last_stats_;
  if (state_ != State::Ready || passed < settings_.stats_interval || passed == 0) {
    return 0;
  }
  const uint32_t tenths = static_cast<uint32_t>(uint64_t{sent_} * 10 * kSecond / passed);
  const int length = std::snprintf(
      buffer, capacity,
      "{\"type\":\"stats\",\"fps\":%lu.%lu,\"rssi\":%d,\"heapFree\":%lu,\"uptime\":%lu}",
      static_cast<unsigned long>(tenths / 10), static_cast<unsigned long>(tenths % 10), rssi,
      static_cast<unsigned long>(heap_free), static_cast<unsigned long>(now / kSecond));
  last_stats_ = now;
  sent_ = 0;
  return length > 0 && static_cast<std::size_t>(length) < capacity ? static_cast<std::size_t>(length)
                                                                   : 0;
}

}  // namespace ocelli
