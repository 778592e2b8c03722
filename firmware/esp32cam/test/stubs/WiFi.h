// The part of the Wi-Fi library that the sketch uses; see Arduino.h in this directory.
#pragma once

#define WIFI_STA 1
#define WL_CONNECTED 3

struct Radio {
  void mode(int) {}
  void setSleep(bool) {}
  void setAutoReconnect(bool) {}
  void begin(const char*, const char*) {}
  int status() { return WL_CONNECTED; }
  int RSSI() { return 0; }
};
extern Radio WiFi;
