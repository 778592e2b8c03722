// The part of the WebSocket client that the sketch uses, with the types of the library;
// see Arduino.h in this directory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

enum WStype_t { WStype_ERROR, WStype_DISCONNECTED, WStype_CONNECTED, WStype_TEXT, WStype_BIN };

struct WebSocketsClient {
  void begin(const char*, uint16_t, const char*, const char*) {}
  void beginSslWithCA(const char*, uint16_t, const char*, const char*, const char*) {}
  void setAuthorization(const char*) {}
  void onEvent(std::function<void(WStype_t, uint8_t*, size_t)>) {}
  void setReconnectInterval(unsigned long) {}
  void enableHeartbeat(uint32_t, uint32_t, uint8_t) {}
  bool sendBIN(uint8_t*, size_t) { return true; }
  bool sendTXT(char*, size_t) { return true; }
  void loop() {}
  void disconnect() {}
};
