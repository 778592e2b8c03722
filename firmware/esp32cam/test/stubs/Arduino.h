// The part of the Arduino core that the sketch uses, so that a compiler without the
// board's toolchain can check its syntax and types. The stubs do nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

class String {
 public:
  String(const char* text) : text_(text) {}
  String operator+(const char* more) const { return String((text_ + more).c_str()); }
  const char* c_str() const { return text_.c_str(); }

 private:
  std::string text_;
};

struct SerialPort {
  void begin(unsigned long) {}
  void println(const char*) {}
  __attribute__((format(printf, 2, 3))) int printf(const char*, ...) { return 0; }
};
struct Board {
  void restart() {}
  uint32_t getFreeHeap() { return 0; }
};
extern SerialPort Serial;
extern Board ESP;

unsigned long millis();
void delay(unsigned long ms);
uint32_t esp_random();
void configTime(long offset, int daylight, const char* server);
