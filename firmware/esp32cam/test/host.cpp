// A board simulated on a computer: the unchanged device.cpp, with a plain TCP socket
// instead of Wi-Fi and a picture from a file instead of the camera.
//
//   host ADDRESS PORT PATH KEY JPEG FRAMES
//
// Sends FRAMES frames and one stats message, and stays connected until the hub closes the
// connection. Each event is a line on standard output. With the single argument `check` it
// tests device.cpp without a hub and exits with 0 on success.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "../device.h"

namespace {

using ocelli::Device;
using ocelli::Reason;
using ocelli::State;

int faults = 0;

void expect(bool holds, const char* what, int line) {
  if (!holds) {
    std::printf("line %d: %s\n", line, what);
    ++faults;
  }
}
#define EXPECT(what) expect((what), #what, __LINE__)

void say(Device& device, const std::string& text, uint32_t now) {
  device.text(text.data(), text.size(), now);
}

// The reconnect delay after the hub has sent this error code and closed.
uint32_t wait_after(const char* word) {
  Device device({}, 7);
  device.connected(0);
  say(device, std::string(R"({"type":"error","code":")") + word + R"(","message":"a \"word\""})", 1);
  device.disconnected(2);
  EXPECT(std::strcmp(ocelli::name(device.reason()), word) == 0);
  return device.wait();
}

int check() {
  ocelli::Settings settings;
  settings.fps = 20;
  Device device(settings, 1);
  EXPECT(device.may_connect(0));
  device.connected(100);
  EXPECT(!device.frame_due(200));
  EXPECT(!device.give_up(10099) && device.give_up(10100));
  say(device, R"({"nested":{"type":"error"},"type":"other","maxFps":3})", 200);
  say(device, R"({"type")", 200);
  say(device, "", 200);
  EXPECT(device.state() == State::Waiting);
  say(device, R"({ "maxFps" : 10, "room":"type", "type" : "ready", "maxFrameBytes":1000})", 200);
  EXPECT(device.state() == State::Ready);
  EXPECT(device.max_fps() == 10 && device.max_frame_bytes() == 1000);

  // Sends at the hub's rate, which is below the device's, and does not catch up.
  uint32_t sent = 0;
  for (uint32_t now = 200; now < 10200; ++now) {
    if (device.frame_due(now)) {
      device.sent(now);
      ++sent;
    }
  }
  EXPECT(sent == 100);
  // A repeated message changes the limits, but neither the time of the next frame nor the
  // statistics.
  say(device, R"({"type":"ready","maxFps":10,"maxFrameBytes":1000})", 10150);
  EXPECT(device.state() == State::Ready && !device.frame_due(10199) && device.frame_due(10200));
  device.sent(20000);
  EXPECT(!device.frame_due(20099) && device.frame_due(20100));

  // A frame that is too large is not sent, and later frames are compressed more.
  EXPECT(device.fits(1000) && device.compression() == 0);
  EXPECT(!device.fits(1001) && device.compression() == 1);

  char message[160];
  EXPECT(device.stats(message, sizeof message, -61, 41232, 30199) == 0);
  const std::size_t length = device.stats(message, sizeof message, -61, 41232, 30200);
  EXPECT(std::string(message, length) ==
         R"({"type":"stats","fps":3.3,"rssi":-61,"heapFree":41232,"uptime":30})");
  EXPECT(device.stats(message, sizeof message, -61, 41232, 30201) == 0);

  // Reconnect delays increase and differ between devices.
  uint32_t last = 0;
  for (uint32_t most : {1500u, 3000u, 6000u, 12000u, 22500u, 45000u, 90000u, 90000u}) {
    device.disconnected(40000);
    last = device.wait();
    EXPECT(last >= most / 3 && last <= most);
    EXPECT(!device.may_connect(40000 + last - 1) && device.may_connect(40000 + last));
  }
  Device other(settings, 2);
  device.connected(0);
  device.disconnected(0);
  other.disconnected(0);
  EXPECT(device.wait() != other.wait());
  // A long connection resets the backoff.
  device.connected(100000);
  say(device, R"({"type":"ready"})", 100000);
  device.disconnected(160000);
  EXPECT(device.wait() <= 1500);

  EXPECT(wait_after("invalid_key") >= 150000);
  EXPECT(wait_after("replaced") >= 60000);
  EXPECT(wait_after("not_enabled") >= 30000);
  EXPECT(wait_after("quota_exceeded") >= 30000);
  EXPECT(wait_after("rate_limited") >= 30000);
  EXPECT(wait_after("not_jpeg") >= 30000);
  EXPECT(wait_after("idle_timeout") <= 1500);
  EXPECT(wait_after("frame_too_large") <= 1500);

  // The clock wraps around after 49 days.
  Device old(settings, 3);
  const uint32_t late = UINT32_MAX - 50;
  old.connected(late);
  say(old, R"({"type":"ready","maxFps":10})", late);
  old.sent(late);
  EXPECT(!old.frame_due(late + 99) && old.frame_due(late + 100));
  return faults == 0 ? 0 : 1;
}

uint32_t now_ms() {
  using namespace std::chrono;
  return static_cast<uint32_t>(
      duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count());
}

bool write_all(int socket, const void* bytes, std::size_t length) {
  const char* at = static_cast<const char*>(bytes);
  while (length > 0) {
    const ssize_t written = send(socket, at, length, MSG_NOSIGNAL);
    if (written <= 0) {
      return false;
    }
    at += written;
    length -= static_cast<std::size_t>(written);
  }
  return true;
}

bool read_all(int socket, void* bytes, std::size_t length) {
  char* at = static_cast<char*>(bytes);
  while (length > 0) {
    const ssize_t got = recv(socket, at, length, 0);
    if (got <= 0) {
      return false;
    }
    at += got;
    length -= static_cast<std::size_t>(got);
  }
  return true;
}

// One RFC 6455 frame, masked as required for clients.
bool send_frame(int socket, uint8_t opcode, const void* payload, std::size_t length) {
  std::vector<uint8_t> bytes{static_cast<uint8_t>(0x80 | opcode)};
  if (length < 126) {
    bytes.push_back(static_cast<uint8_t>(0x80 | length));
  } else if (length < 65536) {
    bytes.insert(bytes.end(), {0x80 | 126, static_cast<uint8_t>(length >> 8),
                               static_cast<uint8_t>(length)});
  } else {
    bytes.insert(bytes.end(), {0x80 | 127, 0, 0, 0, 0});
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<uint8_t>(length >> shift));
    }
  }
  const uint8_t mask[4] = {0x6F, 0x63, 0x65, 0x6C};
  bytes.insert(bytes.end(), mask, mask + 4);
  const uint8_t* const from = static_cast<const uint8_t*>(payload);
  for (std::size_t at = 0; at < length; ++at) {
    bytes.push_back(from[at] ^ mask[at % 4]);
  }
  return write_all(socket, bytes.data(), bytes.size());
}

