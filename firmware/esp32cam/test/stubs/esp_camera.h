// The part of the camera driver that the sketch uses; see Arduino.h in this directory.
#pragma once

#include <cstddef>
#include <cstdint>

using esp_err_t = int;
constexpr esp_err_t ESP_OK = 0;
enum framesize_t { FRAMESIZE_QVGA, FRAMESIZE_VGA };
enum { LEDC_CHANNEL_0, LEDC_TIMER_0, PIXFORMAT_JPEG, CAMERA_FB_IN_PSRAM, CAMERA_GRAB_LATEST };

struct camera_config_t {
  int pin_pwdn, pin_reset, pin_xclk, pin_sccb_sda, pin_sccb_scl;
  int pin_d7, pin_d6, pin_d5, pin_d4, pin_d3, pin_d2, pin_d1, pin_d0;
  int pin_vsync, pin_href, pin_pclk;
  int xclk_freq_hz, ledc_timer, ledc_channel, pixel_format;
  framesize_t frame_size;
  int jpeg_quality;
  size_t fb_count;
  int fb_location, grab_mode;
};
struct camera_fb_t {
  uint8_t* buf;
  size_t len;
};
struct sensor_t {
  int (*set_quality)(sensor_t*, int);
};
esp_err_t esp_camera_init(const camera_config_t*);
camera_fb_t* esp_camera_fb_get();
void esp_camera_fb_return(camera_fb_t*);
sensor_t* esp_camera_sensor_get();
