// Ocelli on an AI-Thinker ESP32-CAM: sends frames to a hub and reconnects automatically.
//
// Needs the ESP32 core for Arduino and the library "WebSockets" by Markus Sattler
// (Links2004/arduinoWebSockets). Fill in settings.h first. device.cpp decides what is sent
// and when; this file handles the camera, Wi-Fi and the socket.

#include <Arduino.h>
#include <WebSocketsClient.h>
#include <WiFi.h>
#include <esp_camera.h>
#include <time.h>

#include "device.h"
#include "settings.h"

namespace {

#if PROFILE == PROFILE_CCTV
constexpr framesize_t kFrameSize = FRAMESIZE_QVGA;
constexpr uint32_t kFps = 8;
#else
constexpr framesize_t kFrameSize = FRAMESIZE_VGA;
constexpr uint32_t kFps = 12;
#endif
// JPEG quality number: 0 is the best and largest, 63 the worst and smallest.
constexpr int kQuality = 12;
constexpr int kWorstQuality = 40;

// Heartbeat: a ping every 15 s, 3 s for the pong, disconnected after two missed pongs.
constexpr uint32_t kPing = 15000;
constexpr uint32_t kPong = 3000;
constexpr uint8_t kMissed = 2;
// Reconnect interval of the library; device.cpp decides when it may connect.
constexpr unsigned long kReconnect = 500;
// Certificates have a validity period, so the board needs the current time.
constexpr time_t kClockIsSet = 1700000000;

WebSocketsClient web_socket;
ocelli::Device* device = nullptr;
int quality = kQuality;

bool start_camera() {
  camera_config_t config = {};
  // The AI-Thinker board's wiring.
  config.ledc_channel = LEDC_CHANNEL_0;
  config.ledc_timer = LEDC_TIMER_0;
  config.pin_pwdn = 32;
  config.pin_reset = -1;
  config.pin_xclk = 0;
  config.pin_sccb_sda = 26;
  config.pin_sccb_scl = 27;
  config.pin_d7 = 35;
  config.pin_d6 = 34;
  config.pin_d5 = 39;
  config.pin_d4 = 36;
  config.pin_d3 = 21;
  config.pin_d2 = 19;
  config.pin_d1 = 18;
  config.pin_d0 = 5;
  config.pin_vsync = 25;
  config.pin_href = 23;
  config.pin_pclk = 22;
  config.xclk_freq_hz = 20000000;
  config.pixel_format = PIXFORMAT_JPEG;
  config.frame_size = kFrameSize;
  config.jpeg_quality = kQuality;
  // Two buffers and the latest frame only, so that old frames are never sent.
  config.fb_count = 2;
  config.fb_location = CAMERA_FB_IN_PSRAM;
  config.grab_mode = CAMERA_GRAB_LATEST;
  return esp_camera_init(&config) == ESP_OK;
}

void on_event(WStype_t type, uint8_t* payload, size_t length) {
  const uint32_t now = millis();
  switch (type) {
    case WStype_CONNECTED:
      device->connected(now);
      break;
    case WStype_DISCONNECTED:
      // Also called for every failed attempt.
      device->disconnected(now);
      // The library does not expose the close code; the error message before it has the reason.
      Serial.printf("not connected (%s); next attempt in %lu ms\n", ocelli::name(device->reason()),
                    static_cast<unsigned long>(device->wait()));
      break;
    case WStype_TEXT:
      device->text(reinterpret_cast<const char*>(payload), length, now);
      if (device->state() == ocelli::State::Ready) {
        Serial.printf("ready: at most %lu frames per second\n",
                      static_cast<unsigned long>(device->max_fps()));
      }
      break;
    default:
      break;
  }
}

void open_socket() {
  static const String path = String("/ingest/ws?app=") + HUB_APP + "&room=" + HUB_ROOM;
  static const String authorization = String("Bearer ") + HUB_KEY;
#if HUB_TLS
  web_socket.beginSslWithCA(HUB_HOST, HUB_PORT, path.c_str(), HUB_CA, "arduino");
#else
  web_socket.begin(HUB_HOST, HUB_PORT, path.c_str(), "arduino");
#endif
  web_socket.setAuthorization(authorization.c_str());
  web_socket.onEvent(on_event);
  web_socket.setReconnectInterval(kReconnect);
  web_socket.enableHeartbeat(kPing, kPong, kMissed);
}

// Applies the compression that the hub's frame size limit requires.
void follow_compression() {
  int wanted = kQuality + static_cast<int>(device->compression());
  if (wanted > kWorstQuality) {
    wanted = kWorstQuality;
  }
  if (wanted == quality) {
    return;
  }
  quality = wanted;
  sensor_t* sensor = esp_camera_sensor_get();
  if (sensor != nullptr) {
    sensor->set_quality(sensor, quality);
  }
}

void send_frame() {
  camera_fb_t* frame = esp_camera_fb_get();
  if (frame == nullptr) {
    return;
  }
  if (device->fits(frame->len) && web_socket.sendBIN(frame->buf, frame->len)) {
    device->sent(millis());
  }
  esp_camera_fb_return(frame);
}

void send_stats() {
  char message[160];
  const size_t length = device->stats(message, sizeof message, WiFi.RSSI(), ESP.getFreeHeap(), millis());
  if (length > 0) {
    web_socket.sendTXT(message, length);
  }
}

}  // namespace

void setup() {
  Serial.begin(115200);
  if (!start_camera()) {
    Serial.println("the camera did not start: check its ribbon cable, and that the board has PSRAM");
    delay(10000);
    ESP.restart();
  }
  WiFi.mode(WIFI_STA);
  // Power saving delays frames by up to 300 ms.
  WiFi.setSleep(false);
  WiFi.setAutoReconnect(true);
  WiFi.begin(WIFI_SSID, WIFI_PASSWORD);
  while (WiFi.status() != WL_CONNECTED) {
    delay(250);
  }
#if HUB_TLS
  configTime(0, 0, "pool.ntp.org");
  while (time(nullptr) < kClockIsSet) {
    delay(250);
  }
#endif
  ocelli::Settings settings;
  settings.fps = kFps;
  device = new ocelli::Device(settings, esp_random());
  open_socket();
}

void loop() {
  const uint32_t now = millis();
  if (device->state() == ocelli::State::Disconnected && !device->may_connect(now)) {
    // The library connects only in its loop().
    delay(50);
    return;
  }
  web_socket.loop();
  if (device->give_up(now)) {
    web_socket.disconnect();
    return;
  }
  follow_compression();
  if (device->frame_due(now)) {
    send_frame();
  }
  send_stats();
}
