// Fill in these settings. The dashboard and `POST /api/v1/apps/live/ws-ingest` show the
// key only once. Keep this file secret once it contains your key.
#pragma once

#define WIFI_SSID "your network"
#define WIFI_PASSWORD "its password"

// The hub, without http://.
#define HUB_HOST "192.168.1.10"
#define HUB_APP "live"
#define HUB_ROOM "cam1"
#define HUB_KEY "wsk_…"

// 1: encrypted (wss), and the certificate is checked against HUB_CA. 0: plain ws, for a
// trusted network; anyone in it can then read the key and the pictures.
#ifndef HUB_TLS
#define HUB_TLS 1
#endif

#if HUB_TLS
#define HUB_PORT 443
// The certificate of the authority that signed the hub's certificate.
static const char HUB_CA[] = R"(-----BEGIN CERTIFICATE-----
paste it here
-----END CERTIFICATE-----
)";
#else
#define HUB_PORT 8080
#endif

// CCTV: 320 x 240, 8 frames per second. BALANCED: 640 x 480, 12 frames per second.
#define PROFILE_CCTV 1
#define PROFILE_BALANCED 2
#ifndef PROFILE
#define PROFILE PROFILE_BALANCED
#endif