int connect_to(const char* address, const char* port) {
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::atoi(port)));
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
      connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    return -1;
  }
  return fd;
}

// The handshake in the form that the boards' library sends.
bool upgrade(int socket, const std::string& host, const std::string& path, const std::string& key) {
  const std::string request = "GET " + path +
                              " HTTP/1.1\r\nHost: " + host +
                              "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                              "Sec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "Sec-WebSocket-Protocol: arduino\r\nOrigin: file://\r\n"
                              "User-Agent: arduino-WebSocket-Client\r\n"
                              "Authorization: Bearer " + key + "\r\n\r\n";
  if (!write_all(socket, request.data(), request.size())) {
    return false;
  }
  std::string head;
  char byte = 0;
  while (head.size() < 4096 && head.find("\r\n\r\n") == std::string::npos) {
    if (!read_all(socket, &byte, 1)) {
      return false;
    }
    head += byte;
  }
  return head.rfind("HTTP/1.1 101", 0) == 0 &&
         head.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") != std::string::npos;
}

int run(char** arguments) {
  const std::string host = std::string(arguments[1]) + ":" + arguments[2];
  std::ifstream file(arguments[5], std::ios::binary);
  const std::string jpeg{std::istreambuf_iterator<char>(file), {}};
  const int wanted = std::atoi(arguments[6]);
  ocelli::Settings settings;
  settings.fps = 50;
  settings.stats_interval = 300;
  Device device(settings, 1);
  const int socket = connect_to(arguments[1], arguments[2]);
  if (socket < 0 || !upgrade(socket, host, arguments[3], arguments[4])) {
    std::puts("no connection");
    return 1;
  }
  device.connected(now_ms());
  int sent = 0;
  bool stats_sent = false;
  for (;;) {
    const uint32_t now = now_ms();
    if (device.give_up(now)) {
      std::puts("never ready");
      return 1;
    }
    if (sent < wanted && device.frame_due(now) && device.fits(jpeg.size())) {
      if (!send_frame(socket, 2, jpeg.data(), jpeg.size())) {
        break;
      }
      device.sent(now);
      ++sent;
    }
    char message[160];
    const std::size_t length = stats_sent ? 0 : device.stats(message, sizeof message, -61, 41232, now);
    if (length > 0 && sent == wanted) {
      send_frame(socket, 1, message, length);
      stats_sent = true;
      std::puts("stats sent");
      std::fflush(stdout);
    }
    pollfd waiting = {socket, POLLIN, 0};
    if (poll(&waiting, 1, 5) <= 0) {
      continue;
    }
    // Messages from the hub are short: a text, a ping or a close, never fragmented.
    uint8_t head[4];
    if (!read_all(socket, head, 2)) {
      break;
    }
    std::size_t size = head[1] & 0x7F;
    if (size == 126) {
      if (!read_all(socket, head + 2, 2)) {
        break;
      }
      size = static_cast<std::size_t>(head[2]) << 8 | head[3];
    }
    std::vector<char> payload(size);
    if (!read_all(socket, payload.data(), size)) {
      break;
    }
    if ((head[0] & 0x0F) == 9) {
      send_frame(socket, 10, payload.data(), size);
    } else if ((head[0] & 0x0F) == 1) {
      device.text(payload.data(), size, now_ms());
      if (device.state() == State::Ready && device.reason() == Reason::None) {
        std::printf("ready %lu %lu\n", static_cast<unsigned long>(device.max_fps()),
                    static_cast<unsigned long>(device.max_frame_bytes()));
        std::fflush(stdout);
      }
    } else if ((head[0] & 0x0F) == 8) {
      send_frame(socket, 8, payload.data(), size < 2 ? 0 : 2);
      break;
    }
  }
  close(socket);
  device.disconnected(now_ms());
  std::printf("closed %s, sent %d, wait %lu\n", ocelli::name(device.reason()), sent,
              static_cast<unsigned long>(device.wait()));
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 2 && std::strcmp(arguments[1], "check") == 0) {
    return check();
  }
  if (count != 7) {
    std::fputs("host ADDRESS PORT PATH KEY JPEG FRAMES | host check\n", stderr);
    return 2;
  }
  return run(arguments);
}
